//! The local memory of trusted stores, under the user's state directory and outside any repository.
//!
//! `stores/<store id>.json` says that a store is trusted; `clones/<clone id>.json` says which store a clone held at which
//! place when it was last used, so that a store that changes its identity under a known clone is an error. Files are 0600 in 0700
//! directories, written beside and renamed.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::{Digest, Epoch, StoreId};

const FORMAT: u32 = 1;

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
    store: String,
    epoch: u64,
    policy: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ClonePin {
    format: u32,
    /// The store's id by the store's place in the work tree.
    stores: BTreeMap<String, String>,
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

    /// Whether the store `id` was trusted before.
    ///
    /// # Errors
    /// [`PinError`] when its pin can't be read.
    pub fn trusts(&self, id: &StoreId) -> Result<bool, PinError> {
        let path = self.store_file(id);
        let Some(pin) = load::<StorePin>(&path)? else { return Ok(false) };
        if pin.format == FORMAT && pin.store == id.to_string() { Ok(true) } else { Err(PinError::Damaged { path }) }
    }

    /// The store that the clone `clone` held at `place` when it was last used.
    ///
    /// # Errors
    /// [`PinError`] when the clone's pin can't be read.
    pub fn known_store(&self, clone: &str, place: &str) -> Result<Option<StoreId>, PinError> {
        let path = self.clone_file(clone);
        let pin = load::<ClonePin>(&path)?.unwrap_or_default();
        let id = pin.stores.get(place).map(|id| id.parse().map_err(|_| PinError::Damaged { path }));
        id.transpose()
    }

    /// Trusts the store `id`, whose epoch 1 is its policy.
    ///
    /// # Errors
    /// [`PinError`] when the pin can't be written.
    pub fn trust(&self, id: &StoreId) -> Result<(), PinError> {
        let pin = StorePin { format: FORMAT, store: id.to_string(), epoch: 1, policy: id.to_string() };
        self.save(&self.store_file(id), &pin)
    }

    /// Remembers that the clone `clone` holds the store `id` at `place`.
    ///
    /// # Errors
    /// [`PinError`] when the pin can't be read or written.
    pub fn remember(&self, clone: &str, place: &str, id: &StoreId) -> Result<(), PinError> {
        let path = self.clone_file(clone);
        let mut pin = load::<ClonePin>(&path)?.unwrap_or_default();
        if pin.format == FORMAT && pin.stores.get(place) == Some(&id.to_string()) {
            return Ok(());
        }
        pin.format = FORMAT;
        pin.stores.insert(place.to_owned(), id.to_string());
        self.save(&path, &pin)
    }

    fn store_file(&self, id: &StoreId) -> PathBuf {
        self.directory.join("stores").join(format!("{id}.json"))
    }

    fn clone_file(&self, clone: &str) -> PathBuf {
        self.directory.join("clones").join(format!("{clone}.json"))
    }

    fn save(&self, path: &Path, pin: &impl Serialize) -> Result<(), PinError> {
        let write = || {
            let folder = path.parent().unwrap_or(&self.directory);
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file =
                tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o600)).tempfile_in(folder)?;
            serde_json::to_writer_pretty(&mut file, pin)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|source| PinError::Io { path: path.to_owned(), source })
    }
}

fn load<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, PinError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PinError::Io { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|_| PinError::Damaged { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_trusted_only_after_it_was_pinned() {
        let directory = tempfile::tempdir().unwrap();
        let pins = Pins::in_directory(directory.path().join("state/vsecure"));
        let id = StoreId::of_first_epoch(b"one");
        assert!(!pins.trusts(&id).unwrap());
        pins.trust(&id).unwrap();
        assert!(pins.trusts(&id).unwrap());
        assert!(!pins.trusts(&StoreId::of_first_epoch(b"two")).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&pins.store_file(&id)), 0o600);
        assert_eq!(mode(&directory.path().join("state/vsecure/stores")), 0o700);
        fs::write(pins.store_file(&id), b"{}").unwrap();
        assert!(matches!(pins.trusts(&id), Err(PinError::Damaged { .. })));
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
