//! Many secrets at once, for programs: chosen together, verified and opened all, written down all, and only then released.

use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};

use crate::audit;
use crate::crypto::SecretBytes;
use crate::model::{Environment, Pattern, SecretPath, Sidecar};
use crate::store::Store;

use super::access_log::Line;
use super::revision::{Signed, as_stated, most_bytes, unseal};
use super::{Flaw, Me, Reading, Selection, Vault, VaultError, layout};

/// Secrets that were chosen and whose revisions were verified; nothing of them was opened yet.
#[derive(Debug, Clone, Default)]
pub struct Picked(Vec<Signed>);

impl Picked {
    /// What their signed revisions say, in order.
    pub fn sidecars(&self) -> impl Iterator<Item = &Sidecar> {
        self.0.iter().map(|signed| &signed.sidecar)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops those that `keep` does not hold for.
    pub fn retain(&mut self, keep: impl Fn(&SecretPath) -> bool) {
        self.0.retain(|signed| keep(&signed.sidecar.path));
    }
}

/// How values are released.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// What the access log calls it.
    pub action: audit::Action,
    /// Leave out what the member can't read, and say so, rather than release nothing.
    pub only_readable: bool,
}

/// Values that were released together.
#[derive(Debug)]
pub struct Released {
    /// Those that could be read, in the order in which they were picked.
    pub readings: Vec<Reading>,
    /// Those that the member can't read.
    pub skipped: Vec<SecretPath>,
}

impl Vault {
    /// The living secrets of `environments` that `selection` is about, in the order of the environments and by path. Unlike a list it comes
    /// to nothing when one of them is refused, and when something that it names is in none of them.
    ///
    /// # Errors
    /// [`VaultError`]: what the first refused file has, an unknown environment, a pattern of `only` that nothing matches.
    pub fn pick(&self, environments: &[Environment], selection: &Selection) -> Result<Picked, VaultError> {
        let mut picked = Picked::default();
        for environment in environments {
            self.known_environment(environment)?;
            let here = Selection { environment: Some(environment.clone()), ..selection.clone() };
            let (signed, refused) = self.verified_in(&layout::environment(environment), &|path| here.means(path))?;
            if let Some(error) = refused.into_iter().next() {
                return Err(error);
            }
            let chosen =
                |signed: &Signed| !signed.sidecar.is_tombstone() && here.selects(&signed.sidecar, self.options.now);
            picked.0.extend(signed.into_iter().filter(chosen));
        }
        let nothing = |pattern: &&Pattern| !picked.sidecars().any(|it| pattern.selects(&it.path));
        match selection.only.iter().find(nothing) {
            Some(pattern) => Err(VaultError::NotFound { name: pattern.as_str().to_owned(), nearest: None }),
            None => Ok(picked),
        }
    }

    /// The secrets at `paths`, which must all be there.
    ///
    /// # Errors
    /// [`VaultError`]: one is not found, deleted, or refused.
    pub fn pick_paths(&self, paths: &[SecretPath]) -> Result<Picked, VaultError> {
        paths.iter().map(|path| self.living(&self.store, path)).collect::<Result<_, _>>().map(Picked)
    }

    /// Opens every secret of `picked`, writes all of that down, and then hands out the values: all of them, or none.
    ///
    /// # Errors
    /// [`VaultError`] of the first that is refused.
    pub fn release(&self, picked: Picked, release: Release) -> Result<Released, VaultError> {
        let me = self.me()?;
        let paths: Vec<SecretPath> = picked.sidecars().map(|sidecar| sidecar.path.clone()).collect();
        let mut opened = self.open_picked(me, &self.store, picked);
        // A writer may have been between two files: look again while none can be.
        if opened.iter().any(|(_, value)| may_be_a_race(value))
            && let Ok(quiet) = self.store.begin("read again")
        {
            let again = paths.iter().map(|path| self.living(quiet.store(), path)).collect::<Result<_, _>>()?;
            opened = self.open_picked(me, quiet.store(), Picked(again));
        }
        let mut released = Released { readings: Vec::new(), skipped: Vec::new() };
        let mut lines = Vec::new();
        for (sidecar, value) in opened {
            match value {
                Ok(value) => {
                    lines.push(Line::released(&sidecar));
                    released.readings.push(Reading { sidecar, value });
                }
                Err(error) if release.only_readable && lacks_access(&error) => {
                    lines.extend(Line::refused(&sidecar.path, &error));
                    released.skipped.push(sidecar.path);
                }
                Err(error) => {
                    // The refusal is what there is to say; nothing is released.
                    let _ = self.write_lines(release.action, Line::refused(&sidecar.path, &error).as_slice());
                    return Err(error);
                }
            }
        }
        self.write_lines(release.action, &lines)?;
        Ok(released)
    }

    /// Opens the pending values of `picked` that the member can read, writes that down, and hands them out, each as the version that it will have.
    ///
    /// # Errors
    /// [`VaultError`] of the first that is refused.
    pub fn release_pending(&self, picked: &Picked, action: audit::Action) -> Result<Vec<Reading>, VaultError> {
        let mut readings = Vec::new();
        for signed in &picked.0 {
            let opened = self.demand_readable(signed).and_then(|()| self.open_pending(&self.store, signed));
            match opened {
                Ok(Some((_, value))) => {
                    let version = signed.sidecar.version.next();
                    readings.push(Reading { sidecar: Sidecar { version, ..signed.sidecar.clone() }, value });
                }
                Ok(None) => {}
                Err(error) if lacks_access(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let lines: Vec<Line> = readings.iter().map(|reading| Line::released(&reading.sidecar)).collect();
        self.write_lines(action, &lines)?;
        Ok(readings)
    }

    /// Every value of `picked` as far as the member may read it and it is what was signed.
    fn open_picked(&self, me: &Me, store: &Store, picked: Picked) -> Vec<(Sidecar, Result<SecretBytes, VaultError>)> {
        let file_of =
            |signed: &Signed| (layout::value(&signed.sidecar.path), most_bytes(signed.sidecar.ciphertext.as_ref()));
        let read = store.read_many(&picked.0.iter().map(file_of).collect::<Vec<_>>());
        let may = picked.0.iter().map(|signed| self.demand_readable(signed)).collect::<Vec<_>>();
        // Opening is what takes time, and each file is by itself.
        let open = |((signed, read), may): ((Signed, _), Result<(), VaultError>)| {
            let sidecar = &signed.sidecar;
            let file = || as_stated(&layout::value(&sidecar.path), sidecar.ciphertext.as_ref(), read);
            let value = may.and_then(|()| file()?.ok_or_else(|| VaultError::Deleted { path: sidecar.path.clone() }));
            let value = value.and_then(|file| unseal(&file, &signed, me));
            (signed.sidecar, value)
        };
        picked.0.into_par_iter().zip(read).zip(may).map(open).collect()
    }
}

/// Whether a value's file may have been replaced while we looked.
const fn may_be_a_race(value: &Result<SecretBytes, VaultError>) -> bool {
    matches!(
        value,
        Err(VaultError::Refused { flaw: Flaw::ValueReplaced | Flaw::ValueMissing | Flaw::ValueUnknown, .. })
    )
}

/// Whether `error` says that somebody has no access, rather than that something is wrong.
const fn lacks_access(error: &VaultError) -> bool {
    matches!(error, VaultError::Denied { .. } | VaultError::NotARecipient { .. } | VaultError::GrantEnded { .. })
}
