//! `init`.

use vsecure::vault::{InitRequest, Vault};

use super::person::{Key, Person};
use crate::app::App;
use crate::args::InitArgs;

pub fn run(app: &App, args: &InitArgs) -> anyhow::Result<()> {
    let options = app.vault_options()?;
    let git = Vault::git_user(&options, args.here)?;
    let person = Person { name: args.name.as_ref(), email: args.email.as_ref(), git, command: "init" };
    let (name, email) = person.names(app)?;
    let key = Key::at_hand_or_new(app, args.write.dry_run)?;
    let request = InitRequest { here: args.here, name, email, identity: key.identity.clone() };
    let done = key.keep_if(app, Vault::init(options, request, &app.writing(&args.write)))?;
    let say = |text: String| app.output.say(&text);
    let verb = if args.write.dry_run { "would make" } else { "made" };
    say(format!("{verb} the store {} with {} as its admin", done.root.display(), done.member));
    say(format!("environments: {}", done.environments.join(", ")));
    match &done.commit {
        Some(commit) => say(format!("committed as {commit:.10}, and trusted on this machine as {}", done.id)),
        None if args.write.dry_run => say("dry run: nothing was written".to_owned()),
        None => say("staged, not committed".to_owned()),
    }
    if !args.write.dry_run {
        app.output.warn(
            "there is one admin: until there is a second, or a recovery identity (vsecure keys:recovery), losing this key loses every secret",
        );
        say("next: vsecure create API_KEY --tags production".to_owned());
    }
    if app.output.json {
        app.output.value(&serde_json::json!({
            "format": 1, "store_id": done.id.to_string(), "store": done.root, "member": done.member.to_string(),
            "environments": done.environments, "commit": done.commit, "identity": key.made,
        }))?;
    }
    Ok(())
}
