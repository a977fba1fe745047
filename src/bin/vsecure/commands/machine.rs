//! Members that nobody asked for: a machine, and the recovery identity. Their keys are made here and printed once.

use vsecure::crypto::Identity;
use vsecure::model::{Email, MemberKeys, MemberName};
use vsecure::policy::{Edit, with_recovery};
use vsecure::vault::{PolicyChange, Vault, VaultError};

use super::members::{hint_at_roles, print_new_key};
use super::settle::{outcome_json, settle};
use crate::app::App;
use crate::args::{AddMachineArgs, RecoveryArgs, WriteArgs};

pub fn add(app: &App, args: AddMachineArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    hint_at_roles(app, vault.policy(), &args.roles);
    let identity = Identity::generate();
    let email = args.email.map_or_else(|| nobodys(&args.machine, "machine"), Ok)?;
    let edit = Edit::AddMember { name: args.machine.clone(), email, roles: args.roles, keys: keys_of(&identity) };
    app.output.say("the key is printed once, on standard output, and kept nowhere: pipe it into your CI's secret");
    make(app, &mut vault, &args.machine, &identity, &edit.into(), &args.write)
}

pub fn recovery(app: &App, args: &RecoveryArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let identity = Identity::generate();
    let email = nobodys(&args.name, "recovery")?;
    let edit = with_recovery(vault.policy(), args.name.clone(), email, keys_of(&identity)).map_err(VaultError::Edit)?;
    let name = &args.name;
    app.output.say(&format!(
        "{name} is an admin, and every rule lets it read and write: it can let new people in, and open every value"
    ));
    app.output
        .say("the key is printed once and kept nowhere: keep it offline, as paper or on a medium that lies in a safe");
    make(app, &mut vault, &args.name, &identity, &edit.into(), &args.write)
}

fn make(
    app: &App,
    vault: &mut Vault,
    name: &MemberName,
    identity: &Identity,
    change: &PolicyChange,
    write: &WriteArgs,
) -> anyhow::Result<()> {
    let outcome = settle(app, vault, write, &mut |vault, writing| vault.change_policy(change, writing))?;
    let all = outcome_json(&outcome, write.dry_run);
    // A key that is not in force is not printed: somebody would take it for one that is.
    match identity.to_secret_line().filter(|_| !write.dry_run) {
        Some(line) => print_new_key(app, name, line.as_bytes(), all),
        None if app.output.json => Ok(app.output.value(&all)?),
        None => Ok(()),
    }
}

/// The public keys of an identity, as a policy lists them.
fn keys_of(identity: &Identity) -> MemberKeys {
    MemberKeys { recipient: identity.recipient().to_string(), signing: identity.verifying_key().to_string() }
}

/// An e-mail address that nobody can have (RFC 2606).
fn nobodys(name: &MemberName, kind: &str) -> Result<Email, VaultError> {
    format!("{name}@{kind}.invalid").parse().map_err(|source| VaultError::Name { what: "e-mail address", source })
}
