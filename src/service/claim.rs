//! Claims: a payer who sent a transfer itself points at it by its transaction.
//!
//! A claim is not signed and a transaction is public, so anyone may send it. It can credit nobody but
//! the transfer's sender, or whom the sender named in a sponsor message, and it tells no balance.

use alloy::primitives::B256;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::{
    BuyAnswer, BuyError, BuyRequest, PaymentProblem, QuoteError, Reason, Service, Unavailable,
    arrivals::{Claimant, worth},
    consent::Consents,
};
use crate::{
    auth::WalletSignature,
    base::{AgentAddress, Credits, NetworkId, PurchaseId},
    chain::{Arrival, ArrivalKind, Network, Receiving, TransactionLook},
    payment::{Booked, Inclusion, PaymentState, PaymentWay},
    store::{BookedArrival, Payment},
    x402::SettleResponse,
};

/// How often nodes are asked for a transaction that is in no block yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often nodes are asked for a transaction that none of them has heard of.
const UNKNOWN_LOOKS: u32 = 2;

/// Receipts that are read at one time because somebody named their transactions.
pub(super) const RECEIPTS_AT_ONCE: usize = 6;
/// How long a claim waits for its place among them.
const PATIENCE: Duration = Duration::from_secs(2);

/// A claim as the request says it.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The wallet to be credited.
    pub wallet: AgentAddress,
    pub transaction: B256,
    /// If given, what the transfer must be worth.
    pub credits: Option<Credits>,
    /// The client's own name for the purchase.
    pub label: Option<String>,
    pub payer: Option<AgentAddress>,
    pub sponsor_signature: Option<WalletSignature>,
    /// Every network is asked unless one is named.
    pub network: Option<NetworkId>,
}

/// What became of a claim.
pub struct ClaimAnswer {
    pub answer: BuyAnswer,
    /// Its transfer was counted before.
    pub known: bool,
}

/// A transfer that the claim may have.
struct Candidate<'a> {
    arrival: &'a Arrival,
    credits: Credits,
    way: PaymentWay,
    /// Somebody else sent it, and consented to one payment of so many credits.
    sponsored: bool,
    /// Nobody can be told to have sent it: an operator gives it to its owner, whoever claims it.
    unattributed: bool,
}

/// A transaction and where it was found.
struct Found<'a> {
    network: &'a Network,
    succeeded: bool,
    receiving: Receiving,
}

impl Service {
    /// Credits a transfer that its sender made itself.
    ///
    /// # Errors
    /// As [`BuyError`] says; then nothing was credited by this claim.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<ClaimAnswer, BuyError> {
        if let Some(id) = request.network
            && self.network(id).is_none()
        {
            return Err(QuoteError::UnknownNetwork(id).into());
        }
        let found = self.await_transaction(request).await?;
        let mut refusal = None;
        for found in &found {
            match self.claim_in(request, found).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(reason)) => refusal = refusal.or(Some((reason, found.network.id()))),
                Err(error) => return Err(error),
            }
        }
        let first = || self.networks().first().map(Network::id);
        let nowhere = request.network.or_else(first);
        let nowhere = nowhere.map(|network| (Reason::TransactionNotFound, network));
        let (reason, network) = refusal.or(nowhere).ok_or(BuyError::NothingIsSold)?;
        Err(self.refuse_claim(request, network, reason))
    }

    /// Looks for the transaction; while a node holds it and no block does, for as long as the operator
    /// lets a request wait. Empty when no node of any network that was asked has heard of it.
    async fn await_transaction(&self, request: &ClaimRequest) -> Result<Vec<Found<'_>>, BuyError> {
        let deadline = Instant::now() + self.settings().settle_wait;
        let mut unknown = 0;
        loop {
            let (found, waiting) = self.look_for(request).await;
            if !found.is_empty() {
                return Ok(found);
            }
            unknown += u32::from(!matches!(waiting, Some(BuyError::Pending)));
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || unknown >= UNKNOWN_LOOKS {
                return waiting.map_or(Ok(found), Err);
            }
            sleep(LOOK_EVERY.min(left)).await;
        }
    }

    /// Where the transaction is, and why it may be somewhere else.
    async fn look_for(&self, request: &ClaimRequest) -> (Vec<Found<'_>>, Option<BuyError>) {
        let (mut found, mut waiting) = (Vec::new(), None);
        for network in self.networks() {
            if request.network.is_some_and(|only| only != network.id()) {
                continue;
            }
            match self.look_at_claimed(network, request.transaction).await {
                Ok(TransactionLook::Included {
                    succeeded,
                    receiving,
                }) => found.push(Found {
                    network,
                    succeeded,
                    receiving,
                }),
                Ok(TransactionLook::Pending) => waiting = Some(BuyError::Pending),
                Ok(TransactionLook::Unknown) => {}
                Err(error) => {
                    waiting = waiting.or(Some(BuyError::Unavailable(error)));
                }
            }
        }
        (found, waiting)
    }

    async fn look_at_claimed(
        &self,
        network: &Network,
        transaction: B256,
    ) -> Result<TransactionLook, Unavailable> {
        let place = timeout(PATIENCE, self.0.receipts.acquire()).await;
        let _place = place.map_err(|_| Unavailable::ClaimsBusy)?;
        let recipients = self.recipients(network.id());
        Ok(network
            .look_at_transaction(transaction, &recipients)
            .await?)
    }

    /// Claims what the transaction brought on one network.
    async fn claim_in(
        &self,
        request: &ClaimRequest,
        found: &Found<'_>,
    ) -> Result<Result<ClaimAnswer, Reason>, BuyError> {
        let at = found.receiving.at;
        let candidates = match self.candidates(request, found).await {
            Ok(candidates) => candidates,
            Err(PaymentProblem::Refused(reason)) => return Ok(Err(reason)),
            Err(PaymentProblem::Unavailable(reason)) => return Err(BuyError::Unavailable(reason)),
            Err(PaymentProblem::Settled) => return Err(BuyError::Settled),
            Err(PaymentProblem::TooOld) => return Err(BuyError::TooOld),
        };
        let taken = self.take_first(request, found, &candidates).await;
        let answer = match taken.map_err(BuyError::Unavailable)? {
            Taken::New(id) => {
                // Stored. A crash from here on is found by the next start among the open payments.
                self.drive_detached(id);
                let answer = self.outcome(id, false, &self.order(request)).await?;
                let known = false;
                ClaimAnswer { answer, known }
            }
            Taken::Known(known) => {
                let answer = self.answer_known(request, *known, at).await?;
                let known = true;
                ClaimAnswer { answer, known }
            }
            Taken::TooOld => return Err(BuyError::TooOld),
            Taken::Nothing => return Ok(Err(Reason::TransactionWithoutPayment)),
        };
        Ok(Ok(answer))
    }

    /// Books the first candidate that is not counted yet; answers the first of the others if none is.
    async fn take_first(
        &self,
        request: &ClaimRequest,
        found: &Found<'_>,
        candidates: &[Candidate<'_>],
    ) -> Result<Taken, Unavailable> {
        let at = found.receiving.at;
        let too_old = at.block < self.first_taken_block(found.network).await?;
        let mut first = None;
        for candidate in candidates {
            let known = match self.known_arrival(at, candidate.arrival).await? {
                Some(known) => Box::new(known),
                None if too_old => continue,
                None => match self.book_claim(request, at, candidate).await? {
                    (id, BookedArrival::New) => return Ok(Taken::New(id)),
                    (_, BookedArrival::Known(known)) => known,
                },
            };
            // One consent is for one payment, however often it is shown.
            if candidate.sponsored && known.wallet == request.wallet {
                return Ok(Taken::Known(known));
            }
            let better =
                |first: &Payment| first.wallet != request.wallet && known.wallet == request.wallet;
            if first.as_deref().is_none_or(better) {
                first = Some(known);
            }
        }
        let nothing = if too_old && !candidates.is_empty() {
            Taken::TooOld
        } else {
            Taken::Nothing
        };
        Ok(first.map_or(nothing, Taken::Known))
    }

    async fn book_claim(
        &self,
        request: &ClaimRequest,
        at: Inclusion,
        candidate: &Candidate<'_>,
    ) -> Result<(PurchaseId, BookedArrival), Unavailable> {
        let claimant = Claimant {
            way: candidate.way,
            wallet: if candidate.unattributed {
                AgentAddress::new(candidate.arrival.transfer.from)
            } else {
                request.wallet
            },
            unattributed: candidate.unattributed,
            label: request.label.clone().filter(|_| !candidate.unattributed),
        };
        let (arrival, credits) = (candidate.arrival, candidate.credits);
        self.book(at, arrival, credits, claimant).await
    }

    /// The transfer is counted already: its payment answers, if it is this wallet's.
    async fn answer_known(
        &self,
        request: &ClaimRequest,
        known: Payment,
        at: Inclusion,
    ) -> Result<BuyAnswer, BuyError> {
        use PaymentState::{Expired, Failed, Refused};

        let credited = self.credit_known(&known, at).await;
        credited.map_err(BuyError::Unavailable)?;
        if known.way == PaymentWay::Direct {
            return self.repeat_of_direct(known).await;
        }
        let (id, state) = (known.id, known.state);
        if known.booked == Some(Booked::Suspense) {
            return Err(BuyError::InSuspense);
        }
        if known.wallet != request.wallet {
            return Err(BuyError::Claimed { id, state });
        }
        if !at.confirmed && matches!(state, Refused | Failed | Expired) {
            // Given up before, and here after all: it is credited once it is confirmed.
            return Ok(BuyAnswer::Settling(known));
        }
        self.drive_detached(id);
        self.outcome(id, false, &self.order(request)).await
    }

    /// The transfers that may be credited to the wallet, or why there is none.
    async fn candidates<'a>(
        &self,
        request: &ClaimRequest,
        found: &'a Found<'_>,
    ) -> Result<Vec<Candidate<'a>>, PaymentProblem> {
        if !found.succeeded {
            return Err(Reason::TransactionReverted.into());
        }
        let (mut candidates, mut of_other_worth) = (Vec::new(), false);
        let mut refusal = Reason::TransactionWithoutPayment;
        let mut consents = Consents::default();
        for arrival in &found.receiving.found.arrivals {
            let credits = worth(found.network, arrival).filter(|credits| credits.is_positive());
            let Some(credits) = credits else {
                continue;
            };
            if request.credits.is_some_and(|asked| asked != credits) {
                of_other_worth |= may_be_its(request, arrival);
                if matches!(refusal, Reason::TransactionWithoutPayment) {
                    refusal = Reason::PayerMismatch;
                }
                continue;
            }
            let claimed = self.claimed(request, found.network, arrival, credits, &mut consents);
            match claimed.await {
                Ok((way, sponsored)) => candidates.push(Candidate {
                    arrival,
                    credits,
                    way,
                    sponsored,
                    unattributed: way == PaymentWay::Transfer,
                }),
                Err(PaymentProblem::Refused(reason)) => refusal = reason,
                Err(problem) => return Err(problem),
            }
        }
        if candidates.is_empty() {
            let worth = Reason::TransactionWorthMismatch;
            return Err(if of_other_worth { worth } else { refusal }.into());
        }
        // What is somebody else's to decide comes only where nothing is the wallet's own.
        if candidates.iter().any(|it| !it.unattributed) {
            candidates.retain(|it| !it.unattributed);
        }
        Ok(candidates)
    }

    /// Whether a transfer is the wallet's to claim: as which way, and whether by a sponsor's consent.
    /// As [`PaymentWay::Transfer`] when it is for the operator to say whose it is.
    async fn claimed(
        &self,
        request: &ClaimRequest,
        network: &Network,
        arrival: &Arrival,
        credits: Credits,
        consents: &mut Consents,
    ) -> Result<(PaymentWay, bool), PaymentProblem> {
        let sender = AgentAddress::new(arrival.transfer.from);
        let named = request.payer;
        match arrival.kind {
            ArrivalKind::Unexplained => Err(Reason::PayerMismatch.into()),
            ArrivalKind::Event { agent, payer } => {
                let payer = AgentAddress::new(payer);
                let is_its = AgentAddress::new(agent) == request.wallet
                    && named.is_none_or(|named| named == payer);
                is_its
                    .then_some((PaymentWay::Event, false))
                    .ok_or(Reason::PayerMismatch.into())
            }
            ArrivalKind::Plain | ArrivalKind::UnknownContract | ArrivalKind::Authorized { .. } => {
                if named.is_some_and(|named| named != sender) {
                    return Err(Reason::PayerMismatch.into());
                }
                if self.is_nobodys(network, arrival) {
                    return Ok((PaymentWay::Transfer, false));
                }
                if sender == request.wallet {
                    return Ok((PaymentWay::Claim, false));
                }
                self.check_consent(request, network, arrival, credits, consents)
                    .await?;
                Ok((PaymentWay::Claim, true))
            }
        }
    }

    /// The purchase that a refused claim is offered instead.
    fn order(&self, request: &ClaimRequest) -> BuyRequest {
        let asked = request.credits;
        let sold = asked.filter(|credits| self.check_amount(*credits).is_ok());
        BuyRequest {
            wallet: request.wallet,
            credits: sold.unwrap_or(self.settings().min),
            label: None,
            payer: None,
            sponsor_signature: None,
            network: request.network,
            payment: None,
        }
    }

    fn refuse_claim(&self, request: &ClaimRequest, network: NetworkId, reason: Reason) -> BuyError {
        let told = match claim_words(reason) {
            Some(words) => format!("{}: {words}", reason.as_str()),
            None => reason.as_str().to_owned(),
        };
        let reason = reason.as_str().to_owned();
        let response = SettleResponse::refused(network, None, &reason);
        let quote = self.quote_for(&self.order(request), &told);
        BuyError::Refused {
            reason,
            response: Box::new(response),
            quote: Box::new(quote),
        }
    }
}

/// Whether a transfer of another worth may be what the claim means; its consent is not looked at.
fn may_be_its(request: &ClaimRequest, arrival: &Arrival) -> bool {
    let sender = AgentAddress::new(arrival.transfer.from);
    match arrival.kind {
        ArrivalKind::Unexplained => false,
        ArrivalKind::Event { agent, .. } => AgentAddress::new(agent) == request.wallet,
        ArrivalKind::Plain | ArrivalKind::UnknownContract | ArrivalKind::Authorized { .. } => {
            request.payer.is_none_or(|named| named == sender)
                && (sender == request.wallet || request.sponsor_signature.is_some())
        }
    }
}

/// What a payer who may have paid must know beside the reason.
const fn claim_words(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::TransactionNotFound => Some(
            "no node knows this transaction; if you have just sent it, do not pay again, but send \
             the same request again",
        ),
        Reason::TransactionReverted => Some("the transaction failed, so it moved no money"),
        Reason::TransactionWithoutPayment => {
            Some("the transaction moved no token that is taken here to an address of ours")
        }
        Reason::TransactionWorthMismatch => {
            Some("the transfer is worth other credits; leave credits out, or name what it is worth")
        }
        Reason::PayerMismatch => Some(
            "another wallet sent the transfer; it must claim it itself, or consent by a sponsor \
             message with tx:",
        ),
        _ => None,
    }
}

/// What of a transaction a claim got.
enum Taken {
    New(PurchaseId),
    Known(Box<Payment>),
    /// It came before anything that is taken here.
    TooOld,
    Nothing,
}
