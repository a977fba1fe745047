//! `trust`: comparing a store's fingerprints, and pinning it.

use serde_json::json;
use vsecure::vault::{Trust, Vault};

use crate::app::App;
use crate::args::TrustArgs;
use crate::report::CommandError;

pub fn run(app: &App, args: &TrustArgs) -> anyhow::Result<()> {
    let vault = Vault::inspect(app.vault_options()?)?;
    if args.export {
        let claim = format!("{0}@1:{0}", vault.id());
        if app.output.json {
            return Ok(app
                .output
                .value(&json!({ "format": 1, "store_id": vault.id().to_string(), "claim": claim }))?);
        }
        return Ok(app.output.line(&claim)?);
    }
    app.output.say(&format!("store     {}", vault.root().display()));
    app.output.say(&format!("store id  {}", vault.id()));
    for (name, fingerprint) in vault.admins() {
        app.output.say(&format!("admin     {name}  {fingerprint}"));
    }
    match vault.trust() {
        Trust::Pinned => {
            vault.pin()?;
            app.output.say("it is trusted on this machine already");
            return Ok(());
        }
        // Saying the id is the answer to the question below.
        Trust::Said => {}
        Trust::Unknown => ask(app)?,
    }
    vault.pin()?;
    app.output.say("trusted from now on");
    Ok(())
}

/// `--yes` never answers this: somebody has to compare.
fn ask(app: &App) -> anyhow::Result<()> {
    if !app.terminal().present {
        return Err(CommandError::NotTrusted {
            what: "nobody can be asked whether this store is the right one".to_owned(),
            help: "run vsecure trust in a terminal, or say the id you know to be right: --store-id ID".to_owned(),
        }
        .into());
    }
    let question = "Compare this with what an admin told you on another way. Is it the same?";
    if app.terminal().confirm(question, "run it in a terminal")? { Ok(()) } else { Err(CommandError::Declined.into()) }
}
