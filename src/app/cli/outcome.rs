//! How a command ended, and how that is told.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::{Map, Value, json};

use super::hint;
use crate::{base::Credits, client::ClientError};

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

/// What a command has to show, in both ways of showing it.
#[derive(Debug)]
pub(super) struct Done {
    /// One document.
    pub(super) json: String,
    /// Without a newline at the end.
    pub(super) human: String,
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failed {
    exit: u8,
    code: String,
    /// Whole sentences.
    detail: String,
    /// What to do now, as the end of "next: …".
    next: Option<String>,
    /// What else the service said.
    rest: Vec<(String, Value)>,
}

impl Failed {
    pub(super) fn usage(code: &str, detail: impl Into<String>) -> Self {
        Self::new(USAGE, code, detail)
    }

    pub(super) fn refused(code: &str, detail: impl Into<String>) -> Self {
        Self::new(REFUSED, code, detail)
    }

    pub(super) fn unreachable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(UNREACHABLE, code, detail)
    }

    fn new(exit: u8, code: &str, detail: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            detail: detail.into(),
            next: None,
            rest: Vec::new(),
        }
    }

    /// What the service answered to an operator: a problem (RFC 9457).
    pub(super) fn problem(status: u16, problem: Value) -> Self {
        let exit = if status >= 500 { UNREACHABLE } else { REFUSED };
        let text = |name: &str| problem[name].as_str().map(str::to_owned);
        let code = text("code").unwrap_or_else(|| "UNREACHABLE".to_owned());
        let detail = text("detail").unwrap_or_else(|| format!("the answer was {status}"));
        let mut failed = Self::new(exit, &code, detail);
        if let Value::Object(members) = problem {
            failed.rest = members.into_iter().collect();
        }
        failed
    }

    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Tells a program something more; people find it in the detail.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.rest.push((name.to_owned(), value.into()));
        self
    }

    fn json(&self) -> String {
        let mut error = Map::new();
        error.insert("code".into(), json!(self.code));
        error.insert("detail".into(), json!(self.detail));
        if let Some(next) = &self.next {
            error.insert("next".into(), json!(next));
        }
        for (name, value) in &self.rest {
            error.entry(name.clone()).or_insert_with(|| value.clone());
        }
        json!({ "error": error }).to_string()
    }

    fn human(&self) -> String {
        let mut lines = vec![format!("error: {}", self.detail)];
        let errors = self.rest.iter().find(|(name, _)| name == "errors");
        let errors = errors.and_then(|(_, errors)| errors.as_array());
        for error in errors.into_iter().flatten() {
            let part = |name: &str| error[name].as_str().unwrap_or_default();
            lines.push(format!("  {}: {}", part("pointer"), part("reason")));
        }
        if let Some(next) = &self.next {
            lines.push(format!("next: {next}"));
        }
        lines.join("\n")
    }
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            error if error.is_unreachable() => UNREACHABLE,
            ClientError::BaseUrl(_)
            | ClientError::NoWallet
            | ClientError::Wallet(_)
            | ClientError::Name { .. }
            | ClientError::SessionNonce
            | ClientError::ParametersUnwritable(_)
            | ClientError::Parameters(_) => USAGE,
            _ => REFUSED,
        };
        Self {
            exit,
            code: error.code().to_owned(),
            detail: error.to_string(),
            next: hint::after(&error),
            rest: told(&error),
        }
    }
}

/// What an error holds beside its words.
fn told(error: &ClientError) -> Vec<(String, Value)> {
    let members = match error {
        ClientError::Refused(problem) => {
            let mut rest = problem.rest.clone();
            rest.insert("status".into(), json!(problem.status));
            Value::Object(rest)
        }
        ClientError::CallUnknown {
            session_nonce,
            request_id,
            ..
        } => {
            json!({ "session_nonce": session_nonce, "request_id": request_id.as_str() })
        }
        ClientError::PaymentUnknown { valid_before, .. } => json!({ "valid_before": valid_before }),
        ClientError::Settling {
            purchase_id,
            status,
        } => {
            json!({ "purchase_id": purchase_id, "status": status })
        }
        _ => Value::Null,
    };
    match members {
        Value::Object(members) => members.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Tells how a command ended. A reader that has gone away is no failure of the command.
pub(super) fn report(outcome: Result<Done, Failed>, json: bool) -> ExitCode {
    match outcome {
        Ok(done) => {
            let text = if json { done.json } else { done.human };
            let _ = writeln!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            let _ = if json {
                writeln!(io::stdout(), "{}", failed.json())
            } else {
                writeln!(io::stderr(), "{}", failed.human())
            };
            ExitCode::from(failed.exit)
        }
    }
}

/// `95 credits (0.95 USD)`
pub(super) fn amount(credits: Credits) -> String {
    format!("{credits} credits ({} USD)", credits.usd())
}

/// One row a line, the second column in line.
pub(super) fn rows(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<_> = rows
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {value}"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Problem;

    fn refused(code: &str, rest: Value) -> Failed {
        let Value::Object(rest) = rest else {
            panic!("not an object")
        };
        let problem = Problem {
            status: 400,
            code: code.into(),
            title: "Bad Request".into(),
            detail: "It is wrong.".into(),
            rest,
        };
        ClientError::Refused(Box::new(problem)).into()
    }

    #[test]
    fn a_refusal_says_which_field_and_what_next() {
        let errors =
            json!({ "errors": [{ "pointer": "/parameters/place", "reason": "is missing" }] });
        let failed = refused("INVALID_REQUEST", errors);
        let text = "error: It is wrong. (400 INVALID_REQUEST)\n  /parameters/place: is missing";
        assert_eq!(failed.human(), text);
        let failed = refused(
            "CREDITS_NOT_A_MULTIPLE",
            json!({ "suggested_credits": 200 }),
        );
        assert!(failed.human().ends_with("\nnext: counterfoil buy 200"));
        let document: Value = serde_json::from_str(&failed.json()).unwrap();
        assert_eq!(document["error"]["suggested_credits"], 200);
        assert_eq!(document["error"]["code"], "CREDITS_NOT_A_MULTIPLE");
        assert_eq!(failed.exit, REFUSED);
    }

    #[test]
    fn the_exit_status_tells_usage_from_refusal_from_silence() {
        let unreachable = || ClientError::Unreachable {
            url: "http://127.0.0.1:1".into(),
            reason: "connection refused".into(),
        };
        let unknown = ClientError::PaymentUnknown {
            valid_before: 0,
            cause: Box::new(unreachable()),
        };
        for (error, exit) in [
            (unreachable(), UNREACHABLE),
            (unknown, UNREACHABLE),
            (ClientError::NoWallet, USAGE),
            (
                ClientError::PaymentRefused {
                    reason: "no".into(),
                },
                REFUSED,
            ),
        ] {
            let failed = Failed::from(error);
            assert_eq!(failed.exit, exit, "{failed:?}");
            assert!(
                failed.exit != UNREACHABLE || failed.next.is_some(),
                "{failed:?}"
            );
        }
    }

    #[test]
    fn columns_are_in_line() {
        let text = rows(&[("a", "1".into()), ("long", "2".into())]);
        assert_eq!(text, "a     1\nlong  2");
    }
}
