//! `audit:logs`, `audit:push`, `audit:fetch`, `audit:verify`.

use serde_json::{Value, json};
use vsecure::audit::{Outcome, ResourceType};
use vsecure::format::escape;
use vsecure::model::MemberName;
use vsecure::vault::{Checked, KnownLog, LogPlace, Origin, Trail, TrailEntry, TrailFilter};

use crate::app::App;
use crate::args::{AuditLogsArgs, AuditRemoteArgs};
use crate::report::{CommandError, told};

pub fn logs(app: &App, args: AuditLogsArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let (since, until) = args.between(app.context.now);
    let filter = TrailFilter {
        resources: args.resource.into_iter().map(Into::into).collect(),
        actions: args.action,
        actor: args.actor,
        pattern: args.name,
        environment: args.env,
        since,
        until,
    };
    let trail = vault.trail(&filter)?;
    app.tell_notices(&vault);
    let shown = trail.entries.iter().take(args.limit.unwrap_or(usize::MAX));
    let limits = limits(&trail);
    if app.output.json {
        let events: Vec<Value> = shown.map(entry_json).collect();
        app.output.value(&json!({ "format": 1, "events": events, "unknown": limits }))?;
    } else {
        let rows: Vec<Vec<String>> = counted(shown).into_iter().map(|(entry, count)| row(entry, count)).collect();
        app.output.table(&["TIME", "ACTOR", "ACTION", "RESOURCE", "RESULT", "BY"], &rows)?;
        limits.iter().for_each(|limit| app.output.say(limit));
    }
    let (refused, findings) = (trail.refused.iter().map(|it| told(it)), trail.findings.iter().map(|it| told(it)));
    refused.chain(findings).for_each(|text| app.output.warn(&format!("left out: {text}")));
    Ok(())
}

/// What the stream can't say.
fn limits(trail: &Trail) -> Vec<String> {
    let names = |members: &[MemberName]| members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut limits =
        vec!["the absence of a line is no proof that nobody read: reads are told by the program that reads".to_owned()];
    if !trail.heard.is_empty() {
        limits.push(format!(
            "reads are known of {}, as far as they were logged, published and fetched",
            names(&trail.heard)
        ));
    }
    if !trail.silent.is_empty() {
        limits.push(format!("nothing is known here of reads by {}: audit:push and audit:fetch", names(&trail.silent)));
    }
    if !trail.complete {
        limits.push("this clone is shallow: earlier changes are not known here (git fetch --unshallow)".to_owned());
    }
    limits
}

/// Entries that say the same but for their time, one after the other, are one line with their number; the newest stands for all.
fn counted<'a>(entries: impl Iterator<Item = &'a TrailEntry>) -> Vec<(&'a TrailEntry, usize)> {
    let mut counted: Vec<(&TrailEntry, usize)> = Vec::new();
    for entry in entries {
        match counted.last_mut() {
            Some((newest, count)) if is_repetition(newest, entry) => *count += 1,
            _ => counted.push((entry, 1)),
        }
    }
    counted
}

fn is_repetition(a: &TrailEntry, b: &TrailEntry) -> bool {
    let (
        Origin::Log { device: in_a, command: by_a, ci: ci_a, .. },
        Origin::Log { device: in_b, command: by_b, ci: ci_b, .. },
    ) = (&a.origin, &b.origin)
    else {
        return false;
    };
    let same_deed = (&a.actor, a.action, &a.resource, a.result, &a.reason)
        == (&b.actor, b.action, &b.resource, b.result, &b.reason);
    same_deed && (in_a, by_a, ci_a) == (in_b, by_b, ci_b)
}

fn row(entry: &TrailEntry, count: usize) -> Vec<String> {
    let resource = match (entry.resource.kind, &entry.resource.path, entry.resource.version) {
        (ResourceType::Secret, Some(path), Some(version)) => format!("{path} v{version}"),
        (ResourceType::Secret, Some(path), None) => path.to_string(),
        (ResourceType::Policy, _, Some(epoch)) => format!("policy, epoch {epoch}"),
        (kind, Some(path), _) => format!("{kind} for {path}"),
        (kind, None, _) => kind.to_string(),
    };
    let times = if count > 1 { format!(" ×{count}") } else { String::new() };
    let result = match (&entry.reason, entry.result) {
        (Some(reason), result) => format!("{result}: {reason}"),
        (None, result) => result.to_string(),
    };
    let by = match &entry.origin {
        Origin::History { commit: Some(commit), .. } => format!("commit {commit:.10}"),
        Origin::History { commit: None, .. } => "signed".to_owned(),
        Origin::Log { device, command, ci, .. } => {
            let place = ci.as_ref().map_or_else(
                || format!("clone {:.8}", device.as_str()),
                |ci| {
                    format!("{} {}", ci.provider, ci.run.as_ref().map_or("", |run| run.as_str())).trim_end().to_owned()
                },
            );
            format!("{command}, {place}")
        }
    };
    let cells =
        [entry.time.to_string(), entry.actor.to_string(), format!("{}{times}", entry.action), resource, result, by];
    cells.iter().map(|cell| escape(cell).into_owned()).collect()
}

fn entry_json(entry: &TrailEntry) -> Value {
    let resource = &entry.resource;
    let mut all = json!({
        "time": entry.time.to_string(),
        "actor": entry.actor.to_string(),
        "action": entry.action.to_string(),
        "resource": {
            "type": resource.kind.to_string(),
            "path": resource.path.as_ref().map(ToString::to_string),
            "version": resource.version.map(|version| version.get()),
            "revision": resource.revision.map(|revision| revision.get()),
        },
        "result": entry.result.to_string(),
        "reason": entry.reason.as_ref().map(|reason| reason.as_str()),
    });
    let more = match &entry.origin {
        Origin::History { change, commit } => json!({
            "source": "history", "change": change.map(|change| change.to_string()), "commit": commit,
        }),
        Origin::Log { id, device, sequence, command, client, ci, grant } => json!({
            "source": "log",
            "id": id.as_str(),
            "device": device.as_str(),
            "sequence": sequence,
            "command": command.as_str(),
            "client": client.as_str(),
            "ci": ci.as_ref().map(|ci| json!({
                "provider": ci.provider.as_str(), "run": ci.run.as_ref().map(|run| run.as_str()),
            })),
            "grant": grant.as_ref().map(|grant| grant.as_str()),
        }),
    };
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

pub fn push(app: &App, args: &AuditRemoteArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let done = vault.audit_push(args.remote.as_deref())?;
    let remote = escape(&done.remote);
    app.output.say(&match done.new {
        0 => format!("nothing new to publish: {remote} has {} reads of this clone", done.events),
        new => format!("published {new} reads to {remote} ({} of this clone in all)", done.events),
    });
    if !app.output.json {
        return Ok(());
    }
    let all = json!({
        "format": 1, "remote": done.remote, "reference": done.reference, "events": done.events, "new": done.new,
    });
    Ok(app.output.value(&all)?)
}

pub fn fetch(app: &App, args: &AuditRemoteArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    show(app, &vault.audit_fetch(args.remote.as_deref())?)
}

pub fn verify(app: &App) -> anyhow::Result<()> {
    let vault = app.open()?;
    show(app, &vault.audit_verify()?)
}

/// Shows what was found; anything wrong is a finding of a check.
fn show(app: &App, checked: &Checked) -> anyhow::Result<()> {
    let findings: Vec<String> = checked.findings.iter().map(|finding| told(finding)).collect();
    if app.output.json {
        let logs: Vec<Value> = checked.logs.iter().map(log_json).collect();
        app.output.value(&json!({ "format": 1, "logs": logs, "findings": findings }))?;
    } else {
        let rows: Vec<Vec<String>> = checked.logs.iter().map(log_row).collect();
        app.output.table(&["MEMBER", "CLONE", "READS", "FROM"], &rows)?;
        app.output.say(&format!("{} logs in order, {} not", rows.len(), findings.len()));
    }
    findings.iter().for_each(|finding| app.output.warn(finding));
    if findings.is_empty() { Ok(()) } else { Err(CommandError::Found.into()) }
}

fn place_of(log: &KnownLog) -> String {
    match &log.place {
        LogPlace::Local => "here".to_owned(),
        LogPlace::Remote(remote) => escape(remote).into_owned(),
    }
}

fn log_row(log: &KnownLog) -> Vec<String> {
    vec![log.member.to_string(), format!("{:.8}", log.device.as_str()), log.log.len().to_string(), place_of(log)]
}

fn log_json(log: &KnownLog) -> Value {
    let refused = log.log.events().iter().filter(|event| event.deed.result == Outcome::Refused).count();
    json!({
        "member": log.member.to_string(),
        "key": log.key.to_string(),
        "device": log.device.as_str(),
        "events": log.log.len(),
        "refused": refused,
        "last": log.log.last().map(|digest| digest.to_string()),
        "place": match &log.place { LogPlace::Local => "local", LogPlace::Remote(_) => "remote" },
        "remote": match &log.place { LogPlace::Local => None, LogPlace::Remote(remote) => Some(remote) },
    })
}
