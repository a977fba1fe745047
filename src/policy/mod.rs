//! Who may do what, and which store is trusted.
//!
//! [`Rights`] is pure: a policy and a path in, members out. [`Pins`] is the local memory of trusted stores, outside any
//! repository; it is the only part of this room that touches files.

mod pin;
mod rights;

pub use pin::{PinError, Pins, StoreClaim, StoreClaimError};
pub use rights::{Action, Rights};
