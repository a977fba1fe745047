//! The access log: what a line of it says, and what makes a log of lines one that nobody changed.
//!
//! A log belongs to one key in one clone of one store. Each line states its place in the sequence and the hash of the line before it,
//! so that none can be changed, dropped or put in between without all that follow. That alone binds nobody: the signature over a
//! published log's head does. No line ever holds a value. Nothing here reads or writes a file; callers hand in bytes, which are
//! hostile until they were verified.

mod event;
mod log;
mod published;

pub use event::{
    Action, Actor, CiRun, Deed, Event, LineError, Outcome, Resource, ResourceType, Word, WordError, line_digest,
};
pub use log::{Log, LogError, Owner};
pub use published::{PublishedError, check_published, sign_head};
