//! A purchase by `transaction_hash`: credits for a transfer that its sender made itself.

use std::{net::IpAddr, str::FromStr};

use alloy::primitives::B256;
use axum::response::Response;

use super::{
    House,
    payments::accepted,
    problem::Problem,
    purchase::{credited, phrase},
};
use crate::{
    service::{BuyAnswer, BuyError, ClaimAnswer, ClaimRequest},
    x402::X402Version,
};

/// The hash of a transaction: `0x` and 64 hexadecimal digits.
pub(super) struct TransactionHash(pub(super) B256);

impl FromStr for TransactionHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or_default();
        let hash = (digits.len() == 64).then(|| digits.parse().ok()).flatten();
        hash.map(Self).ok_or("must be 0x and 64 hexadecimal digits")
    }
}

/// Each claim costs questions to the chain, so that it is charged to the client's budget before they
/// are asked. The first of a transfer is given back.
pub(super) async fn claim(
    house: &House,
    client: IpAddr,
    request: &ClaimRequest,
    version: X402Version,
) -> Result<Response, Problem> {
    let _place = house.payment_place()?;
    house.check_failures(client)?;
    house.count_failure(client);
    let claimed = house.service.claim(request).await;
    let counts = match &claimed {
        Ok(ClaimAnswer { known, .. }) => *known,
        Err(BuyError::Unavailable(reason)) => reason.is_of_a_wallet(),
        Err(_) => true,
    };
    if !counts {
        house.forgive_failure(client);
    }
    match claimed {
        Ok(ClaimAnswer { answer, .. }) => Ok(match answer {
            BuyAnswer::Credited(purchase) => credited(&purchase, version),
            BuyAnswer::Settling(payment) => accepted(
                house,
                payment.id,
                "the transfer is here and waits for its confirmations; nothing more needs to be sent",
            ),
        }),
        Err(error) => phrase(error, version),
    }
}
