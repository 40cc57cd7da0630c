//! What a buyer was told, and that it was never told the contrary.

use serde_json::Value;

use crate::support::Reply;

/// The answers to one payment so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    purchase_id: Option<Value>,
    /// The first 200.
    pub(crate) done: Option<Value>,
    /// The last 402's reason.
    pub(crate) refused: Option<String>,
    /// A direct call that was broken off, or runs, or is answered already.
    pub(crate) conflict: bool,
}

impl Told {
    /// Notes an answer, which must agree with those before.
    pub(crate) fn note(&mut self, reply: &Reply) {
        let json = &reply.json;
        if let Some(id) = json.get("purchase_id") {
            let known = self.purchase_id.get_or_insert_with(|| id.clone());
            assert_eq!(known, id, "another purchase for the same payment");
        }
        match reply.status {
            200 => match &self.done {
                Some(done) => assert_eq!(done["transaction"], json["transaction"], "{json}"),
                None => self.done = Some(json.clone()),
            },
            // Not known yet, or not to be had now.
            202 | 503 => assert!(reply.status == 503 || self.done.is_none(), "{json}"),
            402 => {
                assert!(self.done.is_none(), "credited, and asked for again: {json}");
                let response = reply.payment_response().expect("PAYMENT-RESPONSE");
                let reason = response["errorReason"].as_str().unwrap();
                self.refused = Some(reason.to_owned());
            }
            409 => {
                assert!(json["charge_id"].is_string(), "{}", reply.text());
                self.conflict = true;
            }
            // A paid tool ran in vain: nothing was kept.
            _ => panic!("{} {}", reply.status, reply.text()),
        }
    }
}
