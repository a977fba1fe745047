//! Writing reads down: the one place that a value passes on its way out, after it was decrypted whole and before it is released.
//!
//! What is written is who, when, which secret and by which command; never a value. Only members are written down: whoever has no
//! identity can read nothing.

use std::time::Duration;

use crate::audit::{Action, Actor, CiRun, Deed, Event, Outcome, Resource, ResourceType, Word};
use crate::model::{Fingerprint, RandomId, Revision, SecretPath, Sidecar, StoreId, Version};
use crate::policy;
use crate::store::{Ledger, StoreError};

use super::{Notice, Reading, Vault, VaultError};

/// How long a read waits for others to write to the log where it may do without.
const LOCAL_PATIENCE: Duration = Duration::from_secs(1);

/// Whether reads are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum LogMode {
    /// Not at all.
    Off,
    /// Where it can be done; without waiting for the disk.
    Local,
    /// Written and on the disk before a value is released; no read without.
    Required,
}

/// How reads are written down, and what a line says of the program that reads.
#[derive(Debug, Clone)]
pub struct AccessLog {
    /// Whether.
    pub mode: LogMode,
    /// The command that reads.
    pub command: Word,
    /// The program and its version.
    pub client: Word,
    /// The run of a continuous integration around it.
    pub ci: Option<CiRun>,
}

/// The name of the local log of one key in one store.
pub(super) fn log_name(store: StoreId, key: &Fingerprint) -> String {
    format!("{store}-{}", key.digest())
}

/// What is to be written down of one secret.
pub(super) struct Line {
    path: SecretPath,
    /// The state whose value is released.
    state: Option<(Version, Revision)>,
    /// Why it was refused.
    reason: Option<Word>,
}

impl Line {
    /// That the value of `sidecar` is released.
    pub(super) fn released(sidecar: &Sidecar) -> Self {
        Self::released_as(sidecar, sidecar.version)
    }

    /// That a value that `sidecar` states is released, which has or will have this version.
    pub(super) fn released_as(sidecar: &Sidecar, version: Version) -> Self {
        Self { path: sidecar.path.clone(), state: Some((version, sidecar.revision)), reason: None }
    }

    /// That `error` refused the value of `path`; none where it came to no refusal.
    pub(super) fn refused(path: &SecretPath, error: &VaultError) -> Option<Self> {
        Some(Self { path: path.clone(), state: None, reason: Some(reason_of(error)?) })
    }
}

impl Vault {
    /// Writes down that `result` is about to be handed out: a value of `path`, or the refusal of one. Hands it on, but where the log is
    /// required and could not be written.
    pub(super) fn logged(&self, path: &SecretPath, result: Result<Reading, VaultError>) -> Result<Reading, VaultError> {
        let line = match &result {
            Ok(reading) => Line::released(&reading.sidecar),
            Err(error) => match Line::refused(path, error) {
                Some(line) => line,
                None => return result,
            },
        };
        match self.write_lines(Action::Accessed, &[line]) {
            // The refusal is what there is to say; nothing was released.
            Err(error) if result.is_ok() => Err(error),
            _ => result,
        }
    }

    /// Writes down what is about to be released or was refused, all of it or nothing. Fails only where the log is required.
    pub(super) fn write_lines(&self, action: Action, lines: &[Line]) -> Result<(), VaultError> {
        let mode = self.options.access_log.mode;
        let Some(first) = lines.first().filter(|_| mode != LogMode::Off) else { return Ok(()) };
        match self.append_lines(action, lines, mode) {
            Ok(()) => Ok(()),
            Err(source) if mode == LogMode::Required => Err(VaultError::NotLogged { source: Box::new(source) }),
            // A copy without git, or a place that can't be written, has no log: that is nobody's fault.
            Err(VaultError::Store(StoreError::NoRepository { .. } | StoreError::ReadOnly { .. })) => Ok(()),
            Err(error) => {
                self.note(Notice::NotLogged { path: first.path.clone(), reason: error.kind() });
                Ok(())
            }
        }
    }

    fn append_lines(&self, action: Action, lines: &[Line], mode: LogMode) -> Result<(), VaultError> {
        let Ok(me) = self.me() else { return Ok(()) };
        let actor = Actor { member: me.name.clone(), key: me.identity.verifying_key().fingerprint() };
        let ledger = self.ledger(&actor.key)?;
        let required = mode == LogMode::Required;
        let patience = if required { self.options.lock_timeout } else { LOCAL_PATIENCE.min(self.options.lock_timeout) };
        ledger.append(patience, required, |last| {
            let mut last = last.map(Event::parse).transpose().map_err(VaultError::LogEnd)?;
            let mut bytes = Vec::new();
            for line in lines {
                let deed = self.deed(actor.clone(), action, line);
                let event = match last {
                    Some(last) => last.next(random_id()?, deed),
                    None => Event::first(random_id()?, self.device()?, deed),
                };
                bytes.extend(event.to_line());
                last = Some(event);
            }
            Ok(bytes)
        })
    }

    fn deed(&self, actor: Actor, action: Action, line: &Line) -> Deed {
        let log = &self.options.access_log;
        let (version, revision) = line.state.unzip();
        let resource = Resource { kind: ResourceType::Secret, path: Some(line.path.clone()), version, revision };
        Deed {
            time: self.options.now,
            actor,
            action,
            grant: self.grant_for(&resource),
            resource,
            result: if line.reason.is_some() { Outcome::Refused } else { Outcome::Ok },
            reason: line.reason.clone(),
            command: log.command.clone(),
            client: log.client.clone(),
            ci: log.ci.clone(),
        }
    }

    /// The grant by which the resource is read, where no rule lets its reader.
    fn grant_for(&self, resource: &Resource) -> Option<Word> {
        let path = resource.path.as_ref()?;
        if self.authority.rights().allows(&self.me().ok()?.name, policy::Action::Read, path) {
            return None;
        }
        self.granted(path).ok()?.as_str().parse().ok()
    }

    /// The local log of the key `key` in this store.
    pub(super) fn ledger(&self, key: &Fingerprint) -> Result<Ledger, StoreError> {
        let ledger = self.store.ledger(&log_name(self.id(), key));
        ledger.ok_or_else(|| StoreError::NoRepository { start: self.root().to_owned() })
    }

    /// The id of this clone, made if need be.
    fn device(&self) -> Result<RandomId, VaultError> {
        self.store.clone_id(true)?.and_then(|id| id.parse().ok()).ok_or(VaultError::NoCloneId)
    }
}

fn random_id() -> Result<RandomId, VaultError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::NoRandomness)?;
    Ok(RandomId::of(bytes))
}

/// Why a read was refused, in a word; none where it came to no refusal, because nothing was found or something failed.
fn reason_of(error: &VaultError) -> Option<Word> {
    let refused = matches!(
        error,
        VaultError::Denied { .. }
            | VaultError::NotARecipient { .. }
            | VaultError::GrantEnded { .. }
            | VaultError::Expired { .. }
            | VaultError::Refused { .. }
    );
    refused.then(|| error.kind().parse().ok()).flatten()
}
