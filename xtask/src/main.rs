//! The project's chores: `cargo xtask test` runs every test there is, `cargo xtask torture` the long form of those that try to break a store.

mod fuzz;
mod tools;
mod torture;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

const HELP: &str = "\
cargo xtask tools                      the packages of npm and PyPI that tests need, into tests/tools
cargo xtask test                       every test: the library's, the command's, the documents'
cargo xtask torture                    kills, failing calls, parallel writers, leaks, hostile files, fuzzing, budgets, at full length
cargo xtask torture --replay NAME:N    the point N of the scenario NAME again, such as update:37
cargo xtask fuzz [SECONDS]             every fuzz target for so long, 60 seconds when not said";

#[expect(clippy::print_stderr, reason = "a chore tells people what it does")]
fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test(),
        ["tools"] => tools::install(),
        ["torture"] => tools::demand().and_then(|()| torture::torture()),
        ["torture", "--replay", point] => torture::replay(point),
        ["fuzz"] => fuzz::run(None).map(drop),
        ["fuzz", seconds] => fuzz::run(Some(seconds)).map(drop),
        _ => Err(HELP.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result<(), String> {
    tools::demand()?;
    let (rows, result) = torture::with_rows(|rows| {
        cargo(
            &["test", "--package", "vsecure", "--package", "xtask", "--locked", "--lib", "--bins", "--tests"],
            &[(torture::ROWS, rows)],
        )
    });
    torture::print_table(&rows);
    result
}

fn cargo(arguments: &[&str], variables: &[(&str, &Path)]) -> Result<(), String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // A machine whose configuration names other ways of updating snapshots must not change what a test means.
    let mut command = Command::new(program);
    command.args(arguments).env("INSTA_UPDATE", "no").envs(variables.iter().copied()).stdin(Stdio::null());
    let status = command.status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo {} failed: {status}", arguments.join(" "))),
        Err(error) => Err(format!("cargo could not be started: {error}")),
    }
}
