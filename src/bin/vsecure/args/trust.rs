//! The arguments of `trust` and `trust:*`.

use clap::{Args, Subcommand};
use vsecure::model::{Digest, HookPath};

#[derive(Subcommand, Debug)]
pub enum TrustCommand {
    /// Trust this store from now on, after comparing its fingerprints
    #[command(
        name = "trust",
        after_help = "Examples:\n  vsecure trust\n  export VSECURE_STORE_ID=$(vsecure trust --export)   # for CI"
    )]
    Store(TrustArgs),
    /// Trust one more remote branch: what it has is compared from now on, and its policy is the newest
    #[command(
        name = "trust:branch",
        after_help = "Examples:\n  vsecure trust:branch origin/release\n  vsecure trust:branch origin/release --forget   # takes that back"
    )]
    Branch(TrustBranchArgs),
    /// Take a trusted branch whose history was rewritten as it is now
    #[command(
        name = "trust:rewrite",
        after_help = "Example:\n  vsecure trust:rewrite 4f2a1c9   # the branch's new tip, once you know who rewrote it and why"
    )]
    Rewrite(TrustRewriteArgs),
    /// Let a program of this repository run as a hook, with the content that it has now and no other
    #[command(
        name = "trust:hook",
        after_help = "Examples:\n  vsecure trust:hook ops/rotate-db.sh   # once you have read it\n  \
                      vsecure trust:hook ops/rotate-db.sh --sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08   # in CI"
    )]
    Hook(TrustHookArgs),
}

#[derive(Args, Debug)]
pub struct TrustArgs {
    /// Print the store's id with its newest epoch, for VSECURE_STORE_ID, and pin nothing
    #[arg(long)]
    pub export: bool,
}

#[derive(Args, Debug)]
pub struct TrustBranchArgs {
    /// A remote branch: origin/main, or its full name
    #[arg(value_name = "REF")]
    pub reference: String,
    /// Trust it no more; what is pinned of its policy stays
    #[arg(long)]
    pub forget: bool,
}

#[derive(Args, Debug)]
pub struct TrustHookArgs {
    /// Its path from the work tree's root: ops/rotate-db.sh
    #[arg(value_name = "PROGRAM")]
    pub program: HookPath,
    /// The SHA-256 that its content must have
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<Digest>,
}

#[derive(Args, Debug)]
pub struct TrustRewriteArgs {
    /// The commit that the trusted branch has now
    pub commit: String,
}
