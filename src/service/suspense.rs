//! Money that arrived and is nobody's yet: what there is, and to whom an operator gives it.

use super::{Service, Unavailable};
use crate::{
    base::{AgentAddress, PurchaseId},
    store::{AdminAction, InSuspense, MoveRefusal, MoveSuspense, MovedSuspense},
};

impl Service {
    /// Transfers in suspense, the oldest first: at most `limit` after the payment `after`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn suspense(
        &self,
        after: Option<PurchaseId>,
        limit: u32,
    ) -> Result<Vec<InSuspense>, Unavailable> {
        Ok(self.store().suspense(after, limit).await?)
    }

    /// Gives a transfer in suspense to a wallet. May be repeated: it is given once.
    ///
    /// # Errors
    /// When the store cannot answer; then the same call may be made again.
    pub async fn move_suspense(
        &self,
        payment: PurchaseId,
        to: AgentAddress,
        note: Option<String>,
    ) -> Result<Result<MovedSuspense, MoveRefusal>, Unavailable> {
        let moved = MoveSuspense {
            payment,
            to,
            note,
            now: self.now(),
        };
        let moved = self.store().move_suspense(moved).await?;
        if let Ok(moved) = &moved
            && !moved.already
        {
            tracing::warn!(wallet = %to, credits = %moved.credits, "an operator moved a payment out of suspense");
        }
        Ok(moved)
    }

    /// What operators did, the newest first: at most `limit` before the action `before`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn admin_actions(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AdminAction>, Unavailable> {
        Ok(self.store().admin_actions(before, limit).await?)
    }
}
