//! `verify`: everything that can be checked, and what could not be.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::vault::{Finding, Level, Vault, Verification, Verify};

use crate::app::App;
use crate::args::VerifyArgs;
use crate::report::CommandError;

const SARIF: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub fn run(app: &App, args: &VerifyArgs) -> anyhow::Result<()> {
    let found = match &args.base {
        Some(base) => {
            let head = args.what.as_deref().unwrap_or("HEAD");
            if head.contains("..") {
                let help =
                    "vsecure verify A..B   checks each step of a range; --base REV HEAD what a branch would bring";
                return Err(CommandError::usage("--base goes with one commit, not with a range", help).into());
            }
            Vault::verify_base(&app.vault_options()?, base, head)?
        }
        None => {
            let vault = if args.decrypt { app.unlock()? } else { app.open()? };
            let found = vault.verify(&Verify { what: args.what.clone(), decrypt: args.decrypt })?;
            app.tell_notices(&vault);
            found
        }
    };
    if args.sarif {
        app.output.value(&sarif(&found))?;
    } else if app.output.json {
        app.output.value(&verification_json(&found))?;
    } else {
        tell(app, &found)?;
    }
    if found.findings.is_empty() { Ok(()) } else { Err(CommandError::Found.into()) }
}

pub const fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// A finding in a line for people.
pub fn line(finding: &Finding) -> String {
    let Finding { rule, level, file, message } = finding;
    escape(&format!("{} [{rule}] {file}: {message}", word(*level))).into_owned()
}

/// A finding for programs.
pub fn finding_json(finding: &Finding) -> Value {
    json!({ "rule": finding.rule, "level": word(finding.level), "file": finding.file, "message": finding.message })
}

fn tell(app: &App, found: &Verification) -> anyhow::Result<()> {
    for finding in &found.findings {
        app.output.line(&line(finding))?;
    }
    let Verification { epochs, secrets, grants, opened, unchecked, findings } = found;
    for what in unchecked {
        app.output.say(&format!("not checked: {what}"));
    }
    let opened = if *opened > 0 { format!(", {opened} values opened") } else { String::new() };
    app.output.say(&format!(
        "{epochs} policy epochs, {secrets} secrets, {grants} grants verified{opened}: {} findings",
        findings.len()
    ));
    Ok(())
}

pub fn verification_json(found: &Verification) -> Value {
    json!({
        "format": 1,
        "findings": found.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "not_checked": found.unchecked,
        "epochs": found.epochs,
        "secrets": found.secrets,
        "grants": found.grants,
        "opened": found.opened,
    })
}

/// The Static Analysis Results Interchange Format, as code hosts read it.
fn sarif(found: &Verification) -> Value {
    let rules: BTreeSet<&str> = found.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let results = found.findings.iter().map(|finding| {
        json!({
            "ruleId": finding.rule,
            "level": word(finding.level),
            "message": { "text": finding.message },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": format!(".vsecure/{}", finding.file) } } }],
        })
    });
    json!({
        "$schema": SARIF,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "vsecure",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
            } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}
