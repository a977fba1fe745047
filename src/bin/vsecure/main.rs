//! The `vsecure` command: arguments in, one call of the vault, an outcome out.

mod app;
mod args;
mod commands;
mod completion;
mod context;
mod editor;
mod invocation;
mod output;
mod prompt;
mod reference;
mod report;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
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

fn run(words: Vec<std::ffi::OsString>) -> anyhow::Result<()> {
    let cli = invocation::parse(words)?;
    let context = context::Context::from_process()?;
    commands::run(app::App::new(context, cli.global)?, cli.command)
}
