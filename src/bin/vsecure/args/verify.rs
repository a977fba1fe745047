//! Arguments of `verify` and `revert`.

use clap::Args;

use super::WriteArgs;

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

#[derive(Args, Debug)]
pub struct RevertArgs {
    /// The commit to take back
    #[arg(value_name = "COMMIT")]
    pub commit: String,
    #[command(flatten)]
    pub write: WriteArgs,
}
