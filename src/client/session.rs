//! The session under which calls are signed: opened when it is needed, kept while it is good.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use super::{
    Client, ClientError,
    answer::read_json,
    body::encode,
    transport::{Outgoing, Reply},
};

/// A longer nonce is not signed.
const NONCE_CHARS_MAX: usize = 512;
/// How long before its end a session is replaced, so that a call does not arrive after it.
const MARGIN: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct KeptSession {
    nonce: String,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct SessionBody {
    session_nonce: String,
    expires_in: u64,
}

impl Client {
    /// The nonce of a session that is good for a while: the one that is kept, or a new one.
    ///
    /// # Errors
    /// When the client has no wallet or the service opens none.
    pub async fn open_session(&self) -> Result<String, ClientError> {
        let wallet = self.wallet()?;
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref()
            && Instant::now() < session.renew_at
        {
            return Ok(session.nonce.clone());
        }
        let body = encode(&json!({ "wallet_address": wallet.address().to_string() }));
        let request = Outgoing::post("/api/external/auth/session".into(), body);
        let reply = self.read(&request).await?;
        let session = read_session(&reply)?;
        let nonce = session.nonce.clone();
        *kept = Some(session);
        Ok(nonce)
    }

    /// Forgets a session that the service refused, unless another took its place meanwhile.
    pub(super) async fn forget_session(&self, nonce: &str) {
        let mut kept = self.session.lock().await;
        if kept.as_ref().is_some_and(|session| session.nonce == nonce) {
            *kept = None;
        }
    }
}

/// The nonce becomes a line of every message that is signed, so it must not be able to be two.
fn read_session(reply: &Reply) -> Result<KeptSession, ClientError> {
    let body: SessionBody = read_json(&reply.clone().into_success()?)?;
    if !is_nonce(&body.session_nonce) {
        return Err(reply.unexpected("The service gave a session nonce that cannot be signed"));
    }
    Ok(KeptSession {
        nonce: body.session_nonce,
        renew_at: Instant::now() + good_for(body.expires_in),
    })
}

pub(super) fn is_nonce(text: &str) -> bool {
    (1..=NONCE_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A short session keeps nine tenths of its life. None is kept for longer than a day, the longest
/// that there is.
fn good_for(expires_in_seconds: u64) -> Duration {
    let life = Duration::from_secs(expires_in_seconds.min(24 * 60 * 60));
    life.saturating_sub(MARGIN.min(life / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_replaced_before_it_ends() {
        for (expires_in, seconds) in [(0, 0), (10, 9), (900, 870), (u64::MAX, 86_370)] {
            assert_eq!(good_for(expires_in), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_nonce_is_one_line_of_visible_characters() {
        assert!(is_nonce("s-AbC_-123"));
        let long = "x".repeat(NONCE_CHARS_MAX + 1);
        for text in ["", "a b", "a\nrequest:1", "é", &long] {
            assert!(!is_nonce(text), "{text:?}");
        }
    }
}
