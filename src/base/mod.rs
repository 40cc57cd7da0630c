//! Values that cannot be wrong: newtypes parsed once, at the door.
//!
//! Owns the units of money, addresses, identifiers and points in time that every other floor
//! speaks in. Knows nothing of files, sockets, clocks or randomness, and of no wire format.

mod address;
mod credits;
mod id;
mod network;
mod rate;
mod time;

pub use address::{AddressError, AgentAddress};
pub use credits::{Credits, CreditsError, UNITS_PER_CREDIT};
pub use id::{ChargeId, IdError, PurchaseId, RefundId, RequestId, Slug};
pub use network::{AssetId, NetworkId, NetworkIdError};
pub use rate::{UsdRate, UsdRateError};
pub use time::Timestamp;
