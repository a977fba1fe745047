//! The arguments of `access:*`, `rekey`, and of granting, revoking and adopting.

use clap::{Args, Subcommand, ValueEnum};
use vsecure::model::{MetadataValue, Pattern, Span, Timestamp};

use super::{NameArgs, WriteArgs};

/// What is `secrets:*` and about other people.
#[derive(Subcommand, Debug)]
pub enum SharingCommand {
    /// Let somebody read one secret until a deadline
    #[command(
        name = "secrets:grant-access",
        after_help = "Examples:\n  vsecure secrets:grant-access DATABASE_URL --user john@example.com --duration 1h\n  \
                      vsecure grant-access DATABASE_URL --ephemeral --user contractor@example.org --duration 2d --reason \"incident 7\""
    )]
    Grant(GrantArgs),
    /// Take back every grant that somebody has for a secret
    #[command(
        name = "secrets:revoke-access",
        after_help = "Example:\n  vsecure secrets:revoke-access DATABASE_URL --user john@example.com"
    )]
    Revoke(RevokeArgs),
    /// Look at a state of a secret that does not count, and sign for it
    #[command(
        name = "secrets:adopt",
        after_help = "Examples:\n  vsecure secrets:adopt production/API_KEY\n  vsecure secrets:adopt production/API_KEY@4f2a1c9"
    )]
    Adopt(AdoptArgs),
}

#[derive(Subcommand, Debug)]
pub enum AccessCommand {
    /// Show who may do what with which secret
    #[command(name = "access:list", after_help = "Example:\n  vsecure access:list 'production/*'")]
    List(AccessListArgs),
    /// Say why somebody may do what they may, and who could change it
    #[command(name = "access:why", after_help = "Example:\n  vsecure access:why bob production/API_KEY")]
    Why(WhyArgs),
    /// List everybody who may read or change a secret, now or earlier
    #[command(
        name = "access:who",
        after_help = "Examples:\n  vsecure access:who production/API_KEY\n  vsecure access:who production/API_KEY --at 2026-06-30"
    )]
    Who(WhoArgs),
    /// List the values that somebody knows who may not read them, until each is rotated
    #[command(name = "access:debt", after_help = "Example:\n  vsecure access:debt --member bob --fail-on debt")]
    Debt(DebtArgs),
    /// Take note of a debt until a day, with a reason; it is not cleared by that
    #[command(
        name = "access:acknowledge",
        after_help = "Example:\n  vsecure access:acknowledge API_KEY --reason \"rotates with the release\" --until 2026-12-31"
    )]
    Acknowledge(AcknowledgeArgs),
    /// Let somebody read one secret until a deadline, as secrets:grant-access
    #[command(
        name = "access:grant",
        after_help = "Example:\n  vsecure access:grant DATABASE_URL --user john@example.com --duration 1h"
    )]
    Grant(GrantArgs),
    /// List the grants
    #[command(name = "access:grants", after_help = "Example:\n  vsecure access:grants")]
    Grants,
    /// Encrypt anew what ended grants have left open, as cron and CI may do
    #[command(name = "access:expire", after_help = "Example:\n  vsecure access:expire && git push")]
    Expire(ExpireArgs),
    /// Compare rights with keys, without a private key: for CI
    #[command(
        name = "access:check",
        after_help = "Example:\n  vsecure access:check || echo \"something is to be done\""
    )]
    Check,
    /// Encrypt secrets to today's readers, where that is left to do
    #[command(name = "rekey", after_help = "Examples:\n  vsecure rekey --dry-run\n  vsecure rekey 'production/*'")]
    Rekey(RekeyArgs),
}

#[derive(Args, Debug)]
pub struct GrantArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// Who: a member's e-mail address or name; with --ephemeral, a word about somebody who is none
    #[arg(long, value_name = "WHO", required_unless_present = "ephemeral")]
    pub user: Option<String>,
    /// For how long: 1h, 2d
    #[arg(long, value_name = "SPAN")]
    pub duration: Span,
    /// Why; it is signed, and for everybody to read
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<MetadataValue>,
    /// Make a key for somebody who is no member, and print it once
    #[arg(long)]
    pub ephemeral: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct RevokeArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// Who: a member's e-mail address or name, or a guest as access:grants lists it
    #[arg(long, value_name = "WHO")]
    pub user: String,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct AdoptArgs {
    /// The secret's path; with @COMMIT, its state in that commit
    #[arg(value_name = "PATH[@COMMIT]")]
    pub path: String,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct AccessListArgs {
    /// Names or paths that match, such as 'API_*' or 'production/*'
    pub pattern: Option<Pattern>,
}

#[derive(Args, Debug)]
pub struct WhyArgs {
    /// Who: a member's e-mail address or name
    #[arg(value_name = "WHO")]
    pub member: String,
    /// The secret; a path need not exist
    #[arg(value_name = "PATH")]
    pub name: String,
}

#[derive(Args, Debug)]
pub struct WhoArgs {
    /// The secret
    #[arg(value_name = "PATH")]
    pub name: String,
    /// At that day or time, by the times that were signed; or in that commit, tag or branch
    #[arg(long, value_name = "DATE|REV")]
    pub at: Option<String>,
}

#[derive(Args, Debug)]
pub struct DebtArgs {
    /// Only what this member knows
    #[arg(long, value_name = "WHO")]
    pub member: Option<String>,
    /// Exit with 8 when there is a debt of which nobody took note
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<FailOnDebt>,
}

/// What a check may find.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOnDebt {
    /// Any debt
    Debt,
}

#[derive(Args, Debug)]
pub struct AcknowledgeArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// Why it can wait
    #[arg(long, value_name = "TEXT")]
    pub reason: MetadataValue,
    /// Until when: 2026-12-31 or 2026-12-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub until: Timestamp,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct ExpireArgs {
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct RekeyArgs {
    /// Names or paths that match, such as 'API_*' or 'production/*'
    pub pattern: Option<Pattern>,
    #[command(flatten)]
    pub write: WriteArgs,
}
