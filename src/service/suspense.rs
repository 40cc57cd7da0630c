//! Money that arrived and is nobody's yet: what there is, and to whom an operator gives it.

use super::{Service, Unavailable};
use crate::{base::PurchaseId, store::InSuspense};

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
}
