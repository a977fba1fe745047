//! The arguments of `trust` and `trust:*`.

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub enum TrustCommand {
    /// Trust this store from now on, after comparing its fingerprints
    #[command(
        name = "trust",
        after_help = "Examples:\n  vsecure trust\n  export VSECURE_STORE_ID=$(vsecure trust --export)   # for CI"
    )]
    Store(TrustArgs),
    /// Trust one more remote branch: what it has is compared from now on, and its policy is the newest
    #[command(name = "trust:branch", after_help = "Example:\n  vsecure trust:branch origin/release")]
    Branch(TrustBranchArgs),
    /// Take a trusted branch whose history was rewritten as it is now
    #[command(
        name = "trust:rewrite",
        after_help = "Example:\n  vsecure trust:rewrite 4f2a1c9   # the branch's new tip, once you know who rewrote it and why"
    )]
    Rewrite(TrustRewriteArgs),
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
}

#[derive(Args, Debug)]
pub struct TrustRewriteArgs {
    /// The commit that the trusted branch has now
    pub commit: String,
}
