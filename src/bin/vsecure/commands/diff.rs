//! `secrets:diff`.

use serde_json::{Value, json};
use vsecure::format::{ValueDiff, compare, escape};
use vsecure::model::{SecretPath, Sidecar};
use vsecure::vault::{Reading, Vault, VersionSpec};

use crate::app::App;
use crate::args::{DiffArgs, FailOn};
use crate::report::CommandError;

pub fn run(app: &App, args: &DiffArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    let (old, new) = both(&vault, &path, args)?;
    app.tell_notices(&vault);
    let values = compare(&old.value, &new.value);
    let described = description(&old.sidecar, &new.sidecar);
    // Where a value would be shown rather than asked for, it is masked unless somebody looks or said so.
    let mask = args.mask || !(args.reveal || app.output.terminal);
    if app.output.json {
        app.output.value(&diff_json(&old.sidecar, &new.sidecar, &values, &described, mask))?;
    } else {
        let label = |sidecar: &Sidecar| format!("{path} v{}", sidecar.version);
        let text = values.render(mask, &label(&old.sidecar), &label(&new.sidecar));
        let lines = described.iter().map(|change| format!("{}\n", escape(change)));
        let text = if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" };
        app.output.bytes(lines.fold(text, |text, line| text + &line).as_bytes())?;
        if mask && values.is_change() {
            app.output.say("values are masked here: --reveal shows them");
        }
    }
    let changed = values.is_change() || !described.is_empty();
    if changed && args.fail_on == Some(FailOn::Change) { Err(CommandError::Found.into()) } else { Ok(()) }
}

/// The newer version is the current one unless said; the older one is the one before it.
fn both(vault: &Vault, path: &SecretPath, args: &DiffArgs) -> anyhow::Result<(Reading, Reading)> {
    let new = match &args.to {
        Some(version) => vault.get_version(path, version)?,
        None => vault.get(path)?,
    };
    let from = match &args.from {
        Some(version) => version.clone(),
        None => {
            let before = new.sidecar.version.previous();
            VersionSpec::from(
                before.ok_or_else(|| vsecure::vault::VaultError::NoEarlierVersion { path: path.clone() })?,
            )
        }
    };
    Ok((vault.get_version(path, &from)?, new))
}

/// What changed besides the value, a line each.
fn description(old: &Sidecar, new: &Sidecar) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(old.tags.difference(&new.tags).map(|tag| format!("- tag {tag}")));
    lines.extend(new.tags.difference(&old.tags).map(|tag| format!("+ tag {tag}")));
    for (key, value) in &old.metadata {
        match new.metadata.get(key) {
            None => lines.push(format!("- metadata {key}={value}")),
            Some(other) if other != value => lines.push(format!("~ metadata {key}={value} -> {other}")),
            Some(_) => {}
        }
    }
    let added = new.metadata.iter().filter(|(key, _)| !old.metadata.contains_key(*key));
    lines.extend(added.map(|(key, value)| format!("+ metadata {key}={value}")));
    if old.expires_at != new.expires_at {
        let show = |it: &Sidecar| it.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        lines.push(format!("~ expires {} -> {}", show(old), show(new)));
    }
    lines
}

fn diff_json(old: &Sidecar, new: &Sidecar, values: &ValueDiff, described: &[String], mask: bool) -> Value {
    let shown = |text: Option<&String>| text.filter(|_| !mask).map_or(Value::Null, |text| text.as_str().into());
    let detail = match values {
        ValueDiff::Fields(fields) => {
            let field = |it: &vsecure::format::FieldChange| {
                let kind = match (&it.old, &it.new) {
                    (None, _) => "added",
                    (_, None) => "removed",
                    _ => "changed",
                };
                json!({ "field": it.field, "change": kind, "old": shown(it.old.as_ref()), "new": shown(it.new.as_ref()) })
            };
            fields.iter().map(field).collect()
        }
        ValueDiff::Text { old, new } => json!({ "old": shown(Some(old)), "new": shown(Some(new)) }),
        ValueDiff::Binary { old, new } if !mask => json!({ "old_bytes": old, "new_bytes": new }),
        ValueDiff::Binary { .. } | ValueDiff::Equal => Value::Null,
    };
    json!({
        "format": 1,
        "path": new.path.to_string(),
        "from": old.version.get(),
        "to": new.version.get(),
        "value_changed": values.is_change(),
        "masked": mask,
        "value": detail,
        "description": described,
    })
}
