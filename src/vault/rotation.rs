//! When values are due for rotation, and how far a rotation has come.
//!
//! That a rotation is under way is in the signed sidecar: there is a pending value. That a step of it failed, or that the last step of one is still to
//! be done, is a note under the git directory: nobody signs it, it is only compared with what is signed, and a clone without it starts the step again.

use serde::{Deserialize, Serialize};

use crate::format::{Generator, Step};
use crate::model::{Digest, Due, HookPath, Rotation, SecretPath, Sidecar, Timestamp};

use super::{Entry, Listing, Selection, Vault, VaultError};

const FORMAT: u32 = 1;

/// How far a secret's rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationState {
    /// Nothing is to be done.
    Ok,
    /// It is due soon.
    DueSoon,
    /// It is due.
    Overdue,
    /// A hook's steps were begun.
    InProgress,
    /// A hook failed at this step, on this machine.
    Failed(Step),
}

/// A secret with a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationEntry {
    /// The signed revision.
    pub sidecar: Sidecar,
    /// How it stands by its schedule.
    pub due: Due,
    /// How far its rotation has come.
    pub state: RotationState,
    /// When a step failed.
    pub failed_at: Option<Timestamp>,
}

impl RotationEntry {
    /// Whether it is the turn of `rotation:run --due`.
    #[must_use]
    pub fn wants_a_run(&self) -> bool {
        self.state != RotationState::Ok
    }
}

/// How a secret's new value comes about.
pub(super) enum Method {
    /// From a generator alone.
    Generator(Generator),
    /// By a hook, with a value of its own or from a generator.
    Hook(HookPath, Option<Generator>),
}

/// What this machine knows of a rotation's steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    format: u32,
    /// The rotation.
    pub(super) token: Digest,
    /// The version of its new value.
    version: u64,
    /// The revision that the step began upon.
    revision: u64,
    /// The step that failed, or is to be done.
    pub(super) step: Step,
    /// When it failed; none where it was begun and nothing is known of its end.
    failed_at: Option<i64>,
}

impl Note {
    /// That `step` of the rotation `token`, which replaces the value of `sidecar`, is to be done, or failed.
    pub(super) fn of(step: Step, token: Digest, sidecar: &Sidecar, failed_at: Option<Timestamp>) -> Self {
        Self {
            format: FORMAT,
            token,
            version: sidecar.version.get() + 1,
            revision: sidecar.revision.get(),
            step,
            failed_at: failed_at.map(Timestamp::unix),
        }
    }

    /// Whether it is about the state that `sidecar` is.
    fn fits(&self, sidecar: &Sidecar) -> bool {
        match (&sidecar.next, self.step) {
            (Some(next), _) => next.token == self.token,
            (None, Step::Create) => self.revision == sidecar.revision.get(),
            (None, Step::Finish) => self.version == sidecar.version.get(),
            (None, Step::Set | Step::Test) => false,
        }
    }

    fn failed_at(&self) -> Option<Timestamp> {
        self.failed_at.and_then(|at| Timestamp::from_unix(at).ok())
    }
}

impl Vault {
    /// The secrets with a rotation among those that `selection` is about, by path, and what was refused.
    ///
    /// # Errors
    /// As for [`Vault::list`].
    pub fn rotations(&self, selection: &Selection) -> Result<(Vec<RotationEntry>, Vec<VaultError>), VaultError> {
        let Listing { entries, refused } = self.list(selection)?;
        Ok((self.rotations_of(entries), refused))
    }

    /// Those of `entries` with a rotation, and how far each has come.
    pub(super) fn rotations_of(&self, entries: Vec<Entry>) -> Vec<RotationEntry> {
        let rotated = |entry: &Entry| entry.sidecar.rotated_by().is_some() || entry.sidecar.next.is_some();
        entries.into_iter().filter(rotated).map(|entry| self.rotation_of(entry.sidecar)).collect()
    }

    fn rotation_of(&self, sidecar: Sidecar) -> RotationEntry {
        let due = sidecar.due(self.options.now);
        let note = self.note_on(&sidecar);
        let failed_at = note.as_ref().and_then(Note::failed_at);
        let state = match (&note, due) {
            (Some(note), _) if failed_at.is_some() => RotationState::Failed(note.step),
            (Some(_), _) => RotationState::InProgress,
            (None, _) if sidecar.next.is_some() => RotationState::InProgress,
            (None, Due::Overdue) => RotationState::Overdue,
            (None, Due::Soon) => RotationState::DueSoon,
            (None, Due::NotYet) => RotationState::Ok,
        };
        RotationEntry { sidecar, due, state, failed_at }
    }

    /// How a new value of `sidecar` comes about.
    pub(super) fn method(&self, sidecar: &Sidecar) -> Result<Method, VaultError> {
        let path = || sidecar.path.clone();
        let in_force = |rotation: &&Rotation| rotation.enabled || sidecar.next.is_some();
        let rotation = sidecar.rotation.as_ref().filter(in_force);
        let rotation = rotation.ok_or_else(|| VaultError::NoRotation { path: path() })?;
        let generator = rotation.generator.as_deref().map(str::parse).transpose();
        let generator = generator.map_err(|source| VaultError::BadGenerator { path: path(), source })?;
        match (rotation.hook.clone(), generator) {
            (Some(hook), generator) => Ok(Method::Hook(hook, generator)),
            (None, _) if sidecar.next.is_some() => Err(VaultError::RotationPending { path: path() }),
            (None, Some(generator)) => Ok(Method::Generator(generator)),
            (None, None) => Err(VaultError::NeedsValue { path: path() }),
        }
    }

    /// What this machine knows of the steps of a rotation of `sidecar`, if that is about its present state.
    pub(super) fn note_on(&self, sidecar: &Sidecar) -> Option<Note> {
        let kept = self.store.recall(&note_name(&sidecar.path))?;
        let note: Note = serde_json::from_slice(&kept).ok()?;
        (note.format == FORMAT && note.fits(sidecar)).then_some(note)
    }

    pub(super) fn keep_note(&self, path: &SecretPath, note: &Note) {
        if let Ok(text) = serde_json::to_vec(note) {
            self.store.keep(&note_name(path), &text);
        }
    }

    pub(super) fn forget_note(&self, path: &SecretPath) {
        self.store.forget(&note_name(path));
    }
}

/// One note a secret, so that two rotations at once don't meet.
fn note_name(path: &SecretPath) -> String {
    let digest = Digest::of(path.to_string().as_bytes()).to_string();
    format!("rotation-{}", digest.get(..16).unwrap_or_default())
}
