//! The local memory of trusted stores, under the user's state directory and outside any repository.
//!
//! `stores/<store id>.json` says that a store is trusted, and the newest policy that its trusted branch had; the files of that policy are
//! in `policies/`, by their hash. `clones/<clone id>.json` says which store a clone held at which place when it was last used, so that a
//! store that changes its identity under a known clone is an error, and where its trusted branches stood. A pin moves forward only.
//! `hooks/<store id>.json` says which programs may run as hooks (see `hooks.rs`).
//! `stores/<store id>.chain.json` is no pin but a memory of what was verified. Files are 0600 in 0700 directories, written beside and
//! renamed, under a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::chain::{Chain, Summary};
use crate::model::{Digest, Epoch, SecretPath, StoreId};
use crate::private;

pub(super) const FORMAT: u32 = 1;

/// What went wrong with a pin.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A pin file could not be read or written.
    #[error("the trust pin {} could not be used", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pin file holds something else than a pin.
    #[error("the trust pin {} is damaged", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
}

/// Why a text is no claim of a store's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a store id is 64 lowercase hexadecimal digits, optionally with @<epoch>:<sha256> behind it")]
pub struct StoreClaimError;

/// What somebody said which store this must be: `<id>` or `<id>@<epoch>:<sha256>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreClaim {
    /// The store's id.
    pub id: StoreId,
    /// An epoch that its chain must contain, with the SHA-256 of that epoch's file.
    pub epoch: Option<(Epoch, Digest)>,
}

impl FromStr for StoreClaim {
    type Err = StoreClaimError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, epoch) = text.split_once('@').map_or((text, None), |(id, epoch)| (id, Some(epoch)));
        let epoch = epoch.map(|epoch| {
            let (number, digest) = epoch.split_once(':').ok_or(StoreClaimError)?;
            let number = number.parse().map_err(|_| StoreClaimError)?;
            Ok((number, digest.parse().map_err(|_| StoreClaimError)?))
        });
        Ok(Self { id: id.parse().map_err(|_| StoreClaimError)?, epoch: epoch.transpose()? })
    }
}

impl std::fmt::Display for StoreClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)?;
        self.epoch.map_or(Ok(()), |(epoch, digest)| write!(f, "@{epoch}:{digest}"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StorePin {
    format: u32,
    store: StoreId,
    epoch: u64,
    policy: Digest,
    chain: Option<Summary>,
    accepted: Option<Digest>,
}

/// The newest policy of a store that the trusted branch had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Its epoch; the first one where no trusted branch is known.
    pub epoch: Epoch,
    /// The hash of its file.
    pub policy: Digest,
    /// The chain up to it; none where only the store's id is trusted.
    pub chain: Option<Summary>,
    /// The hash of its acceptance list, where it has one.
    pub accepted: Option<Digest>,
}

/// A path whose newest state on a trusted branch was an older one put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The commit that put it back.
    pub commit: String,
    /// The highest revision that the branch had before.
    pub revision: u64,
    /// The hash of the last sidecar before it that broke nothing; none where there was none.
    #[serde(default)]
    pub state: Option<Digest>,
    /// A commit that has it.
    #[serde(default)]
    pub before: Option<String>,
}

/// Where a trusted branch stood when it was last verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedTip {
    /// The commit.
    pub commit: String,
    /// Paths that are refused wherever the commit named there is contained.
    pub refused: BTreeMap<SecretPath, Replay>,
}

/// What is known of a clone's trusted branches, for one store in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branches {
    /// The branch that was checked out when the store was made or trusted here.
    pub home: Option<String>,
    /// References that somebody said are trusted.
    pub said: BTreeSet<String>,
    /// Tips by the full name of the reference.
    pub tips: BTreeMap<String, TrustedTip>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ClonePin {
    format: u32,
    /// The store's id by the store's place in the work tree.
    stores: BTreeMap<String, StoreId>,
    /// Trusted branches by the store's place in the work tree.
    #[serde(default)]
    branches: BTreeMap<String, Branches>,
}

/// The pins in one state directory.
#[derive(Debug, Clone)]
pub struct Pins {
    directory: PathBuf,
}

impl Pins {
    /// The pins under `directory` (`vsecure` in the user's state directory); it need not exist yet.
    #[must_use]
    pub const fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// What is pinned of the store `id`; none when it was never trusted.
    ///
    /// # Errors
    /// [`PinError`] when its pin can't be read.
    pub fn pinned(&self, id: &StoreId) -> Result<Option<Pinned>, PinError> {
        let path = self.store_file(id);
        let Some(pin) = load::<StorePin>(&path)? else { return Ok(None) };
        let epoch = Epoch::new(pin.epoch);
        let sound = pin.format == FORMAT
            && pin.store == *id
            && pin.chain.as_ref().is_none_or(|chain| chain.newest() == epoch.map(|epoch| (epoch, pin.policy)));
        match epoch.filter(|_| sound) {
            Some(epoch) => Ok(Some(Pinned { epoch, policy: pin.policy, chain: pin.chain, accepted: pin.accepted })),
            None => Err(PinError::Damaged { path }),
        }
    }

    /// Trusts the store `id`. What is pinned of it already stays.
    ///
    /// # Errors
    /// [`PinError`] when the pin can't be read or written.
    pub fn trust(&self, id: &StoreId) -> Result<(), PinError> {
        let _lock = self.lock()?;
        if self.pinned(id)?.is_some() {
            return Ok(());
        }
        let policy = *id.digest();
        let pin = StorePin { format: FORMAT, store: *id, epoch: 1, policy, chain: None, accepted: None };
        self.save(&self.store_file(id), &pin)
    }

    /// Moves the pin of a trusted store to the newest epoch of `chain`, whose file is `policy`, with its acceptance list. It never
    /// moves back.
    ///
    /// # Errors
    /// [`PinError`] when the pin can't be read or written.
    pub fn advance(&self, chain: &Chain, policy: &[u8], accepted: Option<&[u8]>) -> Result<(), PinError> {
        let _lock = self.lock()?;
        let id = chain.id();
        let before = self.pinned(&id)?;
        let epoch = chain.policy().epoch;
        if before.as_ref().is_none_or(|before| before.epoch >= epoch && before.chain.is_some()) {
            return Ok(());
        }
        for content in [Some(policy), accepted].into_iter().flatten() {
            self.save_bytes(&self.content_file(&Digest::of(content)), content)?;
        }
        let pin = StorePin {
            format: FORMAT,
            store: id,
            epoch: epoch.get(),
            policy: Digest::of(policy),
            chain: Some(chain.summary().clone()),
            accepted: accepted.map(Digest::of),
        };
        self.save(&self.store_file(&id), &pin)?;
        let old = before.map(|before| [Some(before.policy), before.accepted]).unwrap_or_default();
        for digest in old.into_iter().flatten().filter(|digest| *digest != pin.policy && Some(*digest) != pin.accepted)
        {
            // What is left over does no harm.
            let _ = fs::remove_file(self.content_file(&digest));
        }
        Ok(())
    }

    /// The pinned policy's file, or its acceptance list, by its hash.
    ///
    /// # Errors
    /// [`PinError`] when it can't be read, or is another file.
    pub fn content(&self, digest: &Digest) -> Result<Vec<u8>, PinError> {
        let path = self.content_file(digest);
        let bytes = fs::read(&path).map_err(|source| PinError::Io { path: path.clone(), source })?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(PinError::Damaged { path }) }
    }

    /// The longest chain of the store `id` that was verified on this machine, if that is known.
    #[must_use]
    pub fn known_chain(&self, id: &StoreId) -> Option<Summary> {
        load::<Summary>(&self.chain_file(id)).ok().flatten().filter(|known| known.epochs.first() == Some(id.digest()))
    }

    /// Keeps what a verified chain comes to. Where nothing can be written, it is verified again another time.
    pub fn keep_chain(&self, chain: &Chain) {
        let _ = self.save(&self.chain_file(&chain.id()), chain.summary());
    }

    /// The store that the clone `clone` held at `place` when it was last used.
    ///
    /// # Errors
    /// [`PinError`] when the clone's pin can't be read.
    pub fn known_store(&self, clone: &str, place: &str) -> Result<Option<StoreId>, PinError> {
        let pin = load::<ClonePin>(&self.clone_file(clone))?.unwrap_or_default();
        Ok(pin.stores.get(place).copied())
    }

    /// The other places than `place` at which the clone `clone` held the store `id` when they were last used.
    ///
    /// # Errors
    /// [`PinError`] when the clone's pin can't be read.
    pub fn other_places(&self, clone: &str, place: &str, id: &StoreId) -> Result<Vec<String>, PinError> {
        let pin = load::<ClonePin>(&self.clone_file(clone))?.unwrap_or_default();
        Ok(pin
            .stores
            .into_iter()
            .filter(|(other, held)| other != place && held == id)
            .map(|(other, _)| other)
            .collect())
    }

    /// Remembers that the clone `clone` holds the store `id` at `place`.
    ///
    /// # Errors
    /// [`PinError`] when the clone's pin can't be read or written.
    pub fn remember(&self, clone: &str, place: &str, id: &StoreId) -> Result<(), PinError> {
        self.change_clone(clone, |pin| {
            pin.stores.insert(place.to_owned(), *id);
        })
    }

    /// What is known of the trusted branches of the clone `clone`, for the store at `place`.
    ///
    /// # Errors
    /// [`PinError`] when the clone's pin can't be read.
    pub fn branches(&self, clone: &str, place: &str) -> Result<Branches, PinError> {
        let pin = load::<ClonePin>(&self.clone_file(clone))?.unwrap_or_default();
        Ok(pin.branches.get(place).cloned().unwrap_or_default())
    }

    /// Changes what is known of the trusted branches.
    ///
    /// # Errors
    /// [`PinError`] when the clone's pin can't be read or written.
    pub fn change_branches(
        &self,
        clone: &str,
        place: &str,
        change: impl FnOnce(&mut Branches),
    ) -> Result<(), PinError> {
        self.change_clone(clone, |pin| change(pin.branches.entry(place.to_owned()).or_default()))
    }

    fn change_clone(&self, clone: &str, change: impl FnOnce(&mut ClonePin)) -> Result<(), PinError> {
        let _lock = self.lock()?;
        let path = self.clone_file(clone);
        let mut pin = load::<ClonePin>(&path)?.unwrap_or_default();
        let before = (pin.format, pin.stores.clone(), pin.branches.clone());
        pin.format = FORMAT;
        change(&mut pin);
        if before == (pin.format, pin.stores.clone(), pin.branches.clone()) {
            return Ok(());
        }
        self.save(&path, &pin)
    }

    fn store_file(&self, id: &StoreId) -> PathBuf {
        self.directory.join("stores").join(format!("{id}.json"))
    }

    fn chain_file(&self, id: &StoreId) -> PathBuf {
        self.directory.join("stores").join(format!("{id}.chain.json"))
    }

    fn content_file(&self, digest: &Digest) -> PathBuf {
        self.directory.join("policies").join(digest.to_string())
    }

    fn clone_file(&self, clone: &str) -> PathBuf {
        self.directory.join("clones").join(format!("{clone}.json"))
    }

    pub(super) fn hooks_file(&self, id: &StoreId) -> PathBuf {
        self.directory.join("hooks").join(format!("{id}.json"))
    }

    /// Whoever changes pins waits for others who do.
    pub(super) fn lock(&self) -> Result<File, PinError> {
        let path = self.directory.join("lock");
        let take = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map_err(|source| PinError::Io { path: path.clone(), source })
    }

    pub(super) fn save(&self, path: &Path, pin: &impl Serialize) -> Result<(), PinError> {
        let text = serde_json::to_string_pretty(pin).map_err(io::Error::from);
        let text = text.map_err(|source| PinError::Io { path: path.to_owned(), source })?;
        self.save_bytes(path, format!("{text}\n").as_bytes())
    }

    fn save_bytes(&self, path: &Path, bytes: &[u8]) -> Result<(), PinError> {
        private::replace(path, bytes).map_err(|source| PinError::Io { path: path.to_owned(), source })
    }
}

pub(super) fn load<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, PinError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PinError::Io { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|_| PinError::Damaged { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_store_is_trusted_only_after_it_was_pinned() {
        let directory = tempfile::tempdir().unwrap();
        let pins = Pins::in_directory(directory.path().join("state/vsecure"));
        let id = StoreId::of_first_epoch(b"one");
        assert_eq!(pins.pinned(&id).unwrap(), None);
        pins.trust(&id).unwrap();
        let pinned = pins.pinned(&id).unwrap().unwrap();
        assert_eq!((pinned.epoch, pinned.policy, pinned.chain), (Epoch::FIRST, *id.digest(), None));
        assert_eq!(pins.pinned(&StoreId::of_first_epoch(b"two")).unwrap(), None);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&pins.store_file(&id)), 0o600);
        assert_eq!(mode(&directory.path().join("state/vsecure/stores")), 0o700);
        let good = fs::read_to_string(pins.store_file(&id)).unwrap();
        let other = StoreId::of_first_epoch(b"three").to_string();
        let chain = format!("\"chain\": {{\"epochs\": [\"{other}\"], \"members\": {{}}}}");
        for (from, to) in [
            ("\"format\": 1", "\"format\": 2"),
            (&format!("\"store\": \"{id}\""), &format!("\"store\": \"{other}\"")),
            ("\"epoch\": 1", "\"epoch\": 0"),
            ("\"chain\": null", &chain),
        ] {
            assert!(good.contains(from), "{from}: {good}");
            fs::write(pins.store_file(&id), good.replace(from, to)).unwrap();
            assert!(matches!(pins.pinned(&id), Err(PinError::Damaged { .. })), "{to}");
        }
        fs::write(pins.store_file(&id), b"{}").unwrap();
        assert!(matches!(pins.pinned(&id), Err(PinError::Damaged { .. })));
        assert!(matches!(pins.trust(&id), Err(PinError::Damaged { .. })), "a damaged pin is not silently made anew");
    }

    #[test]
    fn what_is_kept_of_a_policy_counts_only_as_it_was_kept() {
        let directory = tempfile::tempdir().unwrap();
        let pins = Pins::in_directory(directory.path().to_owned());
        let digest = Digest::of(b"policy");
        fs::create_dir_all(directory.path().join("policies")).unwrap();
        fs::write(pins.content_file(&digest), b"policy").unwrap();
        assert_eq!(pins.content(&digest).unwrap(), b"policy");
        fs::write(pins.content_file(&digest), b"another").unwrap();
        assert!(matches!(pins.content(&digest), Err(PinError::Damaged { .. })));
        // A chain that was verified is known under its own store's id only.
        let id = StoreId::of_first_epoch(b"one");
        let summary = |id: &StoreId| format!("{{\"epochs\": [\"{id}\"], \"members\": {{}}}}");
        fs::create_dir_all(directory.path().join("stores")).unwrap();
        fs::write(pins.chain_file(&id), summary(&id)).unwrap();
        assert!(pins.known_chain(&id).is_some());
        fs::write(pins.chain_file(&id), summary(&StoreId::of_first_epoch(b"two"))).unwrap();
        assert!(pins.known_chain(&id).is_none());
    }

    #[test]
    fn a_clone_is_remembered_with_each_of_its_stores() {
        let directory = tempfile::tempdir().unwrap();
        let pins = Pins::in_directory(directory.path().to_owned());
        let [one, two] = [b"1", b"2"].map(|bytes| StoreId::of_first_epoch(bytes));
        pins.remember("c", ".vsecure", &one).unwrap();
        pins.remember("c", "infra/.vsecure", &two).unwrap();
        assert_eq!(pins.known_store("c", ".vsecure").unwrap(), Some(one));
        assert_eq!(pins.known_store("c", "infra/.vsecure").unwrap(), Some(two));
        assert_eq!(pins.known_store("d", ".vsecure").unwrap(), None);
    }

    #[test]
    fn a_claim_is_an_id_with_or_without_an_epoch() {
        let id = StoreId::of_first_epoch(b"x");
        for text in [id.to_string(), format!("{id}@3:{}", Digest::of(b"y"))] {
            assert_eq!(text.parse::<StoreClaim>().map(|claim| claim.to_string()), Ok(text));
        }
        for text in ["", "abc", &format!("{id}@"), &format!("{id}@0:{id}"), &format!("{id}@1:xyz"), &format!("{id}@1")]
        {
            assert_eq!(text.parse::<StoreClaim>(), Err(StoreClaimError), "{text}");
        }
    }
}
