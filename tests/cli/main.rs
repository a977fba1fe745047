//! The command as people and programs use it: real repositories, real processes, the independent tools beside it.

mod commands;
mod completion;
mod documents;
mod git;
mod guide;
mod history;
mod identity;
mod interop;
mod output;
mod refusals;
mod support;
mod trust;
