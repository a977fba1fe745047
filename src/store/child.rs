//! The one way in which a `git` child is started.

use std::io::{self, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::{Store, StoreError};

/// How much of git's complaint is kept.
const MAX_STDERR_CHARS: usize = 2000;
/// How much is read ahead of who listens.
const CHUNKS: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;

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
    pub(super) fn run(&self, command: Command, input: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut child = self.start(command)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A git that refuses early closes its end; what it says of that is the error.
            let _ = stdin.write_all(input);
        }
        let Output { status, stdout, stderr } = child.wait_with_output().map_err(|source| self.missing(source))?;
        self.demand_success(status, &stderr)?;
        Ok(stdout)
    }

    /// Runs `command`, which reads all of `input` before it prints, and gives its output to `take` as it comes, in fields that end in a zero byte. Git is
    /// ended as soon as that wants no more, or when nothing comes for as long as `patience`. Whether it took all.
    pub(super) fn run_fields(
        &self,
        command: Command,
        input: &[u8],
        patience: Duration,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, StoreError> {
        let mut child = self.start(command)?;
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input);
        }
        let printed = in_chunks(child.stdout.take());
        let complaint = in_chunks(child.stderr.take());
        let (mut field, mut goes_on) = (Vec::new(), true);
        while goes_on {
            let chunk = match printed.recv_timeout(patience) {
                Ok(chunk) => chunk,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    goes_on = false;
                    break;
                }
            };
            for part in chunk.split_inclusive(|byte| *byte == 0) {
                field.extend_from_slice(part);
                if field.pop_if(|byte| *byte == 0).is_some() {
                    goes_on = goes_on && take(&field);
                    field.clear();
                }
            }
        }
        if !goes_on {
            child.kill().map_err(|source| self.missing(source))?;
        }
        let status = child.wait().map_err(|source| self.missing(source))?;
        if goes_on {
            self.demand_success(status, &complaint.iter().flatten().collect::<Vec<u8>>())?;
        }
        Ok(goes_on)
    }

    fn missing(&self, source: io::Error) -> StoreError {
        StoreError::NoGitProgram { program: self.options.git_program.clone(), source }
    }

    fn start(&self, mut command: Command) -> Result<Child, StoreError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|source| self.missing(source))
    }

    fn demand_success(&self, status: ExitStatus, stderr: &[u8]) -> Result<(), StoreError> {
        if status.success() {
            return Ok(());
        }
        let stderr: String = String::from_utf8_lossy(stderr).trim().chars().take(MAX_STDERR_CHARS).collect();
        if stderr.contains("dubious ownership") {
            return Err(StoreError::NotOwned { path: self.git()?.work_tree.clone() });
        }
        Err(StoreError::GitFailed { stderr })
    }
}

/// What comes from `pipe`, read by a thread of its own, which ends with it or when nobody listens any more.
fn in_chunks(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(CHUNKS);
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(length) = pipe.read(&mut buffer) {
            let chunk = buffer.get(..length).unwrap_or_default();
            if chunk.is_empty() || sender.send(chunk.to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
