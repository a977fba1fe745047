//! `keys:generate` and `keys:show`.

use serde_json::json;
use vsecure::crypto::{Identity, write_new_identity_file};

use crate::app::App;
use crate::args::KeysGenerateArgs;
use crate::report::CommandError;

pub fn generate(app: &App, args: KeysGenerateArgs) -> anyhow::Result<()> {
    let no_place = || {
        CommandError::usage("there is no configuration directory for the key", "--output FILE says where to write it")
    };
    let path = args.output.or_else(|| app.usual_identity_file()).ok_or_else(no_place)?;
    let identity = Identity::generate();
    write_new_identity_file(&path, &identity, app.context.now)?;
    app.output.say(&format!("wrote a new private key to {}: keep a copy where only you can read it", path.display()));
    print(app, &[identity])
}

pub fn show(app: &App) -> anyhow::Result<()> {
    print(app, &app.identities()?)
}

fn print(app: &App, identities: &[Identity]) -> anyhow::Result<()> {
    if app.output.json {
        let keys = identities.iter().map(|identity| {
            json!({
                "recipient": identity.recipient().to_string(),
                "recipient_fingerprint": identity.recipient().fingerprint().to_string(),
                "signing": identity.verifying_key().to_string(),
                "signing_fingerprint": identity.verifying_key().fingerprint().to_string(),
            })
        });
        return Ok(app.output.value(&json!({ "format": 1, "keys": keys.collect::<Vec<_>>() }))?);
    }
    for identity in identities {
        let (recipient, signing) = (identity.recipient(), identity.verifying_key());
        app.output.line(&format!("recipient    {recipient}"))?;
        app.output.line(&format!("             {}", recipient.fingerprint()))?;
        app.output.line(&format!("signing key  {signing}"))?;
        app.output.line(&format!("             {}", signing.fingerprint()))?;
    }
    Ok(())
}
