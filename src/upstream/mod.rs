//! The tools that are for sale, and the HTTP call to one of them.
//!
//! Owns the catalogue, the price list that sessions name, the check of parameters against a
//! tool's JSON Schema, and the rules of the call: what goes out, how long it may take, how much
//! may come back, and which addresses are never dialled. Must never know who calls, with what
//! money, or what becomes of a charge.

mod action;
mod call;
mod catalogue;
mod price_list;
mod private_address;
mod reply;
mod schema;
mod target;

pub use action::{Action, ActionError, ActionSpec, Method, MethodError, PRICE_MAX, TIMEOUT_MS_MAX};
pub use call::{Upstream, echo};
pub use catalogue::{Catalogue, CatalogueError, Tool};
pub use price_list::{PriceList, PriceListError};
pub use reply::{ToolError, ToolReply};
pub use schema::{FieldError, Schema, SchemaError};
pub use target::{HttpTarget, Target, TargetError};
