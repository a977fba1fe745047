//! Builds stores of any size through the library, and times work for which no command stands alone. `benches/run.sh` uses it.

mod documents;
mod import;
mod rekey;
mod timer;

use std::path::PathBuf;

use clap::{Args, Parser};

/// Builds stores to measure with, and times what no command does alone
#[derive(Parser)]
enum Bench {
    /// Make a repository with a store in DIR/project, and its key, trust and git configuration in DIR/home
    Build(Build),
    /// Encrypt all N secrets of a store with newcomers anew, in one durable commit, and print the milliseconds
    Rekey {
        /// As given to `build`
        dir: PathBuf,
        /// How many
        count: usize,
    },
    /// Time commands in turns, and print for each its median and its least milliseconds
    Time {
        /// How often each
        #[arg(long, default_value_t = 50)]
        runs: usize,
        /// Rounds before those
        #[arg(long, default_value_t = 3)]
        warmup: usize,
        /// A shell script to run before each run of the command of the same place, not timed
        #[arg(long)]
        before: Vec<String>,
        /// Command lines, split at blanks, run without a shell
        #[arg(required = true)]
        commands: Vec<String>,
    },
}

/// What is in the repository.
#[derive(Args, Debug)]
struct Build {
    /// Where; it must not exist
    dir: PathBuf,
    /// Secrets, each with one version
    #[arg(long, default_value_t = 1)]
    secrets: usize,
    /// Folders that they lie in; 0 puts all of them beside each other
    #[arg(long, default_value_t = 0)]
    folders: usize,
    /// Readers of each; the first is the one whose key lies in DIR/home
    #[arg(long, default_value_t = 1)]
    readers: usize,
    /// Members who may read each too, and to whom none is encrypted yet
    #[arg(long, default_value_t = 0)]
    newcomers: usize,
    /// Epochs of the policy
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// Sidecars that the last epoch accepts, though their author may not write any more by then
    #[arg(long, default_value_t = 0, requires = "epochs")]
    accepted: usize,
    /// Versions of the first secret
    #[arg(long, default_value_t = 1)]
    versions: usize,
    /// Secrets that one commit brings
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Commits in all, at least
    #[arg(long, default_value_t = 1)]
    commits: usize,
    /// Files of other work
    #[arg(long, default_value_t = 100)]
    files: usize,
}

#[expect(clippy::print_stdout, reason = "the measured time is what the script reads")]
fn main() -> anyhow::Result<()> {
    match Bench::parse() {
        Bench::Build(build) => import::build(&build),
        Bench::Rekey { dir, count } => {
            rekey::rekey(&dir, count).map(|time| println!("{:.3}", time.as_secs_f64() * 1e3))
        }
        Bench::Time { runs, warmup, before, commands } => {
            for times in timer::compare(&commands, &before, warmup, runs)? {
                let (median, least) = times.median_and_least();
                println!("{median:.3} {least:.3}");
            }
            Ok(())
        }
    }
}
