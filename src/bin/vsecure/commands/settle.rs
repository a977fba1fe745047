//! Changing people or policy: what will happen is shown first, and somebody says yes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vsecure::model::SecretPath;
use vsecure::policy::Action;
use vsecure::vault::{Pending, PolicyOutcome, Vault, VaultError, Writing};

use crate::app::App;
use crate::args::WriteArgs;
use crate::report::CommandError;

/// How many secrets are named where more are meant.
const NAMED: usize = 5;
/// What to pass where nobody can be asked.
pub const PASS: &str = "pass --yes where nobody can be asked; --dry-run shows what would happen";

/// A change of the policy, made or only planned.
pub type Make<'a> = dyn FnMut(&mut Vault, &Writing) -> Result<PolicyOutcome, VaultError> + 'a;

/// Shows what `make` will do, asks, and does it. With --yes it is done at once and shown then; with --dry-run it is only shown.
///
/// # Errors
/// Whatever is refused; nobody to ask; [`CommandError::Declined`].
pub fn settle(app: &App, vault: &mut Vault, write: &WriteArgs, make: &mut Make<'_>) -> anyhow::Result<PolicyOutcome> {
    let writing = app.writing(write);
    if !app.global.yes || write.dry_run {
        let planned = make(vault, &Writing { dry_run: true, ..writing.clone() })?;
        show(app, &planned);
        if write.dry_run || !planned.changed {
            app.tell_notices(vault);
            app.output.say(if planned.changed { "dry run: nothing was written" } else { "nothing changes" });
            return Ok(planned);
        }
        ask(app, "Go on?")?;
    }
    let made = make(vault, &writing)?;
    app.tell_notices(vault);
    if app.global.yes {
        show(app, &made);
    }
    app.output.say(&done(&made));
    Ok(made)
}

/// Asks whether to go on; --yes has answered.
///
/// # Errors
/// Nobody to ask; [`CommandError::Declined`].
pub fn ask(app: &App, question: &str) -> anyhow::Result<()> {
    if app.global.yes || app.terminal().confirm(question, PASS)? {
        return Ok(());
    }
    Err(CommandError::Declined.into())
}

fn done(outcome: &PolicyOutcome) -> String {
    if !outcome.changed {
        return "nothing changes".to_owned();
    }
    let place = match (&outcome.commit, &outcome.branch) {
        (Some(commit), Some(branch)) => format!("commit {commit:.10} on {branch}"),
        (Some(commit), None) => format!("commit {commit:.10} on a detached HEAD"),
        (None, _) => "staged, not committed".to_owned(),
    };
    format!("policy epoch {} ({place})", outcome.epoch)
}

fn show(app: &App, outcome: &PolicyOutcome) {
    let say = |text: String| app.output.say(&text);
    for change in &outcome.access {
        let verb = if change.gained { "gains" } else { "loses" };
        say(format!("{} {verb} {}: {}", change.member, word(change.action), named(&change.paths)));
    }
    if !outcome.reencrypted.is_empty() {
        say(format!("encrypted anew: {}", named(&outcome.reencrypted)));
    }
    if !outcome.accepted.is_empty() {
        say(format!("stays valid, though who signed it has no right any more: {}", named(&outcome.accepted)));
    }
    if !outcome.distrusted.is_empty() {
        say(format!("does not count any more, until somebody adopts it: {}", named(&outcome.distrusted)));
    }
    pending(app, &outcome.pending);
    for (who, paths) in knowing(outcome) {
        say(format!("{who} knows, without a right to it: {}", named(&paths)));
    }
}

/// Says what others have to encrypt anew.
pub fn pending(app: &App, pending: &[Pending]) {
    for it in pending {
        let who = if it.who.is_empty() {
            "nobody can encrypt it anew: a writer has to set a new value".to_owned()
        } else {
            format!("waits for {} to run: vsecure rekey", joined(&it.who, " or "))
        };
        app.output.warn(&format!("{}: {who}", it.path));
    }
}

/// Who knows which values without a right to them.
pub fn knowing(outcome: &PolicyOutcome) -> BTreeMap<String, Vec<SecretPath>> {
    let mut known: BTreeMap<String, Vec<SecretPath>> = BTreeMap::new();
    for (path, holders) in &outcome.exposed {
        for holder in holders {
            let paths = known.entry(holder.member.to_string()).or_default();
            if paths.last() != Some(path) {
                paths.push(path.clone());
            }
        }
    }
    known
}

/// Some of `paths`, by name, and how many there are.
pub fn named(paths: &[SecretPath]) -> String {
    let names: Vec<String> = paths.iter().take(NAMED).map(ToString::to_string).collect();
    let count = if paths.len() == 1 { "1 secret".to_owned() } else { format!("{} secrets", paths.len()) };
    let more = if paths.len() > NAMED { ", …" } else { "" };
    format!("{count} ({}{more})", names.join(", "))
}

pub fn joined<T: ToString>(items: &[T], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

pub const fn word(action: Action) -> &'static str {
    match action {
        Action::Read => "read",
        Action::Write => "write",
        Action::Delete => "delete",
        Action::Grant => "grant",
    }
}

/// The outcome for programs.
pub fn outcome_json(outcome: &PolicyOutcome, dry_run: bool) -> Value {
    let access = outcome.access.iter().map(|it| {
        json!({
            "member": it.member.to_string(),
            "action": word(it.action),
            "gained": it.gained,
            "paths": texts(&it.paths),
        })
    });
    let exposed = outcome.exposed.iter().map(|(path, holders)| {
        let who: Vec<Value> = holders.iter().map(holder_json).collect();
        json!({ "path": path.to_string(), "exposed_to": who })
    });
    json!({
        "format": 1,
        "changed": outcome.changed,
        "epoch": outcome.epoch.get(),
        "access": access.collect::<Vec<_>>(),
        "reencrypted": texts(&outcome.reencrypted),
        "pending": pending_json(&outcome.pending),
        "accepted": texts(&outcome.accepted),
        "distrusted": texts(&outcome.distrusted),
        "exposed": exposed.collect::<Vec<_>>(),
        "commit": outcome.commit,
        "dry_run": dry_run,
    })
}

pub fn pending_json(pending: &[Pending]) -> Vec<Value> {
    pending.iter().map(|it| json!({ "path": it.path.to_string(), "who": texts(&it.who) })).collect()
}

pub fn holder_json(holder: &vsecure::model::KeyHolder) -> Value {
    json!({ "member": holder.member.to_string(), "key": holder.key.to_string() })
}

pub fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
