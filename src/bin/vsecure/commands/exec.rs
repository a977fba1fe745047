//! `exec`: a program with secrets as its environment variables. Every value is verified and opened before it starts.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;
use vsecure::audit::Action;
use vsecure::model::SecretPath;

use super::pick::{self, Chosen, Filled};
use crate::app::App;
use crate::args::ExecArgs;
use crate::context::{inherited, is_identity};

use crate::report::{CommandError, NothingStarted};
use crate::scratch::Scratch;

/// What passes into a pristine environment, with `LC_…`.
const PRISTINE: [&str; 10] = ["PATH", "HOME", "TERM", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR"];

pub fn run(app: &App, args: ExecArgs) -> anyhow::Result<()> {
    if args.explain {
        return explain(app, &args);
    }
    let (command, folder) = prepare(app, args).context(NothingStarted)?;
    match folder {
        None => Err(started(command).into()),
        Some(folder) => Err(CommandError::Ended { code: supervised(command, folder)? }.into()),
    }
}

/// The program, with everything that it gets, and the folder of its values' files.
fn prepare(app: &App, args: ExecArgs) -> anyhow::Result<(Command, Option<Scratch>)> {
    let vault = app.unlock()?;
    let chosen = pick::choose(app, &vault, &args.pick, &args.naming)?;
    pick::demand_harmless(app, &chosen)?;
    let filled = pick::fill(app, &vault, chosen, Action::Accessed, args.pick.readable)?;
    let mut words = args.command.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).env_clear();
    let passes = |name: &OsStr| {
        let basic = PRISTINE.iter().any(|it| name == *it) || name.as_encoded_bytes().starts_with(b"LC_");
        if is_identity(name) { args.keep_identity } else { !args.pristine || basic }
    };
    command.envs(inherited().filter(|(name, _)| passes(name)));
    if !args.files {
        for Filled { name, value, path } in filled {
            if value.as_bytes().contains(&0) {
                let form = "an environment variable";
                return Err(CommandError::NotExpressible { path, what: "a NUL byte", form }.into());
            }
            command.env(name, OsString::from_vec(value.as_bytes().to_vec()));
        }
        return Ok((command, None));
    }
    let folder = Scratch::without_signals(&app.context.scratch).context("there is no place for the values' files")?;
    if !folder.is_in_memory() {
        app.output.warn("the values are on a disk while the program runs: there is no directory in memory here");
    }
    for Filled { name, value, .. } in filled {
        let file = folder.write(&name, &value).context("a value's file could not be written")?;
        command.env(name, file);
    }
    Ok((command, Some(folder)))
}

fn not_started(command: &Command, source: io::Error) -> CommandError {
    CommandError::NotStarted { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// Becomes the program; comes back only when that can't be done.
fn started(mut command: Command) -> CommandError {
    let error = command.exec();
    not_started(&command, error)
}

/// Runs the program, hands on to it the signals that we get, and removes its files when it has ended; its exit code.
fn supervised(mut command: Command, folder: Scratch) -> anyhow::Result<u8> {
    // From here on no signal ends us before the files are gone.
    let mut signals =
        SignalsInfo::<WithOrigin>::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]).context(NothingStarted)?;
    let handle = signals.handle();
    let mut child = command.spawn().map_err(|error| not_started(&command, error))?;
    let pid = Pid::from_child(&child);
    let running = Arc::new(Mutex::new(Some(pid)));
    let theirs = Arc::clone(&running);
    let forwarder = std::thread::spawn(move || {
        for origin in signals.forever() {
            // What was typed in the terminal went to the program as well.
            let typed = matches!(origin.cause, Cause::Kernel);
            let running = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(pid), Some(signal), false) = (*running, Signal::from_named_raw(origin.signal), typed) {
                let _ = kill_process(pid, signal);
            }
        }
    });
    // Waiting without reaping first: until then the number is the program's, and no signal goes to another.
    let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    *running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let status = child.wait()?;
    drop(folder);
    handle.close();
    let _ = forwarder.join();
    Ok(code_of(status))
}

/// As shells have it: the exit code, or 128 and the signal.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn explain(app: &App, args: &ExecArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let Chosen { variables, picked } = pick::choose(app, &vault, &args.pick, &args.naming)?;
    app.tell_notices(&vault);
    let version = |path: &SecretPath| picked.sidecars().find(|it| it.path == *path).map_or(0, |it| it.version.get());
    if app.output.json {
        let all: Vec<Value> = variables
            .iter()
            .map(|it| {
                let over: Vec<String> = it.over.iter().map(ToString::to_string).collect();
                json!({ "variable": it.name, "path": it.path.to_string(), "version": version(&it.path), "over": over })
            })
            .collect();
        return Ok(app.output.value(&json!({ "format": 1, "variables": all }))?);
    }
    let rows: Vec<Vec<String>> = variables
        .iter()
        .map(|it| {
            let over: Vec<String> = it.over.iter().map(ToString::to_string).collect();
            vec![it.name.clone(), it.path.to_string(), format!("v{}", version(&it.path)), over.join(", ")]
        })
        .collect();
    Ok(app.output.table(&["VARIABLE", "SECRET", "VERSION", "IN PLACE OF"], &rows)?)
}
