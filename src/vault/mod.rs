//! The façade: what programs call. It brings documents, cryptography and git together, and nothing here talks to a terminal,
//! reads the environment or a clock.
//!
//! Reading: files → signature → strict parse → store, path, right → size and hash of the age file → header and context → decrypt
//! whole → access log → release. What was verified is what is used. Writing: everything that can refuse comes first, under the store's lock; then one
//! transaction of the `store` room, which leaves the old state or the new one.

mod access;
mod access_log;
mod adopt;
mod around;
mod authority;
mod change;
mod debt;
mod epoch;
mod error;
mod files;
mod gather;
mod grants;
mod history;
mod import;
mod init;
mod layout;
mod logs;
mod members;
mod memory;
mod pending;
mod progress;
mod publication;
mod read;
mod rekey;
mod report;
mod request;
mod resolve;
mod revert;
mod revision;
mod rotate;
mod rotation;
mod scan;
mod status;
mod trail;
mod transfer;
mod trust;
mod verify;
mod write;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

pub use access::{Moment, PathAccess, PersonAccess, Reasons};
pub use access_log::{AccessLog, LogMode};
pub use adopt::Adoptable;
pub use debt::{Debt, Debtor};
pub use epoch::{AccessChange, PolicyChange, PolicyOutcome};
pub use error::{Flaw, VaultError};
pub use gather::{Picked, Release, Released};
pub use grants::{GrantEntry, GrantOutcome, GrantRequest, Grantee};
pub use history::{Revisions, VersionEntry, VersionSpec, VersionSpecError, Versions};
pub use import::{Existing, Imported};
pub use init::{InitRequest, Initialised};
pub use logs::{Checked, KnownLog, LogFinding, LogPlace};
pub use members::Asking;
pub use progress::{Progress, ProgressReport};
pub use publication::Published;
pub use read::{Entry, Listing, Reading, Selection};
pub use rekey::{Pending, Rekeyed};
pub use report::{BegunRotation, Deadline, DeadlineKind, Nearness, Report, RuleReach, SecretState, Tally};
pub use request::{Create, Dates, Expiry, Incoming, Outcome, RotationEdit, Update, Writing};
pub use resolve::Asked;
pub use rotate::{HookCall, HookFault, Rotated, RunHook};
pub use rotation::{RotationEntry, RotationState};
pub use scan::{Haystack, Leak, Scan};
pub use status::Status;
pub use trail::{Origin, Trail, TrailEntry, TrailFilter};

pub use verify::{Finding, Level, Verification, Verify};

use crate::crypto::{Identity, VerifyingKey};
use crate::model::{Acceptance, Environment, Epoch, MemberName, SecretPath, StoreId, Timestamp};
use crate::policy::{Chain, Pinned, Pins, SignedFlaw, StoreClaim, Summary};
use crate::store::{PathHistory, Person, Recovered, Store, StoreError, StoreOptions, StorePath};
use authority::Authority;
use grants::Grants;
use revision::Signed;
use trust::Refusals;

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
    /// Who is told how far work over many secrets has come.
    pub progress: Progress,
    /// Whether what is new on the trusted branch is verified; only what mends trust in it must not.
    pub look: bool,
    /// Whether and how reads are written down.
    pub access_log: AccessLog,
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
    /// The tree's policy and the trusted branch's went separate ways: the latter is in force.
    PolicyForked,
    /// Whether a trusted branch goes on from where it was verified can't be told here.
    TrustUnclear {
        /// The full name of the reference.
        reference: String,
    },
    /// A read that was not written down, though it was to be.
    NotLogged {
        /// The secret.
        path: SecretPath,
        /// Why, in a word.
        reason: &'static str,
    },
}

/// Who works with the vault: a member with its private keys, or a guest with a one-off key.
#[derive(Debug)]
struct Me {
    name: MemberName,
    /// The one that signs; a member's own.
    identity: Identity,
    /// All that are at hand, for reading.
    keys: Vec<Identity>,
}

/// Where the policy in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The tree has it.
    Here,
    /// The trusted branch has it, and the tree has an earlier epoch of it.
    Behind,
    /// The trusted branch has it, and the tree has another.
    Forked,
}

/// A store whose policy is verified.
#[derive(Debug)]
pub struct Vault {
    store: Store,
    authority: Authority,
    standing: Standing,
    trust: Trust,
    /// Whether this clone is known to hold this store.
    remembered: bool,
    options: VaultOptions,
    me: Option<Me>,
    /// Read when first needed: most values are read without.
    accepted: OnceCell<Acceptance>,
    grants: OnceCell<Grants>,
    /// What the trusted branch's history has beyond this one's.
    beyond: OnceCell<BTreeMap<StorePath, PathHistory>>,
    /// Secrets of which a trusted branch put an older state back.
    refusals: Refusals,
    /// Sidecars that were verified already, by their bytes.
    seen: Mutex<Vec<Signed>>,
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
            Trust::Unknown => return Err(VaultError::Untrusted { id: vault.id() }),
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
        let (store, recovered) = discover(&options)?;
        let mut notices: Vec<_> = recovered.map(Notice::Recovered).into_iter().collect();
        let chain = here(&store, options.pins.as_ref())?;
        let (trust, remembered) = judge(&store, &options, &chain)?;
        let mut refusals = Refusals::new();
        if let Some(pins) = options.pins.as_ref().filter(|_| trust != Trust::Unknown && options.look) {
            let looked = trust::look(&store, pins, &chain)?;
            refusals = looked.refused;
            notices.extend(looked.notices);
        }
        let pinned = options.pins.as_ref().map(|pins| pins.pinned(&chain.id())).transpose()?.flatten();
        let (chain, standing) = in_force(&options, chain, pinned)?;
        if standing == Standing::Forked {
            notices.push(Notice::PolicyForked);
        }
        Ok(Self {
            store,
            authority: Authority::of(chain),
            standing,
            trust,
            remembered,
            options,
            me: None,
            accepted: OnceCell::new(),
            grants: OnceCell::new(),
            beyond: OnceCell::new(),
            refusals,
            seen: Mutex::new(Vec::new()),
            notices: Mutex::new(notices),
        })
    }

    /// Works as the first of `identities` whose signing key the policy gives to a member, else as the guest to whom a grant gives one.
    ///
    /// # Errors
    /// [`VaultError::NoIdentity`] for none, [`VaultError::NotAMember`] where none belongs to a member.
    pub fn unlock(&mut self, identities: Vec<Identity>) -> Result<&MemberName, VaultError> {
        let first = identities.first().ok_or(VaultError::NoIdentity)?;
        let stranger = VaultError::NotAMember { fingerprint: first.recipient().fingerprint().to_string() };
        let member = identities.iter().find_map(|identity| {
            let name = self.authority.member_of(identity.verifying_key())?;
            Some((name.clone(), identity.clone()))
        });
        let (name, identity) = match member {
            Some(member) => member,
            None => self.guest(&identities)?.ok_or(stranger)?,
        };
        Ok(&self.me.insert(Me { name, identity, keys: identities }).name)
    }

    /// The guest whose one-off key is among `identities`.
    fn guest(&self, identities: &[Identity]) -> Result<Option<(MemberName, Identity)>, VaultError> {
        let guests = self.grants()?.all.iter();
        let mut known = guests.filter_map(|grant| {
            let key = grant.recipient.as_ref()?;
            let identity = identities.iter().find(|identity| identity.recipient().to_string() == *key)?;
            Some((grant.grantee.clone(), identity.clone()))
        });
        Ok(known.next())
    }

    /// Pins the store: it is trusted from now on, in this clone and in others.
    ///
    /// # Errors
    /// [`VaultError::Pin`] when the pin can't be written.
    pub fn pin(&self) -> Result<(), VaultError> {
        let Some(pins) = &self.options.pins else { return Ok(()) };
        pins.trust(&self.id())?;
        // An epoch above 1 is kept when it is first met; the first one only of a store that is trusted.
        pins.keep_chain(self.authority.chain());
        self.remember()
    }

    /// Remembers which store this clone holds, so that another in its place is noticed.
    fn remember(&self) -> Result<(), VaultError> {
        let Some(pins) = &self.options.pins else { return Ok(()) };
        if let Some(clone) = self.store.clone_id(true)? {
            let place = place_of(&self.store);
            pins.remember(&clone, &place, &self.id())?;
            let home = self.store.branch();
            pins.change_branches(&clone, &place, |branches| branches.home = branches.home.take().or(home))?;
        }
        Ok(())
    }

    /// The store's id.
    #[must_use]
    pub const fn id(&self) -> StoreId {
        self.authority.id()
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
        self.authority.policy().all_environments().collect()
    }

    /// The admins with their signing keys' fingerprints: what to compare before trusting a store.
    #[must_use]
    pub fn admins(&self) -> Vec<(MemberName, String)> {
        let admins = self.authority.policy().members.iter().filter(|(_, member)| member.is_admin());
        let keys = admins.flat_map(|(name, member)| member.keys.iter().map(move |keys| (name, keys)));
        keys.filter_map(|(name, keys)| {
            // Keys of a verified policy are valid.
            let key: VerifyingKey = keys.signing.parse().ok()?;
            Some((name.clone(), key.fingerprint().to_string()))
        })
        .collect()
    }

    /// What stays valid though the policy alone would reject it.
    fn accepted(&self) -> Result<&Acceptance, VaultError> {
        if let Some(accepted) = self.accepted.get() {
            return Ok(accepted);
        }
        let policy = self.authority.policy();
        let list = match (self.standing, policy.accepted, &self.options.pins) {
            (Standing::Behind | Standing::Forked, Some(digest), Some(pins)) => {
                let place = layout::accepted(&digest);
                let list = Acceptance::parse(&pins.content(&digest)?);
                list.map_err(|error| revision::refused(&place, SignedFlaw::Document(error).into()))?
            }
            _ => authority::acceptance(&self.store, policy)?,
        };
        Ok(self.accepted.get_or_init(|| list))
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

/// The store that is meant, and what a killed command's work came to: also one that was making the store, or had not come to it.
fn discover(options: &VaultOptions) -> Result<(Store, Option<Recovered>), VaultError> {
    let find = || Store::discover(&options.start, options.store.as_deref(), options.store_options());
    // In a place that can't be written all stays as it is, and what is read is verified anyhow.
    let unless_read_only = |result: Result<_, StoreError>| match result {
        Err(StoreError::ReadOnly { .. }) => Ok(None),
        result => result,
    };
    let recovered = match find() {
        Ok(store) if !options.recover || !store.pending_recovery() => return Ok((store, None)),
        Ok(store) => unless_read_only(store.recover())?,
        Err(StoreError::NoStore { .. }) if options.recover => {
            unless_read_only(Store::recover_without_store(&options.start, options.store_options()))?
        }
        Err(error) => return Err(error.into()),
    };
    Ok((find()?, recovered))
}

/// What was verified before of the store `id` on this machine.
fn known(pins: Option<&Pins>, id: &StoreId) -> Vec<Summary> {
    let Some(pins) = pins else { return Vec::new() };
    // A pin that can't be read is an error where trust is judged; here it is only a chain not known.
    let pinned = pins.pinned(id).ok().flatten().and_then(|pinned| pinned.chain);
    pins.known_chain(id).into_iter().chain(pinned).collect()
}

/// The tree's own chain of epochs, verified; what it comes to is kept.
fn here(store: &Store, pins: Option<&Pins>) -> Result<Chain, VaultError> {
    let chain = authority::load(store, &|id| known(pins, id))?;
    if let Some(pins) = pins.filter(|_| chain.policy().epoch > Epoch::FIRST) {
        let enough = |known: Summary| known.epochs.starts_with(&chain.summary().epochs);
        if !known(Some(pins), &chain.id()).into_iter().any(enough) {
            pins.keep_chain(&chain);
        }
    }
    Ok(chain)
}

/// The policy in force: the newest one known, which is the tree's or the pinned one.
fn in_force(options: &VaultOptions, here: Chain, pinned: Option<Pinned>) -> Result<(Chain, Standing), VaultError> {
    let (Some(pins), Some(pinned)) = (&options.pins, pinned) else { return Ok((here, Standing::Here)) };
    if here.summary().digest_of(pinned.epoch) == Some(pinned.policy) {
        return Ok((here, Standing::Here));
    }
    // Only a pin of an epoch above 1 can differ from a tree of the same store, and such a pin holds its chain.
    let newest = pinned.chain.as_ref().and_then(|chain| Chain::resume(chain, &pins.content(&pinned.policy).ok()?));
    let newest = newest.ok_or(VaultError::PinIncomplete)?;
    let behind = newest.summary().epochs.starts_with(&here.summary().epochs);
    Ok((newest, if behind { Standing::Behind } else { Standing::Forked }))
}

/// Whether the store found is the one that was said, or one that was pinned; and whether this clone is known to hold it.
fn judge(store: &Store, options: &VaultOptions, chain: &Chain) -> Result<(Trust, bool), VaultError> {
    let found = chain.id();
    if let Some(claim) = &options.claim {
        if claim.id != found {
            return Err(VaultError::OtherStore { found, expected: claim.id, remembered: false });
        }
        if let Some((epoch, digest)) =
            claim.epoch.filter(|(epoch, digest)| chain.summary().digest_of(*epoch) != Some(*digest))
        {
            return Err(VaultError::OtherEpoch { epoch, digest });
        }
        return Ok((Trust::Said, false));
    }
    let Some(pins) = &options.pins else { return Ok((Trust::Unknown, false)) };
    let clone = store.clone_id(false)?;
    let known = clone.as_deref().map(|clone| pins.known_store(clone, &place_of(store))).transpose()?.flatten();
    if let Some(expected) = known.filter(|expected| *expected != found) {
        return Err(VaultError::OtherStore { found, expected, remembered: true });
    }
    // A second copy in one clone is a way around all that is known of the first: whoever can push can put an old state of it there.
    let copied = || -> Result<bool, VaultError> {
        let Some(clone) = clone.as_deref().filter(|_| known.is_none()) else { return Ok(false) };
        Ok(pins.other_places(clone, &place_of(store), &found)?.iter().any(|place| store.lies_also_at(place)))
    };
    let trusted = pins.pinned(&found)?.is_some() && !copied()?;
    Ok((if trusted { Trust::Pinned } else { Trust::Unknown }, known.is_some()))
}

#[cfg(test)]
mod tests;
