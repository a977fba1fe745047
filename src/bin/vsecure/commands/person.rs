//! Who somebody says to be: name, e-mail address and key, for `init` and for requests.

use anyhow::Context as _;
use vsecure::crypto::{Identity, write_new_identity_file};
use vsecure::model::{Email, MemberName};
use vsecure::store::StoreError;
use vsecure::vault::VaultError;

use crate::app::App;
use crate::report::CommandError;

/// What was said by option or is known to git.
pub struct Person<'a> {
    pub name: Option<&'a String>,
    pub email: Option<&'a String>,
    /// Name and e-mail address of git's configuration.
    pub git: (Option<String>, Option<String>),
    /// The command, for the help.
    pub command: &'a str,
}

impl Person<'_> {
    /// The name and e-mail address to be listed with.
    ///
    /// # Errors
    /// When neither an option nor git says them, or they are not valid.
    pub fn names(self, app: &App) -> anyhow::Result<(MemberName, Email)> {
        let Self { name, email, git, command } = self;
        let author = &app.context.author;
        let full_name = author.name.clone().or(git.0);
        let unknown = |what: &str, option: &str| {
            CommandError::usage(
                format!("git does not know your {what}"),
                format!("vsecure {command} {option}, or git config --global user.{what}"),
            )
        };
        let email: Email = email
            .cloned()
            .or_else(|| author.email.clone())
            .or(git.1)
            .ok_or_else(|| unknown("email", "--email you@example.com"))?
            .parse()
            .map_err(|source| VaultError::Name { what: "e-mail address", source })?;
        let name = match name {
            Some(name) => name.parse().map_err(|source| VaultError::Name { what: "name of a member", source })?,
            None => {
                member_name(&full_name.ok_or_else(|| unknown("name", "--name alice"))?, &email).ok_or_else(|| {
                    CommandError::usage(
                        "no member's name can be made of your name",
                        format!("vsecure {command} --name alice"),
                    )
                })?
            }
        };
        Ok((name, email))
    }
}

/// An identity at hand, or one made for this command.
pub struct Key {
    pub identity: Identity,
    /// Where it was written, when it was made.
    pub made: Option<std::path::PathBuf>,
}

impl Key {
    /// The identity at hand, or a new one in the usual file.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub fn at_hand_or_new(app: &App, dry_run: bool) -> anyhow::Result<Self> {
        match app.identities() {
            Ok(identities) => {
                let identity = identities.into_iter().next().ok_or(VaultError::NoIdentity)?;
                Ok(Self { identity, made: None })
            }
            Err(error) if matches!(error.downcast_ref(), Some(VaultError::NoIdentity)) => {
                let path = app.usual_identity_file().ok_or(VaultError::NoIdentity)?;
                let identity = Identity::generate();
                if !dry_run {
                    write_new_identity_file(&path, &identity, app.context.now)?;
                }
                Ok(Self { identity, made: (!dry_run).then_some(path) })
            }
            Err(error) => Err(error),
        }
    }

    /// Says where a new key is, once it is needed; a refused command leaves nothing behind, the key it made for itself included.
    ///
    /// # Errors
    /// `result`'s, or why the key can't be removed.
    pub fn keep_if<T, E: Into<anyhow::Error>>(&self, app: &App, result: Result<T, E>) -> anyhow::Result<T> {
        let result = result.map_err(Into::into);
        let Some(path) = &self.made else { return result };
        // A store that was made, or may have been, needs its key.
        let undecided = |error: &anyhow::Error| {
            matches!(error.downcast_ref(), Some(VaultError::Store(StoreError::Unfinished { .. })))
        };
        if result.as_ref().is_err_and(|error| !undecided(error)) {
            std::fs::remove_file(path)
                .with_context(|| format!("the new key {} could not be removed", path.display()))?;
        } else {
            let path = path.display();
            app.output.say(&format!("made your private key: {path} (keep a copy where only you can read it)"));
        }
        result
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
