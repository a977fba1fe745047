//! Taking a commit back: what it did to secrets is undone by new revisions, so that no number falls.

use crate::model::{Change, MAX_SIDECAR_BYTES, SecretPath};
use crate::policy::Action;
use crate::store::{Applied, StorePath, Tree};

use super::files::Files;
use super::revision::Signed;
use super::write::{Base, Plan, Planned, Sealed, exposure};
use super::{Outcome, Vault, VaultError, Writing, layout};

impl Vault {
    /// Undoes what the commit `rev` did to secrets: each gets the value, tags, metadata and expiry back that it had before, as a new
    /// revision. Policy and grants are not touched.
    ///
    /// # Errors
    /// [`VaultError::ChangedSince`] where a secret was changed after that commit; a right that lacks, git.
    pub fn revert(&self, rev: &str, writing: &Writing) -> Result<Vec<Outcome>, VaultError> {
        let commit = self.store.commit_named(rev)?;
        let parent = self.store.parent_of(&commit)?.ok_or(VaultError::NothingToRevert)?;
        let (before, after) = (self.store.tree_of(&parent)?, self.store.tree_of(&commit)?);
        let paths = self.secrets_changed(&before, &after)?;
        if paths.is_empty() {
            return Err(VaultError::NothingToRevert);
        }
        let (outcomes, applied) = self.transact(writing, "revert", &|base| {
            let mut changes = Vec::new();
            let mut outcomes = Vec::new();
            for path in &paths {
                let Plan { changes: more, outcome, .. } = self.plan_revert(base, path, &before, &after)?;
                changes.extend(more);
                outcomes.push(outcome);
            }
            Ok(Planned {
                changes,
                subject: format!("Revert {commit:.10}"),
                trailers: vec![("Vsecure-Change", Change::Revert.to_string())],
                result: outcomes,
            })
        })?;
        let Applied { commit, branch } = applied.unwrap_or(Applied { commit: None, branch: None });
        let commit = commit.map(|commit| commit.to_string());
        let told = |outcome| Outcome { commit: commit.clone(), branch: branch.clone(), ..outcome };
        Ok(outcomes.into_iter().map(told).collect())
    }

    /// The secrets whose sidecars two commits have differently.
    fn secrets_changed(&self, a: &Tree<'_>, b: &Tree<'_>) -> Result<Vec<SecretPath>, VaultError> {
        let path = |file: &StorePath| match layout::classify(file) {
            Ok(layout::Entry::Sidecar(path)) => Some(path),
            _ => None,
        };
        Ok(self.store.changed(Some(a), Some(b), &layout::place(layout::SECRETS))?.iter().filter_map(path).collect())
    }

    fn plan_revert(
        &self,
        base: Base<'_>,
        path: &SecretPath,
        before: &Tree<'_>,
        after: &Tree<'_>,
    ) -> Result<Plan, VaultError> {
        let position = self.position(base, path)?;
        let then = after.read(&layout::sidecar(path), MAX_SIDECAR_BYTES as u64)?;
        if position.current.as_ref().map(|signed| &signed.file) != then.as_ref() {
            return Err(VaultError::ChangedSince { path: path.clone() });
        }
        let Some(origin) = self.living_before(before, path)? else {
            let sidecar = self.tombstone(&position, Change::Revert)?;
            return self.plan(&position, &sidecar, Sealed::default(), String::new());
        };
        self.demand(Action::Write, path)?;
        let value = self.reading(before, &origin)?.value;
        let mut sidecar = self.draft(&position, Change::Revert)?;
        let current = sidecar.clone();
        let age = self.put_value(&mut sidecar, position.next_version(), &value)?;
        let origin_exposed = exposure(&origin.sidecar, &sidecar.recipients);
        sidecar.exposed_to = exposure(&current, &sidecar.recipients);
        sidecar.exposed_to.extend(origin_exposed);
        sidecar.source = Some(origin.as_source());
        sidecar.tags = origin.sidecar.tags;
        sidecar.metadata = origin.sidecar.metadata;
        sidecar.expires_at = origin.sidecar.expires_at;
        sidecar.rotation = origin.sidecar.rotation;
        self.plan(&position, &sidecar, age, String::new())
    }

    /// The living revision of `path` in an earlier commit, which the history of the present one vouches for.
    fn living_before(&self, tree: &dyn Files, path: &SecretPath) -> Result<Option<Signed>, VaultError> {
        let Some(file) = tree.read(&layout::sidecar(path), MAX_SIDECAR_BYTES as u64)? else { return Ok(None) };
        let record = self.record(path)?;
        let known = record.revisions.into_iter().map(|recorded| recorded.signed).find(|signed| signed.file == file);
        let signed = known.map_or_else(|| self.valid(file, path), Ok)?;
        Ok((!signed.sidecar.is_tombstone()).then_some(signed))
    }
}
