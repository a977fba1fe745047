//! Many secrets written at once: all of them in one commit, or none.

use std::collections::BTreeMap;

use crate::model::{Change, SecretPath};
use crate::policy::Action;
use crate::store::Applied;

use super::write::{Base, Plan, Planned};
use super::{Incoming, Outcome, Update, Vault, VaultError, Writing};

/// What happens to secrets that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is imported then.
    Refuse,
    /// They get the new value; tags and metadata are added to theirs.
    Update,
    /// They stay as they are.
    Skip,
}

/// What an import did, or would do.
#[derive(Debug)]
pub struct Imported {
    /// What was written, or would be; unchanged ones too.
    pub outcomes: Vec<Outcome>,
    /// What exists and was left as it is.
    pub skipped: Vec<SecretPath>,
}

impl Vault {
    /// Makes the secrets of `requests` in one commit.
    ///
    /// # Errors
    /// [`VaultError`] of the first that can't be made; nothing was written then.
    pub fn import(&self, requests: &[Incoming], writing: &Writing) -> Result<Imported, VaultError> {
        let mut folded = BTreeMap::new();
        for Incoming { create: request, .. } in requests {
            let path = &request.path;
            self.known_environment(path.environment())?;
            self.check_size(&request.value, request.allow_empty)?;
            self.demand(Action::Write, path)?;
            refuse_twin_among(&mut folded, path)?;
        }
        let (imported, applied) = self.transact(writing, "import", &|base| {
            let mut changes = Vec::new();
            let mut imported = Imported { outcomes: Vec::new(), skipped: Vec::new() };
            for request in requests {
                match self.plan_import(base, request)? {
                    Some(Plan { changes: more, mut outcome, .. }) => {
                        outcome.changed = !more.is_empty();
                        changes.extend(more);
                        imported.outcomes.push(outcome);
                    }
                    None => imported.skipped.push(request.create.path.clone()),
                }
            }
            let written = imported.outcomes.iter().filter(|outcome| outcome.changed).count();
            Ok(Planned {
                changes,
                subject: format!("Import {written} secrets"),
                trailers: vec![("Vsecure-Change", Change::Import.to_string())],
                result: imported,
            })
        })?;
        let Applied { commit, branch } = applied.unwrap_or(Applied { commit: None, branch: None });
        let commit = commit.map(|commit| commit.to_string());
        let told = |outcome| Outcome { commit: commit.clone(), branch: branch.clone(), ..outcome };
        let outcomes = imported.outcomes.into_iter().map(told).collect();
        Ok(Imported { outcomes, skipped: imported.skipped })
    }

    /// None where the secret exists and stays as it is.
    fn plan_import(&self, base: Base<'_>, incoming: &Incoming) -> Result<Option<Plan>, VaultError> {
        let Incoming { create: request, dates, existing } = incoming;
        let there = self.revision(&self.store, &request.path)?.is_some_and(|signed| !signed.sidecar.is_tombstone());
        match existing {
            Existing::Skip if there => Ok(None),
            Existing::Update if there => {
                let update = Update {
                    value: Some(request.value.clone()),
                    allow_empty: request.allow_empty,
                    add_tags: request.tags.clone(),
                    metadata: request.metadata.clone(),
                    ..Update::of(request.path.clone())
                };
                self.plan_update(&update, base, *dates).map(Some)
            }
            _ => self.plan_create(request, base, Change::Import, *dates).map(Some),
        }
    }
}

/// Refuses `path` where it, or a folder that it is in, differs only in case from one in `folded`, or is there already; else it is put there.
fn refuse_twin_among(folded: &mut BTreeMap<String, String>, path: &SecretPath) -> Result<(), VaultError> {
    let text = path.to_string();
    let twin = |existing| VaultError::CaseTwin { path: path.clone(), existing };
    for (end, _) in text.match_indices('/') {
        let folder = text.get(..=end).unwrap_or_default().to_owned();
        if let Some(other) = folded.insert(folder.to_ascii_lowercase(), folder.clone()).filter(|other| *other != folder)
        {
            return Err(twin(other));
        }
    }
    folded.insert(text.to_ascii_lowercase(), text).map_or(Ok(()), |other| Err(twin(other)))
}
