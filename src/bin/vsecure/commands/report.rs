//! `report`: the store's state in one piece, for people who answer for it.

use std::path::Path;

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::vault::{
    BegunRotation, Deadline, DeadlineKind, Nearness, Report, RuleReach, SecretState, Selection, Tally,
};

use super::debt::debt_json;
use super::export::{demand_new, write_file};
use super::policy::rule_json;
use super::settle::{pending_json, texts, word};
use super::share::entry_json;
use super::verify::verification_json;
use crate::app::App;
use crate::args::ReportArgs;
use crate::output::day;
use crate::page;
use crate::report::CommandError;

pub fn run(app: &App, args: ReportArgs) -> anyhow::Result<()> {
    let to_stdout = args.html.as_deref() == Some(Path::new("-"));
    if to_stdout && app.output.json {
        let help = "--html FILE writes the page beside it";
        return Err(CommandError::usage("standard output can't take a page and JSON", help).into());
    }
    let file = args.html.as_deref().filter(|_| !to_stdout);
    demand_new(file, args.force)?;
    let scope = scope(&args);
    let vault = app.open()?;
    let report = vault.report(&selection(args.clone()))?;
    app.tell_notices(&vault);
    if args.html.is_some() {
        let page = page::render(&report, &scope);
        match file {
            Some(path) => write_file(path, page.as_bytes(), args.force)?,
            None => app.output.bytes(page.as_bytes())?,
        }
    }
    if app.output.json {
        app.output.value(&report_json(&report, &scope))?;
    } else if args.html.is_none() {
        tell(app, &report, &scope)?;
    }
    Ok(())
}

fn selection(args: ReportArgs) -> Selection {
    Selection {
        environment: args.env,
        tags: args.names.tags,
        only: args.names.only,
        except: args.names.except,
        under: args.names.under,
        ..Selection::default()
    }
}

/// Which secrets it is about, in the words of the command line: a report that leaves something out says so.
fn scope(args: &ReportArgs) -> Vec<String> {
    let names = &args.names;
    let list = |option: &str, all: &[String]| (!all.is_empty()).then(|| format!("{option} {}", all.join(",")));
    let each = [
        list("--env", &args.env.iter().map(ToString::to_string).collect::<Vec<_>>()),
        list("--tags", &texts(&names.tags)),
        list("--only", &texts(&names.only)),
        list("--except", &texts(&names.except)),
        list("--under", &names.under.iter().map(ToString::to_string).collect::<Vec<_>>()),
    ];
    each.into_iter().flatten().collect()
}

fn tell(app: &App, report: &Report, scope: &[String]) -> anyhow::Result<()> {
    let Tally { secrets, members, open_debts, acknowledged_debts, .. } = report.tally();
    let it = report.tally();
    let commit = report.commit.as_deref().map_or_else(|| "none".to_owned(), |commit| format!("{commit:.10}"));
    let about = if scope.is_empty() { String::new() } else { format!(" ({})", scope.join(" ")) };
    let lines = [
        ("store", format!("{}, policy epoch {}, commit {commit}", report.store, report.epoch)),
        ("secrets", format!("{secrets}{about}, {} without expiry", it.no_expiry)),
        ("members", format!("{members}, {} grants in force, {} overdue", it.grants, it.overdue_grants)),
        ("debt", format!("{open_debts} open, {acknowledged_debts} acknowledged")),
        ("expiry", format!("{} expired, {} within 30 days", it.expired, it.expiring)),
        ("rotation", format!("{} overdue, {} soon", it.rotation_overdue, it.rotation_soon)),
        ("findings", format!("{} errors, {} warnings", it.errors, it.warnings)),
        ("pending", page::pending_words(report)),
    ];
    for (label, text) in lines {
        app.output.line(&format!("{label:<12}{}", escape(&text)))?;
    }
    for deadline in report.deadlines.iter().filter(|it| it.nearness != Nearness::Later) {
        let Deadline { at, kind, path, .. } = deadline;
        app.output.line(&format!("{:<12}{path}: {}", day(*at), page::kind_words(*kind)))?;
    }
    app.output.say("vsecure report --html report.html   makes a page of all there is to it");
    Ok(())
}

/// The whole report for programs: also what a page leaves out where there is too much of it.
fn report_json(report: &Report, scope: &[String]) -> Value {
    json!({
        "format": 1,
        "at": report.at.to_string(),
        "program": concat!("vsecure ", env!("CARGO_PKG_VERSION")),
        "store_id": report.store.to_string(),
        "epoch": report.epoch.get(),
        "epoch_time": report.epoch_time.to_string(),
        "commit": report.commit,
        "branch": report.branch,
        "scope": scope,
        "tally": tally_json(&report.tally()),
        "environments": report.environments.iter()
            .map(|(name, count)| (name.to_string(), Value::from(*count))).collect::<serde_json::Map<_, _>>(),
        "members": report.members.iter().map(|(name, member)| json!({
            "member": name.to_string(), "email": member.email.to_string(), "roles": texts(&member.roles),
            "keys": member.keys.len(),
        })).collect::<Vec<_>>(),
        "rules": report.rules.iter().map(reach_json).collect::<Vec<_>>(),
        "secrets": report.secrets.iter().map(secret_json).collect::<Vec<_>>(),
        "deadlines": report.deadlines.iter().map(deadline_json).collect::<Vec<_>>(),
        "grants": report.grants.iter().map(entry_json).collect::<Vec<_>>(),
        "debts": report.debts.iter().map(debt_json).collect::<Vec<_>>(),
        "pending": pending_json(&report.pending),
        "begun": report.begun.iter().map(begun_json).collect::<Vec<_>>(),
        "uncommitted": texts(&report.uncommitted),
        "verification": verification_json(&report.verification),
    })
}

fn tally_json(tally: &Tally) -> Value {
    json!({
        "secrets": tally.secrets,
        "members": tally.members,
        "open_debts": tally.open_debts,
        "acknowledged_debts": tally.acknowledged_debts,
        "expired": tally.expired,
        "expiring": tally.expiring,
        "no_expiry": tally.no_expiry,
        "rotation_overdue": tally.rotation_overdue,
        "rotation_soon": tally.rotation_soon,
        "grants": tally.grants,
        "overdue_grants": tally.overdue_grants,
        "pending": tally.pending,
        "begun": tally.begun,
        "errors": tally.errors,
        "warnings": tally.warnings,
    })
}

fn reach_json(reach: &RuleReach) -> Value {
    let people = reach.people.iter().map(|(name, actions)| {
        json!({ "member": name.to_string(), "may": actions.iter().map(|action| word(*action)).collect::<Vec<_>>() })
    });
    json!({
        "pattern": reach.rule.as_ref().map(|(pattern, _)| pattern.to_string()),
        "rule": reach.rule.as_ref().map(|(_, rule)| rule_json(rule)),
        "secrets": reach.secrets(),
        "places": reach.places,
        "people": people.collect::<Vec<_>>(),
    })
}

fn secret_json(secret: &SecretState) -> Value {
    json!({
        "path": secret.path.to_string(),
        "version": secret.version.get(),
        "updated_at": secret.updated_at.to_string(),
        "expires_at": secret.expires_at.map(|at| at.to_string()),
        "rotation_due": secret.rotation_due.map(|at| at.to_string()),
        "owner": secret.owner.as_ref().map(ToString::to_string),
    })
}

fn begun_json(begun: &BegunRotation) -> Value {
    json!({
        "path": begun.path.to_string(),
        "version": begun.version.get(),
        "author": begun.author.to_string(),
        "since": begun.since.to_string(),
        "who": texts(&begun.who),
    })
}

fn deadline_json(deadline: &Deadline) -> Value {
    let kind = match deadline.kind {
        DeadlineKind::Expiry => "expiry",
        DeadlineKind::Rotation => "rotation",
        DeadlineKind::Grant => "grant",
        DeadlineKind::Acknowledgement => "acknowledgement",
    };
    let nearness = match deadline.nearness {
        Nearness::Past => "past",
        Nearness::Soon => "soon",
        Nearness::Later => "later",
    };
    json!({
        "at": deadline.at.to_string(),
        "kind": kind,
        "path": deadline.path.to_string(),
        "who": deadline.who,
        "nearness": nearness,
    })
}
