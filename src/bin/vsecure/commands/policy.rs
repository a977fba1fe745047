//! `policy:*`: rules, and the epochs they come in.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use vsecure::crypto::SecretBytes;
use vsecure::format::escape;
use vsecure::model::{MAX_POLICY_BYTES, OnExpired, Policy, Rule};
use vsecure::policy::{Difference, Edit, differences, parse_content, parse_rules, rules_beyond_recovery};
use vsecure::vault::{PolicyChange, Vault};

use super::members::member_json;
use super::settle::{joined, outcome_json, settle, texts};
use crate::app::App;
use crate::args::{ApplyArgs, PolicyCommand, PolicyDiffArgs, WriteArgs};
use crate::editor;
use crate::report::CommandError;

pub fn run(app: &App, command: PolicyCommand) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Apply(args) => apply(app, &args),
        PolicyCommand::Show => show(app),
        PolicyCommand::History => history(app),
        PolicyCommand::Diff(args) => diff(app, &args),
        PolicyCommand::Edit(args) => edit(app, &args.write),
        PolicyCommand::Rebase(args) => {
            let mut vault = app.unlock()?;
            let rev = args.rev.as_deref();
            let outcome =
                settle(app, &mut vault, &args.write, &mut |vault, writing| vault.rebase_policy(rev, writing))?;
            if app.output.json {
                app.output.value(&outcome_json(&outcome, args.write.dry_run))?;
            }
            Ok(())
        }
    }
}

fn apply(app: &App, args: &ApplyArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let text = read(&args.file)?;
    let table = parse_rules(&text).map_err(|error| {
        CommandError::usage(
            format!("{} is no table of rules: {error}", args.file.display()),
            r#"it looks like {"secrets": {"production/*": {"read": ["engineers"], "write": ["devops"], "delete": ["admins"]}}}"#,
        )
    })?;
    change(app, &mut vault, Edit::Rules { table, replace: args.replace }, &args.write)
}

/// Reads a policy a person wrote; `-` is standard input.
fn read(path: &Path) -> anyhow::Result<String> {
    let limit = MAX_POLICY_BYTES as u64;
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.with_context(|| format!("the policy {} can't be read", path.display()))?;
    Ok(text)
}

fn change(app: &App, vault: &mut Vault, edit: Edit, write: &WriteArgs) -> anyhow::Result<()> {
    let change = PolicyChange::from(edit);
    let outcome = settle(app, vault, write, &mut |vault, writing| vault.change_policy(&change, writing))?;
    let beyond = rules_beyond_recovery(vault.policy());
    if !(beyond.is_empty() || write.dry_run) {
        let rules = joined(&beyond, ", ");
        app.output.warn(&format!("the recovery identity can't read and write by the rules for {rules}: name it there"));
    }
    if app.output.json {
        app.output.value(&outcome_json(&outcome, write.dry_run))?;
    }
    Ok(())
}

fn show(app: &App) -> anyhow::Result<()> {
    let vault = app.open()?;
    app.tell_notices(&vault);
    let policy = vault.policy();
    if app.output.json {
        return Ok(app.output.value(&policy_json(policy))?);
    }
    app.output.line(&format!("# epoch {} of {}, by {} at {}", policy.epoch, vault.id(), policy.author, policy.time))?;
    Ok(app.output.bytes(policy.content().as_bytes())?)
}

fn policy_json(policy: &Policy) -> Value {
    let rules = policy.secrets.iter().map(|(pattern, rule)| (pattern.to_string(), rule_json(rule)));
    let members: Vec<Value> = policy.members.iter().map(|(name, member)| member_json(name, member)).collect();
    json!({
        "format": 1,
        "epoch": policy.epoch.get(),
        "author": policy.author.to_string(),
        "time": policy.time.to_string(),
        "environments": texts(&policy.environments),
        "roles": texts(&policy.roles),
        "members": members,
        "secrets": rules.collect::<Map<String, Value>>(),
    })
}

/// A rule as `policy:apply` takes it.
pub fn rule_json(rule: &Rule) -> Value {
    let mut all = json!({ "read": texts(&rule.read), "write": texts(&rule.write), "delete": texts(&rule.delete) });
    if let Value::Object(map) = &mut all {
        if let Some(grant) = &rule.grant {
            map.insert("grant".to_owned(), json!(texts(grant)));
        }
        if let Some(longest) = rule.max_grant {
            map.insert("max_grant".to_owned(), longest.to_string().into());
        }
        if let Some(on_expired) = rule.on_expired {
            let word = if on_expired == OnExpired::Refuse { "refuse" } else { "warn" };
            map.insert("on_expired".to_owned(), word.into());
        }
    }
    all
}

fn difference_json(difference: &Difference) -> Value {
    json!({ "part": difference.part, "before": difference.before, "after": difference.after })
}

fn history(app: &App) -> anyhow::Result<()> {
    let vault = app.open()?;
    let epochs = vault.epochs()?;
    app.tell_notices(&vault);
    let mut before: Option<&Policy> = None;
    let mut entries = Vec::new();
    for policy in &epochs {
        entries.push((policy, before.map(|before| differences(before, policy)).unwrap_or_default()));
        before = Some(policy);
    }
    entries.reverse();
    if app.output.json {
        let entry = |(policy, changes): &(&Policy, Vec<Difference>)| {
            json!({
                "epoch": policy.epoch.get(),
                "author": policy.author.to_string(),
                "time": policy.time.to_string(),
                "changes": changes.iter().map(difference_json).collect::<Vec<_>>(),
            })
        };
        let all: Vec<Value> = entries.iter().map(entry).collect();
        return Ok(app.output.value(&json!({ "format": 1, "epochs": all }))?);
    }
    for (policy, changes) in entries {
        app.output.line(&format!("epoch {}  {}  {}", policy.epoch, policy.time, policy.author))?;
        changes.iter().try_for_each(|change| app.output.line(&format!("    {}", escape(&change.to_string()))))?;
    }
    Ok(())
}

fn diff(app: &App, args: &PolicyDiffArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let (from, to) = (vault.policy_named(&args.from)?, vault.policy_named(&args.to)?);
    app.tell_notices(&vault);
    let found = differences(&from, &to);
    if app.output.json {
        let changes: Vec<Value> = found.iter().map(difference_json).collect();
        let all = json!({ "format": 1, "from": from.epoch.get(), "to": to.epoch.get(), "changes": changes });
        return Ok(app.output.value(&all)?);
    }
    found.iter().try_for_each(|change| app.output.line(&escape(&change.to_string()))).map_err(Into::into)
}

fn edit(app: &App, write: &WriteArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let editor = app.context.editor.as_deref();
    if editor.is_none() {
        let help = "VISUAL or EDITOR names one: EDITOR=nano vsecure policy:edit";
        return Err(CommandError::usage("no editor is named", help).into());
    }
    let mut text = SecretBytes::new(vault.policy().content().into_bytes());
    loop {
        // There is nothing secret in a policy: it may lie on a disk meanwhile.
        let edited = editor::edit(&text, editor, &app.context.scratch, MAX_POLICY_BYTES as u64, &|_| ())?;
        let Some(edited) = edited else {
            app.output.say("nothing changes");
            return Ok(());
        };
        let written = std::str::from_utf8(edited.as_bytes()).context("the policy is not UTF-8 text")?;
        match parse_content(written, vault.policy()) {
            Ok(policy) => return change(app, &mut vault, Edit::Whole(Box::new(policy)), write),
            Err(error) => {
                let wrong = format!("what you wrote is no policy: {error}");
                if !app.terminal().present || !app.terminal().confirm(&format!("{wrong}\nEdit it again?"), "")? {
                    return Err(CommandError::usage(wrong, "vsecure policy:show   prints how it looks").into());
                }
            }
        }
        text = edited;
    }
}
