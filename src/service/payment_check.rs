//! Is this payment the one that was asked for? The checks that purchases and direct calls share, in
//! the order of docs/PROTOCOL.md section 3: the signer first, without a word to any node.

use std::time::Duration;

use alloy::primitives::Address;
use tokio::{sync::SemaphorePermit, time::sleep};

use super::{Service, Unavailable, quote::Offer};
use crate::{
    base::{AgentAddress, AssetId, Credits, NetworkId, Timestamp},
    chain::{Asset, Network, SimulationError, is_signed_by_key},
    payment::{
        Authorization, AuthorizationFact, Inclusion, PaymentKey, SignedAuthorization,
        TransferMethod,
    },
    store::{PayerRisk, Payment},
    x402::{SCHEME_EXACT, SignedPayment},
};

/// The furthest ahead that an authorization may still be valid.
const VALIDITY_SECONDS_MAX: u64 = 3_600;
/// What is left of an authorization must suffice to mine it.
const SETTLEMENT_SECONDS_MIN: u64 = 6;

/// An authorization that is used up without a trace is looked at again so often.
const UNEXPLAINED_LOOKS: u32 = 2;
const UNEXPLAINED_PAUSE: Duration = Duration::from_millis(300);

/// Why a payment is refused before anything was broadcast, in x402's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    UnsupportedScheme,
    InvalidNetwork,
    InvalidAsset,
    InvalidSignature,
    RecipientMismatch,
    AmountMismatch,
    NotYetValid,
    Expired,
    ValidTooLong,
    ValidTooShort,
    InsufficientFunds,
    /// Permit2 may not move the payer's tokens.
    AllowanceRequired,
    Cancelled,
    SpentElsewhere,
    SimulationFailed,
    PayerMismatch,
    SponsorSignatureMissing,
    SponsorSignatureInvalid,
    PayerBusy,
    PayerBarred,
    /// Settlements for the payer failed too often within a day.
    SettlementsFailed,
    TransactionNotFound,
    TransactionReverted,
    TransactionWithoutPayment,
    TransactionWorthMismatch,
    TransactionVanished,
}

/// Why a payment is not taken.
#[derive(Debug)]
pub enum PaymentProblem {
    Refused(Reason),
    /// The authorization is settled on the chain, and the request cannot have it credited as it asks.
    Settled,
    /// The same, and in a block before any whose transfers are taken here.
    TooOld,
    Unavailable(Unavailable),
}

impl From<Reason> for PaymentProblem {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl<E: Into<Unavailable>> From<E> for PaymentProblem {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A payment whose signer is known.
pub(super) struct Recovered<'a> {
    pub(super) network: &'a Network,
    pub(super) asset: &'a Asset,
    pub(super) payment: SignedPayment,
    pub(super) signer: Signer<'a>,
}

/// Who signed.
pub(super) enum Signer<'a> {
    /// The key of `from`.
    Key,
    /// The code of `from` says so. Its place among those that are checked is kept meanwhile.
    Wallet { _place: SemaphorePermit<'a> },
}

impl Recovered<'_> {
    pub(super) fn asset_id(&self) -> AssetId {
        AssetId {
            network: self.network.id(),
            token: self.asset.token,
        }
    }

    pub(super) fn key(&self) -> PaymentKey {
        self.payment.authorization.key(self.asset_id())
    }

    /// What is stored of it and settled. A leave for Permit2 counts where the operator takes them.
    pub(super) fn authorization(&self) -> SignedAuthorization {
        let SignedPayment {
            authorization: terms,
            signature,
            permit,
            ..
        } = &self.payment;
        SignedAuthorization {
            terms: terms.clone(),
            signature: signature.clone(),
            permit: permit.filter(|_| self.asset.gas_sponsoring),
        }
    }

    pub(super) fn payer(&self) -> AgentAddress {
        AgentAddress::new(self.payment.authorization.from)
    }
}

/// What the chain says of an authorization that nobody here has seen before.
pub(super) enum FirstLook {
    Unused {
        since_block: u64,
        /// What its settlement rests on, once that was asked.
        risk: Option<PayerRisk>,
    },
    /// Somebody settled it already, to an address of ours.
    Paid { since_block: u64, at: Inclusion },
}

impl Service {
    /// The payment that an authorization belongs to already, if the client shows the very bytes
    /// that were stored: then the books decide, whatever the configuration says now.
    pub(super) async fn known_payment(
        &self,
        payment: &SignedPayment,
    ) -> Result<Option<Payment>, Unavailable> {
        let network = payment.network;
        let tokens = match payment.terms {
            Some(terms) => vec![terms.asset],
            None => self.network(network).map_or_else(Vec::new, |network| {
                network.assets().iter().map(|asset| asset.token).collect()
            }),
        };
        for token in tokens {
            let key = payment.authorization.key(AssetId { network, token });
            let known = self.store().payment_by_key(&key).await?;
            let same = |known: &Payment| {
                let signed = known.authorization.as_ref();
                signed.is_some_and(|signed| signed.signature == payment.signature)
            };
            if let Some(known) = known.filter(same) {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// Recovers the signer, asset by asset where the client does not name one. Only where no key
    /// signed, the chain is asked whether `from` is a contract that did.
    pub(super) async fn recover_payer(
        &self,
        payment: SignedPayment,
    ) -> Result<Recovered<'_>, PaymentProblem> {
        if payment.scheme != SCHEME_EXACT {
            return Err(Reason::UnsupportedScheme.into());
        }
        let network = self
            .network(payment.network)
            .ok_or(Reason::InvalidNetwork)?;
        let named = payment.terms.map(|terms| terms.asset);
        let mut assets = network
            .assets()
            .iter()
            .filter(|asset| named.is_none_or(|named| named == asset.token));
        let first = assets.clone().next().ok_or(Reason::InvalidAsset)?;
        let by_key = assets.find(|asset| {
            let domain = network.domain(asset);
            is_signed_by_key(&payment.authorization, &domain, &payment.signature)
        });
        let (asset, signer) = match by_key {
            Some(asset) => (asset, Signer::Key),
            None => (first, self.ask_wallet(network, first, &payment).await?),
        };
        Ok(Recovered {
            network,
            asset,
            payment,
            signer,
        })
    }

    /// Asks the chain whether the authorization was used. Only one that pays an address that is or
    /// was a payTo is worth the question.
    pub(super) async fn first_look(
        &self,
        recovered: &Recovered<'_>,
    ) -> Result<FirstLook, PaymentProblem> {
        let terms = &recovered.payment.authorization;
        if !self.is_pay_to(recovered.network.id(), terms.to) {
            return Err(Reason::RecipientMismatch.into());
        }
        let token = recovered.asset.token;
        let ask = || {
            let network = recovered.network;
            network.authorization_fact(token, terms, None, None)
        };
        let mut look = ask().await?;
        for _ in 0..UNEXPLAINED_LOOKS {
            if look.fact != AuthorizationFact::Unexplained {
                break;
            }
            // A node may know a block's state before it can find the block's logs.
            sleep(UNEXPLAINED_PAUSE).await;
            look = ask().await?;
        }
        let since_block = look.since_block;
        match look.fact {
            AuthorizationFact::Unused { .. } => Ok(FirstLook::Unused {
                since_block,
                risk: None,
            }),
            AuthorizationFact::Paid(at) => Ok(FirstLook::Paid { since_block, at }),
            AuthorizationFact::SpentElsewhere(_) => Err(Reason::SpentElsewhere.into()),
            AuthorizationFact::Cancelled(_) => Err(Reason::Cancelled.into()),
            AuthorizationFact::Unexplained => Err(Unavailable::UnexplainedAuthorization.into()),
        }
    }

    pub(super) fn is_pay_to(&self, network: NetworkId, address: Address) -> bool {
        self.recipients(network).pay_tos.contains(&address)
    }

    /// Whether an authorization that was unused can be settled. One that was used up
    /// since, by a stranger or an equal request, is looked at again rather than refused.
    pub(super) async fn check_funds(
        &self,
        recovered: &Recovered<'_>,
        since_block: u64,
    ) -> Result<FirstLook, PaymentProblem> {
        match self.check_settlement(recovered).await {
            Ok(risk) => Ok(FirstLook::Unused {
                since_block,
                risk: Some(risk),
            }),
            Err(PaymentProblem::Refused(reason)) => match self.first_look(recovered).await? {
                FirstLook::Unused { .. } => Err(reason.into()),
                paid @ FirstLook::Paid { .. } => Ok(paid),
            },
            Err(
                problem @ (PaymentProblem::Unavailable(_)
                | PaymentProblem::Settled
                | PaymentProblem::TooOld),
            ) => Err(problem),
        }
    }

    async fn check_settlement(
        &self,
        recovered: &Recovered<'_>,
    ) -> Result<PayerRisk, PaymentProblem> {
        let authorization = recovered.authorization();
        let terms = &authorization.terms;
        let token = recovered.asset.token;
        let risk = self.payer_risk(recovered).await?;
        if terms.method == TransferMethod::Permit2
            && authorization.permit.is_none()
            && recovered
                .network
                .permit2_allowance(token, terms.from)
                .await?
                < terms.value
        {
            return Err(Reason::AllowanceRequired.into());
        }
        let network = recovered.network;
        let relayers = self.relayers(network).await?;
        let relayer = relayers
            .first()
            .map_or(Address::ZERO, |first| first.address());
        match network
            .simulate_settlement(relayer, token, &authorization)
            .await
        {
            Ok(_gas) => Ok(risk),
            Err(SimulationError::Chain(error)) => Err(error.into()),
            Err(
                error @ (SimulationError::Reverted(_)
                | SimulationError::TooMuchGas { .. }
                | SimulationError::NoProxy),
            ) => {
                tracing::info!(%error, "a settlement would fail");
                Err(Reason::SimulationFailed.into())
            }
        }
    }
}

/// Matches the payment with one of the offers that this request gets now.
pub(super) fn match_terms(
    recovered: &Recovered<'_>,
    offers: &[Offer<'_>],
    now: Timestamp,
    valid_seconds_min: u64,
) -> Result<(), Reason> {
    let SignedPayment {
        authorization: terms,
        terms: accepted,
        ..
    } = &recovered.payment;
    let offer = offers
        .iter()
        .find(|offer| {
            offer.network.id() == recovered.network.id()
                && offer.asset.token == recovered.asset.token
        })
        .ok_or(Reason::InvalidNetwork)?;
    if terms.method != offer.asset.transfer_method {
        return Err(Reason::InvalidAsset);
    }
    let pay_to = offer.network.pay_to();
    if terms.to != pay_to || accepted.is_some_and(|accepted| accepted.pay_to != pay_to) {
        return Err(Reason::RecipientMismatch);
    }
    let amount = offer.amount;
    if terms.value != amount || accepted.is_some_and(|accepted| accepted.amount != amount) {
        return Err(Reason::AmountMismatch);
    }
    check_validity(terms, now, valid_seconds_min.max(SETTLEMENT_SECONDS_MIN))
}

fn check_validity(terms: &Authorization, now: Timestamp, seconds_min: u64) -> Result<(), Reason> {
    let now = u64::try_from(now.seconds()).unwrap_or_default();
    if terms.valid_after >= now {
        return Err(Reason::NotYetValid);
    }
    if terms.valid_before <= now {
        return Err(Reason::Expired);
    }
    let left = terms.valid_before - now;
    if left > VALIDITY_SECONDS_MAX {
        return Err(Reason::ValidTooLong);
    }
    if left < seconds_min {
        return Err(Reason::ValidTooShort);
    }
    Ok(())
}

/// The credits that a transfer of `terms.value` is worth; `None` for less than a unit.
pub(super) fn worth(asset: &Asset, terms: &Authorization) -> Option<Credits> {
    asset
        .worth(terms.value)
        .filter(|credits| credits.is_positive())
}

impl Reason {
    /// The code that x402's documents give it where they have one.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::InvalidNetwork => "invalid_network",
            Self::InvalidAsset => "invalid_exact_evm_payload_asset_mismatch",
            Self::InvalidSignature => "invalid_exact_evm_payload_signature",
            Self::RecipientMismatch => "invalid_exact_evm_payload_recipient_mismatch",
            Self::AmountMismatch => "invalid_exact_evm_payload_authorization_value",
            Self::NotYetValid => "invalid_exact_evm_payload_authorization_valid_after",
            Self::Expired | Self::ValidTooLong | Self::ValidTooShort => {
                "invalid_exact_evm_payload_authorization_valid_before"
            }
            Self::InsufficientFunds => "insufficient_funds",
            Self::AllowanceRequired => "permit2_allowance_required",
            Self::Cancelled => "authorization_cancelled",
            Self::SpentElsewhere => "authorization_spent_elsewhere",
            Self::SimulationFailed => "invalid_transaction_state",
            Self::PayerMismatch => "payer_mismatch",
            Self::SponsorSignatureMissing => "sponsor_signature_missing",
            Self::SponsorSignatureInvalid => "sponsor_signature_invalid",
            Self::PayerBusy => "payer_has_an_unsettled_call",
            Self::PayerBarred | Self::SettlementsFailed => "payer_barred",
            Self::TransactionNotFound => "transaction_not_found",
            Self::TransactionReverted => "transaction_reverted",
            Self::TransactionWithoutPayment => "transaction_without_payment",
            Self::TransactionWorthMismatch => "transaction_worth_mismatch",
            Self::TransactionVanished => "transaction_vanished",
        }
    }

    /// The code, and what a payer must know beside it.
    #[must_use]
    pub fn told(self) -> String {
        match self {
            Self::SettlementsFailed => format!(
                "{}: three settlements of this payer failed within a day; it may pay again a day \
                 after them, or send a transfer of its own and claim it",
                self.as_str()
            ),
            _ => self.as_str().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, U256};

    use super::*;

    fn check(valid_after: u64, valid_before: u64) -> Result<(), Reason> {
        let terms = Authorization {
            method: TransferMethod::Eip3009,
            from: Address::ZERO,
            to: Address::ZERO,
            value: U256::ONE,
            valid_after,
            valid_before,
            nonce: B256::ZERO,
        };
        check_validity(&terms, Timestamp::from_seconds(10_000), 6)
    }

    #[test]
    fn an_authorization_is_good_now_and_neither_too_long_nor_too_short() {
        assert_eq!(check(0, 10_300), Ok(()));
        assert_eq!(check(9_999, 10_006), Ok(()));
        assert_eq!(check(0, 13_600), Ok(()));
        assert_eq!(check(10_000, 10_300), Err(Reason::NotYetValid));
        assert_eq!(check(0, 10_000), Err(Reason::Expired));
        assert_eq!(check(0, 10_005), Err(Reason::ValidTooShort));
        assert_eq!(check(0, 13_601), Err(Reason::ValidTooLong));
        assert_eq!(check(0, u64::MAX), Err(Reason::ValidTooLong));
    }
}
