//! What every signed body has.

use super::{fields::Fields, problem::Problem};
use crate::{
    auth::{Caller, json::Node},
    base::{AgentAddress, RequestId},
};

/// The fields of a signature and of what it signs.
pub(super) struct SignedFields<'b> {
    pub(super) wallet: AgentAddress,
    session_nonce: &'b str,
    request_id: RequestId,
    pub(super) signature: &'b str,
}

impl<'b> SignedFields<'b> {
    /// # Errors
    /// With every field that is wrong.
    pub(super) fn of(body: &'b Node<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let signed = Self::read(&mut fields);
        fields.all(signed)
    }

    /// Who calls, as the signed message names it.
    pub(super) const fn caller(&self) -> Caller<'_> {
        Caller {
            wallet: self.wallet,
            session_nonce: self.session_nonce,
            request_id: &self.request_id,
        }
    }

    fn read(fields: &mut Fields<'_, 'b>) -> Option<Self> {
        let wallet = fields.required("wallet_address");
        let session_nonce = fields.text("session_nonce");
        let request_id = fields.required("request_id");
        let signature = fields.text("signature");
        Some(Self {
            wallet: wallet?,
            session_nonce: session_nonce?,
            request_id: request_id?,
            signature: signature?,
        })
    }
}
