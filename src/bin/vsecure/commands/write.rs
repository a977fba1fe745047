//! The commands that change a secret and need nobody's editor.

use vsecure::crypto::SecretBytes;
use vsecure::model::{Rotation, SecretPath, Timestamp};
use vsecure::vault::{Create, Expiry, Outcome, RotationEdit, Update, Vault, VaultError, Writing};

use super::value;
use crate::app::App;
use crate::args::{
    CopyArgs, CreateArgs, DeleteArgs, ExpiryArgs, NameArgs, RevertArgs, RollbackArgs, ScheduleArgs, UpdateArgs,
    WriteArgs,
};

fn tell(app: &App, vault: &Vault, outcome: &Outcome, write: &WriteArgs) -> anyhow::Result<()> {
    app.tell_notices(vault);
    Ok(app.output.outcome(outcome, write.dry_run)?)
}

fn find(app: &App, vault: &Vault, name: &NameArgs) -> anyhow::Result<SecretPath> {
    Ok(vault.find(App::asked(name, app.environment_variable()?.as_ref()))?)
}

fn expiry(app: &App, args: &ExpiryArgs) -> anyhow::Result<Option<Timestamp>> {
    Ok(match (args.expires_in, args.expires_at) {
        (Some(span), _) => Some(app.context.now.checked_add(span)?),
        (None, at) => at,
    })
}

/// A rotation whose new values a person brings.
fn rotation(args: &ScheduleArgs) -> Option<Rotation> {
    let by_person =
        |period| Rotation { enabled: true, period, notify_before: args.notify_before, generator: None, hook: None };
    args.rotate_every.map(by_person)
}

pub fn create(app: &App, args: CreateArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let variable = app.environment_variable()?;
    let path = vault.path_to_create(App::asked(&args.name, variable.as_ref()), &args.tags)?;
    vault.demand_free(&path)?;
    let value =
        value::value(app, &args.value, &path.to_string(), false)?.unwrap_or_else(|| SecretBytes::new(Vec::new()));
    let request = Create {
        path,
        value,
        allow_empty: args.value.allow_empty,
        tags: args.tags,
        metadata: args.metadata.into_iter().map(|it| (it.0, it.1)).collect(),
        expires_at: expiry(app, &args.expiry)?,
        rotation: rotation(&args.schedule),
    };
    let outcome = vault.create(&request, &app.writing(&args.write))?;
    value::print_generated(app, &args.value, Some(&request.value))?;
    tell(app, &vault, &outcome, &args.write)
}

pub fn update(app: &App, args: UpdateArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = find(app, &vault, &args.name)?;
    apply_update(app, &vault, path, args)
}

pub fn set(app: &App, args: UpdateArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    match find(app, &vault, &args.name) {
        Ok(path) => apply_update(app, &vault, path, args),
        Err(error)
            if matches!(error.downcast_ref(), Some(VaultError::NotFound { .. } | VaultError::Deleted { .. })) =>
        {
            let tags = args.tags.into_iter().flatten().chain(args.add_tag).collect();
            let UpdateArgs { name, value, metadata, expiry, schedule, write, .. } = args;
            create(app, CreateArgs { name, value, tags, metadata, expiry, schedule, write })
        }
        Err(error) => Err(error),
    }
}

fn apply_update(app: &App, vault: &Vault, path: SecretPath, args: UpdateArgs) -> anyhow::Result<()> {
    let expires_at = expiry(app, &args.expiry)?;
    let other_change = args.tags.is_some()
        || args.no_expiry
        || expires_at.is_some()
        || args.no_rotation
        || args.schedule.rotate_every.is_some()
        || !(args.add_tag.is_empty() && args.remove_tag.is_empty())
        || !(args.metadata.is_empty() && args.unset_metadata.is_empty());
    let value = value::value(app, &args.value, &path.to_string(), other_change)?;
    let request = Update {
        value,
        allow_empty: args.value.allow_empty,
        tags: args.tags,
        add_tags: args.add_tag,
        remove_tags: args.remove_tag,
        metadata: args.metadata.into_iter().map(|it| (it.0, it.1)).collect(),
        unset_metadata: args.unset_metadata,
        expiry: match expires_at {
            Some(time) => Expiry::At(time),
            None if args.no_expiry => Expiry::Never,
            None => Expiry::Keep,
        },
        rotation: match args.schedule.rotate_every {
            Some(period) => RotationEdit::Schedule { period, notify_before: args.schedule.notify_before },
            None if args.no_rotation => RotationEdit::Off,
            None => RotationEdit::Keep,
        },
        if_version: args.if_version,
        force: args.force,
        ..Update::of(path)
    };
    let outcome = vault.update(&request, &app.writing(&args.write))?;
    value::print_generated(app, &args.value, request.value.as_ref())?;
    tell(app, vault, &outcome, &args.write)
}

pub fn rollback(app: &App, args: &RollbackArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = find(app, &vault, &args.name)?;
    let outcome = vault.rollback(&path, args.version.as_ref(), &app.writing(&args.write))?;
    if let Some(at) = outcome.expires_at.filter(|at| *at <= app.context.now) {
        app.output.warn(&format!("that value expired at {at}: --expires-in or --no-expiry of update changes it"));
    }
    tell(app, &vault, &outcome, &args.write)
}

type Act = fn(&Vault, &SecretPath, &Writing) -> Result<Outcome, VaultError>;

fn act(app: &App, vault: &Vault, path: &SecretPath, write: &WriteArgs, act: Act) -> anyhow::Result<()> {
    let outcome = act(vault, path, &app.writing(write))?;
    tell(app, vault, &outcome, write)
}

pub fn delete(app: &App, args: &DeleteArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = find(app, &vault, &args.name)?;
    act(app, &vault, &path, &args.write, Vault::delete)
}

pub fn restore(app: &App, args: &DeleteArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = vault.find_deleted(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    act(app, &vault, &path, &args.write, Vault::restore)
}

pub fn revert(app: &App, args: &RevertArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let outcomes = vault.revert(&args.commit, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    Ok(app.output.outcomes(&outcomes, args.write.dry_run)?)
}

type Transfer = fn(&Vault, &SecretPath, &SecretPath, &Writing) -> Result<Outcome, VaultError>;

fn transfer(app: &App, args: &CopyArgs, transfer: Transfer) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let from = find(app, &vault, &args.name)?;
    let to = vault.target_beside(&from, &args.new)?;
    let outcome = transfer(&vault, &from, &to, &app.writing(&args.write))?;
    tell(app, &vault, &outcome, &args.write)
}

pub fn rename(app: &App, args: &CopyArgs) -> anyhow::Result<()> {
    transfer(app, args, Vault::rename)
}

pub fn copy(app: &App, args: &CopyArgs) -> anyhow::Result<()> {
    transfer(app, args, Vault::copy)
}
