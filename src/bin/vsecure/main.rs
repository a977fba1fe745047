//! The `vsecure` command: arguments in, one call of the vault, an outcome out.

mod app;
mod args;
mod commands;
mod completion;
mod context;
mod editor;
mod hook;
mod invocation;
mod output;
mod page;
mod progress;
mod prompt;
mod reference;
mod report;
mod scratch;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    refuse_core_dumps();
    let words: Vec<_> = std::env::args_os().collect();
    let json = words.iter().any(|word| word == "--json");
    // Whoever types gets no candidates then, and no complaint.
    let completing = words.get(1).is_some_and(|word| word == "__complete");
    match run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if completing => ExitCode::SUCCESS,
        Err(error) => report::report(&error, json),
    }
}

/// Values and keys are in this process's memory: no crash may write it to a disk. A program that we start decides for itself.
fn refuse_core_dumps() {
    #[cfg(target_os = "linux")]
    let refused = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(not(target_os = "linux"))]
    let refused = {
        let none = rustix::process::Rlimit { current: Some(0), maximum: None };
        rustix::process::setrlimit(rustix::process::Resource::Core, none)
    };
    // It is a second wall: a system that doesn't have it is no reason not to work.
    let _ = refused;
}

fn run(words: Vec<std::ffi::OsString>) -> anyhow::Result<()> {
    let parsed = invocation::parse(words.clone()).map_err(anyhow::Error::from);
    let cli = parsed.map_err(|error| refused(error, || invocation::starts_another(&words)))?;
    let starts_another = cli.global.invoked == invocation::EXEC;
    let context = context::Context::from_process();
    let app = context.and_then(|context| app::App::new(context, cli.global));
    commands::run(app.map_err(|error| refused(error, || starts_another))?, cli.command)
}

/// `error`, told apart from those of a program that was to be started: its exit codes are its own.
fn refused(error: anyhow::Error, starts_another: impl FnOnce() -> bool) -> anyhow::Error {
    if starts_another() { error.context(report::NothingStarted) } else { error }
}
