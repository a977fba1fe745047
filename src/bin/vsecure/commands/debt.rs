//! `access:debt` and `access:acknowledge`: values that somebody knows who may not read them.

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::vault::{Debt, Debtor};

use super::settle::holder_json;
use crate::app::App;
use crate::args::{AcknowledgeArgs, DebtArgs};
use crate::report::{CommandError, told};

pub fn list(app: &App, args: &DebtArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    // Whoever left is no member any more, and may still be named by the address of the time.
    let asked = args.member.as_ref().map(|who| {
        let member = vault.policy().member_named(who).map(|(name, _)| name.to_string());
        member.unwrap_or_else(|| who.clone())
    });
    let (mut debts, refused) = vault.debts()?;
    app.tell_notices(&vault);
    if let Some(who) = &asked {
        debts.iter_mut().for_each(|debt| debt.debtors.retain(|debtor| debtor.holder.member.as_str() == who));
        debts.retain(|debt| !debt.debtors.is_empty());
    }
    if app.output.json {
        let all: Vec<Value> = debts.iter().map(debt_json).collect();
        let refused: Vec<String> = refused.iter().map(|error| told(error)).collect();
        app.output.value(&json!({ "format": 1, "debts": all, "refused": refused }))?;
    } else {
        debts.iter().try_for_each(|debt| app.output.line(&escape(&debt_line(debt))))?;
    }
    for error in &refused {
        app.output.warn(&told(error));
    }
    if debts.is_empty() {
        app.output.say("no debt");
    }
    if !refused.is_empty() {
        return Err(CommandError::Refused { count: refused.len() }.into());
    }
    let due = debts.iter().any(|debt| !debt.acknowledged);
    if due && args.fail_on.is_some() { Err(CommandError::Found.into()) } else { Ok(()) }
}

/// A debt in one line.
fn debt_line(debt: &Debt) -> String {
    let sidecar = &debt.sidecar;
    let who: Vec<String> = debt.debtors.iter().map(debtor_text).collect();
    let mut text = format!("{} v{} is known to {}", sidecar.path, sidecar.version, who.join("; "));
    if let Some(note) = sidecar.acknowledged.as_ref() {
        let what = if debt.acknowledged { "acknowledged until" } else { "was acknowledged until" };
        text.push_str(&format!(" ({what} {} by {}: {})", note.until, note.author, note.reason));
    }
    text
}

fn debtor_text(debtor: &Debtor) -> String {
    let mut text = format!("{} by key {}", debtor.holder.member, debtor.holder.key);
    if let Some(since) = debtor.since {
        text.push_str(&format!(", without right since {since}"));
    }
    if debtor.still_recipient {
        text.push_str(", encrypted to it still");
    }
    text
}

/// A debt for programs.
pub fn debt_json(debt: &Debt) -> Value {
    let debtors = debt.debtors.iter().map(|debtor| {
        let mut all = holder_json(&debtor.holder);
        if let Value::Object(map) = &mut all {
            map.insert("since".to_owned(), debtor.since.map(|since| since.to_string()).into());
            map.insert("still_recipient".to_owned(), debtor.still_recipient.into());
        }
        all
    });
    json!({
        "path": debt.sidecar.path.to_string(),
        "version": debt.sidecar.version.get(),
        "debtors": debtors.collect::<Vec<_>>(),
        "acknowledged": debt.acknowledged,
        "acknowledgement": debt.sidecar.acknowledged.as_ref().map(|note| json!({
            "author": note.author.to_string(), "time": note.time.to_string(), "reason": note.reason.to_string(),
            "until": note.until.to_string(),
        })),
    })
}

pub fn acknowledge(app: &App, args: &AcknowledgeArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    if args.until <= app.context.now {
        return Err(CommandError::usage("--until has passed already", "name a day to come").into());
    }
    let outcome = vault.acknowledge(&path, &args.reason, args.until, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    Ok(app.output.outcome(&outcome, args.write.dry_run)?)
}
