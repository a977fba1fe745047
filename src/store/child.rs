//! The one way in which a `git` child is started.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::{Store, StoreError};

/// How much of git's complaint is kept.
const MAX_STDERR_CHARS: usize = 2000;

impl Store {
    /// A git that runs no hook, fsmonitor or pager, takes history as it was committed, and sees neither git's variables (a hook sets
    /// `GIT_INDEX_FILE`) nor ours (they hold secrets).
    pub(super) fn git_command(&self) -> Result<Command, StoreError> {
        let mut command = Command::new(&self.options.git_program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("GIT_") || text.starts_with("VSECURE_") {
                command.env_remove(&name);
            }
        }
        command.env("LC_ALL", "C").env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_GRAFT_FILE", "/dev/null");
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0");
        command.args(["--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
        command.arg("-C").arg(&self.git()?.work_tree);
        Ok(command)
    }

    /// Runs `command` with `input` on its standard input; its output, or what it complained of.
    pub(super) fn run(&self, mut command: Command, input: &[u8]) -> Result<Vec<u8>, StoreError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let missing = |source| StoreError::NoGitProgram { program: self.options.git_program.clone(), source };
        let mut child = command.spawn().map_err(missing)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A git that refuses early closes its end; what it says of that is the error.
            let _ = stdin.write_all(input);
        }
        let Output { status, stdout, stderr } = child.wait_with_output().map_err(missing)?;
        if status.success() {
            return Ok(stdout);
        }
        let stderr: String = String::from_utf8_lossy(&stderr).trim().chars().take(MAX_STDERR_CHARS).collect();
        if stderr.contains("dubious ownership") {
            return Err(StoreError::NotOwned { path: self.git()?.work_tree.clone() });
        }
        Err(StoreError::GitFailed { stderr })
    }
}
