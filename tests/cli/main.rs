//! The command as people and programs use it: real repositories, real processes, the independent tools beside it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that can't go on fails; that is what it is for"
)]

mod access;
mod attacks;
mod audit;
mod branch;
mod commands;
mod completion;
mod corpora;
mod cost;
mod documents;
mod exec;
mod export;
mod git;
mod guide;
mod history;
mod hostile_journal;
mod hostile_names;
mod hostile_repository;
mod hostile_trees;
mod identity;
mod import;
mod inject;
mod interop;
mod members;
mod moving;
mod output;
mod page;
mod policy;
mod projects;
mod refusals;
mod report;
mod rotation;
mod scan;
mod story;
mod support;
mod team;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod torture;
mod trust;
mod vectors;
