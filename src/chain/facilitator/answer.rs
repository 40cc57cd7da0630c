//! What a facilitator answers to `/settle`: x402's `SettlementResponse`, as far as it is of use.

use alloy::primitives::B256;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::chain::exchange;

/// What a facilitator says. None of it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub success: bool,
    /// Where it says that the payment is.
    pub transaction: Option<B256>,
    /// Why it says that it did not settle.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    success: bool,
    transaction: Option<String>,
    error_reason: Option<String>,
}

impl Answer {
    /// An answer is one whatever it says: also one under an HTTP status of 4xx.
    pub(super) fn read<'a>(
        status: StatusCode,
        body: &[u8],
        secrets: impl Iterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let judged = status.is_success() || status.is_client_error();
        let reply: Option<Reply> = serde_json::from_slice(body).ok().filter(|_| judged);
        let Some(reply) = reply else {
            return Err(if status.is_success() {
                "its reply is none to a settlement".to_owned()
            } else {
                format!("HTTP status {}", status.as_u16())
            });
        };
        let reason = reply.error_reason.filter(|_| !reply.success);
        Ok(Self {
            success: reply.success,
            transaction: reply.transaction.and_then(|hash| hash.parse().ok()),
            reason: reason.map(|reason| exchange::redacted(&reason, secrets)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<Answer, String> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::read(status, body.as_bytes(), std::iter::empty())
    }

    #[test]
    fn reads_what_facilitators_write() {
        let hash = format!("0x{}", "ab".repeat(32));
        let body = format!(
            r#"{{"success":true,"transaction":"{hash}","network":"eip155:1","payer":"0x1","errorReason":null,"extra":{{}}}}"#
        );
        let answer = read(200, &body).unwrap();
        assert_eq!((answer.success, answer.reason), (true, None));
        assert_eq!(answer.transaction, Some(B256::repeat_byte(0xab)));

        for (status, transaction) in [(200, ""), (400, "0x12"), (402, "not a hash")] {
            let body = format!(
                r#"{{"success":false,"errorReason":"insufficient_funds\n","transaction":"{transaction}"}}"#
            );
            let refused = Answer {
                success: false,
                transaction: None,
                reason: Some("insufficient_funds".into()),
            };
            assert_eq!(read(status, &body), Ok(refused));
        }
    }

    #[test]
    fn anything_else_is_no_answer() {
        for (status, body, reason) in [
            (200, "", "its reply is none to a settlement"),
            (200, "<html>", "its reply is none to a settlement"),
            (200, "[]", "its reply is none to a settlement"),
            (
                200,
                r#"{"success":"true"}"#,
                "its reply is none to a settlement",
            ),
            (204, "", "its reply is none to a settlement"),
            (302, r#"{"success":true}"#, "HTTP status 302"),
            (401, "no", "HTTP status 401"),
            (500, r#"{"success":true}"#, "HTTP status 500"),
        ] {
            assert_eq!(read(status, body), Err(reason.to_owned()), "{body}");
        }
    }
}
