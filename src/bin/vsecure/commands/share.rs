//! Granting, revoking and ending grants, and adopting what somebody else signed.

use serde_json::{Value, json};
use vsecure::crypto::Identity;
use vsecure::format::escape;
use vsecure::model::{Grant, MetadataValue, SecretPath};
use vsecure::vault::{GrantEntry, GrantOutcome, GrantRequest, Grantee, Vault, VaultError};

use super::members::print_new_key;
use super::settle::{ask, named, pending, pending_json, texts};
use crate::app::App;
use crate::args::{AdoptArgs, GrantArgs, RevokeArgs, SharingCommand, WriteArgs};
use crate::report::{CommandError, told};

pub fn run(app: &App, command: SharingCommand) -> anyhow::Result<()> {
    match command {
        SharingCommand::Grant(args) => grant(app, args),
        SharingCommand::Revoke(args) => revoke(app, &args),
        SharingCommand::Adopt(args) => adopt(app, &args),
    }
}

pub fn grant(app: &App, args: GrantArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    let guest = args.ephemeral.then(Identity::generate);
    let request = request(&vault, path, &args, guest.as_ref())?;
    let outcome = vault.grant(&request, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    for grant in &outcome.grants {
        app.output.say(&format!("{} can read {} until {}", grant.grantee, grant.path, grant.expires_at));
    }
    tell(app, &outcome, &args.write);
    app.output.say(
        "the deadline removes a key, not what was read: after it this program refuses, and access:expire, or the next write, encrypts \
         without the key. Who kept a copy keeps it, so rotate the value then",
    );
    let all = outcome_json(&outcome, args.write.dry_run);
    let line = guest.as_ref().and_then(Identity::to_secret_line).filter(|_| !args.write.dry_run);
    match (line, outcome.grants.first()) {
        (Some(line), Some(grant)) => {
            app.output.say("the guest's key is printed once: VSECURE_IDENTITY_KEY=… vsecure get, or age -d -i");
            print_new_key(app, &grant.grantee, line.as_bytes(), all)
        }
        _ => print(app, &all),
    }
}

/// What is asked for; a one-off key is for somebody who is no member, and the reason says for whom.
fn request(
    vault: &Vault,
    path: SecretPath,
    args: &GrantArgs,
    guest: Option<&Identity>,
) -> anyhow::Result<GrantRequest> {
    let (grantee, reason) = match (guest, &args.user) {
        (None, user) => (Grantee::Member(user.clone().unwrap_or_default()), args.reason.clone()),
        (Some(key), None) => (Grantee::Guest(key.recipient().clone()), args.reason.clone()),
        (Some(_), Some(user)) if vault.policy().member_named(user).is_some() => {
            return Err(CommandError::usage(format!("{user} is a member, with a key"), "leave --ephemeral out").into());
        }
        (Some(key), Some(user)) => {
            let reason = args.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            let said: MetadataValue =
                format!("for {user}{reason}").parse().map_err(|source| VaultError::Name { what: "reason", source })?;
            (Grantee::Guest(key.recipient().clone()), Some(said))
        }
    };
    Ok(GrantRequest { path, grantee, duration: args.duration, reason })
}

fn revoke(app: &App, args: &RevokeArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    let outcome = vault.revoke(&path, &args.user, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    for grant in &outcome.grants {
        app.output.say(&format!("{} may not read {path} any more", grant.grantee));
    }
    tell(app, &outcome, &args.write);
    app.output.say(&format!("what was read is known: vsecure access:debt lists {path} until its value has changed"));
    print(app, &outcome_json(&outcome, args.write.dry_run))
}

pub fn expire(app: &App, write: &WriteArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let outcome = vault.expire_grants(&app.writing(write))?;
    app.tell_notices(&vault);
    for grant in &outcome.grants {
        app.output.say(&format!("the grant of {} for {} has ended", grant.grantee, grant.path));
    }
    if outcome.grants.is_empty() && outcome.pending.is_empty() {
        app.output.say("no grant has ended");
    }
    tell(app, &outcome, write);
    print(app, &outcome_json(&outcome, write.dry_run))
}

fn tell(app: &App, outcome: &GrantOutcome, write: &WriteArgs) {
    pending(app, &outcome.pending);
    if !outcome.reencrypted.is_empty() {
        app.output.say(&format!("encrypted anew: {}", named(&outcome.reencrypted)));
    }
    match &outcome.commit {
        _ if write.dry_run => app.output.say("dry run: nothing was written"),
        Some(commit) => app.output.say(&format!("commit {commit:.10}: nobody else knows of it before it is pushed")),
        None if outcome.grants.is_empty() => {}
        None => app.output.say("staged, not committed"),
    }
}

fn print(app: &App, all: &Value) -> anyhow::Result<()> {
    if app.output.json {
        app.output.value(all)?;
    }
    Ok(())
}

fn outcome_json(outcome: &GrantOutcome, dry_run: bool) -> Value {
    json!({
        "format": 1,
        "grants": outcome.grants.iter().map(grant_json).collect::<Vec<_>>(),
        "reencrypted": texts(&outcome.reencrypted),
        "pending": pending_json(&outcome.pending),
        "commit": outcome.commit,
        "dry_run": dry_run,
    })
}

/// A grant for programs.
pub fn grant_json(grant: &Grant) -> Value {
    json!({
        "id": grant.id.to_string(),
        "path": grant.path.to_string(),
        "grantee": grant.grantee.to_string(),
        "recipient": grant.recipient,
        "author": grant.author.to_string(),
        "time": grant.time.to_string(),
        "expires_at": grant.expires_at.to_string(),
        "reason": grant.reason.as_ref().map(ToString::to_string),
        "revoked": grant.revoked,
    })
}

/// A grant for programs, and how it stands.
pub fn entry_json(entry: &GrantEntry) -> Value {
    let mut all = grant_json(&entry.grant);
    if let Value::Object(map) = &mut all {
        map.insert("in_force".to_owned(), entry.in_force.into());
        map.insert("holds_key".to_owned(), entry.holds_key.into());
    }
    all
}

pub fn list(app: &App) -> anyhow::Result<()> {
    let vault = app.open()?;
    let (entries, refused) = vault.grants_listed()?;
    app.tell_notices(&vault);
    if app.output.json {
        let all: Vec<Value> = entries.iter().map(entry_json).collect();
        let refused: Vec<String> = refused.iter().map(|error| told(error)).collect();
        app.output.value(&json!({ "format": 1, "grants": all, "refused": refused }))?;
    } else {
        let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
        app.output.table(&["SECRET", "WHO", "UNTIL", "STATE", "BY", "REASON"], &rows)?;
    }
    for error in &refused {
        app.output.warn(&told(error));
    }
    if refused.is_empty() { Ok(()) } else { Err(CommandError::Refused { count: refused.len() }.into()) }
}

fn row(entry: &GrantEntry) -> Vec<String> {
    let grant = &entry.grant;
    let state = match (entry.in_force, entry.holds_key) {
        (true, true) => "reads",
        (true, false) => "waits for a key",
        (false, true) => "OVERDUE",
        (false, false) if grant.revoked => "taken back",
        (false, false) => "ended",
    };
    let reason = grant.reason.as_ref().map(|reason| escape(reason.as_str()).into_owned()).unwrap_or_default();
    let (path, grantee, author) = (grant.path.to_string(), grant.grantee.to_string(), grant.author.to_string());
    vec![path, grantee, grant.expires_at.to_string(), state.to_owned(), author, reason]
}

fn adopt(app: &App, args: &AdoptArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    // No name holds an `@`.
    let (path, rev) = args.path.split_once('@').map_or((args.path.as_str(), None), |(path, rev)| (path, Some(rev)));
    let path = vault.path_said(path)?;
    let adoptable = vault.adoptable(&path, rev)?;
    let who = adoptable.signed_by.as_ref().map_or_else(|| "nobody who is known".to_owned(), ToString::to_string);
    let at = rev.map_or_else(|| "in the work tree".to_owned(), |rev| format!("in {rev}"));
    let stated = adoptable.stated.as_ref().map_or_else(String::new, |stated| {
        format!(" as v{} (revision {}, {} at {})", stated.version, stated.revision, stated.change, stated.time)
    });
    app.output.say(&format!("{path} {at}: signed by {who}{stated}"));
    app.output.say(&match &adoptable.reason {
        Some(reason) => format!("it does not count: {}", told(reason)),
        None => "it counted there, and is not the present state here".to_owned(),
    });
    app.output.say(&match &adoptable.before {
        Some(before) if adoptable.difference.is_empty() => {
            format!("its value is that of v{}, which counts", before.version)
        }
        Some(before) => format!("beside v{}, which counts: {}", before.version, adoptable.difference.trim_end()),
        None => "nothing that counts and that you can read is known before it".to_owned(),
    });
    if !args.write.dry_run {
        ask(app, "Sign for it, and answer for it?")?;
    }
    let outcome = vault.adopt(&adoptable, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    Ok(app.output.outcome(&outcome, args.write.dry_run)?)
}
