//! The arguments of `rotation:*`, and the schedule that `create` and `update` take.

use clap::{Args, Subcommand, ValueEnum};
use vsecure::format::Generator;
use vsecure::model::{Environment, HookPath, Span, Tag};

use super::{NameArgs, NamesArgs, WriteArgs};

#[derive(Subcommand, Debug)]
pub enum RotationCommand {
    /// Say how often a value is rotated, and how a new one is made
    #[command(
        name = "rotation:set",
        after_help = "Examples:\n  vsecure rotation:set API_KEY --period 30d --notify-before 7d\n  \
                      vsecure rotation:set SESSION_KEY --period 30d --generate=hex=32\n  \
                      vsecure rotation:set DB_PASSWORD --period 90d --notify-before 14d --hook ops/rotate-db.sh\n  \
                      vsecure rotation:set API_KEY --off"
    )]
    Set(RotationSetArgs),
    /// List what is rotated: ok, due-soon, overdue, in-progress, failed
    #[command(
        name = "rotation:status",
        after_help = "Examples:\n  vsecure rotation:status --env production\n  vsecure rotation:status --fail-on due-soon   # in CI\n  \
                      vsecure rotation:status --json   # for chat and mail\n\nExit code 8 says that something is due, or failed."
    )]
    Status(RotationStatusArgs),
    /// Rotate a value, or all that are due; go on with what was begun
    #[command(
        name = "rotation:run",
        after_help = "Examples:\n  vsecure rotation:run DB_PASSWORD\n  vsecure rotation:run --due --env production\n\n\
                      Exit code 8 says that a person must bring a new value: vsecure secrets:update NAME."
    )]
    Run(RotationRunArgs),
    /// Give up a rotation that was begun: drop its pending value
    #[command(name = "rotation:cancel", after_help = "Example:\n  vsecure rotation:cancel DB_PASSWORD")]
    Cancel(RotationCancelArgs),
}

/// How often a new value is due.
#[derive(Args, Debug, Clone)]
pub struct ScheduleArgs {
    /// A new value is due so long after the last one: 30d
    #[arg(long, value_name = "SPAN", help_heading = "Description")]
    pub rotate_every: Option<Span>,
    /// Say so this long before
    #[arg(long, value_name = "SPAN", requires = "rotate_every", help_heading = "Description")]
    pub notify_before: Option<Span>,
}

#[derive(Args, Debug)]
pub struct RotationSetArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// A new value is due so long after the last one: 30d
    #[arg(long, value_name = "SPAN", required_unless_present = "off")]
    pub period: Option<Span>,
    /// Say so this long before
    #[arg(long, value_name = "SPAN")]
    pub notify_before: Option<Span>,
    /// Generate new values: 40, length=40, alphabet=alnum, words=6, hex=32, base64=32, uuid
    #[arg(long, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_missing_value = "password")]
    pub generate: Option<Generator>,
    /// The program that makes, sets and tests new values, by its path from the work tree's root
    #[arg(long, value_name = "PROGRAM")]
    pub hook: Option<HookPath>,
    /// No rotation from now on
    #[arg(long, conflicts_with_all = ["period", "notify_before", "generate", "hook"])]
    pub off: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct RotationStatusArgs {
    /// Only this environment [env: VSECURE_ENV]
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<Environment>,
    #[command(flatten)]
    pub names: NamesArgs,
    /// Exit with 8 when something is due, or a rotation failed
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<RotationFailOn>,
}

/// What a check of rotations may find.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationFailOn {
    /// Something is to be told of, or overdue
    DueSoon,
    /// Something is overdue
    Overdue,
}

#[derive(Args, Debug)]
pub struct RotationRunArgs {
    /// A name (API_KEY), or a path with its environment (production/API_KEY)
    #[arg(required_unless_present = "due", conflicts_with = "due")]
    pub name: Option<String>,
    /// The environment [env: VSECURE_ENV]
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<Environment>,
    /// All that are due-soon, overdue, in-progress or failed
    #[arg(long)]
    pub due: bool,
    /// Only secrets with all of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', conflicts_with = "name")]
    pub tags: Vec<Tag>,
    /// How long a hook may take for one step
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    pub timeout: Span,
    /// The message of the commits
    #[arg(long, short, value_name = "TEXT", help_heading = "Commit")]
    pub message: Option<String>,
    /// Check everything, say what would happen, write nothing, and run no hook
    #[arg(long, short = 'n', help_heading = "Commit")]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct RotationCancelArgs {
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub write: WriteArgs,
}
