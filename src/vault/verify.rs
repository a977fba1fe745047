//! Everything that can be checked without a private key: the chain of epochs, signatures, validity, hashes, headers, who holds keys against who
//! may read, grants, stray files, and what a trusted branch may not do; with a key also that values open.
//!
//! A finding is something that a reader would refuse, or that an admin has to do. What could not be checked here is said, not passed over.

use std::collections::BTreeSet;

use crate::crypto::{self, Namespace};
use crate::model::{
    Acceptance, Grant, KeyHolder, MAX_REQUEST_BYTES, MAX_SIDECAR_BYTES, MemberName, Policy, Request, SecretPath,
    Sidecar,
};
use crate::policy::verified;
use crate::store::{CommitId, Listed, Store, StoreError, StorePath};

use super::around::around;
use super::authority::{self, Authority, readers_by};
use super::files::Files;
use super::grants::{self, Grants};
use super::rekey::has_drifted;
use super::revision::{Bound, Signed, stated_file, unseal};
use super::trust::{Judge, Refusals, walk};
use super::{Flaw, Standing, Trust, Vault, VaultError, VaultOptions, judge, known, layout};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody has work to do.
    Warning,
    /// A reader refuses it.
    Error,
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind, in one word that programs can compare.
    pub rule: String,
    /// How much it matters.
    pub level: Level,
    /// The file, as a path within the store.
    pub file: String,
    /// What was found.
    pub message: String,
}

/// What is to be verified.
#[derive(Debug, Clone, Default)]
pub struct Verify {
    /// A commit, or `A..B`; the work tree where none is said.
    pub what: Option<String>,
    /// Also that the values open that the present member may read.
    pub decrypt: bool,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// What it found, by file.
    pub findings: Vec<Finding>,
    /// What could not be checked here, in words.
    pub unchecked: Vec<String>,
    /// How many epochs, secrets (deleted ones too) and grants were looked at.
    pub epochs: u64,
    /// See above.
    pub secrets: usize,
    /// See above.
    pub grants: usize,
    /// How many values were opened.
    pub opened: usize,
}

/// One set of files under examination.
struct Check<'a> {
    files: &'a dyn Files,
    /// Whose rights decide about authors.
    authority: &'a Authority,
    /// Lists that accept what rights alone do not.
    accepted: Vec<Acceptance>,
    /// Who has to be able to read.
    readers: &'a Policy,
    /// Grants in force.
    grants: Vec<Grant>,
    result: Verification,
}

impl Vault {
    /// Verifies the work tree, a commit, or each step of a range.
    ///
    /// # Errors
    /// [`VaultError`] when the store or repository can't be read at all; what is wrong in it is a finding.
    pub fn verify(&self, request: &Verify) -> Result<Verification, VaultError> {
        let range =
            request.what.as_deref().map(|what| what.split_once("..").map_or((None, what), |(a, b)| (Some(a), b)));
        let tree = range.map(|(_, rev)| self.store.snapshot(rev)).transpose()?;
        let files: &dyn Files = tree.as_ref().map_or(&self.store as &dyn Files, |tree| tree as &dyn Files);
        let grants = grants::load(files, &self.authority)?;
        let mut check = Check {
            files,
            authority: &self.authority,
            accepted: vec![self.accepted()?.clone()],
            readers: self.authority.policy(),
            grants: Vec::new(),
            result: Verification::default(),
        };
        check.policy();
        check.take_grants(grants, self.options.now)?;
        let signed = check.secrets()?;
        check.strays()?;
        if request.decrypt {
            self.open_all(&mut check, &signed)?;
        }
        let tip = range.map(|(_, rev)| self.store.commit_named(rev)).transpose()?;
        for error in self.unmended(files, tip)? {
            check.error(&error, layout::SECRETS);
        }
        self.check_history(&mut check, range.and_then(|(from, to)| Some((from?, to))))?;
        let mut result = check.result;
        result.findings.extend(self.overdue()?.into_iter().filter(|_| request.what.is_none()));
        result.findings.sort_by(|a, b| (&a.file, &a.rule, &a.message).cmp(&(&b.file, &b.rule, &b.message)));
        result.findings.dedup();
        Ok(result)
    }

    /// Verifies what `head` would bring upon `base`, from git's objects alone: authors by the policy of `base`, readers by that of `head`, each
    /// epoch by its predecessor.
    ///
    /// # Errors
    /// [`VaultError`] when the base is not a trusted store's, or the repository can't be read.
    pub fn verify_base(options: &VaultOptions, base: &str, head: &str) -> Result<Verification, VaultError> {
        let store = Store::discover_or_locate(&options.start, options.store.as_deref(), options.store_options())?;
        let (base, head) = (store.commit_named(base)?, store.commit_named(head)?);
        let base_tree = store.tree_of(&base)?;
        let base_chain = authority::load(&base_tree, &|id| known(options.pins.as_ref(), id))?;
        if judge(&store, options, &base_chain)?.0 == Trust::Unknown {
            return Err(VaultError::Untrusted { id: base_chain.id() });
        }
        let authors = Authority::of(base_chain);
        let mut result = Verification::default();
        let tree = match store.tree_of(&head) {
            Err(error @ StoreError::NotPlain { .. }) => {
                result.findings.push(found(&error.into(), "."));
                return Ok(result);
            }
            tree => tree?,
        };
        let head_chain = match authority::load(&tree, &|_| Vec::new()) {
            Ok(chain) => chain,
            Err(error) => {
                result.findings.push(found(&error, layout::POLICY));
                return Ok(result);
            }
        };
        let (ours, theirs) = (&authors.chain().summary().epochs, &head_chain.summary().epochs);
        if !theirs.starts_with(ours) && !ours.starts_with(theirs) {
            result.findings.push(finding(
                "policy-forked",
                Level::Error,
                layout::POLICY,
                "its policy does not go on from that of the base",
            ));
        }
        // A head that is behind the base is read by the base's policy, as everybody will once it is merged.
        let readers = Authority::of(if theirs.len() >= ours.len() { head_chain } else { authors.chain().clone() });
        let mut check = Check {
            files: &tree,
            authority: &authors,
            accepted: vec![authority::acceptance(&base_tree, authors.policy())?],
            readers: readers.policy(),
            grants: Vec::new(),
            result,
        };
        match authority::acceptance(&tree, readers.policy()) {
            Ok(list) => check.accepted.push(list),
            Err(error) => check.result.findings.push(found(&error, layout::POLICY)),
        }
        check.policy();
        // Whoever may grant by the base's policy, as for every other author.
        check.take_grants(grants::load(&tree, &authors)?, options.now)?;
        check.secrets()?;
        check.strays()?;
        let mut result = check.result;
        let from = store.merge_base(&base, &head)?;
        result.findings.extend(around(&store, &tree, from.as_ref().unwrap_or(&base), &head)?);
        match from {
            Some(from) => {
                let accepted = authority::acceptance(&tree, readers.policy()).unwrap_or_default();
                result.findings.extend(steps(&store, &Judge::new(readers, accepted), &from, &head)?);
            }
            None => result
                .unchecked
                .push("base and head have no commit in common here: what changed between them".to_owned()),
        }
        result.findings.sort_by(|a, b| (&a.file, &a.rule, &a.message).cmp(&(&b.file, &b.rule, &b.message)));
        result.findings.dedup();
        Ok(result)
    }

    /// What has to be done about access: grants that are overdue or refused, values that others hold keys for than may read them, debt that
    /// nobody took note of.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read.
    pub fn check_access(&self) -> Result<Vec<Finding>, VaultError> {
        let mut findings = self.overdue()?;
        let (signed, refused) = self.verified_all()?;
        findings.extend(refused.iter().map(|error| found(error, layout::SECRETS)));
        let grants = self.grants_in_force()?;
        for signed in signed.iter().filter(|signed| !signed.sidecar.is_tombstone()) {
            findings.extend(drift(self.authority.policy(), signed, &grants));
        }
        for debt in self.debts()?.0.into_iter().filter(|debt| !debt.acknowledged) {
            let who: BTreeSet<&MemberName> = debt.debtors.iter().map(|debtor| &debtor.holder.member).collect();
            let who: Vec<String> = who.into_iter().map(ToString::to_string).collect();
            let message = format!("{} has to be rotated: {} could read it", debt.sidecar.path, who.join(", "));
            findings.push(finding("debt", Level::Warning, layout::sidecar(&debt.sidecar.path).as_str(), message));
        }
        findings.extend(self.grants()?.refused.iter().map(|error| found(error, layout::GRANTS)));
        findings.sort_by(|a, b| (&a.file, &a.rule).cmp(&(&b.file, &b.rule)));
        findings.dedup();
        Ok(findings)
    }

    /// Grants that ended, or were revoked, though their grantees hold keys still.
    fn overdue(&self) -> Result<Vec<Finding>, VaultError> {
        let (entries, _) = self.grants_listed()?;
        let overdue = entries.into_iter().filter(|entry| entry.holds_key && !entry.in_force);
        Ok(overdue
            .map(|entry| {
                let Grant { id, path, grantee, expires_at, revoked, .. } = &entry.grant;
                let ended = if *revoked { "was revoked".to_owned() } else { format!("ended at {expires_at}") };
                let message =
                    format!("the grant of {grantee} for {path} {ended}, and the value is encrypted to that key still");
                finding("grant-overdue", Level::Error, layout::grant(id).as_str(), message)
            })
            .collect())
    }

    fn open_all(&self, check: &mut Check<'_>, signed: &[Signed]) -> Result<(), VaultError> {
        let me = self.me()?;
        for signed in signed.iter().filter(|signed| !signed.sidecar.is_tombstone()) {
            let path = &signed.sidecar.path;
            if !self.may_read(path)? {
                continue;
            }
            // The files themselves were looked at already.
            let value = self.age_file(check.files, signed).ok().flatten().map(|file| unseal(&file, signed, me));
            let pending = self.pending_file(check.files, signed).ok().flatten().zip(signed.sidecar.next.as_ref());
            let pending = pending.map(|(file, next)| Bound::pending(&signed.sidecar, next).unseal(&file, me));
            for opened in [value, pending].into_iter().flatten() {
                match opened {
                    Ok(_) => check.result.opened += 1,
                    Err(error) => check.result.findings.push(found(&error, layout::value(path).as_str())),
                }
            }
        }
        Ok(())
    }

    /// What a trusted branch may not do, from the pinned commit or along a range; and what can't be known here.
    fn check_history(&self, check: &mut Check<'_>, range: Option<(&str, &str)>) -> Result<(), VaultError> {
        if !self.store.has_git() {
            check.result.unchecked.push("history: there is no repository around the store".to_owned());
            return Ok(());
        }
        if self.store.is_shallow()? {
            check.result.unchecked.push("history beyond this shallow clone".to_owned());
        }
        if self.trust == Trust::Said && self.options.claim.is_some_and(|claim| claim.epoch.is_none()) {
            check.result.unchecked.push("whether the policy was rolled back: only the store's id was said".to_owned());
        }
        if self.standing != Standing::Here {
            let message = match self.standing {
                Standing::Forked => "the policy here and that of the trusted branch went separate ways",
                _ => "the policy here is older than that of the trusted branch, which was used",
            };
            let level = if self.standing == Standing::Forked { Level::Error } else { Level::Warning };
            check.result.findings.push(finding("policy-behind", level, layout::POLICY, message));
        }
        let (from, to) = match range {
            Some((from, to)) => (Some(self.store.commit_named(from)?), Some(self.store.commit_named(to)?)),
            None => (self.trusted_commit()?.map(|commit| commit.parse()).transpose()?, self.store.head()?),
        };
        let (Some(from), Some(to)) = (from, to) else {
            check.result.unchecked.push("replays: there is no trusted remote branch to compare with".to_owned());
            return Ok(());
        };
        if self.store.has_commit(&from)? && self.store.contains(&to, &from)? {
            let judge = Judge::new(self.authority.clone(), self.accepted()?.clone());
            check.result.findings.extend(steps(&self.store, &judge, &from, &to)?);
        } else if range.is_some() {
            check.result.unchecked.push("the range: its end does not contain its beginning".to_owned());
        }
        Ok(())
    }
}

impl Check<'_> {
    fn error(&mut self, error: &VaultError, file: &str) {
        self.result.findings.push(found(error, file));
    }

    /// Every epoch anew, whatever was verified before.
    fn policy(&mut self) {
        match authority::load(self.files, &|_| Vec::new()) {
            Ok(chain) => {
                self.result.epochs = chain.policy().epoch.get();
                if let Err(error) = authority::acceptance(self.files, chain.policy()) {
                    self.error(&error, layout::POLICY);
                }
            }
            Err(error) => self.error(&error, layout::POLICY),
        }
    }

    fn take_grants(&mut self, grants: Grants, now: crate::model::Timestamp) -> Result<(), VaultError> {
        self.result.grants = grants.all.len();
        self.grants = grants.all.into_iter().filter(|grant| grant.is_in_force(now)).collect();
        for error in &grants.refused {
            self.error(error, layout::GRANTS);
        }
        Ok(())
    }

    /// Every sidecar with its age file; those that count.
    fn secrets(&mut self) -> Result<Vec<Signed>, VaultError> {
        let Listed { files, others } = self.files.list(&layout::place(layout::SECRETS))?;
        for file in others {
            self.error(&VaultError::Refused { file: file.clone(), flaw: Flaw::NotPlain }, &file);
        }
        let mut signed = Vec::new();
        let mut names = BTreeSet::new();
        let present: BTreeSet<&StorePath> = files.iter().collect();
        for file in &files {
            match layout::classify(file) {
                Ok(layout::Entry::Sidecar(path)) => {
                    if !names.insert(path.to_string().to_ascii_lowercase()) {
                        self.result.findings.push(finding(
                            "case-twin",
                            Level::Error,
                            file.as_str(),
                            format!("{path} differs only in case from another secret"),
                        ));
                    }
                    match self.secret(file, &path) {
                        Ok(one) => signed.push(one),
                        Err(error) => self.error(&error, file.as_str()),
                    }
                }
                Ok(layout::Entry::Value(path) | layout::Entry::Pending(path))
                    if !present.contains(&layout::sidecar(&path)) =>
                {
                    self.error(&super::revision::refused(file, Flaw::Unsigned), file.as_str());
                }
                // What belongs to a sidecar is looked at with it.
                Ok(layout::Entry::Value(_) | layout::Entry::Pending(_)) => {}
                Ok(layout::Entry::Other) => self.stray(file),
                Err(error) => self.error(&super::revision::refused(file, Flaw::BadName(error)), file.as_str()),
            }
        }
        self.result.secrets = signed.len();
        Ok(signed)
    }

    fn secret(&mut self, file: &StorePath, path: &SecretPath) -> Result<Signed, VaultError> {
        let refused = |flaw| super::revision::refused(file, flaw);
        let bytes = self.files.read(file, MAX_SIDECAR_BYTES as u64)?.unwrap_or_default();
        let signed = Signed::verify(self.authority, bytes, path).map_err(refused)?;
        if !signed.by_right && !self.accepted.iter().any(|list| list.contains(&signed.digest)) {
            return Err(refused(self.authority.no_right(signed.sidecar.author, &signed.signer)));
        }
        if !self.readers.has_environment(path.environment()) {
            let message = format!("{path} lies in an environment that the policy does not list");
            self.result.findings.push(finding("unknown-environment", Level::Warning, file.as_str(), message));
        }
        self.age_files(&signed.sidecar)?;
        let grants: Vec<&Grant> = self.grants.iter().collect();
        self.result.findings.extend(drift(self.readers, &signed, &grants));
        Ok(signed)
    }

    /// The age files: what they have to be by their sidecar, and what their headers have to be.
    fn age_files(&mut self, sidecar: &Sidecar) -> Result<(), VaultError> {
        let value = (Bound::value(sidecar), sidecar.ciphertext.as_ref());
        let pending = sidecar.next.as_ref().map(|next| (Bound::pending(sidecar, next), Some(&next.ciphertext)));
        for (bound, stated) in [Some(value), pending].into_iter().flatten() {
            if let Some(file) = stated_file(self.files, &bound.place, stated)? {
                let flaw = |error| super::revision::refused(&bound.place, Flaw::Value(error));
                crypto::inspect(&file, &bound.context, &bound.holders()).map_err(flaw)?;
            }
        }
        if sidecar.next.is_none() {
            stated_file(self.files, &layout::pending_value(&sidecar.path), None)?;
        }
        Ok(())
    }

    /// Files that no store has: plaintext left behind, or something hidden.
    fn strays(&mut self) -> Result<(), VaultError> {
        let attributes = self.files.read(&layout::place(layout::GITATTRIBUTES), MAX_SIDECAR_BYTES as u64)?;
        if attributes.as_deref() != Some(layout::GITATTRIBUTES_TEXT.as_bytes()) {
            let message = "it is not what keeps git from changing the store's bytes";
            self.result.findings.push(finding("attributes", Level::Warning, layout::GITATTRIBUTES, message));
        }
        let Listed { files, others } = self.files.list_all()?;
        let hidden = |file: &str| file.contains("/.");
        for file in others.into_iter().filter(|file| !file.starts_with("secrets/") || hidden(file)) {
            self.error(&VaultError::Refused { file: file.clone(), flaw: Flaw::NotPlain }, &file);
        }
        for file in files {
            let known = match file.as_str().split('/').next() {
                // What lies there was looked at, but for hidden files, which no secret is.
                Some(layout::SECRETS | layout::GRANTS) => !hidden(file.as_str()),
                Some(layout::POLICY) => self.is_policy_file(&file),
                Some(layout::REQUESTS) => self.is_request(&file),
                _ => file.as_str() == layout::GITATTRIBUTES,
            };
            if !known {
                self.stray(&file);
            }
        }
        Ok(())
    }

    fn is_policy_file(&self, file: &StorePath) -> bool {
        let named = self
            .readers
            .accepted
            .iter()
            .chain(&self.authority.policy().accepted)
            .any(|it| layout::accepted(it) == *file);
        named || layout::epoch_of(file).is_some()
    }

    fn is_request(&self, file: &StorePath) -> bool {
        let bytes = self.files.read(file, MAX_REQUEST_BYTES as u64).unwrap_or_default().unwrap_or_default();
        verified::<Request>(&bytes, Namespace::Request).is_ok_and(|(request, signer)| {
            layout::request(&request.name) == *file
                && request.store == self.authority.id()
                && request.keys.signing == signer.to_string()
        })
    }

    fn stray(&mut self, file: &StorePath) {
        let message = "no file of a store has this name: it may be plaintext that was left behind";
        self.result.findings.push(finding("unknown-file", Level::Warning, file.as_str(), message));
    }
}

pub(super) fn finding(rule: &str, level: Level, file: &str, message: impl Into<String>) -> Finding {
    Finding { rule: rule.to_owned(), level, file: file.to_owned(), message: message.into() }
}

/// A refusal, as a finding; `file` is where it was met.
fn found(error: &VaultError, file: &str) -> Finding {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    let file = if let VaultError::Refused { file, .. } = error { file } else { file };
    finding(error.kind(), Level::Error, file, message)
}

/// Whether others hold keys for a value, or a pending one, than may read it.
fn drift(policy: &Policy, signed: &Signed, grants: &[&Grant]) -> Vec<Finding> {
    let sidecar = &signed.sidecar;
    let (_, readers) = readers_by(policy, &sidecar.path, grants.iter().copied());
    if !has_drifted(sidecar, &readers) {
        return Vec::new();
    }
    let names = |holders: &mut dyn Iterator<Item = &KeyHolder>| {
        let names: BTreeSet<String> = holders.map(|holder| holder.member.to_string()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let lists: Vec<&Vec<KeyHolder>> =
        std::iter::once(&sidecar.recipients).chain(sidecar.next.iter().map(|next| &next.recipients)).collect();
    let lacks = |reader: &&KeyHolder| lists.iter().any(|list| !list.contains(reader));
    let missing = names(&mut readers.iter().filter(lacks));
    let surplus = names(&mut lists.iter().copied().flatten().filter(|holder| !readers.contains(holder)));
    let file = layout::sidecar(&sidecar.path);
    let each = [
        ("reader-missing", missing, "may read it, and it is not encrypted to that key"),
        ("reader-surplus", surplus, "may not read it, and it is encrypted to that key"),
    ];
    let told = each.into_iter().filter(|(_, names, _)| !names.is_empty());
    told.map(|(rule, names, what)| {
        finding(rule, Level::Warning, file.as_str(), format!("{}: {names} {what}", sidecar.path))
    })
    .collect()
}

/// What the steps from `from` to `to` break of what holds on a trusted branch.
fn steps(store: &Store, judge: &Judge, from: &CommitId, to: &CommitId) -> Result<Vec<Finding>, VaultError> {
    let mut refused = Refusals::new();
    walk(store, judge, from, &store.first_parents(from, to)?, &mut refused)?;
    let told = refused.into_iter().map(|(path, replay)| {
        let message = format!(
            "commit {:.10} put an older state of {path} back, left it out, or forgot somebody who could read it (revision {} came before)",
            replay.commit, replay.revision
        );
        finding("replayed", Level::Error, layout::sidecar(&path).as_str(), message)
    });
    Ok(told.collect())
}
