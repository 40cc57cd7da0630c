//! What the store is asked and answers about money that is nobody's yet.

use super::Payment;
use crate::base::Timestamp;

/// A transfer in suspense.
#[derive(Clone)]
pub struct InSuspense {
    pub payment: Payment,
    /// When it was entered in the books.
    pub since: Timestamp,
}
