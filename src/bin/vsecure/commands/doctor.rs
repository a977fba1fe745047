//! `doctor`: the set-up of this machine and clone, each finding with its remedy.

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::vault::{Trust, Vault, VaultError};

use crate::app::App;
use crate::report::{CommandError, advised};

/// How one thing stands.
struct Checked {
    what: &'static str,
    /// What is right; or what is wrong, with its remedy.
    result: Result<String, (String, String)>,
}

pub fn run(app: &App) -> anyhow::Result<()> {
    let checked = examine(app);
    let wrong = checked.iter().any(|it| it.result.is_err());
    if app.output.json {
        let rows = checked.iter().map(row_json).collect::<Vec<_>>();
        app.output.value(&json!({ "format": 1, "checks": rows }))?;
    } else {
        for Checked { what, result } in &checked {
            let (mark, text) = match result {
                Ok(text) => ("ok", text.clone()),
                Err((text, remedy)) => ("!!", format!("{text}\n               {remedy}")),
            };
            app.output.line(&format!("{mark}  {what:<10} {}", escape_lines(&text)))?;
        }
    }
    if wrong { Err(CommandError::Found.into()) } else { Ok(()) }
}

fn escape_lines(text: &str) -> String {
    text.lines().map(|line| escape(line).into_owned()).collect::<Vec<_>>().join("\n")
}

fn row_json(checked: &Checked) -> Value {
    match &checked.result {
        Ok(text) => json!({ "check": checked.what, "ok": true, "message": text }),
        Err((text, remedy)) => json!({ "check": checked.what, "ok": false, "message": text, "remedy": remedy }),
    }
}

fn examine(app: &App) -> Vec<Checked> {
    let mut checked = Vec::new();
    let mut note = |what, result: anyhow::Result<String>| {
        let result = result.map_err(|error| advised(&error));
        checked.push(Checked { what, result });
    };
    note("identity", identity(app));
    note("state", state(app));
    let vault = match app.vault_options().and_then(|options| Ok(Vault::inspect(options)?)) {
        Ok(vault) => vault,
        Err(error) => {
            note("store", Err(error));
            return checked;
        }
    };
    note("store", Ok(format!("{}, policy epoch {}", vault.root().display(), vault.epoch())));
    note("trust", trust(&vault));
    note("member", member(app));
    note(
        "git",
        vault
            .git_fitness()
            .map(|()| "the repository can be written, and git knows your name".to_owned())
            .map_err(Into::into),
    );
    note("branch", branch(&vault));
    note("history", history(&vault));
    checked
}

fn identity(app: &App) -> anyhow::Result<String> {
    let identities = app.identities()?;
    let prints: Vec<String> = identities.iter().map(|it| it.verifying_key().fingerprint().to_string()).collect();
    Ok(prints.join(", "))
}

/// Where trust is remembered.
fn state(app: &App) -> anyhow::Result<String> {
    let folder = app.context.state_dir.as_ref().ok_or_else(|| {
        CommandError::usage("there is no place to remember which stores are trusted", "set HOME or XDG_STATE_HOME")
    })?;
    Ok(format!("trust is remembered in {}", folder.display()))
}

fn trust(vault: &Vault) -> anyhow::Result<String> {
    match vault.trust() {
        Trust::Unknown => Err(VaultError::Untrusted { id: vault.id() }.into()),
        Trust::Pinned => Ok("this store is trusted on this machine".to_owned()),
        Trust::Said => Ok("this store is trusted: its id was said".to_owned()),
    }
}

fn member(app: &App) -> anyhow::Result<String> {
    let vault = app.unlock()?;
    Ok(vault.member().map(|name| format!("you are {name}")).unwrap_or_default())
}

fn branch(vault: &Vault) -> anyhow::Result<String> {
    let branches = vault.trusted_branches()?;
    let names: Vec<&str> = branches.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        let help = "git remote add origin …, then git fetch; vsecure trust:branch REF   names another";
        return Err(CommandError::usage("no remote branch is trusted: replays of old states go unnoticed", help).into());
    }
    Ok(format!("trusted: {}", names.join(", ")))
}

fn history(vault: &Vault) -> anyhow::Result<String> {
    if vault.is_shallow()? {
        let help = "git fetch --unshallow   brings what lies beyond";
        return Err(CommandError::usage("this clone is shallow: older versions can't be read", help).into());
    }
    Ok("complete".to_owned())
}
