//! From a plan to a commit: numbering, sealing, signing, and one transaction.

use std::collections::BTreeSet;

use crate::crypto::{self, Namespace, SecretBytes};
use crate::model::{
    Acceptance, Change, Ciphertext, Document as _, KeyHolder, MAX_SIDECAR_BYTES, Revision, SecretPath, Sidecar, Version,
};
use crate::store::{Applied, Batch, FileChange, Mode, StoreError, StorePath, Tree};

use super::authority::{action_of, epochs_in};
use super::revision::{Signed, stated_file};
use super::{Me, Notice, Outcome, Standing, Vault, VaultError, Writing, here, layout};

/// How often a command is planned anew when somebody else was quicker.
const ATTEMPTS: usize = 8;

/// Where a secret stands before a change: in the work tree, and in the commit that HEAD names. Numbers follow the commit, so that a
/// version is always one; content follows the work tree.
pub(super) struct Position {
    pub(super) path: SecretPath,
    pub(super) current: Option<Signed>,
    committed: Option<Signed>,
}

impl Position {
    /// Behind `newest`, whatever the work tree has.
    pub(super) fn after(path: SecretPath, newest: Option<Signed>) -> Self {
        Self { path, current: newest.clone(), committed: newest }
    }

    fn next_revision(&self) -> Revision {
        self.committed.as_ref().map_or(Revision::FIRST, |signed| signed.sidecar.revision.next())
    }

    /// The work tree's revision, where no commit has it.
    pub(super) fn uncommitted(&self) -> Option<&Sidecar> {
        let known = self.committed.as_ref().map(|signed| signed.digest);
        self.current.as_ref().filter(|current| Some(current.digest) != known).map(|current| &current.sidecar)
    }

    /// The version of the last committed value.
    pub(super) fn committed_version(&self) -> Option<Version> {
        self.committed.as_ref().map(|signed| signed.sidecar.version)
    }

    /// The version that a new value gets.
    pub(super) fn next_version(&self) -> Version {
        self.committed.as_ref().map_or(Version::FIRST, |signed| signed.sidecar.version.next())
    }

    /// The revision that is changed: it must exist and live.
    pub(super) fn living(&self) -> Result<&Signed, VaultError> {
        match &self.current {
            Some(signed) if signed.sidecar.is_tombstone() => Err(VaultError::Deleted { path: self.path.clone() }),
            Some(signed) => Ok(signed),
            None => Err(VaultError::NotFound { name: self.path.to_string(), nearest: None }),
        }
    }

    /// That a new secret may be put here: nothing was ever here, or it was deleted.
    pub(super) fn demand_free(&self) -> Result<(), VaultError> {
        match &self.current {
            Some(signed) if !signed.sidecar.is_tombstone() => Err(VaultError::Exists { path: self.path.clone() }),
            _ => Ok(()),
        }
    }
}

/// What a command is going to write to one secret, or two.
pub(super) struct Plan {
    pub(super) changes: Vec<FileChange>,
    pub(super) outcome: Outcome,
    pub(super) subject: String,
}

/// What is going to be written, with what its caller is told.
pub(super) struct Planned<T> {
    pub(super) changes: Vec<FileChange>,
    /// The commit's first line, where nobody said another.
    pub(super) subject: String,
    /// The commit's trailers, for people: nothing relies on them.
    pub(super) trailers: Vec<(&'static str, String)>,
    pub(super) result: T,
}

/// New age files of a secret; where there is none, the one that is there stays, as long as the revision states it.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) value: Option<Vec<u8>>,
    pub(super) pending: Option<Vec<u8>>,
}

impl Sealed {
    pub(super) const fn is_empty(&self) -> bool {
        self.value.is_none() && self.pending.is_none()
    }
}

impl From<Vec<u8>> for Sealed {
    fn from(value: Vec<u8>) -> Self {
        Self { value: Some(value), pending: None }
    }
}

/// What a plan is made upon: the commit that HEAD names, none on an unborn branch.
pub(super) type Base<'a> = Option<&'a Tree<'a>>;

impl Vault {
    /// Plans a change of secrets under the store's lock and writes it in one transaction. A dry run plans and writes nothing.
    pub(super) fn write(
        &self,
        writing: &Writing,
        plan: &dyn Fn(Base<'_>) -> Result<Plan, VaultError>,
    ) -> Result<Outcome, VaultError> {
        let raced = std::cell::Cell::new(None);
        let written = self.transact(writing, "write", &|base| {
            let Plan { changes, mut outcome, subject } = plan(base)?;
            outcome.changed = !changes.is_empty();
            raced.set(Some(outcome.path.clone()));
            let trailers = vec![
                ("Vsecure-Change", outcome.change.to_string()),
                ("Vsecure-Path", outcome.path.to_string()),
                ("Vsecure-Version", outcome.version.to_string()),
            ];
            Ok(Planned { changes, subject, trailers, result: outcome })
        });
        match (written, raced.take()) {
            (Ok((mut outcome, applied)), _) => {
                let Applied { commit, branch } = applied.unwrap_or(Applied { commit: None, branch: None });
                outcome.commit = commit.map(|commit| commit.to_string());
                outcome.branch = branch;
                Ok(outcome)
            }
            (Err(VaultError::Store(StoreError::Conflict { .. })), Some(path)) => Err(VaultError::Raced { path }),
            (Err(error), _) => Err(error),
        }
    }

    /// Plans under the store's lock and writes in one transaction; plans anew when somebody else changed the same files in between. A
    /// dry run plans and writes nothing, and neither does a plan without changes.
    pub(super) fn transact<T>(
        &self,
        writing: &Writing,
        purpose: &str,
        plan: &dyn Fn(Base<'_>) -> Result<Planned<T>, VaultError>,
    ) -> Result<(T, Option<Applied>), VaultError> {
        self.transact_unchecked(writing, purpose, &|base| {
            self.demand_policy()?;
            plan(base)
        })
    }

    /// As [`Vault::transact`], for a plan that puts another policy in the tree's place.
    pub(super) fn transact_unchecked<T>(
        &self,
        writing: &Writing,
        purpose: &str,
        plan: &dyn Fn(Base<'_>) -> Result<Planned<T>, VaultError>,
    ) -> Result<(T, Option<Applied>), VaultError> {
        if writing.dry_run {
            return Ok((plan(self.store.head_tree()?.as_ref())?.result, None));
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let transaction = self.store.begin(purpose)?;
            if let Some(recovered) = transaction.recovered() {
                self.note(Notice::Recovered(recovered.clone()));
            }
            let base = transaction.base()?;
            let Planned { mut changes, subject, trailers, result } = plan(base)?;
            if changes.is_empty() {
                return Ok((result, None));
            }
            if !writing.no_commit {
                let more = self.companions(base, &changes)?;
                changes.extend(more);
            }
            match transaction.apply(self.batch(writing, changes, &subject, &trailers)) {
                Ok(applied) => return Ok((result, Some(applied))),
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn batch(
        &self,
        writing: &Writing,
        changes: Vec<FileChange>,
        subject: &str,
        trailers: &[(&'static str, String)],
    ) -> Batch {
        let said = writing.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
        let trailers: String = trailers.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        Batch {
            changes,
            unchanged: self.policy_places(),
            message: format!("{}\n\n{trailers}", said.unwrap_or(subject)),
            author: self.options.author.clone(),
            committer: self.options.committer.clone(),
            mode: if writing.no_commit { Mode::Stage } else { Mode::Commit },
        }
    }

    /// The newest epoch's file, and the one that would follow it: while they are as they were, so is the policy.
    fn policy_places(&self) -> Vec<StorePath> {
        let newest = self.authority.policy().epoch;
        vec![layout::epoch(newest), layout::epoch(newest.next())]
    }

    /// That the policy in force is the tree's or a newer one, and that nobody changed it since it was read.
    pub(super) fn demand_policy(&self) -> Result<(), VaultError> {
        if self.standing == Standing::Forked {
            return Err(VaultError::PolicyForked);
        }
        let now = here(&self.store, self.options.pins.as_ref())?;
        let (ours, theirs) = (&self.authority.chain().summary().epochs, &now.summary().epochs);
        if ours.starts_with(theirs) && (ours == theirs || self.standing == Standing::Behind) {
            return Ok(());
        }
        Err(VaultError::PolicyMoved)
    }

    /// The files without which a commit of secrets can't be read, where no commit has them yet (`init --no-commit`).
    fn companions(&self, base: Base<'_>, planned: &[FileChange]) -> Result<Vec<FileChange>, VaultError> {
        let mut changes = Vec::new();
        let mut places = vec![layout::place(layout::GITATTRIBUTES)];
        places.extend(epochs_in(&self.store)?.into_iter().map(layout::epoch));
        places.extend(self.authority.policy().accepted.as_ref().map(layout::accepted));
        for place in places.into_iter().filter(|place| !planned.iter().any(|change| change.path == *place)) {
            let limit = Acceptance::MAX_BYTES;
            let committed = base.map(|tree| tree.read(&place, limit)).transpose()?.flatten();
            if committed.is_none()
                && let Some(content) = self.store.read(&place, limit)?
            {
                changes.push(FileChange { path: place, seen: Some(content.clone()), content: Some(content) });
            }
        }
        Ok(changes)
    }

    /// Where `path` stands; refused when the work tree has something else than the commit or a change made from it.
    pub(super) fn position(&self, base: Base<'_>, path: &SecretPath) -> Result<Position, VaultError> {
        self.position_of(base, path, self.revision(&self.store, path)?)
    }

    /// As [`Vault::position`], with the work tree's revision known already.
    pub(super) fn position_of(
        &self,
        base: Base<'_>,
        path: &SecretPath,
        current: Option<Signed>,
    ) -> Result<Position, VaultError> {
        let place = layout::sidecar(path);
        let committed = match (base, &current) {
            (None, _) => None,
            (Some(tree), Some(current)) if tree.holds(&place, &current.file)? => Some(current.clone()),
            (Some(tree), _) => {
                let file = tree.read(&place, MAX_SIDECAR_BYTES as u64)?;
                file.map(|file| self.valid(file, path)).transpose()?
            }
        };
        let position = Position { path: path.clone(), current, committed };
        let file = || place.as_str().to_owned();
        match &position.current {
            _ if self.fits(&position) => Ok(position),
            Some(_) => Err(VaultError::Diverged { file: file() }),
            None => Err(VaultError::NotCheckedOut { file: file() }),
        }
    }

    /// That every secret and grant that the commit has is in the work tree, too: what is done with all of them would pass over the others.
    pub(super) fn demand_checked_out(&self, base: Base<'_>) -> Result<(), VaultError> {
        let Some(tree) = base else { return Ok(()) };
        for folder in [layout::SECRETS, layout::GRANTS].map(layout::place) {
            let (committed, here) = (tree.list(&folder)?.files, self.store.list(&folder)?.files);
            let missing = |file: &&StorePath| layout::is_sidecar(file.as_str()) && here.binary_search(file).is_err();
            if let Some(file) = committed.iter().find(missing) {
                return Err(VaultError::NotCheckedOut { file: file.to_string() });
            }
        }
        Ok(())
    }

    /// Where `path` stands, for something new to be put there. Twins first: on a file system that folds case, a twin's file is found
    /// under this name too, and would be refused as moved.
    pub(super) fn free_position(&self, base: Base<'_>, path: &SecretPath) -> Result<Position, VaultError> {
        self.refuse_case_twin(path)?;
        let position = self.position(base, path)?;
        position.demand_free()?;
        Ok(position)
    }

    fn fits(&self, position: &Position) -> bool {
        let Some(current) = &position.current else { return position.committed.is_none() };
        let sidecar = &current.sidecar;
        match &position.committed {
            Some(committed) if committed.digest == current.digest => true,
            Some(committed) => sidecar.parents == [committed.digest] && sidecar.revision == position.next_revision(),
            None => sidecar.revision == Revision::FIRST,
        }
    }

    /// Refuses a new path that differs only in case from one that exists.
    pub(super) fn refuse_case_twin(&self, path: &SecretPath) -> Result<(), VaultError> {
        let mut folder = layout::SECRETS.to_owned();
        let text = path.to_string();
        let mut segments = text.split('/').peekable();
        while let Some(segment) = segments.next() {
            let file_name = if segments.peek().is_some() { segment.to_owned() } else { format!("{segment}.yaml") };
            let names = self.store.entries(&layout::place(&folder))?;
            let twin = names.into_iter().find(|name| *name != file_name && name.eq_ignore_ascii_case(&file_name));
            if let Some(twin) = twin {
                let existing = format!("{folder}/{}", twin.trim_end_matches(".yaml"));
                let existing = existing.trim_start_matches("secrets/").to_owned();
                return Err(VaultError::CaseTwin { path: path.clone(), existing });
            }
            folder = format!("{folder}/{segment}");
        }
        Ok(())
    }

    /// The next revision of a secret: everything carried over from the current one, or from nothing.
    pub(super) fn draft(&self, position: &Position, change: Change) -> Result<Sidecar, VaultError> {
        let me = self.me()?;
        let now = self.options.now;
        let parents = position.committed.iter().map(|signed| signed.digest).collect();
        let current = position.current.as_ref().map(|signed| signed.sidecar.clone());
        // An uncommitted revision is replaced: if it brought a value, so does the one in its place.
        let keeps_value = matches!(change, Change::Metadata | Change::Rekey | Change::Acknowledge);
        let pending = position.uncommitted().filter(|sidecar| keeps_value && !sidecar.is_tombstone());
        let change = pending.map_or(change, |sidecar| sidecar.change);
        let blank = || Sidecar {
            store: self.authority.id(),
            path: position.path.clone(),
            revision: Revision::FIRST,
            parents: Vec::new(),
            change,
            version: position.next_version(),
            ciphertext: None,
            source: None,
            policy: self.authority.reference(),
            author: me.name.clone(),
            time: now,
            recipients: Vec::new(),
            exposed_to: BTreeSet::new(),
            value_author: me.name.clone(),
            created_at: now,
            updated_at: now,
            tags: BTreeSet::new(),
            metadata: std::collections::BTreeMap::new(),
            expires_at: None,
            rotation: None,
            next: None,
            acknowledged: None,
        };
        Ok(Sidecar {
            revision: position.next_revision(),
            parents,
            change,
            source: None,
            policy: self.authority.reference(),
            author: me.name.clone(),
            time: now,
            ..current.unwrap_or_else(blank)
        })
    }

    /// Puts `value` into `sidecar` as the next version, encrypted to today's readers; gives the age file.
    pub(super) fn put_value(
        &self,
        sidecar: &mut Sidecar,
        version: Version,
        value: &SecretBytes,
    ) -> Result<Vec<u8>, VaultError> {
        let path = &sidecar.path;
        if sidecar.next.is_some() {
            // The next version is the pending value's.
            return Err(VaultError::RotationPending { path: path.clone() });
        }
        let (recipients, holders) = self.authority.readers(path, self.grants_in_force()?);
        if recipients.is_empty() {
            return Err(VaultError::NoReaders { path: path.clone() });
        }
        let context = crypto::Context::new(&sidecar.store, path, version);
        let file = crypto::seal(value, &context, &recipients).map_err(VaultError::Seal)?;
        sidecar.version = version;
        sidecar.ciphertext = Some(Ciphertext::of(&file));
        sidecar.recipients = holders;
        sidecar.value_author = sidecar.author.clone();
        sidecar.updated_at = self.options.now;
        Ok(file)
    }

    /// That a value has an allowed size.
    pub(super) fn check_size(&self, value: &SecretBytes, allow_empty: bool) -> Result<(), VaultError> {
        let (size, limit) = (value.len() as u64, self.options.max_value_bytes);
        if value.is_empty() && !allow_empty {
            return Err(VaultError::EmptyValue);
        }
        if size > limit {
            return Err(VaultError::ValueTooLarge { size, limit });
        }
        Ok(())
    }

    /// Signs `sidecar` and gives the changes of its files. An age file that the sidecar does not state is removed.
    pub(super) fn changes(
        &self,
        position: &Position,
        sidecar: &Sidecar,
        sealed: Sealed,
    ) -> Result<Vec<FileChange>, VaultError> {
        self.demand(action_of(sidecar), &sidecar.path)?;
        let document = signed_by(self.me()?, sidecar)?;
        let seen = position.current.as_ref().map(|signed| signed.file.clone());
        let mut changes = vec![FileChange { path: layout::sidecar(&sidecar.path), seen, content: Some(document) }];
        let current = position.current.as_ref().map(|signed| &signed.sidecar);
        let value = (layout::value(&sidecar.path), sidecar.ciphertext.as_ref(), sealed.value);
        let pending = sidecar.next.as_ref().map(|next| &next.ciphertext);
        let pending = (layout::pending_value(&sidecar.path), pending, sealed.pending);
        let known = [
            current.and_then(|it| it.ciphertext.as_ref()),
            current.and_then(|it| it.next.as_ref()).map(|next| &next.ciphertext),
        ];
        for ((path, stated, new), known) in [value, pending].into_iter().zip(known) {
            let seen = stated_file(&self.store, &path, known)?;
            // An age file goes into every change, also where it stays: what is committed must be what was signed.
            let content = stated.and_then(|_| new.or_else(|| seen.clone()));
            if seen.is_some() || content.is_some() {
                changes.push(FileChange { path, seen, content });
            }
        }
        Ok(changes)
    }

    /// What callers are told of a change.
    pub(super) fn outcome(&self, sidecar: &Sidecar) -> Outcome {
        Outcome {
            path: sidecar.path.clone(),
            source: None,
            change: sidecar.change,
            version: sidecar.version,
            revision: sidecar.revision,
            from_version: None,
            changed: true,
            commit: None,
            branch: None,
            expires_at: sidecar.expires_at,
            expiry_cleared: None,
            name_hint: None,
        }
    }
}

/// The sidecar's file, signed.
pub(super) fn signed_by(me: &Me, sidecar: &Sidecar) -> Result<Vec<u8>, VaultError> {
    let document = crypto::sign_document(&sidecar.body(), Namespace::Secret, &me.identity).map_err(VaultError::Sign)?;
    if document.len() > MAX_SIDECAR_BYTES {
        return Err(VaultError::SidecarTooLarge { path: sidecar.path.clone() });
    }
    Ok(document)
}

/// Who could read a value that comes from `source`, and is not among `now`.
pub(super) fn exposure(source: &Sidecar, now: &[KeyHolder]) -> BTreeSet<KeyHolder> {
    let knew = source.recipients.iter().chain(&source.exposed_to);
    knew.filter(|holder| !now.contains(holder)).cloned().collect()
}
