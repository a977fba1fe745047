//! Who may do what, which policy is in force, and which store is trusted.
//!
//! [`Rights`] and [`Chain`] are pure: policies go in, answers come out. [`Pins`] is the local memory of trusted stores, outside
//! any repository; it is the only part of this room that touches files.

mod chain;
mod pin;
mod rights;
mod signed;

pub use chain::{Chain, ChainFlaw, Summary};
pub use pin::{PinError, Pinned, Pins, StoreClaim, StoreClaimError};
pub use rights::{Action, Rights};
pub use signed::{SignedFlaw, verified};
