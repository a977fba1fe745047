//! The façade: what programs call. It brings documents, cryptography and git together, and nothing here talks to a terminal,
//! reads the environment or a clock.
//!
//! Reading: files → signature → strict parse → store, path, right → size and hash of the age file → header and context → decrypt
//! whole. What was verified is what is used. Writing: everything that can refuse comes first, under the store's lock; then one
//! transaction of the `store` room, which leaves the old state or the new one.

mod authority;
mod change;
mod error;
mod files;
mod history;
mod init;
mod layout;
mod read;
mod request;
mod resolve;
mod revision;
mod status;
mod transfer;
mod write;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

pub use error::{Flaw, VaultError};
pub use history::{Revisions, VersionEntry, VersionSpec, VersionSpecError, Versions};
pub use init::{InitRequest, Initialised};
pub use read::{Entry, Listing, Reading, Selection};
pub use request::{Create, Expiry, Outcome, Update, Writing};
pub use resolve::Asked;
pub use status::Status;

use crate::crypto::Identity;
use crate::model::{Environment, Fingerprint, MemberName, SecretPath, StoreId, Timestamp};
use crate::policy::{Pins, StoreClaim};
use crate::store::{Person, Recovered, Store, StoreOptions};
use authority::Authority;

/// How to find and use a store.
#[derive(Debug, Clone)]
pub struct VaultOptions {
    /// Where to look for a store: here and above.
    pub start: PathBuf,
    /// The store's directory, when said.
    pub store: Option<PathBuf>,
    /// Which store it must be, when said.
    pub claim: Option<StoreClaim>,
    /// The local memory of trusted stores; none where there is no place for it.
    pub pins: Option<Pins>,
    /// The present moment.
    pub now: Timestamp,
    /// The largest value accepted, in bytes.
    pub max_value_bytes: u64,
    /// How long to wait for locks.
    pub lock_timeout: Duration,
    /// Overrides of git's author.
    pub author: Option<Person>,
    /// Overrides of git's committer.
    pub committer: Option<Person>,
    /// Whether looking may complete or undo what a killed command began; only completion must not.
    pub recover: bool,
}

impl VaultOptions {
    fn store_options(&self) -> StoreOptions {
        StoreOptions { git_program: PathBuf::from("git"), lock_timeout: self.lock_timeout }
    }
}

/// Whether a store is trusted, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Somebody said its id.
    Said,
    /// It was pinned on this machine.
    Pinned,
    /// Nobody vouched for it.
    Unknown,
}

/// Something that happened by the way and that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A killed command's work was completed or undone.
    Recovered(Recovered),
    /// Revisions in the history that don't count, of one path.
    InvalidRevisions {
        /// The secret.
        path: SecretPath,
        /// How many.
        count: usize,
    },
}

/// Who works with the vault: a member with its private key.
#[derive(Debug)]
struct Me {
    name: MemberName,
    identity: Identity,
    fingerprint: Fingerprint,
}

/// A store whose policy is verified.
#[derive(Debug)]
pub struct Vault {
    store: Store,
    authority: Authority,
    trust: Trust,
    /// Whether this clone is known to hold this store.
    remembered: bool,
    options: VaultOptions,
    me: Option<Me>,
    notices: Mutex<Vec<Notice>>,
}

impl Vault {
    /// Finds the store, verifies its policy, and refuses one that nobody vouched for.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::Untrusted`] when the store is neither pinned nor said.
    pub fn open(options: VaultOptions) -> Result<Self, VaultError> {
        let vault = Self::inspect(options)?;
        match vault.trust {
            Trust::Unknown => return Err(VaultError::Untrusted { id: vault.authority.id }),
            // A clone that was not seen before; where nothing can be written it stays so.
            Trust::Pinned if !vault.remembered => drop(vault.remember()),
            Trust::Pinned | Trust::Said => {}
        }
        Ok(vault)
    }

    /// Finds the store and verifies its policy, also where nobody vouched for it: for looking at its id before trusting it.
    ///
    /// # Errors
    /// [`VaultError`]; a store whose id is not the one said, or not the one this clone had, is refused here too.
    pub fn inspect(options: VaultOptions) -> Result<Self, VaultError> {
        let store = Store::discover(&options.start, options.store.as_deref(), options.store_options())?;
        let mut notices = Vec::new();
        if options.recover && store.pending_recovery() {
            notices.extend(recovered(&store)?.map(Notice::Recovered));
        }
        let authority = read::authority(&store)?;
        let (trust, remembered) = judge(&store, &options, authority.id)?;
        Ok(Self { store, authority, trust, remembered, options, me: None, notices: Mutex::new(notices) })
    }

    /// Works as the first of `identities` whose signing key the policy gives to a member.
    ///
    /// # Errors
    /// [`VaultError::NoIdentity`] for none, [`VaultError::NotAMember`] where none belongs to a member.
    pub fn unlock(&mut self, identities: Vec<Identity>) -> Result<&MemberName, VaultError> {
        let first = identities.first().ok_or(VaultError::NoIdentity)?;
        let stranger = VaultError::NotAMember { fingerprint: first.recipient().fingerprint().to_string() };
        let mut known = identities.into_iter().filter_map(|identity| {
            let name = self.authority.member_of(identity.verifying_key())?.clone();
            Some(Me { name, fingerprint: identity.recipient().fingerprint(), identity })
        });
        let me = known.next().ok_or(stranger)?;
        Ok(&self.me.insert(me).name)
    }

    /// Pins the store: it is trusted from now on, in this clone and in others.
    ///
    /// # Errors
    /// [`VaultError::Pin`] when the pin can't be written.
    pub fn pin(&self) -> Result<(), VaultError> {
        let Some(pins) = &self.options.pins else { return Ok(()) };
        pins.trust(&self.authority.id)?;
        self.remember()
    }

    /// Remembers which store this clone holds, so that another in its place is noticed.
    fn remember(&self) -> Result<(), VaultError> {
        let Some(pins) = &self.options.pins else { return Ok(()) };
        if let Some(clone) = self.store.clone_id(true)? {
            pins.remember(&clone, &place_of(&self.store), &self.authority.id)?;
        }
        Ok(())
    }

    /// The store's id.
    #[must_use]
    pub const fn id(&self) -> StoreId {
        self.authority.id
    }

    /// Whether the store is trusted, and by what.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// The store's directory.
    #[must_use]
    pub fn root(&self) -> &std::path::Path {
        self.store.root()
    }

    /// The member that the vault works as, once unlocked.
    #[must_use]
    pub fn member(&self) -> Option<&MemberName> {
        self.me.as_ref().map(|me| &me.name)
    }

    /// All environments of the store.
    #[must_use]
    pub fn environments(&self) -> Vec<Environment> {
        self.authority.policy.all_environments().collect()
    }

    /// The admins with their signing keys' fingerprints: what to compare before trusting a store.
    #[must_use]
    pub fn admins(&self) -> Vec<(MemberName, String)> {
        let policy = &self.authority.policy;
        let admins =
            policy.members.iter().filter(|(_, member)| member.roles.iter().any(|role| role.as_str() == "admins"));
        admins
            .flat_map(|(name, _)| {
                self.authority.keys_of(name).map(|keys| (name.clone(), keys.signing.fingerprint().to_string()))
            })
            .collect()
    }

    /// What happened by the way since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices.lock().map(|mut notices| std::mem::take(&mut *notices)).unwrap_or_default()
    }

    fn note(&self, notice: Notice) {
        if let Ok(mut notices) = self.notices.lock()
            && !notices.contains(&notice)
        {
            notices.push(notice);
        }
    }

    fn me(&self) -> Result<&Me, VaultError> {
        self.me.as_ref().ok_or(VaultError::NoIdentity)
    }
}

/// The store's place in its work tree, by which a clone's stores are told apart.
fn place_of(store: &Store) -> String {
    store.prefix().unwrap_or_default().to_owned()
}

/// What a killed command's work came to; in a place that can't be written it stays as it is, and what is read is verified anyhow.
fn recovered(store: &Store) -> Result<Option<Recovered>, VaultError> {
    match store.recover() {
        Err(crate::store::StoreError::ReadOnly { .. }) => Ok(None),
        result => Ok(result?),
    }
}

/// Whether the store found is the one that was said, or one that was pinned; and whether this clone is known to hold it.
fn judge(store: &Store, options: &VaultOptions, found: StoreId) -> Result<(Trust, bool), VaultError> {
    if let Some(claim) = &options.claim {
        // Until later epochs are supported, the only epoch a chain can contain is the first, whose hash is the id.
        let fits = claim.epoch.is_none_or(|(epoch, hash)| epoch.get() == 1 && hash == *found.digest());
        if claim.id == found && fits {
            return Ok((Trust::Said, false));
        }
        return Err(VaultError::OtherStore { found, expected: claim.id, remembered: false });
    }
    let Some(pins) = &options.pins else { return Ok((Trust::Unknown, false)) };
    let clone = store.clone_id(false)?;
    let known = clone.map(|clone| pins.known_store(&clone, &place_of(store))).transpose()?.flatten();
    if let Some(expected) = known.filter(|expected| *expected != found) {
        return Err(VaultError::OtherStore { found, expected, remembered: true });
    }
    Ok((if pins.trusts(&found)? { Trust::Pinned } else { Trust::Unknown }, known.is_some()))
}

#[cfg(test)]
mod tests;
