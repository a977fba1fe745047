//! The command line, as clap knows it. Nothing here reads the environment; [`crate::context`] does.

mod access;
mod audit;
mod members;
mod policy;
mod programs;
mod rotation;
mod secrets;
mod trust;
mod values;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use vsecure::policy::StoreClaim;

pub use access::{
    AccessCommand, AccessListArgs, AcknowledgeArgs, AdoptArgs, DebtArgs, GrantArgs, RekeyArgs, RevokeArgs,
    SharingCommand, WhoArgs, WhyArgs,
};
pub use audit::{AuditLogsArgs, AuditRemoteArgs};
pub use members::{
    AcceptArgs, AddArgs, AddKeyArgs, AddMachineArgs, MembersCommand, RecoveryArgs, RemoveArgs, ReplaceKeyArgs,
    RequestArgs, RolesArgs,
};
pub use policy::{ApplyArgs, PolicyCommand, PolicyDiffArgs};
pub use programs::{
    ExecArgs, ExportArgs, ExportFormat, FromArgs, ImportArgs, ImportFormat, InjectArgs, NamingArgs, PickArgs,
    ProgramsCommand, ScanArgs,
};
pub use rotation::{
    RotationCancelArgs, RotationCommand, RotationFailOn, RotationRunArgs, RotationSetArgs, RotationStatusArgs,
    ScheduleArgs,
};
pub use secrets::{
    CopyArgs, CreateArgs, DeleteArgs, DescribeArgs, DiffArgs, EditArgs, ExpiryArgs, FailOn, GetArgs, ListArgs,
    NameArgs, NamesArgs, RollbackArgs, UpdateArgs, ValueArgs, VersionsArgs,
};
pub use trust::{TrustArgs, TrustCommand};
pub use verify::{ReportArgs, RevertArgs, VerifyArgs};

/// Keep a team's secrets in the git repository they belong to: age files, signed, versioned, reviewable.
#[derive(Parser, Debug)]
#[command(
    name = "vsecure",
    version,
    disable_help_subcommand = true,
    subcommand_required = false,
    after_help = "Run `vsecure` alone to see where you are and what is next. `vsecure GROUP VERB` is the same as \
                  `vsecure GROUP:VERB`, and `secrets:` may be left out."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// One command by itself: what its words mean, and nothing that a person sees.
#[derive(Parser, Debug)]
pub struct Alone<A: Args> {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub args: A,
}

/// Options that every command has.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// The store's directory, or the one that holds it [env: VSECURE_STORE]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub store: Option<PathBuf>,
    /// Which store it must be: <id> or <id>@<epoch>:<sha256> [env: VSECURE_STORE_ID]
    #[arg(long, global = true, value_name = "ID", help_heading = "Everywhere")]
    pub store_id: Option<StoreClaim>,
    /// The file with your private key [env: VSECURE_IDENTITY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub identity: Option<PathBuf>,
    /// Print data, and errors, as JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Say nothing but data, warnings and errors
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// Answer questions with yes (never the one whether to trust a store)
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub yes: bool,
    /// The command that was given, by its name.
    #[arg(skip)]
    pub invoked: String,
}

/// How a change is written.
#[derive(Args, Debug, Clone, Default)]
pub struct WriteArgs {
    /// The commit's message
    #[arg(long, short, value_name = "TEXT", help_heading = "Commit")]
    pub message: Option<String>,
    /// Write and stage only, for one commit together with your code
    #[arg(long, help_heading = "Commit")]
    pub no_commit: bool,
    /// Check everything, say what would happen, write nothing
    #[arg(long, short = 'n', help_heading = "Commit")]
    pub dry_run: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a store in this git repository, with you as its first member
    #[command(after_help = "Example:\n  vsecure init\n  vsecure init --here --name alice --email alice@example.com")]
    Init(InitArgs),
    /// Show the story of a secret on a real repository in a temporary directory
    #[command(after_help = "Example:\n  vsecure demo")]
    Demo,
    /// Say where you are, as whom, and what is due
    #[command(after_help = "Example:\n  vsecure status --json")]
    Status,
    /// Check everything that can be checked without a key
    #[command(
        after_help = "Examples:\n  vsecure verify\n  vsecure verify --base origin/main HEAD --sarif > findings.sarif   # a pull request\n  \
                      vsecure verify v1.0..HEAD"
    )]
    Verify(VerifyArgs),
    /// Say who can do what, what falls due, who knows too much and what is wrong, as a page or as JSON; no key is needed
    #[command(
        after_help = "Examples:\n  vsecure report\n  vsecure report --html report.html\n  vsecure report --html - --env production > production.html\n  \
                      vsecure report --json\n\nNo value is in it. It names secrets, people and what is open: give it to those who may know that."
    )]
    Report(ReportArgs),
    /// Take back what a commit did to secrets, as new revisions
    #[command(after_help = "Example:\n  vsecure revert HEAD~1 -m \"Undo the import\"")]
    Revert(RevertArgs),
    /// Check the set-up of this machine and clone
    #[command(after_help = "Example:\n  vsecure doctor")]
    Doctor,
    #[command(flatten)]
    Programs(ProgramsCommand),
    #[command(flatten)]
    Trust(TrustCommand),
    /// Print the completion script of a shell
    #[command(
        after_help = "Examples:\n  source <(vsecure completions bash)\n  vsecure completions fish > ~/.config/fish/completions/vsecure.fish"
    )]
    Completions(CompletionsArgs),
    /// Write manual pages into a directory
    #[command(after_help = "Example:\n  vsecure man ~/.local/share/man/man1")]
    Man(ManArgs),
    /// Make a new secret
    #[command(
        name = "secrets:create",
        after_help = "Examples:\n  vsecure secrets:create API_KEY --generate --tags production,api\n  \
                      vsecure secrets:create production/DATABASE_URL --from-file url.txt --metadata owner=backend-team\n  \
                      pbpaste | vsecure create TEMP_TOKEN --expires-in 30d"
    )]
    Create(CreateArgs),
    /// Change a secret's value, tags, metadata, expiry or rotation
    #[command(
        name = "secrets:update",
        after_help = "Examples:\n  vsecure secrets:update API_KEY --generate\n  \
                      vsecure secrets:update STRIPE_KEY --expires-in 90d   # no new value: no new version"
    )]
    Update(UpdateArgs),
    /// Create a secret, or update it if it exists
    #[command(name = "secrets:set", after_help = "Example:\n  vsecure secrets:set staging/API_KEY --from-file key.txt")]
    Set(UpdateArgs),
    /// Print a value
    #[command(
        name = "secrets:get",
        after_help = "Examples:\n  vsecure secrets:get API_KEY --env production\n  vsecure get DATABASE_URL --version 2\n  \
                      vsecure get SERVICE_ACCOUNT --field credentials.key"
    )]
    Get(GetArgs),
    /// List secrets, without their values
    #[command(
        name = "secrets:list",
        after_help = "Examples:\n  vsecure list --env production --tags api\n  vsecure list --expiring 30d\n  \
                      vsecure list --env staging --missing-in production"
    )]
    List(ListArgs),
    /// Say everything about a secret but its value
    #[command(name = "secrets:describe", after_help = "Example:\n  vsecure secrets:describe production/API_KEY")]
    Describe(DescribeArgs),
    /// List the versions of a secret
    #[command(name = "secrets:versions", after_help = "Example:\n  vsecure secrets:versions API_KEY --all")]
    Versions(VersionsArgs),
    /// Compare two versions of a secret
    #[command(
        name = "secrets:diff",
        after_help = "Examples:\n  vsecure secrets:diff DATABASE_URL --from 1 --to 2\n  vsecure diff DATABASE_URL --fail-on change"
    )]
    Diff(DiffArgs),
    /// Make an earlier value the current one, as a new version
    #[command(
        name = "secrets:rollback",
        after_help = "Examples:\n  vsecure secrets:rollback DATABASE_URL\n  vsecure secrets:rollback DATABASE_URL --version 3"
    )]
    Rollback(RollbackArgs),
    /// Delete a secret; its history stays
    #[command(name = "secrets:delete", after_help = "Example:\n  vsecure secrets:delete staging/OLD_KEY")]
    Delete(DeleteArgs),
    /// Bring a deleted secret back
    #[command(name = "secrets:restore", after_help = "Example:\n  vsecure secrets:restore staging/OLD_KEY")]
    Restore(DeleteArgs),
    /// Give a secret another name or environment
    #[command(name = "secrets:rename", after_help = "Example:\n  vsecure secrets:rename staging/OLD_KEY NEW_KEY")]
    Rename(CopyArgs),
    /// Copy a secret to another name or environment
    #[command(
        name = "secrets:copy",
        after_help = "Example:\n  vsecure secrets:copy staging/API_KEY production/API_KEY"
    )]
    Copy(CopyArgs),
    /// Edit a value in your editor
    #[command(name = "secrets:edit", after_help = "Example:\n  EDITOR=nano vsecure secrets:edit APP_CONFIG")]
    Edit(EditArgs),
    #[command(flatten)]
    Rotation(RotationCommand),
    #[command(flatten)]
    Sharing(SharingCommand),
    /// Show who changed and who read what
    #[command(
        name = "audit:logs",
        after_help = "Examples:\n  vsecure audit:logs --resource secrets --action accessed\n  \
                      vsecure audit:logs --name 'production/*' --since 7d --json"
    )]
    AuditLogs(AuditLogsArgs),
    /// Publish what you read here, signed
    #[command(name = "audit:push", after_help = "Example:\n  vsecure audit:push")]
    AuditPush(AuditRemoteArgs),
    /// Fetch what others published of their reads, and verify it
    #[command(name = "audit:fetch", after_help = "Example:\n  vsecure audit:fetch --remote origin")]
    AuditFetch(AuditRemoteArgs),
    /// Verify every access log that is here
    #[command(name = "audit:verify", after_help = "Example:\n  vsecure audit:verify --json")]
    AuditVerify,
    #[command(flatten)]
    Members(MembersCommand),
    #[command(flatten)]
    Policy(PolicyCommand),
    #[command(flatten)]
    Access(AccessCommand),
    /// Make a private key
    #[command(
        name = "keys:generate",
        after_help = "Example:\n  vsecure keys:generate --output ~/.config/vsecure/identity.txt"
    )]
    KeysGenerate(KeysGenerateArgs),
    /// Show your public keys and their fingerprints
    #[command(name = "keys:show", after_help = "Example:\n  vsecure keys:show")]
    KeysShow,
    /// Make the identity that rescues a store whose admins have lost their keys, and print it once
    #[command(
        name = "keys:recovery",
        after_help = "Example:\n  vsecure keys:recovery > recovery.txt   # print it, lock it away, delete the file"
    )]
    KeysRecovery(RecoveryArgs),
    /// Print a setting of this machine
    #[command(name = "config:get", after_help = "Example:\n  vsecure config:get lock_timeout")]
    ConfigGet(ConfigGetArgs),
    /// Change a setting of this machine
    #[command(name = "config:set", after_help = "Example:\n  vsecure config:set commit false")]
    ConfigSet(ConfigSetArgs),
    /// List the settings of this machine
    #[command(name = "config:list", after_help = "Example:\n  vsecure config:list")]
    ConfigList,
    /// What completion scripts call
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
}

#[derive(Args, Debug)]
pub struct InitArgs {
    /// Put the store into the current directory, not at the work tree's root
    #[arg(long)]
    pub here: bool,
    /// Your name in the store; by default made of git's user.name
    #[arg(long)]
    pub name: Option<String>,
    /// Your e-mail address; by default git's user.email
    #[arg(long)]
    pub email: Option<String>,
    #[command(flatten)]
    pub write: WriteArgs,
}

#[derive(Args, Debug)]
pub struct KeysGenerateArgs {
    /// Where to write it; by default vsecure/identity.txt in your configuration directory
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ConfigGetArgs {
    /// The setting
    pub key: String,
}

#[derive(Args, Debug)]
pub struct ConfigSetArgs {
    /// The setting
    pub key: String,
    /// Its new value
    pub value: String,
}

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that completes commands.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Args, Debug)]
pub struct ManArgs {
    /// The directory; it is made if need be
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

#[derive(Args, Debug)]
pub struct CompleteArgs {
    /// Index of the word at the cursor; the words come on standard input, each ended by a NUL
    pub index: usize,
}
