//! The texts that wallets sign, exactly as docs/PROTOCOL.md section 1 gives them.
//!
//! Lines are joined by one newline, with none at the end. Nothing is escaped and nothing needs to
//! be: wallet, request id and a session nonce that was verified hold no newline, and what follows
//! product, action or path is a hash or nothing. So no two calls share a text.

use std::fmt;

use alloy::primitives::B256;

use super::payload::PayloadHash;
use crate::base::{AgentAddress, Credits, RequestId};

/// Who calls, in which session, under which name: the head of every call's message.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub wallet: AgentAddress,
    pub session_nonce: &'a str,
    pub request_id: &'a RequestId,
}

impl Caller<'_> {
    /// The message of a call to one action of one tool, bound to its path.
    #[must_use]
    pub fn path_bound(&self, path: &str, payload: &PayloadHash) -> String {
        let payload = hex::encode(payload);
        format!("{self}\nmethod:POST\npath:{path}\npayload:{payload}")
    }

    /// The message of a read, or of an older tool call. `product` is `-` where there is none;
    /// without parameters the payload is empty.
    #[must_use]
    pub fn scoped(&self, action: &str, product: &str, payload: Option<&PayloadHash>) -> String {
        let payload = payload.map(hex::encode).unwrap_or_default();
        format!("{self}\naction:{action}\nproduct:{product}\npayload:{payload}")
    }
}

impl fmt::Display for Caller<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            wallet,
            session_nonce,
            request_id,
        } = self;
        write!(
            formatter,
            "agentpmt-external\nwallet:{wallet}\nsession:{session_nonce}\nrequest:{request_id}"
        )
    }
}

/// The paths that a signature for this action may name, preferred first.
#[must_use]
pub fn accepted_paths(product: &str, action: &str) -> [String; 4] {
    let path = format!("/external/tools/{product}/actions/{action}/invoke");
    [
        path.clone(),
        format!("/api{path}"),
        format!("{path}/"),
        format!("/api{path}/"),
    ]
}

/// A payer's consent that what it pays is credited to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SponsorMessage {
    pub payer: AgentAddress,
    pub recipient: AgentAddress,
    pub credits: Credits,
    pub reference: SponsorReference,
}

/// The one payment that a sponsor's consent is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SponsorReference {
    /// The nonce of an EIP-3009 authorization.
    Nonce(B256),
    /// The hash of a transaction that the payer broadcast itself.
    Transaction(B256),
}

impl fmt::Display for SponsorMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            payer,
            recipient,
            credits,
            reference,
        } = self;
        write!(
            formatter,
            "agentpmt-external-sponsor\npayer:{payer}\nrecipient:{recipient}\ncredits:{credits}\n"
        )?;
        match reference {
            SponsorReference::Nonce(nonce) => write!(formatter, "nonce:{nonce:#x}"),
            SponsorReference::Transaction(hash) => write!(formatter, "tx:{hash:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(byte: u8) -> AgentAddress {
        AgentAddress::new([byte; 20].into())
    }

    #[test]
    fn texts_are_the_contract() {
        let request_id = "invoke-1".parse().unwrap();
        let caller = Caller {
            wallet: wallet(0xab),
            session_nonce: "s-1",
            request_id: &request_id,
        };
        let head = format!(
            "agentpmt-external\nwallet:0x{}\nsession:s-1\nrequest:invoke-1\n",
            "ab".repeat(20)
        );
        let hash = "01".repeat(32);
        assert_eq!(
            caller.path_bound("/external/x", &[1; 32]),
            format!("{head}method:POST\npath:/external/x\npayload:{hash}")
        );
        assert_eq!(
            caller.scoped("activity", "-", Some(&[1; 32])),
            format!("{head}action:activity\nproduct:-\npayload:{hash}")
        );
        assert_eq!(
            caller.scoped("balance", "-", None),
            format!("{head}action:balance\nproduct:-\npayload:")
        );
    }

    #[test]
    fn sponsors_name_their_payment() {
        let mut message = SponsorMessage {
            payer: wallet(1),
            recipient: wallet(2),
            credits: Credits::from_units(1_234_500),
            reference: SponsorReference::Nonce([3; 32].into()),
        };
        let head = format!(
            "agentpmt-external-sponsor\npayer:0x{}\nrecipient:0x{}\ncredits:123.45\n",
            "01".repeat(20),
            "02".repeat(20)
        );
        let reference = "03".repeat(32);
        assert_eq!(message.to_string(), format!("{head}nonce:0x{reference}"));
        message.reference = SponsorReference::Transaction([3; 32].into());
        assert_eq!(message.to_string(), format!("{head}tx:0x{reference}"));
    }

    #[test]
    fn four_paths_and_the_plain_one_first() {
        assert_eq!(
            accepted_paths("weather", "forecast"),
            [
                "/external/tools/weather/actions/forecast/invoke",
                "/api/external/tools/weather/actions/forecast/invoke",
                "/external/tools/weather/actions/forecast/invoke/",
                "/api/external/tools/weather/actions/forecast/invoke/",
            ]
        );
    }
}
