//! The arguments of what brings secrets to programs and back: `exec`, `export`, `inject`, `import`; and `scan`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vsecure::model::{Environment, SecretName, Tag};
use vsecure::policy::StoreClaim;

use super::values::{Assignment, Mapping};
use super::{NamesArgs, WriteArgs};

#[derive(Subcommand, Debug)]
pub enum ProgramsCommand {
    /// Run a program with secrets as its environment variables
    #[command(
        name = "exec",
        after_help = "Examples:\n  vsecure exec --env production -- node server.js\n  \
                      vsecure exec --env base,production --only DATABASE_URL --map PGURL=DATABASE_URL -- psql\n  \
                      vsecure exec --env staging --files -- docker compose up\n  vsecure exec --env base,staging --explain\n\n\
                      Exit codes: the program's own; 125 when nothing was started, 126 when it can't be run, 127 when it is not found."
    )]
    Exec(ExecArgs),
    /// Write secrets in a form that other programs read
    #[command(
        name = "export",
        after_help = "Examples:\n  eval \"$(vsecure export --env staging --format shell)\"\n  \
                      vsecure export --env production --format dotenv --output .env\n  \
                      vsecure export --env production --under user-api --format kubernetes --name user-api | kubectl apply -f -\n  \
                      vsecure export --env production --format github-env   # in a step of GitHub Actions"
    )]
    Export(ExportArgs),
    /// Put the values of secrets into a text in which their references are
    #[command(
        name = "inject",
        after_help = "Examples:\n  vsecure inject config.tpl.yaml --output config.yaml\n  vsecure inject - --env staging < app.conf.tpl | ssh host tee app.conf\n\n\
                      A reference is {{ vsecure \"production/API_KEY\" }} or vsecure://production/API_KEY."
    )]
    Inject(InjectArgs),
    /// Look for the store's own values where they should not be
    #[command(
        name = "scan",
        after_help = "Examples:\n  vsecure scan\n  vsecure scan --staged   # before a commit\n  vsecure scan --history --env production --json\n  \
                      vsecure scan build/ app.log\n\nExit code 8 says that something was found."
    )]
    Scan(ScanArgs),
    /// Make secrets of what another program's file or store holds
    #[command(
        name = "import",
        after_help = "Examples:\n  vsecure import .env --env development\n  vsecure import config.yaml --env staging --under user-api --tags imported --dry-run\n  \
                      vsecure import secrets.enc.yaml --env production --update   # encrypted by sops\n  \
                      vsecure import ~/.password-store --env production --history\n  vsecure import ../other-project --format vsecure"
    )]
    Import(ImportArgs),
}

/// Which secrets a program gets.
#[derive(Args, Debug, Clone)]
pub struct PickArgs {
    /// The environment; of several, the later ones win [env: VSECURE_ENV]
    #[arg(long, short, value_name = "ENV", value_delimiter = ',', help_heading = "Which secrets")]
    pub env: Vec<Environment>,
    #[command(flatten)]
    pub names: NamesArgs,
    /// Leave out what you can't read, and say so; otherwise that is an error
    #[arg(long, help_heading = "Which secrets")]
    pub readable: bool,
}

/// What the variables are called. By default: the last part of a secret's name.
#[derive(Args, Debug, Clone)]
pub struct NamingArgs {
    /// Call the variable of this secret so
    #[arg(long, value_name = "VAR=NAME", value_delimiter = ',', help_heading = "Names of variables")]
    pub map: Vec<Mapping>,
    /// Put this before every other variable's name
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Names of variables"
    )]
    pub add_prefix: String,
    /// Take this from the front of every other variable's name, before --add-prefix
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Names of variables"
    )]
    pub strip_prefix: String,
}

/// A form to write.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A .env file
    Dotenv,
    /// Commands for bash, dash, zsh and other POSIX shells
    Shell,
    /// A JSON object
    Json,
    /// A YAML mapping
    Yaml,
    /// A Kubernetes Secret
    Kubernetes,
    /// A file for docker run --env-file
    DockerEnv,
    /// What GitHub Actions reads, appended to the file that GITHUB_ENV names, with commands that mask the values in logs
    GithubEnv,
}

#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    pub pick: PickArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
    /// The form
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Write to this file, with mode 0600, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "output")]
    pub force: bool,
    /// The Kubernetes Secret's name
    #[arg(long, value_name = "NAME", required_if_eq("format", "kubernetes"))]
    pub name: Option<String>,
    /// The Kubernetes Secret's namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

#[derive(Args, Debug)]
pub struct ScanArgs {
    /// Files and directories; by default the work tree, without what git ignores
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Look into what the next commit would bring
    #[arg(long, conflicts_with_all = ["paths", "history"])]
    pub staged: bool,
    /// Look into every commit, tag and file that git keeps
    #[arg(long, conflicts_with = "paths")]
    pub history: bool,
    /// Only values of these environments
    #[arg(long, short, value_name = "ENV", value_delimiter = ',', help_heading = "Which secrets")]
    pub env: Vec<Environment>,
    #[command(flatten)]
    pub names: NamesArgs,
}

#[derive(Args, Debug)]
pub struct InjectArgs {
    /// The template; `-` is standard input
    #[arg(value_name = "TEMPLATE")]
    pub template: PathBuf,
    /// The environment of references that name none [env: VSECURE_ENV]
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<Environment>,
    /// Write to this file, with mode 0600, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// What a file or folder is of.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFormat {
    /// A .env file; like JSON and YAML, as it is or encrypted by sops
    Dotenv,
    /// A JSON object
    Json,
    /// A YAML mapping
    Yaml,
    /// A folder of pass, which gpg decrypts
    Pass,
    /// A folder of passage, which an age identity decrypts
    Passage,
    /// Another store of ours, or the folder that it is in
    Vsecure,
}

#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The file, or a store's folder; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The environment that the secrets are for [env: VSECURE_ENV]; those of another store of ours keep theirs without it
    #[arg(long, short, value_name = "ENV")]
    pub env: Option<Environment>,
    /// What it is written in; by default told by its name and content
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub format: Option<ImportFormat>,
    /// Put the names into this folder, such as user-api
    #[arg(long, value_name = "FOLDER")]
    pub under: Option<SecretName>,
    /// Give secrets that exist the new value; by default they are an error
    #[arg(long, conflicts_with = "skip")]
    pub update: bool,
    /// Leave secrets that exist as they are
    #[arg(long)]
    pub skip: bool,
    /// Leave out what has no valid name here, and say so; by default that is an error
    #[arg(long)]
    pub skip_invalid: bool,
    #[command(flatten)]
    pub from: FromArgs,
    /// Tags of all of them
    #[arg(long, value_name = "TAG", value_delimiter = ',', help_heading = "Description")]
    pub tags: Vec<Tag>,
    /// Metadata of all of them, key=value; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Description")]
    pub metadata: Vec<Assignment>,
    #[command(flatten)]
    pub write: WriteArgs,
}

/// What is particular to a source that is a store.
#[derive(Args, Debug)]
pub struct FromArgs {
    /// Of pass and passage: make a version of every earlier value too, one commit each, oldest first
    #[arg(long, help_heading = "Other stores", conflicts_with = "no_commit")]
    pub history: bool,
    /// Of pass and passage: take an entry's first line only
    #[arg(long, help_heading = "Other stores")]
    pub first_line: bool,
    /// The private key that opens the other store; by default that of passage ($PASSAGE_IDENTITIES_FILE, ~/.passage/identities), else yours
    #[arg(long, value_name = "FILE", help_heading = "Other stores")]
    pub from_identity: Option<PathBuf>,
    /// Of another store of ours: only these of its environments
    #[arg(long, value_name = "ENV", value_delimiter = ',', help_heading = "Other stores")]
    pub from_env: Vec<Environment>,
    /// Of another store of ours: which one it must be, where it is not trusted yet
    #[arg(long, value_name = "ID", help_heading = "Other stores")]
    pub from_store_id: Option<StoreClaim>,
}

#[derive(Args, Debug)]
pub struct ExecArgs {
    #[command(flatten)]
    pub pick: PickArgs,
    #[command(flatten)]
    pub naming: NamingArgs,
    /// Put each value into a private file, removed afterwards, and the file's path into the variable
    #[arg(long)]
    pub files: bool,
    /// Let nothing else of your environment pass but PATH, HOME, TERM and the like
    #[arg(long)]
    pub pristine: bool,
    /// Let the program see your identity (VSECURE_IDENTITY and its kin), so that it can use vsecure itself
    #[arg(long)]
    pub keep_identity: bool,
    /// Say which variable comes from where, read no value, and start nothing
    #[arg(long)]
    pub explain: bool,
    /// The program and its arguments, behind `--`
    #[arg(last = true, value_name = "CMD", required_unless_present = "explain")]
    pub command: Vec<OsString>,
}
