//! `rotation:*`: how often values change, what is due, and changing them.

use serde_json::{Value, json};
use vsecure::model::{Due, Rotation, Sidecar};
use vsecure::vault::{
    HookFault, Outcome, Rotated, RotationEdit, RotationEntry, RotationState, Selection, Update, Vault, VaultError,
    Writing,
};

use crate::app::App;
use crate::args::{
    NameArgs, RotationCancelArgs, RotationCommand, RotationFailOn, RotationRunArgs, RotationSetArgs, RotationStatusArgs,
};
use crate::hook::Hooks;
use crate::output::{outcome_json, rotation_json};
use crate::report::{CommandError, advised, told};

pub fn run(app: &App, command: RotationCommand) -> anyhow::Result<()> {
    match command {
        RotationCommand::Set(args) => set(app, args),
        RotationCommand::Status(args) => status(app, args),
        RotationCommand::Run(args) if args.due => run_due(app, args),
        RotationCommand::Run(args) => run_one(app, args),
        RotationCommand::Cancel(args) => cancel(app, &args),
    }
}

fn set(app: &App, args: RotationSetArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    let rotation = args.period.map(|period| Rotation {
        enabled: true,
        period,
        notify_before: args.notify_before,
        generator: args.generate.map(|generator| generator.to_string()),
        hook: args.hook,
    });
    let request = Update { rotation: rotation.map_or(RotationEdit::Off, RotationEdit::Replace), ..Update::of(path) };
    let outcome = vault.update(&request, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    Ok(app.output.outcome(&outcome, args.write.dry_run)?)
}

pub const fn word(state: RotationState) -> &'static str {
    match state {
        RotationState::Ok => "ok",
        RotationState::DueSoon => "due-soon",
        RotationState::Overdue => "overdue",
        RotationState::InProgress => "in-progress",
        RotationState::Failed(_) => "failed",
    }
}

fn status(app: &App, args: RotationStatusArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let selection = Selection {
        environment: args.env.or(app.environment_variable()?),
        tags: args.names.tags,
        only: args.names.only,
        except: args.names.except,
        under: args.names.under,
        ..Selection::default()
    };
    let (entries, refused) = vault.rotations(&selection)?;
    app.tell_notices(&vault);
    if app.output.json {
        let rotations: Vec<Value> = entries.iter().map(entry_json).collect();
        let refused: Vec<String> = refused.iter().map(|error| told(error)).collect();
        app.output.value(&json!({ "format": 1, "rotations": rotations, "refused": refused }))?;
    } else {
        let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
        app.output.table(&["SECRET", "STATE", "DUE", "EVERY", "BY"], &rows)?;
    }
    for error in &refused {
        app.output.warn(&told(error));
    }
    if !refused.is_empty() {
        return Err(CommandError::Refused { count: refused.len() }.into());
    }
    let found = |entry: &RotationEntry| match args.fail_on {
        None => false,
        Some(_) if matches!(entry.state, RotationState::Failed(_)) => true,
        Some(RotationFailOn::DueSoon) => entry.due >= Due::Soon,
        Some(RotationFailOn::Overdue) => entry.due == Due::Overdue,
    };
    if entries.iter().any(found) { Err(CommandError::Found.into()) } else { Ok(()) }
}

fn row(entry: &RotationEntry) -> Vec<String> {
    let sidecar = &entry.sidecar;
    let state = match entry.state {
        RotationState::Failed(step) => format!("failed ({step})"),
        state => word(state).to_owned(),
    };
    let due = sidecar.due_at().map_or_else(|| "-".to_owned(), |at| at.to_string());
    let rotation = sidecar.rotation.as_ref();
    let every = rotation.map_or_else(|| "-".to_owned(), |rotation| rotation.period.to_string());
    vec![sidecar.path.to_string(), state, due, every, rotation.map(made_by).unwrap_or_default()]
}

/// How a new value comes about, in a word or two.
pub fn made_by(rotation: &Rotation) -> String {
    match (&rotation.hook, &rotation.generator) {
        (Some(hook), _) => format!("hook {hook}"),
        (None, Some(generator)) => format!("generator {}", vsecure::format::escape(generator)),
        (None, None) => "a person".to_owned(),
    }
}

fn entry_json(entry: &RotationEntry) -> Value {
    let RotationEntry { sidecar, state, failed_at, .. } = entry;
    let step = match state {
        RotationState::Failed(step) => Some(step.to_string()),
        _ => None,
    };
    json!({
        "path": sidecar.path.to_string(),
        "environment": sidecar.path.environment().to_string(),
        "name": sidecar.path.name().to_string(),
        "version": sidecar.version.get(),
        "updated_at": sidecar.updated_at.to_string(),
        "state": word(*state),
        "due_at": sidecar.due_at().map(|at| at.to_string()),
        "rotation": sidecar.rotation.as_ref().map(rotation_json),
        "pending_version": sidecar.next.as_ref().map(|next| next.version.get()),
        "failed_step": step,
        "failed_at": failed_at.map(|at| at.to_string()),
    })
}

/// A line about a value that is due, from the day on that people are told of it.
pub fn notice(sidecar: &Sidecar, now: vsecure::model::Timestamp) -> Option<String> {
    let (path, rotation, at) = (&sidecar.path, sidecar.rotated_by()?, sidecar.due_at()?);
    let since = match sidecar.due(now) {
        Due::NotYet => return None,
        Due::Soon => "at",
        Due::Overdue => "since",
    };
    let by_person = rotation.hook.is_none() && rotation.generator.is_none();
    let command = if by_person { "secrets:update" } else { "rotation:run" };
    Some(format!("{path} is due for rotation {since} {at}: vsecure {command} {path}"))
}

fn hooks<'a>(app: &'a App, args: &RotationRunArgs) -> Hooks<'a> {
    Hooks::new(app.output, &app.context.scratch, args.timeout)
}

fn writing(app: &App, args: &RotationRunArgs) -> Writing {
    let write = crate::args::WriteArgs { message: args.message.clone(), no_commit: false, dry_run: args.dry_run };
    app.writing(&write)
}

fn run_one(app: &App, args: RotationRunArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let name = NameArgs { name: args.name.clone().unwrap_or_default(), env: args.env.clone() };
    let path = vault.find(App::asked(&name, app.environment_variable()?.as_ref()))?;
    let rotated = vault.rotate(&path, &mut hooks(app, &args), &writing(app, &args))?;
    app.tell_notices(&vault);
    tell(app, &rotated, args.dry_run);
    if app.output.json {
        app.output.value(&outcome_json(rotated.outcome(), args.dry_run))?;
    }
    Ok(())
}

fn tell(app: &App, rotated: &Rotated, dry_run: bool) {
    match rotated {
        Rotated::Finished(Outcome { path, version, .. }) => {
            app.output.say(&format!("{path} v{version}: the last step is done"));
        }
        Rotated::Renewed(outcome) => app.output.told_outcome(outcome, dry_run),
    }
}

fn run_due(app: &App, args: RotationRunArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let selection = Selection {
        environment: args.env.clone().or(app.environment_variable()?),
        tags: args.tags.clone(),
        ..Selection::default()
    };
    let (entries, refused) = vault.rotations(&selection)?;
    let (mut results, mut failed, mut waits) = (Vec::new(), refused.len(), 0);
    for error in &refused {
        app.output.warn(&told(error));
    }
    let mut hooks = hooks(app, &args);
    for entry in entries.iter().filter(|entry| entry.wants_a_run()) {
        let result = vault.rotate(&entry.sidecar.path, &mut hooks, &writing(app, &args));
        app.tell_notices(&vault);
        let stopped = matches!(result, Err(VaultError::Hook { source: HookFault::Interrupted, .. }));
        match &result {
            Ok(rotated) => tell(app, rotated, args.dry_run),
            Err(VaultError::NeedsValue { .. }) => waits += 1,
            Err(_) => failed += 1,
        }
        results.push(result_json(app, entry, result, args.dry_run));
        if stopped {
            break;
        }
    }
    if app.output.json {
        app.output.value(&json!({ "format": 1, "rotations": results }))?;
    }
    app.output.say(&format!("{} rotations: {failed} failed, {waits} need a person", results.len()));
    match (failed, waits) {
        (0, 0) => Ok(()),
        (0, _) => Err(CommandError::Found.into()),
        _ => Err(CommandError::RotationsFailed { count: failed }.into()),
    }
}

/// What became of one rotation of several; what went wrong is said at once.
fn result_json(app: &App, entry: &RotationEntry, result: Result<Rotated, VaultError>, dry_run: bool) -> Value {
    let error = match result {
        Ok(rotated) => return outcome_json(rotated.outcome(), dry_run),
        Err(error) => error,
    };
    let kind = error.kind();
    let (text, help) = advised(&anyhow::Error::from(error));
    app.output.warn(&format!("{text}\n  help: {help}"));
    json!({ "path": entry.sidecar.path.to_string(), "error": { "message": text, "kind": kind, "help": help } })
}

fn cancel(app: &App, args: &RotationCancelArgs) -> anyhow::Result<()> {
    let vault: Vault = app.unlock()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    let outcome = vault.cancel_rotation(&path, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    app.output.warn(&format!("what a hook has done at its target stays: make sure that it takes v{}", outcome.version));
    Ok(app.output.outcome(&outcome, args.write.dry_run)?)
}
