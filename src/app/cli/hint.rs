//! What to do after an error.

use serde_json::Value;
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
        ClientError::PaymentRefused { reason } => return after_refused_payment(reason),
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

/// The reasons of docs/PROTOCOL.md sections 3.2 and 3.7 about which the payer can do something.
fn after_refused_payment(reason: &str) -> Option<String> {
    let next = match reason {
        reason if reason.contains("insufficient_funds") => {
            "put USDC into the wallet, on the network that it pays on"
        }
        "transaction_not_found" => {
            "if it was sent just now, do not pay again, but run the same command again in a while"
        }
        "transaction_without_payment" => {
            "check the hash, and whether the transaction paid the service's own address"
        }
        "transaction_worth_mismatch" => {
            "leave out the number of credits to be credited what the transfer is worth"
        }
        "payer_mismatch" => "run it with the key of the wallet that sent the transfer",
        _ => return None,
    };
    Some(next.to_owned())
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
        // Payments get this code too, and have no request id that could be changed.
        "EXTERNAL_SIGNATURE_REQUEST_REPLAY" if is_of_a_charge(problem) => {
            "the request id was used for another call; leave it out or give another".to_owned()
        }
        "INVALID_REQUEST" if names_the_network(problem) => {
            "leave out --network, to take the first that is offered".to_owned()
        }
        "UNAVAILABLE" => "try again in a while".to_owned(),
        _ => return None,
    };
    Some(next)
}

fn is_of_a_charge(problem: &Problem) -> bool {
    let id = problem.rest.get("charge_id").and_then(Value::as_str);
    id.is_some_and(|id| id.starts_with("chg_"))
}

fn names_the_network(problem: &Problem) -> bool {
    let errors = problem.rest.get("errors").and_then(Value::as_array);
    let mut errors = errors.into_iter().flatten();
    errors.any(|error| error["pointer"] == "/network")
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
    use serde_json::json;

    use super::*;

    fn refused(code: &str, rest: Value) -> ClientError {
        let Value::Object(rest) = rest else {
            panic!("not an object")
        };
        ClientError::Refused(Box::new(Problem {
            status: 400,
            code: code.into(),
            title: "Bad Request".into(),
            detail: "It is wrong.".into(),
            rest,
        }))
    }

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
    fn a_taken_request_id_is_told_of_calls_and_not_of_payments() {
        for (rest, told) in [
            (json!({ "charge_id": "chg_1" }), true),
            (json!({ "charge_id": "pur_1" }), false),
            (json!({}), false),
        ] {
            let next = after(&refused("EXTERNAL_SIGNATURE_REQUEST_REPLAY", rest.clone()));
            assert_eq!(next.is_some(), told, "{rest}");
        }
    }

    #[test]
    fn a_network_that_is_not_sold_on_can_be_left_out() {
        let errors = |pointer: &str| json!({ "errors": [{ "pointer": pointer, "reason": "" }] });
        let next = after(&refused("INVALID_REQUEST", errors("/network"))).unwrap();
        assert!(next.contains("leave out --network"), "{next}");
        assert_eq!(after(&refused("INVALID_REQUEST", errors("/credits"))), None);
    }

    #[test]
    fn a_transfer_that_no_node_knows_yet_is_not_to_be_paid_again() {
        let reason = "transaction_not_found".into();
        let next = after(&ClientError::PaymentRefused { reason }).unwrap();
        assert!(next.contains("do not pay again"), "{next}");
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(time_text(1_760_000_000), "2025-10-09T08:53:20Z");
        assert!(time_text(u64::MAX).contains("Unix"));
    }
}
