//! Arguments of `verify`.

use clap::Args;

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
