//! `members:*` and `env:*`: who is in the store, with which keys and roles.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use vsecure::crypto::Recipient;
use vsecure::model::{Environment, MAX_REQUEST_BYTES, Member, MemberName, Policy, RoleName};
use vsecure::policy::{Edit, EditError};
use vsecure::vault::{Asking, PolicyChange, Vault, VaultError};

use super::person::{Key, Person};
use super::settle::{outcome_json, settle};
use super::{leaving, machine};
use crate::app::App;
use crate::args::{AcceptArgs, AddArgs, AddKeyArgs, MembersCommand, ReplaceKeyArgs, RequestArgs, RolesArgs, WriteArgs};
use crate::report::{CommandError, told};

pub fn run(app: &App, command: MembersCommand) -> anyhow::Result<()> {
    match command {
        MembersCommand::Request(args) => request(app, &args),
        MembersCommand::Add(args) => add(app, args),
        MembersCommand::AddMachine(args) => machine::add(app, args),
        MembersCommand::List => list(app),
        MembersCommand::Show(args) => show(app, &args.member),
        MembersCommand::Roles(args) => roles(app, args),
        MembersCommand::Remove(args) => leaving::remove(app, &args),
        MembersCommand::AddKey(args) => add_key(app, args),
        MembersCommand::ReplaceKey(args) => replace_key(app, args),
        MembersCommand::Accept(args) => accept(app, &args),
        MembersCommand::EnvAdd(args) => change(app, Edit::AddEnvironment(args.environment), &args.write),
        MembersCommand::EnvList => environments(app),
        MembersCommand::EnvRemove(args) => change(app, Edit::RemoveEnvironment(args.environment), &args.write),
    }
}

/// Changes the policy by one edit, as [`settle`] does it, and prints the outcome for programs.
///
/// # Errors
/// As [`settle`].
pub fn change(app: &App, edit: impl Into<PolicyChange>, write: &WriteArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    change_in(app, &mut vault, &edit.into(), write)
}

fn change_in(app: &App, vault: &mut Vault, change: &PolicyChange, write: &WriteArgs) -> anyhow::Result<()> {
    let outcome = settle(app, vault, write, &mut |vault, writing| vault.change_policy(change, writing))?;
    if app.output.json {
        app.output.value(&outcome_json(&outcome, write.dry_run))?;
    }
    Ok(())
}

fn request(app: &App, args: &RequestArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let person = Person {
        name: args.name.as_ref(),
        email: args.email.as_ref(),
        git: vault.git_user_here()?,
        command: "members:request",
    };
    let (name, email) = person.names(app)?;
    let key = Key::at_hand_or_new(app, args.write.dry_run)?;
    let fingerprint = key.identity.verifying_key().fingerprint();
    let file = Vault::request(vault.id(), name.clone(), email, &key.identity, app.context.now)?;
    let mut all = json!({ "format": 1, "name": name.to_string(), "fingerprint": fingerprint.to_string() });
    if args.in_repo {
        let (place, commit) = key.keep_if(app, vault.put_request(&file, &app.writing(&args.write)))?;
        app.tell_notices(&vault);
        match (&commit, args.write.dry_run) {
            (_, true) => app.output.say("dry run: nothing was written"),
            (Some(commit), _) => app.output.say(&format!("wrote .vsecure/{place} (commit {commit:.10})")),
            (None, _) => app.output.say(&format!("wrote .vsecure/{place}, staged, not committed")),
        }
        if let Value::Object(map) = &mut all {
            map.insert("file".to_owned(), place.into());
            map.insert("commit".to_owned(), commit.into());
        }
        if app.output.json {
            app.output.value(&all)?;
        }
    } else {
        key.keep_if(app, Ok::<(), VaultError>(()))?;
        if app.output.json {
            if let Value::Object(map) = &mut all {
                map.insert("request".to_owned(), String::from_utf8_lossy(&file).into());
            }
            app.output.value(&all)?;
        } else {
            app.output.bytes(&file)?;
        }
    }
    app.output.say(&format!("tell the admin your fingerprint on another way: {fingerprint}"));
    Ok(())
}

/// Reads a request's file; `-` is standard input.
fn read_request(vault: &Vault, path: &Path) -> anyhow::Result<Asking> {
    let limit = MAX_REQUEST_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("the request {} can't be read", path.display()))?;
    Ok(vault.read_request(&bytes)?)
}

fn show_request(app: &App, asking: &Asking) {
    let Asking { request, fingerprint } = asking;
    let line = |label: &str, text: String| app.output.say(&format!("{label:<13}{text}"));
    line("name", request.name.to_string());
    line("e-mail", request.email.to_string());
    line("recipient", request.keys.recipient.clone());
    line("fingerprint", format!("{fingerprint}   (compare it with what they tell you on another way)"));
}

/// Says what a role that no rule names is good for.
pub fn hint_at_roles(app: &App, policy: &Policy, roles: &[RoleName]) {
    let named = |role: &RoleName| {
        let rules = policy.secrets.values();
        let mut lists = rules.flat_map(|it| [&it.read, &it.write, &it.delete].into_iter().chain(&it.grant)).flatten();
        lists.any(|principal| principal.as_str() == role.as_str())
    };
    for role in roles.iter().filter(|role| !named(role)) {
        app.output.warn(&format!("no rule names the role {role}: vsecure policy:apply gives it rights"));
    }
    if roles.is_empty() {
        app.output.warn("without a role, only rules that name the member give rights: --roles gives some");
    }
}

fn add(app: &App, args: AddArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let asking = read_request(&vault, &args.file)?;
    show_request(app, &asking);
    hint_at_roles(app, vault.policy(), &args.roles);
    let request = asking.request;
    let request_of = Some(request.name.clone());
    let edit = Edit::AddMember { name: request.name, email: request.email, roles: args.roles, keys: request.keys };
    let change = PolicyChange { request_of, ..edit.into() };
    change_in(app, &mut vault, &change, &args.write)
}

fn roles(app: &App, args: RolesArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    member(vault.policy(), &args.member)?;
    hint_at_roles(app, vault.policy(), &args.roles);
    let edit = Edit::SetRoles { who: args.member, roles: args.roles };
    change_in(app, &mut vault, &edit.into(), &args.write)
}

/// A request of the member `who`, signed by the new key.
fn request_of(vault: &Vault, who: &str, file: &Path) -> anyhow::Result<Asking> {
    let expected = member(vault.policy(), who)?.0.clone();
    let asking = read_request(vault, file)?;
    if asking.request.name != expected {
        return Err(VaultError::OtherRequest { found: asking.request.name, expected }.into());
    }
    Ok(asking)
}

fn add_key(app: &App, args: AddKeyArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let asking = request_of(&vault, &args.member, &args.file)?;
    show_request(app, &asking);
    let edit = Edit::AddKey { who: args.member, keys: asking.request.keys };
    let change = PolicyChange { request_of: Some(asking.request.name), ..edit.into() };
    change_in(app, &mut vault, &change, &args.write)
}

fn replace_key(app: &App, args: ReplaceKeyArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let asking = request_of(&vault, &args.member, &args.file)?;
    show_request(app, &asking);
    let edit = Edit::ReplaceKeys { who: args.member, keys: asking.request.keys, lost: args.lost };
    let change = PolicyChange { request_of: Some(asking.request.name), ..edit.into() };
    change_in(app, &mut vault, &change, &args.write)
}

fn accept(app: &App, args: &AcceptArgs) -> anyhow::Result<()> {
    let mut vault = app.unlock()?;
    let mut accept = Vec::new();
    for text in &args.path {
        let path = vault.path_said(text)?;
        match vault.describe(&path) {
            Ok(_) => app.output.say(&format!("{path} is valid as it is")),
            Err(error) => app.output.say(&format!("{path} would be valid from now on; today: {}", told(&error))),
        }
        accept.push(path);
    }
    let change = PolicyChange { accept, ..Edit::Nothing.into() };
    change_in(app, &mut vault, &change, &args.write)
}

/// The member whose name or e-mail address `who` is.
///
/// # Errors
/// [`EditError::NoSuchMember`].
pub fn member<'p>(policy: &'p Policy, who: &str) -> Result<(&'p MemberName, &'p Member), VaultError> {
    let missing = || VaultError::Edit(EditError::NoSuchMember { name: who.to_owned() });
    policy.member_named(who).ok_or_else(missing)
}

fn list(app: &App) -> anyhow::Result<()> {
    let vault = app.open()?;
    app.tell_notices(&vault);
    let members = &vault.policy().members;
    if app.output.json {
        let all: Vec<Value> = members.iter().map(|(name, member)| member_json(name, member)).collect();
        return Ok(app.output.value(&json!({ "format": 1, "members": all }))?);
    }
    let row = |(name, member): (&MemberName, &Member)| {
        let roles: Vec<&str> = member.roles.iter().map(AsRef::as_ref).collect();
        vec![name.to_string(), member.email.to_string(), roles.join(","), member.keys.len().to_string()]
    };
    let rows: Vec<Vec<String>> = members.iter().map(row).collect();
    Ok(app.output.table(&["NAME", "E-MAIL", "ROLES", "KEYS"], &rows)?)
}

/// What the policy says of a member.
pub fn member_json(name: &MemberName, member: &Member) -> Value {
    let keys = member.keys.iter().map(|keys| {
        json!({
            "recipient": keys.recipient,
            "recipient_fingerprint": keys.recipient.parse::<Recipient>().ok().map(|it| it.fingerprint().to_string()),
            "signing": keys.signing,
            "signing_fingerprint": signing_fingerprint(&keys.signing),
        })
    });
    json!({
        "name": name.to_string(),
        "email": member.email.to_string(),
        "roles": member.roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "admin": member.is_admin(),
        "keys": keys.collect::<Vec<_>>(),
        "lost": member.lost.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn signing_fingerprint(key: &str) -> Option<String> {
    key.parse::<vsecure::crypto::VerifyingKey>().ok().map(|key| key.fingerprint().to_string())
}

fn show(app: &App, who: &str) -> anyhow::Result<()> {
    let vault = app.open()?;
    let (name, member) = member(vault.policy(), who)?;
    let (access, _) = vault.access(None)?;
    app.tell_notices(&vault);
    let of = |allowed: &dyn Fn(&vsecure::vault::PersonAccess) -> bool| -> Vec<String> {
        let theirs = access.iter().filter(|it| it.people.iter().any(|who| who.member == *name && allowed(who)));
        theirs.map(|it| it.path.to_string()).collect()
    };
    let reads = of(&|it| it.may_read());
    let writes = of(&|it| it.allowed.contains(&vsecure::policy::Action::Write));
    let knows = of(&|it| it.exposed || it.holds_key && !it.may_read());
    if app.output.json {
        let mut all = member_json(name, member);
        if let Value::Object(map) = &mut all {
            map.insert("format".to_owned(), 1.into());
            map.extend([("reads".to_owned(), json!(reads)), ("writes".to_owned(), json!(writes))]);
            map.insert("knows_without_right".to_owned(), json!(knows));
        }
        return Ok(app.output.value(&all)?);
    }
    let line = |label: &str, text: &str| app.output.line(&format!("{label:<13}{text}"));
    line("name", name.as_str())?;
    line("e-mail", member.email.as_str())?;
    line("roles", &super::settle::joined(&member.roles, ", "))?;
    for keys in &member.keys {
        line("recipient", &keys.recipient)?;
        line("signing key", &format!("{}  {}", keys.signing, signing_fingerprint(&keys.signing).unwrap_or_default()))?;
    }
    for lost in &member.lost {
        line("lost key", &lost.to_string())?;
    }
    line("reads", &reads.join(", "))?;
    line("writes", &writes.join(", "))?;
    line("owes", &if knows.is_empty() { "nothing".to_owned() } else { knows.join(", ") })?;
    Ok(())
}

fn environments(app: &App) -> anyhow::Result<()> {
    let vault = app.open()?;
    app.tell_notices(&vault);
    let names: Vec<String> = vault.environments().iter().map(Environment::to_string).collect();
    if app.output.json {
        return Ok(app.output.value(&json!({ "format": 1, "environments": names }))?);
    }
    names.iter().try_for_each(|name| app.output.line(name)).map_err(Into::into)
}

/// The key's secret line, printed once it is in force.
///
/// # Errors
/// [`CommandError::KeyLost`] when it can't be printed: then nobody has it.
pub fn print_new_key(app: &App, member: &MemberName, line: &[u8], all: Value) -> anyhow::Result<()> {
    let printed = if app.output.json {
        let mut all = all;
        if let Value::Object(map) = &mut all {
            map.insert("member".to_owned(), member.to_string().into());
            map.insert("identity".to_owned(), String::from_utf8_lossy(line).into());
        }
        app.output.value(&all)
    } else {
        app.output.bytes(&[line, b"\n"].concat())
    };
    printed.map_err(|_| CommandError::KeyLost { member: member.to_string() }.into())
}
