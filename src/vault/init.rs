//! Making a store: its first policy epoch, signed by its first member.

use std::collections::BTreeSet;

use crate::crypto::{self, Identity, Namespace};
use crate::model::{
    ADMINS, Document as _, Email, Epoch, Member, MemberKeys, MemberName, Pattern, Policy, Principal, RoleName, Rule,
    StoreId,
};
use crate::policy::demand_free_name;
use crate::store::{Batch, FileChange, Mode, Store, StoreError};

use super::authority::epochs_in;
use super::write::Base;
use super::{Vault, VaultError, VaultOptions, Writing, layout};

const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];

/// What a new store begins with.
#[derive(Debug)]
pub struct InitRequest {
    /// Put it into the starting directory, not at the work tree's root.
    pub here: bool,
    /// The first member's name.
    pub name: MemberName,
    /// The first member's e-mail address.
    pub email: Email,
    /// The first member's private key.
    pub identity: Identity,
}

/// A store just made.
#[derive(Debug)]
pub struct Initialised {
    /// Its id.
    pub id: StoreId,
    /// Its directory.
    pub root: std::path::PathBuf,
    /// The first member.
    pub member: MemberName,
    /// The environments it has.
    pub environments: Vec<String>,
    /// The commit; none with `no_commit` or in a dry run.
    pub commit: Option<String>,
}

impl Vault {
    /// The name and e-mail address that git's configuration has, where a store would be made.
    ///
    /// # Errors
    /// [`VaultError`]: no repository, a store there already.
    pub fn git_user(options: &VaultOptions, here: bool) -> Result<(Option<String>, Option<String>), VaultError> {
        Ok(place(options, here)?.git_user()?)
    }

    /// Makes a store in a git work tree, commits it and pins it.
    ///
    /// # Errors
    /// [`VaultError`]: no repository, a store there already, git, no randomness.
    pub fn init(options: VaultOptions, request: InitRequest, writing: &Writing) -> Result<Initialised, VaultError> {
        let store = place(&options, request.here)?;
        let policy = first_policy(&request, &options)?;
        let file =
            crypto::sign_document(&policy.body(), Namespace::Policy, &request.identity).map_err(VaultError::Sign)?;
        let id = StoreId::of_first_epoch(&file);
        let mut made = Initialised {
            id,
            root: store.root().to_owned(),
            member: request.name,
            environments: policy.all_environments().map(|environment| environment.to_string()).collect(),
            commit: None,
        };
        if writing.dry_run {
            demand_none_committed(store.head_tree()?.as_ref())?;
            return Ok(made);
        }
        let fresh = |path, content| FileChange { path, seen: None, content: Some(content) };
        let said = writing.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
        let batch = Batch {
            changes: vec![
                fresh(layout::place(layout::GITATTRIBUTES), layout::GITATTRIBUTES_TEXT.as_bytes().to_vec()),
                fresh(layout::epoch(Epoch::FIRST), file),
            ],
            unchanged: Vec::new(),
            message: format!("{}\n\nVsecure-Change: init\n", said.unwrap_or("Make a vsecure store")),
            author: options.author.clone(),
            committer: options.committer.clone(),
            mode: if writing.no_commit { Mode::Stage } else { Mode::Commit },
        };
        let transaction = store.begin("init")?;
        demand_none_committed(transaction.base()?)?;
        // Before the commit: a pin of a store that then was not made does no harm, a store that its maker's machine mistrusts would.
        if let Some(pins) = &options.pins {
            pins.trust(&id)?;
        }
        made.commit = transaction.apply(batch)?.commit.map(|commit| commit.to_string());
        // The store is made, and trusted: an error now would look as if it were not. What isn't remembered yet will be.
        if let Ok(vault) = Self::inspect(options) {
            let _ = vault.pin();
        }
        Ok(made)
    }
}

/// That the commit has no store that is only not checked out: its secrets would be left without their policy.
fn demand_none_committed(base: Base<'_>) -> Result<(), VaultError> {
    match base.map(|tree| epochs_in(tree)).transpose()?.unwrap_or_default().first() {
        Some(epoch) => Err(VaultError::NotCheckedOut { file: layout::epoch(*epoch).to_string() }),
        None => Ok(()),
    }
}

/// The place of a new store. One that a killed command was making is completed or undone first.
fn place(options: &VaultOptions, here: bool) -> Result<Store, VaultError> {
    let find = || Store::locate_new(&options.start, here, options.store_options());
    match find() {
        Err(StoreError::StoreExists { root }) if options.recover => {
            super::discover(&VaultOptions { store: Some(root), ..options.clone() })?;
            Ok(find()?)
        }
        found => Ok(found?),
    }
}

fn first_policy(request: &InitRequest, options: &VaultOptions) -> Result<Policy, VaultError> {
    demand_free_name(&request.name)?;
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(|_| VaultError::NoRandomness)?;
    let bad_name = |source| VaultError::Name { what: "name", source };
    let admins: RoleName = ADMINS.parse().map_err(bad_name)?;
    let environments = ENVIRONMENTS.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(bad_name)?;
    let everyone = vec![Principal::from(&admins)];
    let rule = Rule {
        read: everyone.clone(),
        write: everyone.clone(),
        delete: everyone,
        grant: None,
        on_expired: None,
        max_grant: None,
    };
    let keys = MemberKeys {
        recipient: request.identity.recipient().to_string(),
        signing: request.identity.verifying_key().to_string(),
    };
    let member =
        Member { email: request.email.clone(), roles: vec![admins.clone()], keys: vec![keys], lost: BTreeSet::new() };
    Ok(Policy {
        epoch: Epoch::FIRST,
        salt: Some(salt.iter().map(|byte| format!("{byte:02x}")).collect()),
        previous: None,
        author: request.name.clone(),
        time: options.now,
        environments,
        roles: vec![admins],
        members: [(request.name.clone(), member)].into(),
        secrets: [(Pattern::everything(), rule)].into(),
        accepted: None,
    })
}
