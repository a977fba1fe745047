//! `init`.

use anyhow::Context as _;
use vsecure::crypto::{Identity, write_new_identity_file};
use vsecure::model::{Email, MemberName};
use vsecure::vault::{InitRequest, Vault, VaultError};

use crate::app::App;
use crate::args::InitArgs;
use crate::report::CommandError;

pub fn run(app: &App, args: &InitArgs) -> anyhow::Result<()> {
    let options = app.vault_options()?;
    let (git_name, git_email) = Vault::git_user(&options, args.here)?;
    let author = &app.context.author;
    let full_name = args.name.clone().or_else(|| author.name.clone()).or(git_name);
    let email = args.email.clone().or_else(|| author.email.clone()).or(git_email);
    let unknown = |what: &str, option: &str| {
        CommandError::usage(
            format!("git does not know your {what}"),
            format!("vsecure init {option}, or git config --global user.{what}"),
        )
    };
    let email: Email = email
        .ok_or_else(|| unknown("email", "--email you@example.com"))?
        .parse()
        .map_err(|source| VaultError::Name { what: "e-mail address", source })?;
    let name = match &args.name {
        Some(name) => name.parse().map_err(|source| VaultError::Name { what: "name of a member", source })?,
        None => member_name(&full_name.ok_or_else(|| unknown("name", "--name alice"))?, &email).ok_or_else(|| {
            CommandError::usage("no member's name can be made of your name", "vsecure init --name alice")
        })?,
    };
    let (identity, made) = identity(app, args.write.dry_run)?;
    let request = InitRequest { here: args.here, name, email, identity };
    let done = Vault::init(options, request, &app.writing(&args.write));
    if let (Err(_), Some(path)) = (&done, &made) {
        // A refused command leaves nothing behind, the key it made for itself included.
        std::fs::remove_file(path).with_context(|| format!("the new key {} could not be removed", path.display()))?;
    }
    let done = done?;
    let say = |text: String| app.output.say(&text);
    if let Some(path) = &made {
        say(format!("made your private key: {} (keep a copy where only you can read it)", path.display()));
    }
    let verb = if args.write.dry_run { "would make" } else { "made" };
    say(format!("{verb} the store {} with {} as its admin", done.root.display(), done.member));
    say(format!("environments: {}", done.environments.join(", ")));
    match &done.commit {
        Some(commit) => say(format!("committed as {commit:.10}, and trusted on this machine as {}", done.id)),
        None if args.write.dry_run => say("dry run: nothing was written".to_owned()),
        None => say("staged, not committed".to_owned()),
    }
    if !args.write.dry_run {
        app.output.warn("there is one admin: until there is a second, losing this key loses every secret");
        say("next: vsecure create API_KEY --tags production".to_owned());
    }
    if app.output.json {
        app.output.value(&serde_json::json!({
            "format": 1, "store_id": done.id.to_string(), "store": done.root, "member": done.member.to_string(),
            "environments": done.environments, "commit": done.commit, "identity": made,
        }))?;
    }
    Ok(())
}

/// The identity at hand, or a new one in the usual file, with that file's place.
fn identity(app: &App, dry_run: bool) -> anyhow::Result<(Identity, Option<std::path::PathBuf>)> {
    match app.identities() {
        Ok(identities) => Ok((identities.into_iter().next().ok_or(VaultError::NoIdentity)?, None)),
        Err(error) if matches!(error.downcast_ref(), Some(VaultError::NoIdentity)) => {
            let path = app.usual_identity_file().ok_or(VaultError::NoIdentity)?;
            let identity = Identity::generate();
            if !dry_run {
                write_new_identity_file(&path, &identity, app.context.now)?;
            }
            Ok((identity, (!dry_run).then_some(path)))
        }
        Err(error) => Err(error),
    }
}

/// A member's name made of a person's: `Alice Example` becomes `alice-example`.
fn member_name(full: &str, email: &Email) -> Option<MemberName> {
    let user = email.as_str().split('@').next().unwrap_or_default();
    [full, user].into_iter().find_map(|text| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_name_is_made_of_gits_name() {
        let name = |full: &str| member_name(full, &"al@example.com".parse().unwrap()).map(|name| name.to_string());
        assert_eq!(name("Alice Example").as_deref(), Some("alice-example"));
        assert_eq!(name("  Zoë 7 ").as_deref(), Some("zo-7"));
        assert_eq!(name("秘密").as_deref(), Some("al"));
    }
}
