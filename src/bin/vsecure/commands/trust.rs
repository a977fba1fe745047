//! `trust`, `trust:branch`, `trust:rewrite` and `trust:hook`: what this machine knows of a store beside the repository itself.

use serde_json::json;
use vsecure::format::escape;
use vsecure::vault::{Trust, Vault};

use crate::app::App;
use crate::args::{TrustArgs, TrustCommand};
use crate::report::CommandError;

pub fn run(app: &App, command: TrustCommand) -> anyhow::Result<()> {
    match command {
        TrustCommand::Store(args) => store(app, &args),
        TrustCommand::Branch(args) if args.forget => {
            let reference = Vault::forget_branch(app.vault_options()?, &args.reference)?;
            told_reference(app, &reference, "is trusted no more")
        }
        TrustCommand::Branch(args) => {
            let vault = app.open()?;
            let reference = vault.trust_branch(&args.reference)?;
            // What it has is verified and pinned now, not when somebody reads next.
            app.tell_notices(&app.open()?);
            told_reference(app, &reference, "is trusted from now on")
        }
        TrustCommand::Rewrite(args) => {
            let reference = Vault::trust_rewrite(app.vault_options()?, &args.commit)?;
            told_reference(app, &reference, "is taken as it is now")
        }
        TrustCommand::Hook(args) => {
            let vault = app.open()?;
            let digest = vault.trust_hook(&args.program, args.sha256)?;
            app.tell_notices(&vault);
            app.output.say(&format!("{} may run as a hook, as it is now: SHA-256 {digest}", args.program));
            if app.output.json {
                let program = args.program.to_string();
                app.output.value(&json!({ "format": 1, "program": program, "sha256": digest.to_string() }))?;
            }
            Ok(())
        }
    }
}

fn told_reference(app: &App, reference: &str, what: &str) -> anyhow::Result<()> {
    app.output.say(&format!("{reference} {what}"));
    if app.output.json {
        app.output.value(&json!({ "format": 1, "reference": reference }))?;
    }
    Ok(())
}

fn store(app: &App, args: &TrustArgs) -> anyhow::Result<()> {
    let vault = Vault::inspect(app.vault_options()?)?;
    if args.export {
        let claim = vault.claim().to_string();
        if app.output.json {
            return Ok(app
                .output
                .value(&json!({ "format": 1, "store_id": vault.id().to_string(), "claim": claim }))?);
        }
        return Ok(app.output.line(&claim)?);
    }
    app.output.say(&format!("store     {}", vault.root().display()));
    app.output.say(&format!("store id  {}", vault.id()));
    app.output.say(&format!("policy    epoch {}", vault.policy().epoch));
    for (name, fingerprint) in vault.admins() {
        app.output.say(&format!("admin     {name}  {fingerprint}"));
    }
    for (reference, commit) in vault.trusted_branches()? {
        let commit = commit.map_or_else(|| "not verified yet".to_owned(), |commit| format!("verified at {commit:.10}"));
        app.output.say(&format!("branch    {}  {commit}", escape(&reference)));
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
