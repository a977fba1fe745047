//! Who may do what, which policy is in force, and which store is trusted.
//!
//! [`Rights`], [`Edit`] and [`Chain`] are pure: policies go in, answers come out. [`Pins`] is the local memory of trusted stores, outside
//! any repository; it is the only part of this room that touches files.

mod chain;
mod compare;
mod edit;
mod hooks;
mod pin;
mod recovery;
mod rights;
mod signed;
mod text;

pub use chain::{Chain, ChainFlaw, Summary};
pub use compare::{Difference, differences};
pub use edit::{Edit, EditError, RuleTable, RuleText, demand_free_name, rebase};
pub use pin::{Branches, PinError, Pinned, Pins, Replay, StoreClaim, StoreClaimError, TrustedTip};
pub use recovery::{RECOVERY, rules_beyond_recovery, with_recovery};
pub use rights::{Action, Rights};
pub use signed::{SignedFlaw, verified};
pub use text::{parse_content, parse_rules};
