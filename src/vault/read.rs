//! Reading: one secret, a list, a past commit.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rayon::iter::{Either, IntoParallelIterator as _, ParallelIterator as _};

use crate::crypto::SecretBytes;
use crate::model::{
    Environment, MAX_SIDECAR_BYTES, MetadataKey, MetadataValue, Pattern, SecretName, SecretPath, Sidecar, Span, Tag,
    Timestamp,
};
use crate::policy::Action;
use crate::store::{Stamp, StorePath};

use super::files::Files;
use super::memory::{self, Memory};
use super::revision::{Signed, refused};
use super::{Asked, Flaw, Vault, VaultError, layout};

/// A secret that was read: what its signed revision says, and its value.
#[derive(Debug)]
pub struct Reading {
    /// The signed revision.
    pub sidecar: Sidecar,
    /// The value.
    pub value: SecretBytes,
}

/// The file of a sidecar.
struct SidecarFile {
    file: StorePath,
    path: SecretPath,
    stamp: Option<Stamp>,
}

/// What lies below `secrets/`.
struct Found {
    sidecars: Vec<SidecarFile>,
    faults: Vec<VaultError>,
}

/// Under which name the store's memory of lists is kept.
const MEMORY: &str = "list";
/// From how many sidecars on that a list had to verify, the next one is to be spared that.
const WORTH_KEEPING: usize = 32;

/// Which secrets a list is about; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only names or paths that match.
    pub pattern: Option<Pattern>,
    /// Only secrets with all of these tags.
    pub tags: Vec<Tag>,
    /// Only secrets with all of this metadata.
    pub metadata: Vec<(MetadataKey, MetadataValue)>,
    /// Only secrets that expire within this span, or have expired.
    pub expiring: Option<Span>,
    /// Only secrets without expiry.
    pub no_expiry: bool,
    /// Only names that another environment has and this one doesn't.
    pub missing_in: Option<Environment>,
    /// Only names or paths that match one of these.
    pub only: Vec<Pattern>,
    /// No names or paths that match one of these.
    pub except: Vec<Pattern>,
    /// Only names in this folder.
    pub under: Option<SecretName>,
}

impl Selection {
    /// Whether `path` is meant, as far as a path can tell.
    pub(super) fn means(&self, path: &SecretPath) -> bool {
        let selects = |pattern: &Pattern| pattern.selects(path);
        let inside = |folder: &SecretName| {
            path.name().as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        self.environment.as_ref().is_none_or(|environment| environment == path.environment())
            && self.pattern.as_ref().is_none_or(selects)
            && (self.only.is_empty() || self.only.iter().any(selects))
            && !self.except.iter().any(selects)
            && self.under.as_ref().is_none_or(inside)
    }

    /// Whether all conditions but that of another environment hold.
    pub(super) fn selects(&self, sidecar: &Sidecar, now: Timestamp) -> bool {
        let in_time = |span| sidecar.expires_at.is_some_and(|at| at <= now + span);
        self.means(&sidecar.path)
            && self.tags.iter().all(|tag| sidecar.tags.contains(tag))
            && self.metadata.iter().all(|(key, value)| sidecar.metadata.get(key) == Some(value))
            && self.expiring.is_none_or(in_time)
            && (!self.no_expiry || sidecar.expires_at.is_none())
    }
}

/// A secret of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The signed revision.
    pub sidecar: Sidecar,
}

/// A list, and what in it was refused: one bad file hides no other secret.
#[derive(Debug)]
pub struct Listing {
    /// The secrets, by path.
    pub entries: Vec<Entry>,
    /// What was refused.
    pub refused: Vec<VaultError>,
}

impl Vault {
    /// Reads the current value of `path` from the work tree.
    ///
    /// # Errors
    /// [`VaultError`]: not found or deleted, denied, refused, or expired where the policy says so.
    pub fn get(&self, path: &SecretPath) -> Result<Reading, VaultError> {
        let result = match self.read_from(&self.store, path) {
            // A writer may have been between two files: look again while none can be.
            Err(
                first @ VaultError::Refused {
                    flaw: Flaw::ValueReplaced | Flaw::ValueMissing | Flaw::ValueUnknown, ..
                },
            ) => match self.store.begin("read again") {
                Ok(quiet) => self.read_from(quiet.store(), path),
                Err(_) => Err(first),
            },
            result => result,
        };
        self.logged(path, result)
    }

    /// Reads the value that a secret had in the commit `rev`.
    ///
    /// # Errors
    /// As for [`Vault::get`], and when there is no such commit.
    pub fn get_at(&self, rev: &str, asked: Asked<'_>) -> Result<Reading, VaultError> {
        let tree = self.store.snapshot(rev)?;
        let path = self.find_in(&tree, asked, false)?;
        self.logged(&path, self.read_from(&tree, &path))
    }

    pub(super) fn read_from(&self, files: &dyn Files, path: &SecretPath) -> Result<Reading, VaultError> {
        let signed = self.living(files, path)?;
        self.reading(files, &signed)
    }

    /// Opens the value of a verified revision for the member that the vault works as, if the policy lets it.
    pub(super) fn reading(&self, files: &dyn Files, signed: &Signed) -> Result<Reading, VaultError> {
        self.demand_readable(signed)?;
        let value = self.open_value(files, signed)?;
        Ok(Reading { sidecar: signed.sidecar.clone(), value })
    }

    /// That the policy or a grant lets the member the vault works as read the value of `signed` now.
    pub(super) fn demand_readable(&self, signed: &Signed) -> Result<(), VaultError> {
        let path = &signed.sidecar.path;
        let rights = self.authority.rights();
        if !self.may_read(path)? {
            self.granted(path)?;
        }
        if rights.refuses_expired(path)
            && let Some(at) = signed.sidecar.expires_at.filter(|at| *at <= self.options.now)
        {
            return Err(VaultError::Expired { path: path.clone(), at });
        }
        Ok(())
    }

    /// Whether a rule lets the member the vault works as read `path`.
    pub(super) fn may_read(&self, path: &SecretPath) -> Result<bool, VaultError> {
        Ok(self.authority.rights().allows(&self.me()?.name, Action::Read, path))
    }

    /// That the member the vault works as may do `action` with `path`.
    pub(super) fn demand(&self, action: Action, path: &SecretPath) -> Result<(), VaultError> {
        let me = self.me()?;
        if self.authority.rights().allows(&me.name, action, path) {
            return Ok(());
        }
        Err(VaultError::Denied { member: me.name.clone(), action, path: path.clone() })
    }

    /// The verified revision of a secret that must exist and live.
    pub(super) fn living(&self, files: &dyn Files, path: &SecretPath) -> Result<Signed, VaultError> {
        match self.revision(files, path)? {
            Some(signed) if signed.sidecar.is_tombstone() => Err(VaultError::Deleted { path: path.clone() }),
            Some(signed) => Ok(signed),
            None => Err(VaultError::NotFound { name: path.to_string(), nearest: None }),
        }
    }

    /// The current signed revision of `path`: what can be said of a secret without opening it.
    ///
    /// # Errors
    /// [`VaultError`]: not found, deleted, or refused.
    pub fn describe(&self, path: &SecretPath) -> Result<Sidecar, VaultError> {
        let signed = self.living(&self.store, path)?;
        self.age_file(&self.store, &signed)?;
        Ok(signed.sidecar)
    }

    /// The living secrets that `selection` is about, by path, and what was refused.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read at all, or an environment is unknown.
    pub fn list(&self, selection: &Selection) -> Result<Listing, VaultError> {
        for environment in selection.environment.iter().chain(&selection.missing_in) {
            self.known_environment(environment)?;
        }
        let now = self.options.now;
        let selects = |sidecar: &Sidecar| selection.selects(sidecar, now);
        let (all, refused) = self.all(&selects)?;
        let lacking: Option<BTreeSet<SecretName>> = selection.missing_in.as_ref().map(|environment| {
            let there = all.iter().map(|sidecar| &sidecar.path).filter(|path| path.environment() == environment);
            there.map(|path| path.name().clone()).collect()
        });
        let chosen = all.into_iter().filter(|sidecar| {
            selects(sidecar) && lacking.as_ref().is_none_or(|names| !names.contains(sidecar.path.name()))
        });
        Ok(Listing { entries: chosen.map(|sidecar| Entry { sidecar }).collect(), refused })
    }

    /// The living secrets, by path, and what was refused. Those whose files are as they were when a list last looked are not read again.
    /// Recipients are there of those `wanted`.
    fn all(&self, wanted: &(dyn Fn(&Sidecar) -> bool + Sync)) -> Result<(Vec<Sidecar>, Vec<VaultError>), VaultError> {
        let Found { sidecars, mut faults } = self.sidecars(&layout::place(layout::SECRETS), &|_| true)?;
        let policy = self.authority.reference().sha256;
        let kept = if sidecars.len() < WORTH_KEEPING { None } else { self.store.recall(MEMORY) }.unwrap_or_default();
        let memory = Memory::of(&kept, &policy);
        let refusals = &self.refusals;
        let (known, unknown): (Vec<_>, Vec<_>) = sidecars.into_par_iter().partition_map(|found| {
            match memory.sidecar(&found.file, found.stamp.as_ref(), wanted) {
                // What a trusted branch refuses is judged by its bytes.
                Some(sidecar) if !refusals.contains_key(&found.path) => Either::Left((found.file, sidecar)),
                _ => Either::Right(found),
            }
        });
        let stamps: Vec<Option<Stamp>> = unknown.iter().map(|found| found.stamp).collect();
        let files: Vec<StorePath> = unknown.iter().map(|found| found.file.clone()).collect();
        let verified = self.verified(unknown);
        let is_settled = |stamp: &Stamp| stamp.is_settled(self.options.now.unix());
        let fresh = files
            .into_iter()
            .zip(stamps)
            .zip(&verified)
            .filter_map(|((file, stamp), result)| Some((file, stamp.filter(is_settled)?, result.as_ref().ok()?)));
        let fresh: Vec<_> = fresh.collect();
        if fresh.len() >= WORTH_KEEPING {
            let again: Vec<StorePath> = known.iter().map(|(file, _)| file.clone()).collect();
            self.store.keep(MEMORY, &memory::keep(&memory, &again, &fresh, &policy));
        }
        let mut all: Vec<Sidecar> = known.into_iter().map(|(_, sidecar)| sidecar).collect();
        all.reserve(verified.len());
        for result in verified {
            result.map_or_else(|error| faults.push(error), |signed| all.push(signed.sidecar));
        }
        all.retain(|sidecar| !sidecar.is_tombstone());
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((all, faults))
    }

    /// Every revision of the work tree that counts, by path, tombstones too, and what was refused.
    pub(super) fn verified_all(&self) -> Result<(Vec<Signed>, Vec<VaultError>), VaultError> {
        self.verified_in(&layout::place(layout::SECRETS), &|_| true)
    }

    /// As [`Vault::verified_all`], of what lies in `folder` and is `meant`. What is no secret's file there is refused all the same.
    pub(super) fn verified_in(
        &self,
        folder: &StorePath,
        meant: &dyn Fn(&SecretPath) -> bool,
    ) -> Result<(Vec<Signed>, Vec<VaultError>), VaultError> {
        let Found { sidecars, mut faults } = self.sidecars(folder, meant)?;
        let mut all = BTreeMap::new();
        for result in self.verified(sidecars) {
            match result {
                Ok(signed) => drop(all.insert(signed.sidecar.path.clone(), signed)),
                Err(error) => faults.push(error),
            }
        }
        Ok((all.into_values().collect(), faults))
    }

    /// The files of those sidecars in `folder` that are `meant`, and what lies among them that should not.
    fn sidecars(&self, folder: &StorePath, meant: &dyn Fn(&SecretPath) -> bool) -> Result<Found, VaultError> {
        let (listed, stamps) = self.store.list_stamped(folder, &layout::is_sidecar)?;
        let mut faults: Vec<VaultError> =
            listed.others.into_iter().map(|file| VaultError::Refused { file, flaw: Flaw::NotPlain }).collect();
        let mut sidecars = Vec::new();
        let mut values = Vec::new();
        for (file, stamp) in listed.files.into_iter().zip(stamps) {
            match layout::classify(&file) {
                Ok(layout::Entry::Sidecar(path) | layout::Entry::Value(path) | layout::Entry::Pending(path))
                    if !meant(&path) => {}
                Ok(layout::Entry::Sidecar(path)) => sidecars.push(SidecarFile { file, path, stamp }),
                Ok(layout::Entry::Value(path) | layout::Entry::Pending(path)) => values.push((file, path)),
                Ok(layout::Entry::Other) => {}
                Err(error) => faults.push(refused(&file, Flaw::BadName(error))),
            }
        }
        let signed: HashSet<&SecretPath> = sidecars.iter().map(|found| &found.path).collect();
        let unsigned = values.into_iter().filter(|(_, path)| !signed.contains(path));
        faults.extend(unsigned.map(|(file, _)| refused(&file, Flaw::Unsigned)));
        Ok(Found { sidecars, faults })
    }

    /// Reads and verifies `sidecars`, in their order.
    fn verified(&self, sidecars: Vec<SidecarFile>) -> Vec<Result<Signed, VaultError>> {
        let file_of = |found: &SidecarFile| (found.file.clone(), MAX_SIDECAR_BYTES as u64);
        let read = self.store.read_many(&sidecars.iter().map(file_of).collect::<Vec<_>>());
        let read: Vec<_> = sidecars.into_iter().zip(read).collect();
        // Verifying is what takes time, and each file is by itself.
        let authority = &self.authority;
        let verified: Vec<Result<Signed, VaultError>> = read
            .into_par_iter()
            .map(|(SidecarFile { file, path, .. }, bytes)| {
                Signed::verify(authority, bytes?.unwrap_or_default(), &path).map_err(|flaw| refused(&file, flaw))
            })
            .collect();
        let admitted = verified.into_iter().map(|result| {
            let signed = self.admit(result?)?;
            self.demand_not_replayed(&signed)?;
            Ok(signed)
        });
        admitted.collect()
    }

    /// Every path in the store that lives, without a check of any signature: for completing what somebody types.
    #[must_use]
    pub fn paths_unverified(&self) -> Vec<SecretPath> {
        let listed = self.store.list(&layout::place(layout::SECRETS)).unwrap_or_default();
        let values = listed.files.iter().filter_map(|file| match layout::classify(file) {
            Ok(layout::Entry::Value(path)) => Some(path),
            _ => None,
        });
        values.collect()
    }
}
