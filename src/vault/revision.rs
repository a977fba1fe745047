//! A verified revision, and opening the value that goes with it.

use std::sync::PoisonError;

use crate::crypto::{self, Context, OpenError, SecretBytes, VerifyingKey};
use crate::model::{
    Ciphertext, Digest, Fingerprint, KeyHolder, MAX_SIDECAR_BYTES, Pending, SecretPath, Sidecar, Source, Version,
};

use super::authority::Authority;
use super::files::Files;
use super::{Flaw, Me, Vault, VaultError, layout};
use crate::store::{StoreError, StorePath};

/// A sidecar whose signature, signer, store and path were verified, with the hash of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) sidecar: Sidecar,
    pub(super) digest: Digest,
    pub(super) file: Vec<u8>,
    /// The key that signed it.
    pub(super) signer: VerifyingKey,
    /// Whether the policy in force lets its author do what it does. If not, it counts only where it is accepted, or where a valid revision
    /// names it as its parent: see [`Vault::admit`].
    pub(super) by_right: bool,
}

impl Signed {
    /// Verifies `file` as the sidecar of `path`, but for its author's right.
    pub(super) fn verify(authority: &Authority, file: Vec<u8>, path: &SecretPath) -> Result<Self, Flaw> {
        let (sidecar, signer, by_right) = authority.verify_sidecar(&file)?;
        if sidecar.path != *path {
            return Err(Flaw::Moved { stated: sidecar.path });
        }
        Ok(Self { digest: Digest::of(&file), sidecar, file, signer, by_right })
    }

    /// How a later revision names this one as the source of its value.
    pub(super) fn as_source(&self) -> Source {
        Source { path: self.sidecar.path.clone(), sha256: self.digest }
    }
}

/// `flaw` of `file`, as the error that a user sees.
pub(super) fn refused(file: &StorePath, flaw: Flaw) -> VaultError {
    VaultError::Refused { file: file.as_str().to_owned(), flaw }
}

impl Vault {
    /// The verified revision of `path` in `files`: none when it has no sidecar. Tombstones are returned too.
    pub(super) fn revision(&self, files: &dyn Files, path: &SecretPath) -> Result<Option<Signed>, VaultError> {
        let place = layout::sidecar(path);
        let Some(file) = files.read(&place, MAX_SIDECAR_BYTES as u64)? else {
            let value = layout::value(path);
            return match files.read(&value, MAX_AGE_FILE_BYTES) {
                Ok(None) if files.is_work_tree() => self.demand_not_lost(path).map(|()| None),
                Ok(None) => Ok(None),
                Ok(Some(_)) | Err(StoreError::TooLarge { .. }) => Err(refused(&value, Flaw::Unsigned)),
                Err(error) => Err(error.into()),
            };
        };
        let signed = self.valid(file, path)?;
        if files.is_work_tree() {
            self.demand_not_replayed(&signed)?;
        }
        Ok(Some(signed))
    }

    /// The revision in `file`, if it counts as the sidecar of `path`.
    pub(super) fn valid(&self, file: Vec<u8>, path: &SecretPath) -> Result<Signed, VaultError> {
        // One command looks at a sidecar several times: to find it, to read it, to see where it stands.
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |signed: &&Signed| signed.file == file && signed.sidecar.path == *path;
        if let Some(signed) = seen().iter().find(same).cloned() {
            return Ok(signed);
        }
        let signed =
            Signed::verify(&self.authority, file, path).map_err(|flaw| refused(&layout::sidecar(path), flaw))?;
        let signed = self.admit(signed)?;
        let mut seen = seen();
        if seen.len() < MOST_SEEN {
            seen.push(signed.clone());
        }
        Ok(signed)
    }

    /// `signed`, if it counts: its author has the right, or it is accepted, or a later revision that counts follows it.
    pub(super) fn admit(&self, signed: Signed) -> Result<Signed, VaultError> {
        // What history can't tell here does not count.
        let followed = || self.is_followed(&signed).unwrap_or(false);
        if signed.by_right || self.accepted()?.contains(&signed.digest) || followed() {
            return Ok(signed);
        }
        let flaw = self.authority.no_right(signed.sidecar.author, &signed.signer);
        Err(refused(&layout::sidecar(&signed.sidecar.path), flaw))
    }

    /// The age file that goes with `signed`: its size and hash are as signed. None for a tombstone.
    pub(super) fn age_file(&self, files: &dyn Files, signed: &Signed) -> Result<Option<Vec<u8>>, VaultError> {
        stated_file(files, &layout::value(&signed.sidecar.path), signed.sidecar.ciphertext.as_ref())
    }

    /// Opens the value of `signed`: every check comes before the first byte leaves.
    pub(super) fn open_value(&self, files: &dyn Files, signed: &Signed) -> Result<SecretBytes, VaultError> {
        let sidecar = &signed.sidecar;
        let file = self.age_file(files, signed)?.ok_or_else(|| VaultError::Deleted { path: sidecar.path.clone() })?;
        unseal(&file, signed, self.me()?)
    }
}

/// The age file at `place`, which has to be the one that is `stated`; none where none is.
pub(super) fn stated_file(
    files: &dyn Files,
    place: &StorePath,
    stated: Option<&Ciphertext>,
) -> Result<Option<Vec<u8>>, VaultError> {
    as_stated(place, stated, files.read(place, most_bytes(stated)))
}

/// How much of an age file is read. The signed size bounds it; the limit in force for new values must not make old ones unreadable.
pub(super) fn most_bytes(stated: Option<&Ciphertext>) -> u64 {
    stated.map_or(MAX_AGE_FILE_BYTES, |stated| stated.size.min(MAX_AGE_FILE_BYTES))
}

/// What came of reading [`most_bytes`] of the age file at `place`, compared with what is `stated`.
pub(super) fn as_stated(
    place: &StorePath,
    stated: Option<&Ciphertext>,
    read: Result<Option<Vec<u8>>, StoreError>,
) -> Result<Option<Vec<u8>>, VaultError> {
    let Some(stated) = stated else {
        return read?.map_or(Ok(None), |_| Err(refused(place, Flaw::ValueUnknown)));
    };
    let file = match read {
        Ok(file) => file.ok_or_else(|| refused(place, Flaw::ValueMissing))?,
        Err(StoreError::TooLarge { .. }) => return Err(refused(place, Flaw::ValueReplaced)),
        Err(error) => return Err(error.into()),
    };
    if file.len() as u64 != stated.size || Digest::of(&file) != stated.sha256 {
        return Err(refused(place, Flaw::ValueReplaced));
    }
    Ok(Some(file))
}

/// What an age file is bound to and encrypted to, and where it lies.
pub(super) struct Bound<'a> {
    pub(super) place: StorePath,
    pub(super) context: Context,
    path: &'a SecretPath,
    recipients: &'a [KeyHolder],
}

impl<'a> Bound<'a> {
    /// The age file of the present value of `sidecar`.
    pub(super) fn value(sidecar: &'a Sidecar) -> Self {
        Self::of(sidecar, layout::value(&sidecar.path), sidecar.version, &sidecar.recipients)
    }

    /// The age file of the pending value of `sidecar`.
    pub(super) fn pending(sidecar: &'a Sidecar, pending: &'a Pending) -> Self {
        Self::of(sidecar, layout::pending_value(&sidecar.path), pending.version, &pending.recipients)
    }

    fn of(sidecar: &'a Sidecar, place: StorePath, version: Version, recipients: &'a [KeyHolder]) -> Self {
        let context = Context::new(&sidecar.store, &sidecar.path, version);
        Self { place, context, path: &sidecar.path, recipients }
    }

    /// The keys that it is encrypted to, in order.
    pub(super) fn holders(&self) -> Vec<Fingerprint> {
        self.recipients.iter().map(|holder| holder.key).collect()
    }

    /// Opens `file` with one of the keys of `me`. What the file has to be was compared before.
    pub(super) fn unseal(&self, file: &[u8], me: &Me) -> Result<SecretBytes, VaultError> {
        let holders = self.holders();
        let not_mine = || VaultError::NotARecipient { path: self.path.clone() };
        let key = me.keys.iter().find(|key| holders.contains(&key.recipient().fingerprint()));
        crypto::open(file, &self.context, &holders, key.ok_or_else(not_mine)?).map_err(|error| match error {
            OpenError::NotARecipient => not_mine(),
            other => refused(&self.place, Flaw::Value(other)),
        })
    }
}

/// Opens the age file `file` of the present value of a verified revision with one of the keys of `me`.
pub(super) fn unseal(file: &[u8], signed: &Signed, me: &Me) -> Result<SecretBytes, VaultError> {
    Bound::value(&signed.sidecar).unseal(file, me)
}

/// How many verified sidecars a command remembers; those it looks at twice are few.
const MOST_SEEN: usize = 16;

/// Values have at most 16 MiB whatever the settings say; age adds 16 bytes a chunk of 64 KiB, and a header.
pub(super) const MAX_AGE_FILE_BYTES: u64 = 17 * 1024 * 1024;
