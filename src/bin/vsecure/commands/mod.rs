//! One file a command or a few of a kind: request, one call of the vault, outcome.

mod access;
mod audit;
mod config;
mod debt;
mod demo;
mod diff;
mod doctor;
mod edit;
mod entries;
mod exec;
mod export;
mod get;
mod helper;
mod import;
mod init;
mod inject;
mod keys;
mod leaving;
mod list;
mod machine;
mod members;
mod overview;
mod person;
mod pick;
mod policy;
mod report;
mod rotation;
mod scan;
mod settle;
mod share;
mod status;
mod trust;
mod value;
mod verify;
mod versions;
mod write;

use crate::app::App;
use crate::args::{Command, ProgramsCommand};
use crate::{completion, reference};

/// Runs a command; without one, says where one is and what is next.
///
/// # Errors
/// Whatever the command refuses or fails at; [`crate::report`] tells it.
pub fn run(app: App, command: Option<Command>) -> anyhow::Result<()> {
    if !matches!(command, Some(Command::Complete(_))) {
        app.remove_left_values();
    }
    let Some(command) = command else { return overview::run(&app) };
    match command {
        Command::Init(args) => init::run(&app, &args),
        Command::Demo => demo::run(&app),
        Command::Status => status::run(&app),
        Command::Programs(ProgramsCommand::Exec(args)) => exec::run(&app, args),
        Command::Programs(ProgramsCommand::Export(args)) => export::run(&app, args),
        Command::Programs(ProgramsCommand::Inject(args)) => inject::run(&app, &args),
        Command::Programs(ProgramsCommand::Scan(args)) => scan::run(&app, args),
        Command::Programs(ProgramsCommand::Import(args)) => import::run(&app, args),
        Command::Rotation(command) => rotation::run(&app, command),
        Command::Trust(command) => trust::run(&app, command),
        Command::Verify(args) => verify::run(&app, &args),
        Command::Report(args) => report::run(&app, args),
        Command::Revert(args) => write::revert(&app, &args),
        Command::Doctor => doctor::run(&app),
        Command::AuditLogs(args) => audit::logs(&app, args),
        Command::AuditPush(args) => audit::push(&app, &args),
        Command::AuditFetch(args) => audit::fetch(&app, &args),
        Command::AuditVerify => audit::verify(&app),
        Command::KeysGenerate(args) => keys::generate(&app, args),
        Command::KeysShow => keys::show(&app),
        Command::KeysRecovery(args) => machine::recovery(&app, &args),
        Command::Sharing(command) => share::run(&app, command),
        Command::Members(command) => members::run(&app, command),
        Command::Policy(command) => policy::run(&app, command),
        Command::Access(command) => access::run(&app, command),
        Command::ConfigGet(args) => config::get(&app, &args),
        Command::ConfigSet(args) => config::set(&app, &args),
        Command::ConfigList => config::list(&app),
        Command::Completions(args) => completion::print_script(&app, args.shell),
        Command::Man(args) => reference::write_man_pages(&app, &args.directory),
        Command::Create(args) => write::create(&app, args),
        Command::Update(args) => write::update(&app, args),
        Command::Set(args) => write::set(&app, args),
        Command::Get(args) => get::run(&app, &args),
        Command::List(args) => list::list(&app, args),
        Command::Describe(args) => list::describe(&app, &args),
        Command::Versions(args) => versions::run(&app, &args),
        Command::Diff(args) => diff::run(&app, &args),
        Command::Rollback(args) => write::rollback(&app, &args),
        Command::Delete(args) => write::delete(&app, &args),
        Command::Restore(args) => write::restore(&app, &args),
        Command::Rename(args) => write::rename(&app, &args),
        Command::Copy(args) => write::copy(&app, &args),
        Command::Edit(args) => edit::run(&app, &args),
        Command::Complete(args) => completion::complete(&app, args.index),
    }
}
