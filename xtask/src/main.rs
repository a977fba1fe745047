//! The project's chores: `cargo xtask test` runs every test there is.

mod fuzz;

use std::env;
use std::process::{Command, ExitCode, Stdio};

/// Programs that tests compare ours with, and the package that Debian has them in.
const TOOLS: [(&str, &str); 11] = [
    ("git", "git"),
    ("age", "age"),
    ("age-keygen", "age"),
    ("ssh-keygen", "openssh-client"),
    ("gpg", "gnupg"),
    ("script", "bsdutils"),
    ("strace", "strace"),
    ("unshare", "util-linux"),
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("fish", "fish"),
];

const HELP: &str = "cargo xtask test              every test: the library's, the command's, the documents'
cargo xtask fuzz [SECONDS]    every fuzz target for so long, 60 seconds when not said";

#[expect(clippy::print_stderr, reason = "a chore tells people what it does")]
fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some("test") => test(),
        Some("fuzz") => fuzz::run(env::args().nth(2).as_deref()),
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
    let missing: Vec<String> = TOOLS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(program, package)| format!("{program} (Debian's package {package})"))
        .collect();
    if !missing.is_empty() {
        return Err(format!("these programs are needed for the tests and are not there: {}", missing.join(", ")));
    }
    cargo(&["test", "--package", "vsecure", "--locked", "--lib", "--bins", "--tests"])
}

/// Whether `program` is on the path.
fn is_there(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn cargo(arguments: &[&str]) -> Result<(), String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // A machine whose configuration names other ways of updating snapshots must not change what a test means.
    let status = Command::new(program).args(arguments).env("INSTA_UPDATE", "no").stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo {} failed: {status}", arguments.join(" "))),
        Err(error) => Err(format!("cargo could not be started: {error}")),
    }
}
