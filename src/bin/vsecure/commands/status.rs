//! `status`.

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::model::SecretPath;
use vsecure::vault::{Status, Trust, Vault};

use super::rotation;
use crate::app::App;
use crate::report::told;

pub fn run(app: &App) -> anyhow::Result<()> {
    let mut vault = Vault::inspect(app.vault_options()?)?;
    // Without an identity, or with a stranger's, the status is worth having all the same.
    let identity = app.identities().and_then(|identities| Ok(vault.unlock(identities).map(drop)?));
    app.tell_notices(&vault);
    let status = vault.status()?;
    if app.output.json {
        return Ok(app.output.value(&status_json(&status))?);
    }
    let line = |label: &str, text: String| app.output.line(&format!("{label:<13}{}", escape(&text)));
    line("store", status.root.display().to_string())?;
    line("store id", format!("{} ({})", status.id, trust_word(status.trust)))?;
    let who = match (&status.member, identity) {
        (Some(member), _) => member.to_string(),
        (None, Err(error)) => format!("nobody: {}", told(error.as_ref())),
        (None, Ok(())) => "nobody".to_owned(),
    };
    line("you are", who)?;
    line("members", format!("{} ({} admin, policy epoch {})", status.members, status.admins, status.epoch))?;
    let counted = status.environments.iter().map(|(environment, count)| format!("{environment} {count}"));
    line("secrets", counted.collect::<Vec<_>>().join(", "))?;
    for (label, paths) in
        [("expired", &status.expired), ("expiring", &status.expiring), ("uncommitted", &status.uncommitted)]
    {
        if !paths.is_empty() {
            line(label, texts(paths).join(", "))?;
        }
    }
    for state in ["overdue", "due-soon", "in-progress", "failed"] {
        let paths = rotating(&status, state);
        if !paths.is_empty() {
            line("rotation", format!("{state}: {}", paths.join(", ")))?;
        }
    }
    for refused in &status.refused {
        line("REFUSED", told(refused))?;
    }
    Ok(())
}

/// The secrets whose rotation is in a state.
fn rotating(status: &Status, state: &str) -> Vec<String> {
    let there = status.rotations.iter().filter(|entry| rotation::word(entry.state) == state);
    there.map(|entry| entry.sidecar.path.to_string()).collect()
}

fn texts(paths: &[SecretPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

pub const fn trust_word(trust: Trust) -> &'static str {
    match trust {
        Trust::Pinned => "trusted on this machine",
        Trust::Said => "trusted: its id was said",
        Trust::Unknown => "NOT trusted: vsecure trust",
    }
}

fn status_json(status: &Status) -> Value {
    let secrets: serde_json::Map<String, Value> =
        status.environments.iter().map(|(environment, count)| (environment.to_string(), (*count).into())).collect();
    json!({
        "format": 1,
        "store": status.root,
        "store_id": status.id.to_string(),
        "trusted": status.trust != Trust::Unknown,
        "member": status.member.as_ref().map(ToString::to_string),
        "epoch": status.epoch,
        "members": status.members,
        "admins": status.admins,
        "secrets": secrets,
        "expired": texts(&status.expired),
        "expiring": texts(&status.expiring),
        "uncommitted": texts(&status.uncommitted),
        "rotation": {
            "due_soon": rotating(status, "due-soon"),
            "overdue": rotating(status, "overdue"),
            "in_progress": rotating(status, "in-progress"),
            "failed": rotating(status, "failed"),
        },
        "refused": status.refused.iter().map(|error| told(error)).collect::<Vec<_>>(),
    })
}
