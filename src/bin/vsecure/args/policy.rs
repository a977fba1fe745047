//! The arguments of `policy:*`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::WriteArgs;

#[derive(Subcommand, Debug)]
pub enum PolicyCommand {
    /// Put rules from a file, JSON or YAML, in force: who may read, write and delete which secrets
    #[command(
        name = "policy:apply",
        after_help = "Examples:\n  vsecure policy:apply access.json\n  \
                      echo '{\"secrets\": {\"production/*\": {\"read\": [\"engineers\", \"devops\"], \"write\": [\"devops\"], \"delete\": [\"admins\"]}}}' | vsecure policy:apply -"
    )]
    Apply(ApplyArgs),
    /// Print the policy in force
    #[command(name = "policy:show", after_help = "Example:\n  vsecure policy:show")]
    Show,
    /// List the epochs of the policy, and what each changed
    #[command(name = "policy:history", after_help = "Example:\n  vsecure policy:history")]
    History,
    /// Say what differs between two policies: epochs, commits, tags or branches
    #[command(
        name = "policy:diff",
        after_help = "Examples:\n  vsecure policy:diff 1 3\n  vsecure policy:diff main HEAD"
    )]
    Diff(PolicyDiffArgs),
    /// Edit environments, roles, members and rules in your editor
    #[command(name = "policy:edit", after_help = "Example:\n  EDITOR=nano vsecure policy:edit")]
    Edit(PolicyEditArgs),
    /// Make this branch's change of the policy again, upon the trusted branch's
    #[command(
        name = "policy:rebase",
        after_help = "Example:\n  git fetch && vsecure policy:rebase   # two admins changed the policy at once"
    )]
    Rebase(RebaseArgs),
}

#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// Drop the rules that the file does not have
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct PolicyDiffArgs {
    /// The one: an epoch's number, or a commit, tag or branch
    pub from: String,
    /// The other
    pub to: String,
}

#[derive(Args, Debug)]
pub struct PolicyEditArgs {
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct RebaseArgs {
    /// Upon what; by default the trusted branch
    pub rev: Option<String>,
    #[command(flatten)]
    pub write: WriteArgs,
}
