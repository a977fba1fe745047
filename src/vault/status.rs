//! Where one is: the store, whether it is trusted, what is in it and what is due.

use std::path::PathBuf;

use crate::model::{Environment, MAX_SIDECAR_BYTES, MemberName, SecretPath, Span, StoreId};

use super::{Entry, Listing, RotationEntry, Selection, Trust, Vault, VaultError, layout};

/// How long before its expiry a secret is mentioned.
const SOON_SECONDS: i64 = 14 * 24 * 3600;

/// A store at a glance.
#[derive(Debug)]
pub struct Status {
    /// Its directory.
    pub root: PathBuf,
    /// Its id.
    pub id: StoreId,
    /// Whether it is trusted.
    pub trust: Trust,
    /// The member that the identity at hand belongs to.
    pub member: Option<MemberName>,
    /// The policy's epoch.
    pub epoch: u64,
    /// How many members there are.
    pub members: usize,
    /// How many admins.
    pub admins: usize,
    /// Environments with the number of secrets in each.
    pub environments: Vec<(Environment, usize)>,
    /// Secrets whose credential has expired.
    pub expired: Vec<SecretPath>,
    /// Secrets that expire within two weeks.
    pub expiring: Vec<SecretPath>,
    /// Secrets with a rotation that is due, overdue, under way or failed.
    pub rotations: Vec<RotationEntry>,
    /// Secrets with a revision that no commit has.
    pub uncommitted: Vec<SecretPath>,
    /// What was refused.
    pub refused: Vec<VaultError>,
}

impl Vault {
    /// The store at a glance.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read.
    pub fn status(&self) -> Result<Status, VaultError> {
        let Listing { entries, refused } = self.list(&Selection::default())?;
        let now = self.options.now;
        let soon = Span::from_seconds(SOON_SECONDS).map_or(now, |span| now + span);
        let paths = |chosen: &dyn Fn(&Entry) -> bool| -> Vec<SecretPath> {
            entries.iter().filter(|entry| chosen(entry)).map(|entry| entry.sidecar.path.clone()).collect()
        };
        let count = |environment: &Environment| {
            entries.iter().filter(|entry| entry.sidecar.path.environment() == environment).count()
        };
        let counted = self.environments().into_iter().map(|environment| (environment.clone(), count(&environment)));
        let policy = self.authority.policy();
        Ok(Status {
            root: self.store.root().to_owned(),
            id: self.id(),
            trust: self.trust,
            member: self.member().cloned(),
            epoch: policy.epoch.get(),
            members: policy.members.len(),
            admins: policy.members.values().filter(|m| m.roles.iter().any(|role| role.as_str() == "admins")).count(),
            environments: counted.collect(),
            expired: paths(&|entry| entry.sidecar.is_expired(now)),
            expiring: paths(&|entry| !entry.sidecar.is_expired(now) && entry.sidecar.is_expired(soon)),
            uncommitted: self.uncommitted()?,
            rotations: self.rotations_of(entries).into_iter().filter(RotationEntry::wants_a_run).collect(),
            refused,
        })
    }

    /// The epoch of the policy in force.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.authority.policy().epoch.get()
    }

    /// Whether history is cut off in this clone.
    ///
    /// # Errors
    /// [`VaultError`] outside a repository.
    pub fn is_shallow(&self) -> Result<bool, VaultError> {
        Ok(self.store.is_shallow()?)
    }

    /// That a commit could be made here.
    ///
    /// # Errors
    /// [`VaultError`]: what keeps the repository from being written, or git from knowing who commits.
    pub fn git_fitness(&self) -> Result<(), VaultError> {
        Ok(self.store.demand_writable(self.options.author.as_ref(), self.options.committer.as_ref())?)
    }

    /// Secrets whose sidecar in the work tree is not the one in HEAD's commit; none without git.
    pub(super) fn uncommitted(&self) -> Result<Vec<SecretPath>, VaultError> {
        if self.store.git_dir().is_none() {
            return Ok(Vec::new());
        }
        let head = self.store.head_tree()?;
        let secrets = layout::place(layout::SECRETS);
        let mut files = self.store.list(&secrets)?.files;
        files.extend(head.as_ref().map(|tree| tree.list(&secrets)).transpose()?.into_iter().flat_map(|it| it.files));
        files.retain(|file| matches!(layout::classify(file), Ok(layout::Entry::Sidecar(_))));
        files.sort();
        files.dedup();
        let changed = self.store.changed_since(head.as_ref(), &files, MAX_SIDECAR_BYTES as u64)?;
        let paths = changed.into_iter().filter_map(|file| match layout::classify(file) {
            Ok(layout::Entry::Sidecar(path)) => Some(path),
            _ => None,
        });
        Ok(paths.collect())
    }
}
