//! Sessions: opened without a write, checked without a read.

use super::{Service, Unavailable};
use crate::{
    auth::{Session, SessionError},
    base::{AgentAddress, Credits, Slug, Timestamp},
    upstream::PriceList,
};

/// A session that was just opened.
#[derive(Clone, Debug)]
pub struct OpenSession {
    pub nonce: String,
    pub expires_in_seconds: i64,
    pub expires_at: Timestamp,
}

/// Why a session is not good for a call. A new one is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionProblem {
    /// Not a nonce that this server gave to this wallet.
    Invalid,
    Expired,
    /// The price rose above the list that the session was opened under.
    PriceRose,
}

impl Service {
    /// Opens a session. Proves nothing and stores nothing: every later call is signed.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn open_session(&self, wallet: AgentAddress) -> Result<OpenSession, Unavailable> {
        let expires_in_seconds = self.settings().session_lifetime_seconds;
        let expires_at = self.now().plus_seconds(expires_in_seconds);
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).map_err(|_| Unavailable::Randomness)?;
        let price_list = *self.catalogue().price_list().hash();
        let nonce = self
            .0
            .parts
            .session_key
            .issue(wallet, expires_at, price_list, salt);
        Ok(OpenSession {
            nonce,
            expires_in_seconds,
            expires_at,
        })
    }

    /// Checks the MAC only: a stored reply outlives its session.
    pub(super) fn session(
        &self,
        nonce: &str,
        wallet: AgentAddress,
    ) -> Result<Session, SessionProblem> {
        self.0
            .parts
            .session_key
            .verify(nonce, wallet)
            .map_err(|_: SessionError| SessionProblem::Invalid)
    }

    pub(super) fn check_expiry(&self, session: &Session) -> Result<(), SessionProblem> {
        if session.expires_at <= self.now() {
            return Err(SessionProblem::Expired);
        }
        Ok(())
    }

    /// The payer signed the hash of a price list. What it pays may be lower now, never higher.
    pub(super) async fn check_price(
        &self,
        session: &Session,
        tool: &Slug,
        action: &Slug,
        price: Credits,
    ) -> Result<Result<(), SessionProblem>, Unavailable> {
        if session.price_list == *self.catalogue().price_list().hash() {
            return Ok(Ok(()));
        }
        let text = self.store().price_list(session.price_list).await?;
        let listed = text
            .and_then(|text| PriceList::parse(&text).ok())
            .and_then(|list| list.price_of(tool, action));
        Ok(match listed {
            Some(listed) if price <= listed => Ok(()),
            _ => Err(SessionProblem::PriceRose),
        })
    }
}
