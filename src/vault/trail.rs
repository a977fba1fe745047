//! Who did what: changes from the signed history, and reads from the logs, as one stream.
//!
//! Changes need no log: each is a signed revision. Reads are known only where the program that read wrote them down and, of others,
//! where that was published. The stream says from which logs it was made, and whose are missing.

use std::collections::HashSet;

use crate::audit::{Action, CiRun, Deed, Event, Outcome, Resource, ResourceType, Word};
use crate::crypto::Namespace;
use crate::model::{
    Change, Digest, Environment, Epoch, Grant, GrantId, MAX_GRANT_BYTES, MAX_POLICY_BYTES, MemberName, Pattern, Policy,
    RandomId, SecretPath, Sidecar, Timestamp, Version,
};
use crate::policy::{SignedFlaw, verified};

use crate::store::{PathHistory, StorePath};

use super::logs::{KnownLog, LogFinding};
use super::revision::refused;
use super::{Flaw, Vault, VaultError, authority, layout};

/// What a stream is about; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct TrailFilter {
    /// Only resources of these kinds.
    pub resources: Vec<ResourceType>,
    /// Only these actions.
    pub actions: Vec<Action>,
    /// Only what this member did: a name or an e-mail address.
    pub actor: Option<String>,
    /// Only names or paths that match.
    pub pattern: Option<Pattern>,
    /// Only this environment.
    pub environment: Option<Environment>,
    /// Only from this moment on.
    pub since: Option<Timestamp>,
    /// Only before this moment.
    pub until: Option<Timestamp>,
}

/// Where an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The signed history.
    History {
        /// What was done, in the signer's word.
        change: Option<Change>,
        /// The commit that brought it; none where that is not known, or there is none.
        commit: Option<String>,
    },
    /// A log.
    Log {
        /// The event's id.
        id: RandomId,
        /// The clone.
        device: RandomId,
        /// Its number there.
        sequence: u64,
        /// The command.
        command: Word,
        /// The program and its version.
        client: Word,
        /// The run of a continuous integration.
        ci: Option<CiRun>,
        /// The grant by which it was allowed.
        grant: Option<Word>,
    },
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailEntry {
    /// When, by the clock of who did it.
    pub time: Timestamp,
    /// Who.
    pub actor: MemberName,
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// How it went.
    pub result: Outcome,
    /// Why it was refused, in a word.
    pub reason: Option<Word>,
    /// Where this is known from.
    pub origin: Origin,
}

/// A stream of what was done, and what it can't say.
#[derive(Debug)]
pub struct Trail {
    /// Newest first.
    pub entries: Vec<TrailEntry>,
    /// Members of whose reads some log is here.
    pub heard: Vec<MemberName>,
    /// Members of whose reads nothing is here.
    pub silent: Vec<MemberName>,
    /// Whether history reaches back to its beginning here.
    pub complete: bool,
    /// Histories that can't be read.
    pub refused: Vec<VaultError>,
    /// Logs that are not in order, and are left out.
    pub findings: Vec<LogFinding>,
}

impl Vault {
    /// What was done, as far as it can be known here.
    ///
    /// # Errors
    /// [`VaultError`] when the repository can't be read, or the environment is unknown.
    pub fn trail(&self, filter: &TrailFilter) -> Result<Trail, VaultError> {
        if let Some(environment) = &filter.environment {
            self.known_environment(environment)?;
        }
        let mut logs = self.local_logs()?;
        let accepted = self.accepted_logs()?;
        logs.logs.extend(accepted.logs);
        logs.findings.extend(accepted.findings);
        let actor = filter.actor.as_deref().map(|actor| self.member_named(actor));
        let mut trail = self.blank_trail(logs.findings, &logs.logs)?;
        self.add_reads(&mut trail, &logs.logs);
        let wants = |kind| filter.resources.is_empty() || filter.resources.contains(&kind);
        if wants(ResourceType::Secret) {
            self.add_changes(&mut trail, filter)?;
        }
        if wants(ResourceType::Grant) {
            self.add_grants(&mut trail)?;
        }
        self.add_policy(&mut trail)?;
        trail.entries.retain(|entry| keeps(filter, actor.as_deref(), entry));
        // The newest first; what happened in the same second stays in the order it is known in.
        trail.entries.sort_by_key(|entry| std::cmp::Reverse(entry.time));
        Ok(trail)
    }

    fn blank_trail(&self, findings: Vec<LogFinding>, logs: &[KnownLog]) -> Result<Trail, VaultError> {
        let members = self.authority.policy().members.keys().cloned();
        let (heard, silent) = members.partition(|member| logs.iter().any(|log| log.member == *member));
        let complete = !self.store.is_shallow()?;
        Ok(Trail { entries: Vec::new(), heard, silent, complete, refused: Vec::new(), findings })
    }

    /// Each event once, from however many places it is known; the last of a log first.
    fn add_reads(&self, trail: &mut Trail, logs: &[KnownLog]) {
        let mut seen: HashSet<&RandomId> = HashSet::new();
        for event in logs.iter().flat_map(|log| log.log.events().iter().rev()) {
            if seen.insert(&event.id) {
                trail.entries.push(read_entry(event));
            }
        }
    }

    /// The epochs whose files are here and are those that were verified.
    fn add_policy(&self, trail: &mut Trail) -> Result<(), VaultError> {
        let chain = self.authority.chain().summary();
        for epoch in authority::epochs_in(&self.store)? {
            let file = self.store.read(&layout::epoch(epoch), MAX_POLICY_BYTES as u64)?.unwrap_or_default();
            if chain.digest_of(epoch) != Some(Digest::of(&file)) {
                continue;
            }
            let flaw = |flaw: SignedFlaw| refused(&layout::epoch(epoch), flaw.into());
            let (policy, _) = verified::<Policy>(&file, Namespace::Policy).map_err(flaw)?;
            let version = Version::new(epoch.get());
            trail.entries.push(TrailEntry {
                time: policy.time,
                actor: policy.author,
                action: if epoch == Epoch::FIRST { Action::Created } else { Action::Updated },
                resource: Resource { kind: ResourceType::Policy, path: None, version, revision: None },
                result: Outcome::Ok,
                reason: None,
                origin: Origin::History { change: None, commit: None },
            });
        }
        Ok(())
    }

    /// Grants that were given or taken back, and those that came to their end: from history, and from the work tree what is not committed.
    fn add_grants(&self, trail: &mut Trail) -> Result<(), VaultError> {
        let folder = layout::place(layout::GRANTS);
        let mut files: Vec<(StorePath, Vec<u8>, Option<String>)> = Vec::new();
        for (place, history) in self.store.histories_below(&folder)? {
            for entry in history.entries {
                let Some(blob) = entry.blob else { continue };
                let Some(file) = self.store.read_past(&blob, MAX_GRANT_BYTES as u64)? else { continue };
                files.push((place.clone(), file, Some(entry.commit.to_string())));
            }
        }
        for place in self.store.list(&folder)?.files {
            let file = self.store.read(&place, MAX_GRANT_BYTES as u64)?.unwrap_or_default();
            if !files.iter().any(|(known, content, _)| *known == place && *content == file) {
                files.push((place, file, None));
            }
        }
        let mut grants: Vec<(Grant, Option<String>)> = Vec::new();
        for (place, file, commit) in files {
            match self.signed_grant(&place, &file) {
                Ok(grant) => grants.push((grant, commit)),
                Err(flaw) => trail.refused.push(refused(&place, flaw)),
            }
        }
        let revoked: HashSet<&GrantId> = grants.iter().filter(|it| it.0.revoked).map(|it| &it.0.id).collect();
        let is_over = |grant: &Grant| grant.expires_at <= self.options.now && !revoked.contains(&grant.id);
        for (grant, commit) in &grants {
            let done = if grant.revoked { Action::Revoked } else { Action::Granted };
            trail.entries.push(grant_entry(grant, done, grant.time, commit.clone()));
            if is_over(grant) {
                trail.entries.push(grant_entry(grant, Action::Expired, grant.expires_at, None));
            }
        }
        Ok(())
    }

    /// A grant that a member signed; whether its author still may is not asked of what is past.
    fn signed_grant(&self, place: &StorePath, file: &[u8]) -> Result<Grant, Flaw> {
        let (grant, signer) = verified::<Grant>(file, Namespace::Grant)?;
        self.authority.check_signer(&signer, &grant.author)?;
        if grant.store != self.id() {
            return Err(Flaw::OtherStore);
        }
        if layout::grant(&grant.id) == *place { Ok(grant) } else { Err(Flaw::Moved { stated: grant.path }) }
    }

    fn add_changes(&self, trail: &mut Trail, filter: &TrailFilter) -> Result<(), VaultError> {
        let mut histories = self.store.histories()?;
        // What was never committed has no history yet.
        for file in self.store.list(&layout::place(layout::SECRETS))?.files {
            histories.entry(file).or_insert(PathHistory { entries: Vec::new(), complete: true });
        }
        for (file, history) in histories {
            let Ok(layout::Entry::Sidecar(path)) = layout::classify(&file) else { continue };
            if !concerns(filter, &path) {
                continue;
            }
            match self.record_of(&path, &history) {
                Ok(record) => trail.entries.extend(record.revisions.iter().map(|recorded| {
                    let commit = recorded.commit.as_ref().map(ToString::to_string);
                    change_entry(&recorded.signed.sidecar, commit)
                })),
                // One bad file hides no other.
                Err(error) => trail.refused.push(error),
            }
        }
        Ok(())
    }

    /// The member with this name or e-mail address; what is neither is the name of somebody who is no member any more.
    fn member_named(&self, text: &str) -> String {
        let mut members = self.authority.policy().members.iter();
        let found = members.find(|(_, member)| member.email.to_string().eq_ignore_ascii_case(text));
        found.map_or_else(|| text.to_owned(), |(name, _)| name.to_string())
    }
}

fn concerns(filter: &TrailFilter, path: &SecretPath) -> bool {
    let named = |pattern: &Pattern| pattern.matches(path.name().as_str()) || pattern.matches(&path.to_string());
    filter.environment.as_ref().is_none_or(|environment| environment == path.environment())
        && filter.pattern.as_ref().is_none_or(named)
}

fn keeps(filter: &TrailFilter, actor: Option<&str>, entry: &TrailEntry) -> bool {
    let about_names = filter.environment.is_some() || filter.pattern.is_some();
    (filter.resources.is_empty() || filter.resources.contains(&entry.resource.kind))
        && (filter.actions.is_empty() || filter.actions.contains(&entry.action))
        && actor.is_none_or(|actor| entry.actor.as_str() == actor)
        && entry.resource.path.as_ref().map_or(!about_names, |path| concerns(filter, path))
        && filter.since.is_none_or(|since| entry.time >= since)
        && filter.until.is_none_or(|until| entry.time < until)
}

fn read_entry(event: &Event) -> TrailEntry {
    let Deed { time, actor, action, resource, result, reason, grant, command, client, ci } = event.deed.clone();
    let (id, device, sequence) = (event.id.clone(), event.device.clone(), event.sequence);
    let origin = Origin::Log { id, device, sequence, command, client, ci, grant };
    TrailEntry { time, actor: actor.member, action, resource, result, reason, origin }
}

fn grant_entry(grant: &Grant, action: Action, time: Timestamp, commit: Option<String>) -> TrailEntry {
    let path = Some(grant.path.clone());
    TrailEntry {
        time,
        actor: grant.author.clone(),
        action,
        resource: Resource { kind: ResourceType::Grant, path, version: None, revision: None },
        result: Outcome::Ok,
        reason: None,
        origin: Origin::History { change: None, commit },
    }
}

fn change_entry(sidecar: &Sidecar, commit: Option<String>) -> TrailEntry {
    TrailEntry {
        time: sidecar.time,
        actor: sidecar.author.clone(),
        action: action_of(sidecar),
        resource: Resource {
            kind: ResourceType::Secret,
            path: Some(sidecar.path.clone()),
            version: Some(sidecar.version),
            revision: Some(sidecar.revision),
        },
        result: Outcome::Ok,
        reason: None,
        origin: Origin::History { change: Some(sidecar.change), commit },
    }
}

/// What a revision did. That it deletes is seen by what it is; the rest is told by its author's word.
const fn action_of(sidecar: &Sidecar) -> Action {
    if sidecar.is_tombstone() {
        return Action::Deleted;
    }
    match sidecar.change {
        Change::Create | Change::Copy | Change::Rename | Change::Import => Action::Created,
        Change::Rollback => Action::RolledBack,
        Change::Restore => Action::Restored,
        Change::Rotate => Action::Rotated,
        _ => Action::Updated,
    }
}
