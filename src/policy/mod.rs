//! Who may do what, which policy is in force, and which store is trusted.
//!
//! [`Rights`], [`Edit`] and [`Chain`] are pure: policies go in, answers come out. [`Pins`] is the local memory of trusted stores, outside
//! any repository; it is the only part of this room that touches files.

mod chain;
mod edit;
mod pin;
mod rights;
mod signed;

pub use chain::{Chain, ChainFlaw, Summary};
pub use edit::{Edit, EditError, RuleTable, RuleText, rebase};
pub use pin::{Branches, PinError, Pinned, Pins, Replay, StoreClaim, StoreClaimError, TrustedTip};
pub use rights::{Action, Rights};
pub use signed::{SignedFlaw, verified};
