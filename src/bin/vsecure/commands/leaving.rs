//! `members:remove`: somebody leaves, and what is left to do then.

use serde_json::Value;
use vsecure::model::SecretPath;
use vsecure::policy::Edit;
use vsecure::vault::{PolicyChange, PolicyOutcome, Selection, Vault};

use super::members::member;
use super::settle::{joined, knowing, named, outcome_json, settle};
use crate::app::App;
use crate::args::RemoveArgs;

pub fn remove(app: &App, args: &RemoveArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let name = member(vault.policy(), &args.member)?.0.clone();
    let signed = signed_by(&vault, name.as_str())?;
    let edit = Edit::RemoveMember { who: args.member.clone() };
    let change = PolicyChange { accept_at: args.accept_at.clone(), ..edit.into() };
    let outcome = settle(app, &mut vault, &args.write, &mut |vault, writing| {
        let outcome = vault.change_policy(&change, writing)?;
        if writing.dry_run || app.global.yes {
            plan(app, name.as_str(), &signed, &outcome);
        }
        Ok(outcome)
    })?;
    if !args.write.dry_run {
        not_done(app, name.as_str(), &outcome);
    }
    if app.output.json {
        let mut all = outcome_json(&outcome, args.write.dry_run);
        if let Value::Object(map) = &mut all {
            map.insert("member".to_owned(), name.to_string().into());
            map.insert("signed".to_owned(), super::settle::texts(&signed).into());
        }
        app.output.value(&all)?;
    }
    Ok(())
}

/// The secrets whose present state `name` signed.
fn signed_by(vault: &Vault, name: &str) -> anyhow::Result<Vec<SecretPath>> {
    let all = vault.list(&Selection::default())?.entries.into_iter();
    let theirs = all.filter(|entry| entry.sidecar.author.as_str() == name);
    Ok(theirs.map(|entry| entry.sidecar.path).collect())
}

/// In numbers, before the question.
fn plan(app: &App, name: &str, signed: &[SecretPath], outcome: &PolicyOutcome) {
    let say = |text: String| app.output.say(&text);
    say(format!("{} secrets are encrypted anew, {} wait for others", outcome.reencrypted.len(), outcome.pending.len()));
    let stand = signed.iter().filter(|path| !outcome.distrusted.contains(path)).count();
    say(format!("{name} signed the present state of {} secrets: {stand} stand, and are accepted", signed.len()));
}

/// What no program can do, or not this one now.
fn not_done(app: &App, name: &str, outcome: &PolicyOutcome) {
    let mut lines = Vec::new();
    for pending in &outcome.pending {
        let who = if pending.who.is_empty() { "a writer's new value".to_owned() } else { joined(&pending.who, " or ") };
        lines.push(format!("{} is still encrypted to {name}: it waits for {who}", pending.path));
    }
    if let Some(paths) = knowing(outcome).get(name) {
        lines.push(format!(
            "{name} knows {}: each has to get a new value. vsecure access:debt lists them",
            named(paths)
        ));
    }
    lines.push(format!("{name}'s key still opens every old commit that it could open: only new values help"));
    lines.push(format!(
        "nobody else knows of this before it is pushed: git push; then end what {name} can do in git itself"
    ));
    app.output.warn(&format!("NOT DONE\n  - {}", lines.join("\n  - ")));
}
