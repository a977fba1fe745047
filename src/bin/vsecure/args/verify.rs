//! Arguments of `verify`, `report` and `revert`.

use std::path::PathBuf;

use clap::Args;
use vsecure::model::Environment;

use super::{NamesArgs, WriteArgs};

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// A commit, or a range A..B; by default the work tree
    #[arg(value_name = "REV|A..B")]
    pub what: Option<String>,
    /// Verify what a commit (by default HEAD) would bring upon this one, from git's objects alone: for pull requests
    #[arg(long, value_name = "REV", conflicts_with = "decrypt")]
    pub base: Option<String>,
    /// Also that the values open that you may read
    #[arg(long)]
    pub decrypt: bool,
    /// Print the findings as SARIF 2.1.0, for code scanning
    #[arg(long)]
    pub sarif: bool,
}

#[derive(Args, Debug, Clone)]
pub struct ReportArgs {
    /// Write it as a page for browsers and printers to this file, with mode 0600; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "html")]
    pub force: bool,
    /// Only secrets of this environment
    #[arg(long, short, value_name = "ENV", help_heading = "Which secrets")]
    pub env: Option<Environment>,
    #[command(flatten)]
    pub names: NamesArgs,
}

#[derive(Args, Debug)]
pub struct RevertArgs {
    /// The commit to take back
    #[arg(value_name = "COMMIT")]
    pub commit: String,
    #[command(flatten)]
    pub write: WriteArgs,
}
