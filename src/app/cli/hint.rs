//! What to do after an error.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::client::{ClientError, OfferError, Problem};

/// The end of "next: …", where something can be done.
pub(super) fn after(error: &ClientError) -> Option<String> {
    let next = match error {
        ClientError::Unreachable { .. } => {
            "start the service, or say where it is with --url URL or COUNTERFOIL_URL".to_owned()
        }
        ClientError::Refused(problem) => return after_refusal(problem),
        ClientError::Offer(error) => return after_offer(error),
        ClientError::PaymentRefused { reason } if reason.contains("insufficient_funds") => {
            "put USDC into the wallet, on the network that it pays on".to_owned()
        }
        ClientError::CallUnknown {
            session_nonce,
            request_id,
            ..
        } => format!(
            "run the same command with --session {session_nonce} --request-id {request_id}: \
             it is then charged once, however often it is run"
        ),
        ClientError::PaymentUnknown { valid_before, .. } => format!(
            "look at `counterfoil balance` before buying again; the payment can be taken until {}",
            time_text(*valid_before)
        ),
        ClientError::Settling { .. } => "look at `counterfoil balance` in a while".to_owned(),
        ClientError::BaseUrl(_) => "give a URL such as http://127.0.0.1:4020".to_owned(),
        ClientError::Name { .. } => "see the names with `counterfoil tools`".to_owned(),
        _ => return None,
    };
    Some(next)
}

fn after_refusal(problem: &Problem) -> Option<String> {
    let next = match problem.code.as_str() {
        "INSUFFICIENT_CREDITS" => {
            "buy more with `counterfoil buy 100`, or pay for this call alone with --pay".to_owned()
        }
        "CREDITS_NOT_A_MULTIPLE" => {
            format!("counterfoil buy {}", problem.rest.get("suggested_credits")?)
        }
        "TOOL_NOT_FOUND" => "see what there is with `counterfoil tools`".to_owned(),
        "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED" | "EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID" => {
            "leave out --session: a new one is opened then".to_owned()
        }
        "EXTERNAL_SIGNATURE_REQUEST_REPLAY" => {
            "the request id was used for another call; leave it out or give another".to_owned()
        }
        "UNAVAILABLE" => "try again in a while".to_owned(),
        _ => return None,
    };
    Some(next)
}

fn after_offer(error: &OfferError) -> Option<String> {
    let next = match error {
        OfferError::TooDear { price, .. } => format!("allow it with --max-usd {}", price.usd()),
        OfferError::OtherNetwork { .. } => "leave out --network, or name one of these".to_owned(),
        OfferError::UnknownToken(asset) => format!(
            "if you know that it is a dollar with six decimals: --dollar-token {:#x}",
            asset.token
        ),
        OfferError::Missing
        | OfferError::Header(_)
        | OfferError::NonePayable
        | OfferError::TooLarge => return None,
    };
    Some(next)
}

fn time_text(unix_seconds: u64) -> String {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("Unix time {unix_seconds}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_call_can_be_asked_for_again() {
        let error = ClientError::CallUnknown {
            session_nonce: "s-1".into(),
            request_id: "r-1".parse().unwrap(),
            cause: Box::new(ClientError::NoWallet),
        };
        let next = after(&error).unwrap();
        assert!(next.contains("--session s-1 --request-id r-1"), "{next}");
    }

    #[test]
    fn a_price_above_the_limit_says_how_to_allow_it() {
        let error = OfferError::TooDear {
            price: "500".parse().unwrap(),
            limit: "100".parse().unwrap(),
        };
        let next = after(&ClientError::Offer(error)).unwrap();
        assert_eq!(next, "allow it with --max-usd 5.00");
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(time_text(1_760_000_000), "2025-10-09T08:53:20Z");
        assert!(time_text(u64::MAX).contains("Unix"));
    }
}
