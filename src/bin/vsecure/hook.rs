//! Running a rotation's hook: a copy of what was trusted, in a process group of its own, with a time-out and bounded output. Values go in by its
//! standard input and come out by its standard output, and by no other way.

use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use vsecure::crypto::SecretBytes;
use vsecure::format::{Needles, hook_answer};
use vsecure::model::Span;
use vsecure::vault::{HookCall, HookFault, RunHook};
use zeroize::Zeroizing;

use crate::context::{inherited, is_identity};
use crate::output::Output;
use crate::scratch::{Places, Scratch};

/// More than the largest value in base64.
const MAX_ANSWER_BYTES: u64 = 32 * 1024 * 1024;
/// How much of a hook's complaints is shown.
const MAX_STDERR_BYTES: u64 = 64 * 1024;
/// How long a hook that was told to stop may tidy up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what a hook printed may take to arrive once it has ended.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether a signal came.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs hooks as processes, one after the other.
pub struct Hooks<'a> {
    output: Output,
    places: &'a Places,
    timeout: Span,
    /// Whether somebody told us to stop since the first hook was started.
    stop: Option<Arc<AtomicBool>>,
}

/// What happens while a hook runs.
enum Event {
    Ended,
    TooMuch,
}

/// What a hook printed, as it comes.
struct Printed {
    /// With whether there is more than is taken.
    out: Receiver<io::Result<(Zeroizing<Vec<u8>>, bool)>>,
    err: Receiver<io::Result<Zeroizing<Vec<u8>>>>,
}

impl RunHook for Hooks<'_> {
    fn run(&mut self, call: HookCall<'_>) -> Result<SecretBytes, HookFault> {
        let stop = self.stop_flag().map_err(HookFault::Io)?;
        if stop.load(Ordering::Relaxed) {
            return Err(HookFault::Interrupted);
        }
        // The program is no secret, and places in memory often let nothing run.
        let places = Places { memory: Vec::new(), ..self.places.clone() };
        let folder = Scratch::without_signals(&places).map_err(HookFault::Io)?;
        let name = call.program.as_str().rsplit('/').next().unwrap_or_default();
        let program = folder.write_program(name, call.content).map_err(HookFault::Io)?;
        let mut command = Command::new(program);
        command.current_dir(call.work_tree).env_clear().envs(inherited().filter(|(name, _)| !is_identity(name)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let (ended, out, err) = self.supervised(command, call.input, &stop).map_err(HookFault::Io)?;
        let result = ended.and_then(outcome).and(out);
        self.show(&err, result.as_ref().ok(), &call.values, result.is_err());
        result
    }
}

fn outcome(status: ExitStatus) -> Result<(), HookFault> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(HookFault::Exited { code }),
        (None, signal) => Err(HookFault::Killed { signal: signal.unwrap_or_default() }),
    }
}

/// How a hook ended, its answer, and its complaints.
type Ended = (Result<ExitStatus, HookFault>, Result<SecretBytes, HookFault>, Zeroizing<Vec<u8>>);

impl<'a> Hooks<'a> {
    /// Hooks that have `timeout` for each step; their programs lie in `places` while they run.
    pub const fn new(output: Output, places: &'a Places, timeout: Span) -> Self {
        Self { output, places, timeout, stop: None }
    }

    /// What a signal that would end us sets from now on: a hook must not go on without us, and what was begun is told.
    fn stop_flag(&mut self) -> io::Result<Arc<AtomicBool>> {
        if let Some(stop) = &self.stop {
            return Ok(Arc::clone(stop));
        }
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Arc::clone(self.stop.insert(stop)))
    }

    /// Runs `command` to its end, which comes in time.
    fn supervised(&self, mut command: Command, input: SecretBytes, stop: &AtomicBool) -> io::Result<Ended> {
        let mut child = command.spawn()?;
        let group = Pid::from_child(&child);
        let (events, seen) = channel();
        let printed = attend(&mut child, input, &events);
        thread::spawn(move || {
            // Without reaping: until then the number is the group's, and no signal goes to another.
            let _ = waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let _ = events.send(Event::Ended);
        });
        let mut stopped = self.wait(group, &seen, stop);
        // What it started goes with it.
        let _ = kill_process_group(group, Signal::KILL);
        let status = child.wait()?;
        let late = || HookFault::TimedOut { after: self.timeout };
        let out = match printed.out.recv_timeout(GRACE) {
            Ok(Ok((mut bytes, more))) => {
                if more {
                    // It may have ended of that before we were told: nobody took what it printed any more.
                    stopped.get_or_insert(HookFault::TooMuch { limit: MAX_ANSWER_BYTES });
                }
                Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
            }
            Ok(Err(error)) => Err(HookFault::Io(error)),
            Err(_) => Err(late()),
        };
        let err = printed.err.recv_timeout(GRACE).ok().and_then(Result::ok).unwrap_or_default();
        Ok((stopped.map_or(Ok(status), Err), out, err))
    }

    /// Waits for the end of the hook, and brings it about where it does not come; why, then.
    fn wait(&self, group: Pid, seen: &Receiver<Event>, stop: &AtomicBool) -> Option<HookFault> {
        let span = Duration::from_secs(u64::try_from(self.timeout.seconds()).unwrap_or_default());
        let start = Instant::now();
        let mut told = None;
        loop {
            match seen.recv_timeout(GLANCE) {
                Ok(Event::TooMuch) => return Some(HookFault::TooMuch { limit: MAX_ANSWER_BYTES }),
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => return told.map(|_| HookFault::Interrupted),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if told.is_none() && stop.load(Ordering::Relaxed) {
                let _ = kill_process_group(group, Signal::TERM);
                told = Some(Instant::now());
            }
            match told {
                Some(told) if told.elapsed() >= PATIENCE => return Some(HookFault::Interrupted),
                None if start.elapsed() >= span => return Some(HookFault::TimedOut { after: self.timeout }),
                _ => {}
            }
        }
    }

    /// Shows what a hook complained of, unless a value is in it.
    fn show(&self, err: &[u8], answer: Option<&SecretBytes>, values: &[&SecretBytes], failed: bool) {
        if err.trim_ascii().is_empty() {
            return;
        }
        let made = answer.and_then(|answer| hook_answer(answer).ok());
        let values: Vec<&SecretBytes> = values.iter().copied().chain(&made).collect();
        if holds_one(err, &values) {
            self.output.warn("the hook complained of something, and a value is in that: it is not shown");
            return;
        }
        for line in String::from_utf8_lossy(err).lines() {
            let line = format!("hook: {line}");
            if failed { self.output.warn(&line) } else { self.output.say(&line) }
        }
    }
}

/// Starts threads that hand `input` to the hook and take what it prints.
fn attend(child: &mut Child, input: SecretBytes, events: &Sender<Event>) -> Printed {
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that reads nothing closes its end.
        thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    }
    let (out_sender, out) = channel();
    if let Some(stdout) = child.stdout.take() {
        let events = events.clone();
        thread::spawn(move || {
            let read = taken(stdout, MAX_ANSWER_BYTES);
            if read.as_ref().is_ok_and(|(_, more)| *more) {
                let _ = events.send(Event::TooMuch);
            }
            let _ = out_sender.send(read);
        });
    }
    let (err_sender, err) = channel();
    if let Some(mut stderr) = child.stderr.take() {
        thread::spawn(move || {
            let read = taken(&mut stderr, MAX_STDERR_BYTES);
            let _ = io::copy(&mut stderr, &mut io::sink());
            let _ = err_sender.send(read.map(|(bytes, _)| bytes));
        });
    }
    Printed { out, err }
}

/// At most `limit` bytes, and whether there are more. Buffers that a value may have been in are wiped.
fn taken(mut input: impl Read, limit: u64) -> io::Result<(Zeroizing<Vec<u8>>, bool)> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut part = Zeroizing::new([0; 16 * 1024]);
    loop {
        let count = match input.read(&mut *part) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        let read = part.get(..count).unwrap_or_default();
        if read.is_empty() {
            return Ok((bytes, false));
        }
        if bytes.len() + read.len() > bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * (bytes.len() + read.len())));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(read);
        if bytes.len() as u64 > limit {
            bytes.truncate(usize::try_from(limit).unwrap_or_default());
            return Ok((bytes, true));
        }
    }
}

/// Whether one of `values` is in `text`, as it is or in a usual disguise.
fn holds_one(text: &[u8], values: &[&SecretBytes]) -> bool {
    let disguised = Needles::new(values).is_none_or(|needles| !needles.find(text).is_empty());
    let plain = |value: &&SecretBytes| {
        let value = value.as_bytes().trim_ascii();
        !value.is_empty() && text.windows(value.len()).any(|window| window == value)
    };
    disguised || values.iter().any(plain)
}
