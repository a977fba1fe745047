//! The arguments of what brings secrets to programs and back: `exec`.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use vsecure::model::Environment;

use super::NamesArgs;
use super::values::Mapping;

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
