//! The arguments of `secrets:*`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use vsecure::format::Generator;
use vsecure::model::{Environment, MetadataKey, Pattern, SecretName, Span, Tag, Timestamp, Version};
use vsecure::vault::VersionSpec;

use super::WriteArgs;
use super::rotation::ScheduleArgs;
use super::values::{Assignment, SecretArg};

/// Which secret is meant.
#[derive(Args, Debug, Clone)]
pub struct NameArgs {
    /// A name (API_KEY), or a path with its environment (production/API_KEY)
    pub name: String,
    /// The environment [env: VSECURE_ENV]
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<Environment>,
}

/// Where a value comes from.
#[derive(Args, Debug, Clone)]
pub struct ValueArgs {
    /// The value; `-` reads standard input. Better not here: shells keep a history
    #[arg(value_parser = OsStringValueParser::new().map(|text: OsString| SecretArg::from(text)))]
    pub value: Option<SecretArg>,
    /// Take the value from a file, byte for byte (`-` is standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "value", help_heading = "Value")]
    pub from_file: Option<PathBuf>,
    /// Generate the value: 40, length=40, alphabet=alnum, words=6, hex=32, base64=32, uuid
    #[arg(
        long,
        value_name = "SPEC",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "password",
        conflicts_with_all = ["value", "from_file"],
        help_heading = "Value"
    )]
    pub generate: Option<Generator>,
    /// Print the generated value
    #[arg(long, requires = "generate", help_heading = "Value")]
    pub print: bool,
    /// Accept an empty value
    #[arg(long, help_heading = "Value")]
    pub allow_empty: bool,
}

/// When a credential expires.
#[derive(Args, Debug, Clone)]
pub struct ExpiryArgs {
    /// Expires after this time: 30d, 12h, 1h30m
    #[arg(long, value_name = "SPAN", conflicts_with = "expires_at", help_heading = "Description")]
    pub expires_in: Option<Span>,
    /// Expires at this time: 2027-01-31 or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", help_heading = "Description")]
    pub expires_at: Option<Timestamp>,
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub value: ValueArgs,
    /// Tags; one that names an environment chooses it
    #[arg(long, value_name = "TAG", value_delimiter = ',', help_heading = "Description")]
    pub tags: Vec<Tag>,
    /// Metadata, key=value; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Description")]
    pub metadata: Vec<Assignment>,
    #[command(flatten)]
    pub expiry: ExpiryArgs,
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct UpdateArgs {
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub value: ValueArgs,
    /// Replace all tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', help_heading = "Description")]
    pub tags: Option<Vec<Tag>>,
    /// Add tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', help_heading = "Description")]
    pub add_tag: Vec<Tag>,
    /// Remove tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', help_heading = "Description")]
    pub remove_tag: Vec<Tag>,
    /// Merge metadata in, key=value; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Description")]
    pub metadata: Vec<Assignment>,
    /// Remove metadata
    #[arg(long, value_name = "KEY", value_delimiter = ',', help_heading = "Description")]
    pub unset_metadata: Vec<MetadataKey>,
    #[command(flatten)]
    pub expiry: ExpiryArgs,
    /// Remove the expiry
    #[arg(long, conflicts_with_all = ["expires_in", "expires_at"], help_heading = "Description")]
    pub no_expiry: bool,
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    /// No rotation from now on
    #[arg(long, conflicts_with = "rotate_every", help_heading = "Description")]
    pub no_rotation: bool,
    /// Refuse when another version is current
    #[arg(long, value_name = "N", help_heading = "Commit")]
    pub if_version: Option<Version>,
    /// Make a new version though nothing changed
    #[arg(long, help_heading = "Commit")]
    pub force: bool,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct GetArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// A past version: 2, or 4@<commit> where two branches made the same one
    #[arg(long, value_name = "N")]
    pub version: Option<VersionSpec>,
    /// The value in a commit, tag or branch
    #[arg(long, value_name = "REV", conflicts_with = "version")]
    pub at: Option<String>,
    /// One field of a JSON or YAML value: a.b, a[0].b
    #[arg(long, value_name = "FIELD")]
    pub field: Option<String>,
}

/// Which secrets of an environment.
#[derive(Args, Debug, Clone)]
pub struct NamesArgs {
    /// Only secrets with all of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', help_heading = "Which secrets")]
    pub tags: Vec<Tag>,
    /// Only these names, paths or patterns; each must be there
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Which secrets")]
    pub only: Vec<Pattern>,
    /// Not these names, paths or patterns
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Which secrets")]
    pub except: Vec<Pattern>,
    /// Only names in this folder, such as user-api
    #[arg(long, value_name = "FOLDER", help_heading = "Which secrets")]
    pub under: Option<SecretName>,
}

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Names or paths that match, such as 'API_*' or 'production/*'
    pub pattern: Option<Pattern>,
    /// Only this environment [env: VSECURE_ENV]
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<Environment>,
    /// Only secrets with this metadata
    #[arg(long, value_name = "KEY=VALUE")]
    pub metadata: Vec<Assignment>,
    /// Only secrets that expire within this time, or have expired
    #[arg(long, value_name = "SPAN", conflicts_with = "no_expiry")]
    pub expiring: Option<Span>,
    /// Only secrets without expiry
    #[arg(long)]
    pub no_expiry: bool,
    /// Only names that this environment does not have
    #[arg(long, value_name = "ENV")]
    pub missing_in: Option<Environment>,
    #[command(flatten)]
    pub names: NamesArgs,
}

#[derive(Args, Debug)]
pub struct DescribeArgs {
    #[command(flatten)]
    pub name: NameArgs,
}

#[derive(Args, Debug)]
pub struct VersionsArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// Show every revision: tag edits, re-encryptions and deletions too
    #[arg(long)]
    pub all: bool,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

#[derive(Args, Debug)]
pub struct DiffArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// The older version; by default the one before the newer
    #[arg(long, value_name = "N")]
    pub from: Option<VersionSpec>,
    /// The newer version; by default the current one
    #[arg(long, value_name = "N")]
    pub to: Option<VersionSpec>,
    /// Show values also when this is not a terminal
    #[arg(long, conflicts_with = "mask")]
    pub reveal: bool,
    /// Show no values, for a shared screen
    #[arg(long)]
    pub mask: bool,
    /// Exit with 8 when there is a difference
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
}

/// What a check may find.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    /// Any difference
    Change,
}

#[derive(Args, Debug)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// The version whose value comes back; by default the one before the current
    #[arg(long, value_name = "N")]
    pub version: Option<VersionSpec>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct CopyArgs {
    #[command(flatten)]
    pub name: NameArgs,
    /// The new name, in the same environment, or a path
    pub new: String,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct EditArgs {
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub write: WriteArgs,
}
