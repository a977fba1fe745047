//! Trust in a branch: where the remote's branch has moved on, each step of it is compared, once.
//!
//! Only the trusted remote branch moves the pins. Local branches are the user's own: amending, rebasing and switching them raises no
//! alarm here. A path that breaks a rule of [`step`] is refused by name wherever the commit that broke it is contained, until it has a
//! revision above the highest that was seen, or the very bytes of that one again: where those are back, nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Acceptance, Digest, KeyHolder, MAX_POLICY_BYTES, MAX_SIDECAR_BYTES, Pending, Revision, SecretPath, Sidecar,
};
use crate::policy::{Branches, Chain, Pins, Replay, TrustedTip};
use crate::store::{CommitId, Store, StoreError, StorePath, Tree};

use super::authority::{self, Authority};
use super::files::Files;
use super::revision::{Signed, refused};
use super::{Flaw, Notice, Vault, VaultError, VaultOptions, known, layout, place_of};

/// How far a revision may jump in one step of a trusted branch.
const MAX_JUMP: u64 = 1000;

/// Paths that are refused, and by which commit's doing.
pub(super) type Refusals = BTreeMap<SecretPath, Replay>;

/// A policy with its acceptance list: by which a state counts.
pub(super) struct Judge {
    authority: Authority,
    accepted: Acceptance,
}

impl Judge {
    pub(super) const fn new(authority: Authority, accepted: Acceptance) -> Self {
        Self { authority, accepted }
    }

    /// That of the store in `commit`, if the chain of `now` goes on from it.
    pub(super) fn before(now: &Self, store: &Store, commit: &CommitId) -> Result<Option<Self>, StoreError> {
        let Some(tree) = tree_on_the_way(store, commit)? else { return Ok(None) };
        let verified = now.authority.chain().summary();
        let Ok(chain) = authority::load(&tree, &|_| vec![verified.clone()]) else { return Ok(None) };
        if !verified.epochs.starts_with(&chain.summary().epochs) {
            return Ok(None);
        }
        let accepted = authority::acceptance(&tree, chain.policy()).unwrap_or_default();
        Ok(Some(Self::new(Authority::of(chain), accepted)))
    }

    fn epochs(&self) -> usize {
        self.authority.chain().summary().epochs.len()
    }

    /// The sidecar of `path` in `tree`, if it counts.
    fn counting(&self, tree: Option<&Tree<'_>>, file: &StorePath, path: &SecretPath) -> Option<Signed> {
        let bytes = tree?.read(file, MAX_SIDECAR_BYTES as u64).unwrap_or_default()?;
        let signed = Signed::verify(&self.authority, bytes, path).ok()?;
        (signed.by_right || self.accepted.contains(&signed.digest)).then_some(signed)
    }

    /// The state of `path` that was lost, as far as it is here. It did count.
    fn lost(&self, store: &Store, replay: &Replay, file: &StorePath, path: &SecretPath) -> Option<Signed> {
        let tree = store.tree_of(&replay.before.as_ref()?.parse().ok()?).ok()?;
        let bytes = tree.read(file, MAX_SIDECAR_BYTES as u64).ok()??;
        let signed = Signed::verify(&self.authority, bytes, path).ok()?;
        (Some(signed.digest) == replay.state).then_some(signed)
    }
}

/// What looking at the trusted branches came to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) refused: Refusals,
    pub(super) notices: Vec<Notice>,
}

/// The references whose branches are trusted in this clone.
pub(super) fn trusted_references(store: &Store, branches: &Branches) -> Vec<String> {
    if !branches.said.is_empty() {
        return branches.said.iter().cloned().collect();
    }
    let named = || branches.home.as_ref().map(|home| format!("refs/remotes/origin/{home}"));
    store.remote_head().or_else(named).into_iter().collect()
}

/// Verifies what is new on the trusted branches, and moves the pins there. The store `chain` belongs to is trusted already.
pub(super) fn look(store: &Store, pins: &Pins, here: &Chain) -> Result<Looked, VaultError> {
    let mut looked = Looked::default();
    let Some(clone) = store.clone_id(false)? else { return Ok(looked) };
    let place = place_of(store);
    let branches = pins.branches(&clone, &place)?;
    for reference in trusted_references(store, &branches) {
        let before = branches.tips.get(&reference);
        let tip = store.reference(&reference)?;
        let moved = tip.filter(|tip| before.is_none_or(|before| before.commit != tip.to_string()));
        let now = match moved {
            Some(tip) => match advanced(store, pins, here, &reference, before, &tip, &mut looked.notices) {
                // A partial clone has a commit before it has what is in it.
                Err(VaultError::Store(error)) if error.is_missing_object() => {
                    looked.notices.push(Notice::TrustUnclear { reference: reference.clone() });
                    None
                }
                told => told?,
            },
            None => None,
        };
        // What was refused stays so where nothing newer is known, though the branch be gone.
        looked.refused.extend(now.as_ref().or(before).into_iter().flat_map(|tip| tip.refused.clone()));
        let Some(now) = now else { continue };
        // Where nothing can be written it is compared again next time.
        let saved = pins.change_branches(&clone, &place, |branches| {
            branches.tips.insert(reference.clone(), now);
        });
        drop(saved);
    }
    Ok(looked)
}

/// Where a trusted branch stands now, verified; none where that can't be told.
fn advanced(
    store: &Store,
    pins: &Pins,
    here: &Chain,
    reference: &str,
    before: Option<&TrustedTip>,
    tip: &CommitId,
    notices: &mut Vec<Notice>,
) -> Result<Option<TrustedTip>, VaultError> {
    let way = match before {
        None => Vec::new(),
        Some(before) => match way_from(store, reference, before, tip)? {
            Some(way) => way,
            None => {
                notices.push(Notice::TrustUnclear { reference: reference.to_owned() });
                return Ok(None);
            }
        },
    };
    let tree = store.tree_of(tip)?;
    let chain = match authority::load(&tree, &|id| known(Some(pins), id)) {
        Ok(chain) => chain,
        // A branch that has no store yet, or no more: there is nothing to compare with.
        Err(VaultError::NoPolicy) if before.is_none() => return Ok(None),
        Err(error) => return Err(error),
    };
    if chain.id() != here.id() {
        return Err(VaultError::OtherStore { found: chain.id(), expected: here.id(), remembered: true });
    }
    demand_forward(pins, reference, &chain)?;
    if let Some(before) = before {
        demand_no_fall(store, pins, reference, before, &chain)?;
    }
    demand_nothing_dropped(store, pins, reference, &way, &chain)?;
    let accepted = authority::acceptance(&tree, chain.policy())?;
    let judge = Judge::new(Authority::of(chain), accepted);
    let mut refused = before.map(|before| before.refused.clone()).unwrap_or_default();
    if let Some(before) = before {
        walk(store, &judge, &before.commit.parse()?, &way, &mut refused)?;
    }
    let chain = judge.authority.chain();
    let policy = store.tree_of(tip)?.read(&layout::epoch(chain.policy().epoch), MAX_POLICY_BYTES as u64)?;
    let list = authority::acceptance_file(&tree, chain.policy())?;
    if let Some(policy) = policy {
        // As above: what can't be written is compared again.
        drop(pins.advance(chain, &policy, list.as_deref()));
    }
    Ok(Some(TrustedTip { commit: tip.to_string(), refused }))
}

/// The steps from where a branch stood to `tip`; none where that can't be told.
fn way_from(
    store: &Store,
    reference: &str,
    before: &TrustedTip,
    tip: &CommitId,
) -> Result<Option<Vec<CommitId>>, VaultError> {
    let from: CommitId = before.commit.parse()?;
    if !store.has_commit(&from)? || !store.has_commit(tip)? {
        return Ok(None);
    }
    if store.contains(tip, &from)? {
        return Ok(Some(store.first_parents(&from, tip)?));
    }
    if store.is_shallow()? {
        return Ok(None);
    }
    Err(VaultError::Rewritten { reference: reference.to_owned(), before: before.commit.clone(), now: tip.to_string() })
}

/// That the policy of a trusted branch is the pinned one, a later state of it or, on a branch that lags behind, an earlier one.
fn demand_forward(pins: &Pins, reference: &str, chain: &Chain) -> Result<(), VaultError> {
    let Some(pinned) = pins.pinned(&chain.id())? else { return Ok(()) };
    let later = chain.summary().digest_of(pinned.epoch) == Some(pinned.policy);
    let earlier = || pinned.chain.as_ref().is_some_and(|pinned| pinned.epochs.starts_with(&chain.summary().epochs));
    if later || earlier() {
        return Ok(());
    }
    Err(VaultError::TrustedPolicyForked { reference: reference.to_owned() })
}

/// That a trusted branch has every epoch that it had before.
fn demand_no_fall(
    store: &Store,
    pins: &Pins,
    reference: &str,
    before: &TrustedTip,
    chain: &Chain,
) -> Result<(), VaultError> {
    let tree = store.tree_of(&before.commit.parse()?)?;
    let known = authority::load(&tree, &|id| known(Some(pins), id))?;
    if chain.summary().epochs.starts_with(&known.summary().epochs) {
        return Ok(());
    }
    Err(VaultError::TrustedPolicyForked { reference: reference.to_owned() })
}

/// That no merge on the way left out epochs that it brought together with: whoever was removed could merge their removal away, unnoticed by
/// all who had not seen it.
fn demand_nothing_dropped(
    store: &Store,
    pins: &Pins,
    reference: &str,
    way: &[CommitId],
    chain: &Chain,
) -> Result<(), VaultError> {
    let ours = &chain.summary().epochs;
    for commit in way {
        for merged in store.merged_into(commit)? {
            // What is no valid chain of this store can't take part; anybody could have made it.
            let Some(tree) = tree_on_the_way(store, &merged)? else { continue };
            let theirs = authority::load(&tree, &|id| known(Some(pins), id));
            let goes_on = |theirs: Chain| {
                let theirs = &theirs.summary().epochs;
                theirs.len() > ours.len() && theirs.starts_with(ours)
            };
            if theirs.is_ok_and(goes_on) {
                return Err(VaultError::TrustedPolicyForked { reference: reference.to_owned() });
            }
        }
    }
    Ok(())
}

/// The store's files in a commit on the way; none where something else lies in the store's place. Whoever can push can put that there and take
/// it away again, and what was once on the way stays on it.
fn tree_on_the_way<'a>(store: &'a Store, commit: &CommitId) -> Result<Option<Tree<'a>>, StoreError> {
    match store.tree_of(commit) {
        Err(StoreError::NotPlain { .. }) => Ok(None),
        tree => tree.map(Some),
    }
}

/// Compares each step of the way from `from`, where a trusted branch stood, by the policy that it has now. What a step begins upon counted by the
/// policy of that time too: who is removed together with a replay has not taken back what they signed when they had the right.
pub(super) fn walk(
    store: &Store,
    judge: &Judge,
    from: &CommitId,
    way: &[CommitId],
    refused: &mut Refusals,
) -> Result<(), VaultError> {
    let policies = layout::place(layout::POLICY);
    let mut then = Judge::before(judge, store, from)?;
    let (mut at, mut before) = (from, tree_on_the_way(store, from)?);
    for commit in way {
        let after = tree_on_the_way(store, commit)?;
        step(store, (judge, then.as_ref()), [(at, before.as_ref()), (commit, after.as_ref())], refused)?;
        if !Store::is_same(before.as_ref(), after.as_ref(), &policies)? {
            // It never falls: nobody gets a right back by leaving epochs out for a moment.
            let newer = |later: &Judge| then.as_ref().is_none_or(|then| later.epochs() > then.epochs());
            then = Judge::before(judge, store, commit)?.filter(newer).or(then);
        }
        (at, before) = (commit, after);
    }
    Ok(())
}

/// Compares one step of a trusted branch, from the commit `a` to the commit `b`, with their trees. What does not count by the policy, nor by the
/// acceptance list, is as good as gone: nobody who has no right raises a number. Where there is a judge of `then`, what counts by that did count in `a`.
fn step(
    store: &Store,
    (judge, then): (&Judge, Option<&Judge>),
    [(a, mut before), (b, mut after)]: [(&CommitId, Option<&Tree<'_>>); 2],
    refused: &mut Refusals,
) -> Result<(), VaultError> {
    let secrets = layout::place(layout::SECRETS);
    let changed = match store.changed(before, after, &secrets) {
        Err(StoreError::TooMany { .. }) => {
            // More than a store can hold is no store.
            let bounded = |tree: &&Tree<'_>| !matches!(tree.list(&secrets), Err(StoreError::TooMany { .. }));
            (before, after) = (before.filter(bounded), after.filter(bounded));
            store.changed(before, after, &secrets)?
        }
        changed => changed?,
    };
    for file in changed {
        let Ok(layout::Entry::Sidecar(path)) = layout::classify(&file) else { continue };
        let known = refused.get(&path);
        let seen = known.map_or(0, |replay| replay.revision);
        let old = judge.counting(before, &file, &path);
        let old = old.or_else(|| then?.counting(before, &file, &path));
        // What leapt is refused, and nothing has to pass it.
        let old = old.filter(|old| known.is_none() || !leaps(seen, old.sidecar.revision));
        let new = judge.counting(after, &file, &path);
        let mut floor = seen.max(old.as_ref().map_or(0, |old| old.sidecar.revision.get()));
        let follows = match (&old, &new) {
            (_, None) => floor == 0,
            (_, Some(new)) if known.is_some_and(|replay| is_back(replay, new.sidecar.revision, &new.digest)) => true,
            (_, Some(new)) if new.sidecar.revision.get() <= seen || leaps(floor, new.sidecar.revision) => false,
            (_, Some(new)) => {
                // Nor is anybody forgotten by way of a state that is refused, or none.
                let lost = known.and_then(|replay| judge.lost(store, replay, &file, &path));
                old.iter().chain(&lost).all(|old| follows(old, new))
            }
        };
        if let Some(new) = new.filter(|new| !follows && !leaps(floor, new.sidecar.revision)) {
            // Also what goes on from the highest number, and forgets somebody, has to be passed.
            floor = floor.max(new.sidecar.revision.get());
        }
        if follows {
            refused.remove(&path);
        } else {
            let (before, state) = old.map(|old| (a.to_string(), old.digest)).unzip();
            let first = || Replay { commit: b.to_string(), revision: floor, state, before };
            refused.entry(path).or_insert_with(first).revision = floor;
        }
    }
    Ok(())
}

/// Whether a state is, byte for byte, the one that was lost, and no later one was seen since.
fn is_back(replay: &Replay, revision: Revision, digest: &Digest) -> bool {
    revision.get() == replay.revision && replay.state.as_ref() == Some(digest)
}

/// Whether `revision` is further from the one seen before than any honest step: numbers would run out.
pub(super) fn leaps(seen: u64, revision: Revision) -> bool {
    revision.get() > seen.saturating_add(MAX_JUMP)
}

/// Whether `new` may come after `old`: no number falls, none stands for two states, and nobody is forgotten who could read the same value.
pub(super) fn follows(old: &Signed, new: &Signed) -> bool {
    let (before, after) = (&old.sidecar, &new.sidecar);
    let same_state = before.revision == after.revision;
    let knew = |sidecar: &Sidecar| -> BTreeSet<KeyHolder> {
        sidecar.recipients.iter().chain(&sidecar.exposed_to).cloned().collect()
    };
    after.revision >= before.revision
        && after.version >= before.version
        && (!same_state || old.digest == new.digest)
        && (after.version != before.version || knew(before).is_subset(&knew(after)))
        && pending_follows(before, after)
}

/// Whether nobody is forgotten who could read the same pending value.
fn pending_follows(before: &Sidecar, after: &Sidecar) -> bool {
    let (Some(before), Some(after)) = (&before.next, &after.next) else { return true };
    let knew =
        |next: &Pending| -> BTreeSet<KeyHolder> { next.recipients.iter().chain(&next.exposed_to).cloned().collect() };
    before.token != after.token || knew(before).is_subset(&knew(after))
}

impl Vault {
    /// The commit of the trusted branch, as this clone has it.
    pub(super) fn trusted_commit(&self) -> Result<Option<String>, VaultError> {
        let (Some(pins), Some(clone)) = (&self.options.pins, self.store.clone_id(false)?) else { return Ok(None) };
        let branches = pins.branches(&clone, &place_of(&self.store))?;
        for reference in trusted_references(&self.store, &branches) {
            if let Some(commit) = self.store.reference(&reference)? {
                return Ok(Some(commit.to_string()));
            }
        }
        Ok(None)
    }

    /// That `signed`, read from the work tree, is no older state that was put back on a trusted branch.
    pub(super) fn demand_not_replayed(&self, signed: &Signed) -> Result<(), VaultError> {
        self.replayed(&signed.sidecar.path, Some(signed), None)
    }

    /// That there is no `path` because there never was, and not because a trusted branch lost it.
    pub(super) fn demand_not_lost(&self, path: &SecretPath) -> Result<(), VaultError> {
        self.replayed(path, None, None)
    }

    /// In the commit `tip`, or else in HEAD.
    fn replayed(&self, path: &SecretPath, state: Option<&Signed>, tip: Option<CommitId>) -> Result<(), VaultError> {
        let mended = |replay: &Replay, state: &Signed| {
            let revision = state.sidecar.revision;
            is_back(replay, revision, &state.digest)
                || (revision.get() > replay.revision && !leaps(replay.revision, revision))
        };
        let stays = |replay: &&Replay| !state.is_some_and(|state| mended(replay, state));
        let Some(replay) = self.refusals.get(path).filter(stays) else { return Ok(()) };
        let commit: CommitId = replay.commit.parse()?;
        let tip = tip.map_or_else(|| self.store.head(), |tip| Ok(Some(tip)))?;
        if tip.map(|tip| self.store.contains(&tip, &commit)).transpose()? != Some(true) {
            return Ok(());
        }
        let flaw = Flaw::Replayed { commit: format!("{commit:.10}"), seen: replay.revision };
        Err(refused(&layout::sidecar(path), flaw))
    }

    /// The revision that a state of `path` has to pass to count again; none where nothing was put back.
    pub(super) fn seen_before(&self, path: &SecretPath) -> Option<Revision> {
        Revision::new(self.refusals.get(path)?.revision)
    }

    /// Whether a trusted branch refuses `revision` because it leapt.
    pub(super) fn leapt(&self, path: &SecretPath, revision: Revision) -> bool {
        self.refusals.get(path).is_some_and(|replay| leaps(replay.revision, revision))
    }

    /// What trusted branches lost or put back and is not mended in `files`, as far as the commit `tip`, or else HEAD, contains it.
    pub(super) fn unmended(&self, files: &dyn Files, tip: Option<CommitId>) -> Result<Vec<VaultError>, VaultError> {
        let mut found = Vec::new();
        for path in self.refusals.keys() {
            let file = files.read(&layout::sidecar(path), MAX_SIDECAR_BYTES as u64).unwrap_or_default();
            let signed = file.and_then(|file| Signed::verify(&self.authority, file, path).ok());
            match self.replayed(path, signed.as_ref(), tip) {
                Err(error @ VaultError::Refused { .. }) => found.push(error),
                other => other?,
            }
        }
        Ok(found)
    }

    /// References whose branches are trusted in this clone, and the commit where each was verified last.
    ///
    /// # Errors
    /// [`VaultError`] when the pins can't be read.
    pub fn trusted_branches(&self) -> Result<Vec<(String, Option<String>)>, VaultError> {
        let (Some(pins), Some(clone)) = (&self.options.pins, self.store.clone_id(false)?) else {
            return Ok(Vec::new());
        };
        let branches = pins.branches(&clone, &place_of(&self.store))?;
        let references = trusted_references(&self.store, &branches).into_iter();
        Ok(references
            .map(|name| {
                let commit = branches.tips.get(&name).map(|tip| tip.commit.clone());
                (name, commit)
            })
            .collect())
    }

    /// Trusts one more remote branch: what it has moves the pins from now on.
    ///
    /// # Errors
    /// [`VaultError::NoSuchReference`], what makes the branch one of another store or policy, or when the pins can't be written.
    pub fn trust_branch(&self, name: &str) -> Result<String, VaultError> {
        let forms = full_names(name);
        let remote = |name: &&String| {
            name.starts_with("refs/remotes/")
                && !name.contains("..")
                && self.store.reference(name).ok().flatten().is_some()
        };
        let missing = || VaultError::NoSuchReference { name: name.to_owned() };
        let reference = forms.iter().find(remote).ok_or_else(missing)?;
        // One that can't be trusted would have every command after this one fail.
        if let (Some(pins), Some(tip)) = (&self.options.pins, self.store.reference(reference)?) {
            advanced(&self.store, pins, self.authority.chain(), reference, None, &tip, &mut Vec::new())?;
        }
        self.change_branches(|branches| {
            branches.said.insert(reference.clone());
        })?;
        Ok(reference.clone())
    }

    /// Takes back that [`Vault::trust_branch`] trusted a branch, whatever it has become. Policies that were pinned by it stay.
    ///
    /// # Errors
    /// [`VaultError::NotTrustedBranch`], or when the pins can't be written.
    pub fn forget_branch(options: VaultOptions, name: &str) -> Result<String, VaultError> {
        let vault = Self::open(VaultOptions { look: false, ..options })?;
        let mut forgotten = None;
        vault.change_branches(|branches| {
            forgotten = full_names(name).into_iter().find(|reference| branches.said.remove(reference));
            if let Some(reference) =
                forgotten.as_ref().filter(|it| !trusted_references(&vault.store, branches).contains(it))
            {
                branches.tips.remove(reference);
            }
        })?;
        forgotten.ok_or_else(|| VaultError::NotTrustedBranch { name: name.to_owned() })
    }

    /// Takes a trusted branch whose history was rewritten as it is now: `commit` is its tip.
    ///
    /// # Errors
    /// [`VaultError::NoSuchReference`] when no trusted branch has that tip, or when the pins can't be written.
    pub fn trust_rewrite(options: VaultOptions, commit: &str) -> Result<String, VaultError> {
        let vault = Self::open(VaultOptions { look: false, ..options })?;
        let commit = vault.store.commit_named(commit)?;
        for (reference, _) in vault.trusted_branches()? {
            if vault.store.reference(&reference)? == Some(commit) {
                vault.change_branches(|branches| {
                    branches
                        .tips
                        .insert(reference.clone(), TrustedTip { commit: commit.to_string(), refused: Refusals::new() });
                })?;
                return Ok(reference);
            }
        }
        Err(VaultError::NoSuchReference { name: commit.to_string() })
    }

    pub(super) fn change_branches(&self, change: impl FnOnce(&mut Branches)) -> Result<(), VaultError> {
        if let (Some(pins), Some(clone)) = (&self.options.pins, self.store.clone_id(true)?) {
            pins.change_branches(&clone, &place_of(&self.store), change)?;
        }
        Ok(())
    }
}

/// What somebody may mean by the name of a remote branch.
fn full_names(name: &str) -> [String; 3] {
    [name.to_owned(), format!("refs/remotes/{name}"), format!("refs/remotes/origin/{name}")]
}
