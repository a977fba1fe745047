//! `access:list`, `access:why`, `access:who`, `access:check` and `rekey`: who may do what, and whether the keys agree.

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::model::{MemberName, Timestamp};
use vsecure::policy::Action;
use vsecure::vault::{Moment, PathAccess, PersonAccess, Reasons};

use super::policy::rule_json;
use super::settle::{self, joined, named, pending_json, texts, word};
use super::{debt, share, verify};
use crate::app::App;
use crate::args::{AccessCommand, AccessListArgs, RekeyArgs, WhoArgs, WhyArgs};
use crate::report::{CommandError, told};

pub fn run(app: &App, command: AccessCommand) -> anyhow::Result<()> {
    match command {
        AccessCommand::List(args) => list(app, &args),
        AccessCommand::Why(args) => why(app, &args),
        AccessCommand::Who(args) => who(app, &args),
        AccessCommand::Debt(args) => debt::list(app, &args),
        AccessCommand::Acknowledge(args) => debt::acknowledge(app, &args),
        AccessCommand::Grant(args) => share::grant(app, args),
        AccessCommand::Grants => share::list(app),
        AccessCommand::Expire(args) => share::expire(app, &args.write),
        AccessCommand::Check => check(app),
        AccessCommand::Rekey(args) => rekey(app, &args),
    }
}

/// `rwdg`: what the rule allows; `t` for a grant, `!` for a key without a right to it, `~` for a value that was known once.
fn letters(person: &PersonAccess) -> String {
    let letter = |action: &Action| match action {
        Action::Read => 'r',
        Action::Write => 'w',
        Action::Delete => 'd',
        Action::Grant => 'g',
    };
    let mut text: String = person.allowed.iter().map(letter).collect();
    text.extend(person.granted_until.map(|_| 't'));
    text.extend((person.holds_key && !person.may_read()).then_some('!'));
    text.extend(person.exposed.then_some('~'));
    text
}

fn person_json(person: &PersonAccess) -> Value {
    let allowed = |action| person.allowed.contains(&action);
    json!({
        "member": person.member.to_string(),
        "read": person.may_read(),
        "write": allowed(Action::Write),
        "delete": allowed(Action::Delete),
        "grant": allowed(Action::Grant),
        "granted_until": person.granted_until.map(|at| at.to_string()),
        "holds_key": person.holds_key,
        "exposed": person.exposed,
    })
}

fn path_json(access: &PathAccess) -> Value {
    json!({
        "path": access.path.to_string(),
        "epoch": access.epoch.get(),
        "rule": access.pattern.as_ref().map(ToString::to_string),
        "version": access.state.map(|(version, _)| version.get()),
        "revision": access.state.map(|(_, revision)| revision.get()),
        "people": access.people.iter().map(person_json).collect::<Vec<_>>(),
    })
}

fn list(app: &App, args: &AccessListArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let (access, refused) = vault.access(args.pattern.as_ref())?;
    app.tell_notices(&vault);
    if app.output.json {
        let all: Vec<Value> = access.iter().map(path_json).collect();
        let refused: Vec<String> = refused.iter().map(|error| told(error)).collect();
        app.output.value(&json!({ "format": 1, "secrets": all, "refused": refused }))?;
    } else if app.output.terminal {
        matrix(app, &access)?;
    } else {
        for (access, person) in access.iter().flat_map(|it| it.people.iter().map(move |person| (it, person))) {
            app.output.line(&format!("{}\t{}\t{}", access.path, person.member, letters(person)))?;
        }
    }
    for error in &refused {
        app.output.warn(&told(error));
    }
    if refused.is_empty() { Ok(()) } else { Err(CommandError::Refused { count: refused.len() }.into()) }
}

fn matrix(app: &App, access: &[PathAccess]) -> anyhow::Result<()> {
    let mut people: Vec<&MemberName> = access.iter().flat_map(|it| &it.people).map(|it| &it.member).collect();
    people.sort_unstable();
    people.dedup();
    let row = |access: &PathAccess| {
        let cell = |who: &&MemberName| {
            access.people.iter().find(|it| it.member == **who).map_or_else(|| "-".to_owned(), letters)
        };
        std::iter::once(access.path.to_string()).chain(people.iter().map(cell)).collect()
    };
    let rows: Vec<Vec<String>> = access.iter().map(row).collect();
    let headings: Vec<&str> = std::iter::once("SECRET").chain(people.iter().map(|who| who.as_str())).collect();
    app.output.table(&headings, &rows)?;
    app.output.say(
        "r read  w write  d delete  g grant  t reads by a grant  ! holds a key without a right  ~ knows the value still",
    );
    Ok(())
}

fn who(app: &App, args: &WhoArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let path = vault.path_said(&args.name)?;
    let moment = match &args.at {
        None => Moment::Now,
        Some(text) => text.parse::<Timestamp>().map_or_else(|_| Moment::Rev(text.clone()), Moment::Time),
    };
    let access = vault.who(&path, &moment)?;
    app.tell_notices(&vault);
    if app.output.json {
        let mut all = path_json(&access);
        if let Value::Object(map) = &mut all {
            map.insert("format".to_owned(), 1.into());
        }
        return Ok(app.output.value(&all)?);
    }
    let rule = access.pattern.as_ref().map_or_else(|| "no rule".to_owned(), |pattern| format!("the rule {pattern}"));
    let state = access.state.map_or_else(
        || "there is no such secret".to_owned(),
        |(version, revision)| format!("v{version}, revision {revision}"),
    );
    app.output.say(&format!("{path}: {state}; policy epoch {}, {rule} decides", access.epoch));
    let rows: Vec<Vec<String>> = access.people.iter().map(who_row).collect();
    Ok(app.output.table(&["WHO", "MAY", "READS", "KEY"], &rows)?)
}

fn who_row(person: &PersonAccess) -> Vec<String> {
    let may: Vec<&str> = person.allowed.iter().map(|action| word(*action)).collect();
    let reads = match person.granted_until {
        _ if person.allowed.contains(&Action::Read) => "by rule".to_owned(),
        Some(until) => format!("granted until {until}"),
        None => "no".to_owned(),
    };
    let key = match (person.holds_key, person.exposed, person.may_read()) {
        (true, _, true) => "holds one",
        (true, _, false) => "HOLDS ONE WITHOUT A RIGHT",
        (false, true, _) => "held one for this value",
        (false, false, true) => "NOT YET ENCRYPTED TO THEM",
        (false, false, false) => "none",
    };
    let may = if may.is_empty() { "nothing".to_owned() } else { may.join(",") };
    vec![person.member.to_string(), may, reads, key.to_owned()]
}

fn why(app: &App, args: &WhyArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let path = vault.path_said(&args.name)?;
    let reasons = vault.why(&args.member, &path)?;
    app.tell_notices(&vault);
    if app.output.json {
        return Ok(app.output.value(&why_json(&reasons))?);
    }
    let Reasons { member, path, rule, .. } = &reasons;
    let line = |text: String| app.output.line(&escape(&text));
    match rule {
        Some((pattern, _)) => line(format!("the rule {pattern} decides about {path}, alone"))?,
        None => line(format!("no rule matches {path}: nobody may do anything with it"))?,
    }
    for (action, name) in &reasons.actions {
        line(match name {
            Some(name) if name.as_str() == member.as_str() => {
                format!("{member} may {}: the rule names {member}", word(*action))
            }
            Some(name) => format!("{member} may {}: the rule names {name}", word(*action)),
            None => format!("{member} may not {} by a rule", word(*action)),
        })?;
    }
    for grant in &reasons.grants {
        let reason = grant.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        line(format!("{member} may read until {}, granted by {}{reason}", grant.expires_at, grant.author))?;
    }
    line(format!("the value {} encrypted to {member}", if reasons.holds_key { "is" } else { "is not" }))?;
    line(format!("who can change the rules: {}", joined(&reasons.admins, ", ")))?;
    Ok(())
}

fn why_json(reasons: &Reasons) -> Value {
    let actions = reasons.actions.iter().map(|(action, name)| {
        json!({ "action": word(*action), "allowed": name.is_some(), "by": name.as_ref().map(ToString::to_string) })
    });
    json!({
        "format": 1,
        "member": reasons.member.to_string(),
        "path": reasons.path.to_string(),
        "pattern": reasons.rule.as_ref().map(|(pattern, _)| pattern.to_string()),
        "rule": reasons.rule.as_ref().map(|(_, rule)| rule_json(rule)),
        "actions": actions.collect::<Vec<_>>(),
        "grants": reasons.grants.iter().map(share::grant_json).collect::<Vec<_>>(),
        "holds_key": reasons.holds_key,
        "admins": texts(&reasons.admins),
    })
}

fn rekey(app: &App, args: &RekeyArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let done = vault.rekey(args.pattern.as_ref(), &app.writing(&args.write))?;
    app.tell_notices(&vault);
    settle::pending(app, &done.pending);
    app.output.say(&match &done.commit {
        _ if done.reencrypted.is_empty() => "nothing is left that you could encrypt anew".to_owned(),
        _ if args.write.dry_run => format!("dry run: {} would be encrypted anew", named(&done.reencrypted)),
        Some(commit) => format!("encrypted anew: {} (commit {commit:.10})", named(&done.reencrypted)),
        None => format!("encrypted anew: {} (staged, not committed)", named(&done.reencrypted)),
    });
    if app.output.json {
        app.output.value(&json!({
            "format": 1,
            "reencrypted": texts(&done.reencrypted),
            "pending": pending_json(&done.pending),
            "commit": done.commit,
            "dry_run": args.write.dry_run,
        }))?;
    }
    Ok(())
}

fn check(app: &App) -> anyhow::Result<()> {
    let vault = app.open()?;
    let found = vault.check_access()?;
    app.tell_notices(&vault);
    if app.output.json {
        let all: Vec<Value> = found.iter().map(verify::finding_json).collect();
        app.output.value(&json!({ "format": 1, "findings": all }))?;
    } else {
        found.iter().try_for_each(|finding| app.output.line(&verify::line(finding)))?;
    }
    if found.is_empty() {
        app.output.say("rights and keys agree");
        return Ok(());
    }
    Err(CommandError::Found.into())
}
