//! `secrets:versions`.

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::model::SecretPath;
use vsecure::vault::{Vault, VaultError, VersionEntry};

use crate::app::App;
use crate::args::VersionsArgs;

pub fn run(app: &App, args: &VersionsArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let variable = app.environment_variable()?;
    let asked = App::asked(&args.name, variable.as_ref());
    // The history of a deleted secret is still there.
    let path = match vault.find(asked) {
        Err(VaultError::Deleted { .. }) => vault.find_deleted(asked)?,
        found => found?,
    };
    let limit = args.limit.unwrap_or(usize::MAX);
    if args.all {
        revisions(app, &vault, &path, limit)?
    } else {
        versions(app, &vault, &path, limit)?
    }
    app.tell_notices(&vault);
    Ok(())
}

fn short(commit: Option<&String>) -> String {
    commit.map_or_else(|| "uncommitted".to_owned(), |commit| format!("{commit:.10}"))
}

fn versions(app: &App, vault: &Vault, path: &SecretPath, limit: usize) -> anyhow::Result<()> {
    let history = vault.versions(path)?;
    let shown: Vec<&VersionEntry> = history.versions.iter().take(limit).collect();
    if app.output.json {
        let versions: Vec<Value> = shown.iter().map(|entry| version_json(entry)).collect();
        let missing: Vec<u64> = history.missing.iter().map(|version| version.get()).collect();
        let all = json!({
            "format": 1, "path": path.to_string(), "versions": versions, "missing": missing, "shallow": history.shallow,
        });
        return Ok(app.output.value(&all)?);
    }
    let rows: Vec<Vec<String>> = shown.iter().map(|entry| row(entry)).collect();
    app.output.table(&["VERSION", "SET", "BY", "COMMIT", "MESSAGE"], &rows)?;
    if !history.missing.is_empty() {
        let missing: Vec<String> = history.missing.iter().map(|version| format!("v{version}")).collect();
        let why = if history.shallow { "this clone is shallow" } else { "squashed or rewritten away" };
        app.output.say(&format!("not in this history: {} ({why})", missing.join(", ")));
    }
    Ok(())
}

fn row(entry: &VersionEntry) -> Vec<String> {
    let at = match &entry.commit {
        Some(commit) if entry.ambiguous => format!("@{commit:.12}"),
        _ => String::new(),
    };
    let current = if entry.current { " (current)" } else { "" };
    vec![
        format!("v{}{at}{current}", entry.version),
        entry.time.to_string(),
        entry.author.to_string(),
        if entry.committed && entry.commit.is_none() { "beyond".to_owned() } else { short(entry.commit.as_ref()) },
        entry.message.as_deref().map(|text| escape(text).into_owned()).unwrap_or_default(),
    ]
}

fn version_json(entry: &VersionEntry) -> Value {
    json!({
        "version": entry.version.get(),
        "updated_at": entry.time.to_string(),
        "value_author": entry.author.to_string(),
        "change": entry.change.to_string(),
        "commit": entry.commit,
        "committed": entry.committed,
        "message": entry.message,
        "current": entry.current,
        "ambiguous": entry.ambiguous,
    })
}

fn revisions(app: &App, vault: &Vault, path: &SecretPath, limit: usize) -> anyhow::Result<()> {
    let history = vault.revisions(path)?;
    let shown = history.revisions.iter().take(limit);
    if app.output.json {
        let revisions: Vec<Value> = shown
            .map(|(sidecar, commit, message)| {
                json!({
                    "revision": sidecar.revision.get(),
                    "version": sidecar.version.get(),
                    "change": sidecar.change.to_string(),
                    "author": sidecar.author.to_string(),
                    "time": sidecar.time.to_string(),
                    "commit": commit,
                    "message": message,
                })
            })
            .collect();
        let all = json!({ "format": 1, "path": path.to_string(), "revisions": revisions, "shallow": history.shallow });
        return Ok(app.output.value(&all)?);
    }
    let rows: Vec<Vec<String>> = shown
        .map(|(sidecar, commit, message)| {
            vec![
                sidecar.revision.to_string(),
                format!("v{}", sidecar.version),
                sidecar.change.to_string(),
                sidecar.time.to_string(),
                sidecar.author.to_string(),
                short(commit.as_ref()),
                message.as_deref().map(|text| escape(text).into_owned()).unwrap_or_default(),
            ]
        })
        .collect();
    Ok(app.output.table(&["REVISION", "VERSION", "CHANGE", "TIME", "BY", "COMMIT", "MESSAGE"], &rows)?)
}
