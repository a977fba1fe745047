//! Encrypting present values anew, where who holds a key for them is not who may read them.
//!
//! Everything is decrypted and verified before the first file is written; versions and ages of values stay as they are.

use std::collections::BTreeSet;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::crypto::{self, Context, Recipient, Sealer};
use crate::model::{Change, Ciphertext, Digest, Grant, KeyHolder, MemberName, Pattern, Policy, SecretPath, Sidecar};
use crate::policy::{Action, Rights};
use crate::store::FileChange;

use super::authority::readers_by;
use super::pending::seal_pending_to;
use super::revision::{Bound, Signed, as_stated, most_bytes, unseal};
use super::write::{Base, Planned, Position, exposure, signed_by};
use super::{Me, Vault, VaultError, Writing, layout};

/// Work that the present member can't do: a value that is encrypted to others than may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The secret.
    pub path: SecretPath,
    /// Members who can do it: who may read and write it, and hold a key. Where there are none, a writer has to set a new value.
    pub who: Vec<MemberName>,
}

/// What re-encryption did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeyed {
    /// Encrypted anew.
    pub reencrypted: Vec<SecretPath>,
    /// Left for others.
    pub pending: Vec<Pending>,
    /// Which commit did it; none when there was nothing to do.
    pub commit: Option<String>,
}

/// Re-encryption on its way into a commit.
pub(super) struct RekeyPlan {
    pub(super) changes: Vec<FileChange>,
    pub(super) reencrypted: Vec<SecretPath>,
    pub(super) pending: Vec<Pending>,
    /// The newest revision of every secret once this is done, tombstones too.
    pub(super) tips: Vec<Tip>,
}

/// The newest revision of a secret.
pub(super) struct Tip {
    pub(super) sidecar: Sidecar,
    /// The hash of its file.
    pub(super) digest: Digest,
    /// Whether the policy alone lets its author do what it does.
    pub(super) by_right: bool,
}

/// One secret to encrypt anew: all that is needed without looking at the store again.
struct Job {
    signed: Signed,
    draft: Sidecar,
    recipients: Vec<Recipient>,
    holders: Vec<KeyHolder>,
}

/// A secret's age files, as they were read.
struct AgeFiles {
    value: Vec<u8>,
    pending: Option<Vec<u8>>,
}

impl Vault {
    /// Encrypts anew what matches `pattern` and is encrypted to others than may read it, as far as the present member can.
    ///
    /// # Errors
    /// [`VaultError`]: a file that is refused, git.
    pub fn rekey(&self, pattern: Option<&Pattern>, writing: &Writing) -> Result<Rekeyed, VaultError> {
        let meant = |path: &SecretPath| pattern.is_none_or(|pattern| pattern.selects(path));
        let (mut done, applied) = self.transact(writing, "rekey", &|base| {
            let signed: Vec<Signed> =
                self.verified_all()?.0.into_iter().filter(|signed| meant(&signed.sidecar.path)).collect();
            let plan = self.plan_rekey(base, signed, self.authority.policy(), &self.grants_in_force()?)?;
            Ok(Planned {
                subject: rekey_subject(&plan.reencrypted),
                trailers: vec![("Vsecure-Change", Change::Rekey.to_string())],
                changes: plan.changes,
                result: Rekeyed { reencrypted: plan.reencrypted, pending: plan.pending, commit: None },
            })
        })?;
        done.commit = applied.and_then(|applied| applied.commit).map(|commit| commit.to_string());
        Ok(done)
    }

    /// Plans to encrypt those of `secrets` anew whose holders are not who may read them by `policy` and `grants`.
    pub(super) fn plan_rekey(
        &self,
        base: Base<'_>,
        secrets: Vec<Signed>,
        policy: &Policy,
        grants: &[&Grant],
    ) -> Result<RekeyPlan, VaultError> {
        let me = self.me()?;
        let mut plan =
            RekeyPlan { changes: Vec::new(), reencrypted: Vec::new(), pending: Vec::new(), tips: Vec::new() };
        let mut jobs = Vec::new();
        for signed in secrets {
            let path = signed.sidecar.path.clone();
            let (recipients, holders) = readers_by(policy, &path, grants.iter().copied());
            let drifted = has_drifted(&signed.sidecar, &holders);
            if drifted && !holders.is_empty() && self.can_reencrypt(me, &signed.sidecar) {
                jobs.push(self.rekey_job(base, signed, recipients, holders)?);
                continue;
            }
            if drifted {
                plan.pending.push(Pending { who: who_can_reencrypt(policy, &signed.sidecar), path });
            }
            let by_right = self.authority.gives_right(policy, &signed.sidecar, &signed.signer);
            plan.tips.push(Tip { sidecar: signed.sidecar, digest: signed.digest, by_right });
        }
        let progress = &self.options.progress;
        progress.begin(jobs.len());
        let stepped = |result| {
            progress.step();
            result
        };
        let files = self.age_files_of(&jobs)?;
        let jobs: Vec<_> = jobs.into_iter().zip(files).collect();
        let sealer = Sealer::for_many(jobs.iter().flat_map(|(job, _)| &job.recipients));
        let run = |(job, files): (Job, _)| stepped(job.run(me, &sealer, files));
        let done: Vec<Result<_, VaultError>> = jobs.into_par_iter().map(run).collect();
        progress.end();
        for result in done {
            let (sidecar, digest, changes) = result?;
            plan.reencrypted.push(sidecar.path.clone());
            let by_right = self.authority.gives_right(policy, &sidecar, me.identity.verifying_key());
            plan.tips.push(Tip { sidecar, digest, by_right });
            plan.changes.extend(changes);
        }
        Ok(plan)
    }

    fn can_reencrypt(&self, me: &Me, sidecar: &Sidecar) -> bool {
        let rights = self.authority.rights();
        let allowed = |action| rights.allows(&me.name, action, &sidecar.path);
        let fingerprints: Vec<_> = me.keys.iter().map(|key| key.recipient().fingerprint()).collect();
        let mine = |holder: &KeyHolder| fingerprints.contains(&holder.key);
        allowed(Action::Read) && allowed(Action::Write) && some_hold_all(sidecar, &mine)
    }

    fn rekey_job(
        &self,
        base: Base<'_>,
        signed: Signed,
        recipients: Vec<Recipient>,
        holders: Vec<KeyHolder>,
    ) -> Result<Job, VaultError> {
        let position: Position = self.position_of(base, &signed.sidecar.path, Some(signed.clone()))?;
        let draft = self.draft(&position, Change::Rekey)?;
        Ok(Job { signed, draft, recipients, holders })
    }

    /// The age files of each: of the present value, and of the pending one where there is one.
    fn age_files_of(&self, jobs: &[Job]) -> Result<Vec<AgeFiles>, VaultError> {
        let stated = |job: &Job| {
            let Sidecar { path, ciphertext, next, .. } = &job.signed.sidecar;
            let pending = next.as_ref().map(|next| next.ciphertext.clone());
            [(layout::value(path), ciphertext.clone()), (layout::pending_value(path), pending)]
        };
        let files: Vec<_> = jobs.iter().flat_map(stated).collect();
        let wanted: Vec<_> = files.iter().map(|(place, stated)| (place.clone(), most_bytes(stated.as_ref()))).collect();
        let read = files.iter().zip(self.store.read_many(&wanted));
        let mut read = read.map(|((place, stated), file)| as_stated(place, stated.as_ref(), file));
        let mut next = || read.next().transpose().map(Option::flatten);
        let both = |job: &Job| {
            let path = job.signed.sidecar.path.clone();
            Ok(AgeFiles { value: next()?.ok_or(VaultError::Deleted { path })?, pending: next()? })
        };
        jobs.iter().map(both).collect()
    }
}

impl Job {
    /// Decrypts, encrypts to the new holders, signs.
    fn run(self, me: &Me, sealer: &Sealer, old: AgeFiles) -> Result<(Sidecar, Digest, Vec<FileChange>), VaultError> {
        let value = unseal(&old.value, &self.signed, me)?;
        let mut sidecar = self.draft;
        let pending = match (&self.signed.sidecar.next, &old.pending) {
            (Some(next), Some(file)) => {
                let value = Bound::pending(&self.signed.sidecar, next).unseal(file, me)?;
                seal_pending_to(sealer, &mut sidecar, &value, &self.recipients, &self.holders)?
            }
            _ => None,
        };
        let age = seal_to(sealer, &mut sidecar, &value, &self.recipients, self.holders)?;
        let path = sidecar.path.clone();
        let document = signed_by(me, &sidecar)?;
        let digest = Digest::of(&document);
        let mut changes = vec![
            FileChange { path: layout::sidecar(&path), seen: Some(self.signed.file), content: Some(document) },
            FileChange { path: layout::value(&path), seen: Some(old.value), content: Some(age) },
        ];
        if pending.is_some() {
            changes.push(FileChange { path: layout::pending_value(&path), seen: old.pending, content: pending });
        }
        Ok((sidecar, digest, changes))
    }
}

/// Encrypts the value that `sidecar` has already to other readers: whoever could read it until now and is none of them is exposed.
pub(super) fn seal_to(
    sealer: &Sealer,
    sidecar: &mut Sidecar,
    value: &crypto::SecretBytes,
    recipients: &[Recipient],
    holders: Vec<KeyHolder>,
) -> Result<Vec<u8>, VaultError> {
    let context = Context::new(&sidecar.store, &sidecar.path, sidecar.version);
    let age = sealer.seal(value, &context, recipients).map_err(VaultError::Seal)?;
    let exposed = exposure(sidecar, &holders);
    if !exposed.is_subset(&sidecar.exposed_to) {
        // Somebody took note of a smaller debt.
        sidecar.acknowledged = None;
    }
    sidecar.exposed_to = exposed;
    sidecar.ciphertext = Some(Ciphertext::of(&age));
    sidecar.recipients = holders;
    Ok(age)
}

/// Whether the present value, or a pending one, is encrypted to others than `readers`.
pub(super) fn has_drifted(sidecar: &Sidecar, readers: &[KeyHolder]) -> bool {
    let pending = sidecar.next.iter().map(|next| &next.recipients);
    let lists = std::iter::once(&sidecar.recipients).chain(pending);
    !sidecar.is_tombstone() && lists.into_iter().any(|list| !same_holders(readers, list))
}

/// Whether both values, where there is a pending one, are encrypted to somebody whom `them` holds for.
fn some_hold_all(sidecar: &Sidecar, them: &dyn Fn(&KeyHolder) -> bool) -> bool {
    sidecar.recipients.iter().any(them) && sidecar.next.iter().all(|next| next.recipients.iter().any(them))
}

/// Whether both lists name the same holders, in whatever order.
pub(super) fn same_holders(a: &[KeyHolder], b: &[KeyHolder]) -> bool {
    a.iter().collect::<BTreeSet<_>>() == b.iter().collect()
}

/// The members who may read and write a secret by `policy` and hold a key for its present value.
pub(super) fn who_can_reencrypt(policy: &Policy, sidecar: &Sidecar) -> Vec<MemberName> {
    let rights = Rights::of(policy);
    let holds = |name: &MemberName| some_hold_all(sidecar, &|holder| holder.member == *name);
    let readers = rights.who(Action::Read, &sidecar.path);
    readers.filter(|name| rights.allows(name, Action::Write, &sidecar.path) && holds(name)).cloned().collect()
}

fn rekey_subject(paths: &[SecretPath]) -> String {
    match paths {
        [path] => format!("Encrypt {path} to today's readers"),
        paths => format!("Encrypt {} secrets to today's readers", paths.len()),
    }
}
