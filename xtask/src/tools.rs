//! Programs that tests compare ours with: those that must be on the path, and those that `cargo xtask tools` installs in `tests/tools`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What must be on the path, and the package that Debian has it in.
const ON_PATH: [(&str, &str); 16] = [
    ("git", "git"),
    ("age", "age"),
    ("age-keygen", "age"),
    ("ssh-keygen", "openssh-client"),
    ("gpg", "gnupg"),
    ("pass", "pass"),
    ("script", "bsdutils"),
    ("valgrind", "valgrind"),
    ("unshare", "util-linux"),
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("python3", "python3"),
    ("dash", "dash"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// What is installed, within the folder.
const INSTALLED: [&str; 3] = ["node_modules/dotenv/package.json", "node_modules/yaml/package.json", "python/bin/sops"];

/// That all of them are there.
pub fn demand() -> Result<(), String> {
    let on_path = ON_PATH.iter().filter(|(program, _)| !is_there(program));
    let missing: Vec<String> =
        on_path.map(|(program, package)| format!("{program} (Debian's package {package})")).collect();
    if !missing.is_empty() {
        return Err(format!("these programs are needed for the tests and are not there: {}", missing.join(", ")));
    }
    match INSTALLED.iter().find(|file| !folder().join(file).exists()) {
        Some(file) => Err(format!("tests/tools/{file} is needed for the tests: cargo xtask tools   installs it")),
        None => Ok(()),
    }
}

/// Installs what lock files name, by npm and pip, in versions and with hashes that are fixed there.
pub fn install() -> Result<(), String> {
    let folder = folder();
    run(&folder, "npm", &["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"])?;
    run(&folder, "python3", &["-m", "venv", "python"])?;
    run(&folder, "python/bin/pip", &["install", "--quiet", "--require-hashes", "-r", "requirements.txt"])
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests").join("tools")
}

/// Whether `program` is on the path.
fn is_there(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let found = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
    let status = Command::new(found).args(arguments).current_dir(folder).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{program} failed")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}
