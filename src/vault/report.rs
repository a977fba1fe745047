//! A store's state in one piece, for people who answer for it: who can do what, what falls due and when, who knows what without a right,
//! how old values are, and what `verify` finds. No private key is needed, and nothing of a value is in it, not even a length.

use std::collections::BTreeMap;

use crate::model::{
    Due, Environment, Epoch, Member, MemberName, MetadataValue, Pattern, Rule, SecretPath, Sidecar, StoreId, Timestamp,
    Version,
};
use crate::policy::{Action, Rights};

use super::access::ACTIONS;
use super::authority::readers_by;
use super::rekey::{Pending, same_holders, who_can_reencrypt};
use super::{Debt, GrantEntry, Level, Selection, Vault, VaultError, Verification, Verify};

/// The metadata that names who answers for a secret.
const OWNER: &str = "owner";

/// A store's state.
#[derive(Debug, Clone)]
pub struct Report {
    /// The moment it is of.
    pub at: Timestamp,
    /// The store.
    pub store: StoreId,
    /// The policy's epoch.
    pub epoch: Epoch,
    /// When that was signed.
    pub epoch_time: Timestamp,
    /// The commit that HEAD names; none without git, or before the first one.
    pub commit: Option<String>,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// Secrets with a state that no commit has.
    pub uncommitted: Vec<SecretPath>,
    /// All members of the store.
    pub members: BTreeMap<MemberName, Member>,
    /// All environments of the store, with the number of secrets in each.
    pub environments: Vec<(Environment, usize)>,
    /// Every rule with what it decides about, and last, where there are any, the secrets that no rule decides about.
    pub rules: Vec<RuleReach>,
    /// The secrets, by path.
    pub secrets: Vec<SecretState>,
    /// What has a day, the earliest first: passed ones too, as long as something is to be done about them.
    pub deadlines: Vec<Deadline>,
    /// Grants that are in force, or whose grantees hold keys still.
    pub grants: Vec<GrantEntry>,
    /// Values that somebody knows without a right.
    pub debts: Vec<Debt>,
    /// Values that are encrypted to others than may read them.
    pub pending: Vec<Pending>,
    /// Rotations that were begun, and whose new values are not current yet.
    pub begun: Vec<BegunRotation>,
    /// What `verify` says of the whole store.
    pub verification: Verification,
}

/// How long before its day something is mentioned, where nobody said so.
const SOON_SECONDS: i64 = 30 * 24 * 3600;

/// A report in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Secrets.
    pub secrets: usize,
    /// Members of the store.
    pub members: usize,
    /// Values in debt that nobody took note of.
    pub open_debts: usize,
    /// Values in debt that somebody took note of, until a day to come.
    pub acknowledged_debts: usize,
    /// Credentials that have expired.
    pub expired: usize,
    /// Credentials that expire within 30 days.
    pub expiring: usize,
    /// Secrets without expiry.
    pub no_expiry: usize,
    /// Values that are older than their rotation allows.
    pub rotation_overdue: usize,
    /// Values whose rotation is near.
    pub rotation_soon: usize,
    /// Grants in force.
    pub grants: usize,
    /// Grants that ended, whose grantees hold keys still.
    pub overdue_grants: usize,
    /// Values that wait for re-encryption.
    pub pending: usize,
    /// Rotations that were begun.
    pub begun: usize,
    /// Findings that a reader refuses.
    pub errors: usize,
    /// Findings that are work for somebody.
    pub warnings: usize,
}

/// How near a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nearness {
    /// It has come.
    Past,
    /// Within 30 days; of a rotation, so near that people are to be told.
    Soon,
    /// Neither.
    Later,
}

impl Nearness {
    /// How near `at` is at `now`, where nobody said from when on people are to be told.
    fn of(at: Timestamp, now: Timestamp) -> Self {
        match at - now {
            ..=0 => Self::Past,
            1..=SOON_SECONDS => Self::Soon,
            _ => Self::Later,
        }
    }
}

impl From<Due> for Nearness {
    fn from(due: Due) -> Self {
        match due {
            Due::Overdue => Self::Past,
            Due::Soon => Self::Soon,
            Due::NotYet => Self::Later,
        }
    }
}

impl Report {
    /// The report in numbers.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let near =
            |kind, nearness| self.deadlines.iter().filter(|it| it.kind == kind && it.nearness == nearness).count();
        let level = |level| self.verification.findings.iter().filter(|finding| finding.level == level).count();
        Tally {
            secrets: self.secrets.len(),
            members: self.members.len(),
            open_debts: self.debts.iter().filter(|debt| !debt.acknowledged).count(),
            acknowledged_debts: self.debts.iter().filter(|debt| debt.acknowledged).count(),
            expired: near(DeadlineKind::Expiry, Nearness::Past),
            expiring: near(DeadlineKind::Expiry, Nearness::Soon),
            no_expiry: self.secrets.iter().filter(|secret| secret.expires_at.is_none()).count(),
            rotation_overdue: near(DeadlineKind::Rotation, Nearness::Past),
            rotation_soon: near(DeadlineKind::Rotation, Nearness::Soon),
            grants: self.grants.iter().filter(|entry| entry.in_force).count(),
            overdue_grants: self.grants.iter().filter(|entry| !entry.in_force).count(),
            pending: self.pending.len(),
            begun: self.begun.len(),
            errors: level(Level::Error),
            warnings: level(Level::Warning),
        }
    }
}

/// A rule, what it decides about, and what it lets members do: that is the same for all of these secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleReach {
    /// The rule; none for secrets that no rule decides about, with which nobody may do anything.
    pub rule: Option<(Pattern, Rule)>,
    /// How many secrets it decides about, by environment and first folder.
    pub places: BTreeMap<String, usize>,
    /// Who may do anything, and what.
    pub people: BTreeMap<MemberName, Vec<Action>>,
}

impl RuleReach {
    /// How many secrets it decides about.
    #[must_use]
    pub fn secrets(&self) -> usize {
        self.places.values().sum()
    }
}

/// What there is to say of a secret by its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretState {
    /// The secret.
    pub path: SecretPath,
    /// The number of its value.
    pub version: Version,
    /// When that was set.
    pub updated_at: Timestamp,
    /// When the credential expires.
    pub expires_at: Option<Timestamp>,
    /// When a new value is due.
    pub rotation_due: Option<Timestamp>,
    /// Who answers for it, by its metadata.
    pub owner: Option<MetadataValue>,
}

/// A rotation between its two commits, as it is signed, so that every clone says the same: which step failed is known in one clone only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunRotation {
    /// The secret.
    pub path: SecretPath,
    /// The version that the pending value will have.
    pub version: Version,
    /// Who began it.
    pub author: MemberName,
    /// When.
    pub since: Timestamp,
    /// The members who can go on with it.
    pub who: Vec<MemberName>,
}

/// What kind of day something has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadlineKind {
    /// A credential expires.
    Expiry,
    /// A new value is due.
    Rotation,
    /// A grant ends.
    Grant,
    /// A debt that somebody took note of counts as open again.
    Acknowledgement,
}

/// A day by which something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// How near that is: rotations say themselves from when on people are to be told.
    pub nearness: Nearness,
    /// What.
    pub kind: DeadlineKind,
    /// The secret.
    pub path: SecretPath,
    /// Who is concerned: a grantee, who took note of a debt, or the secret's owner.
    pub who: Option<String>,
}

impl Vault {
    /// The store's state, as far as it is about secrets that `selection` is about; what `verify` finds is of the whole store.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read, or an environment is unknown. What is refused in it is a finding.
    pub fn report(&self, selection: &Selection) -> Result<Report, VaultError> {
        if let Some(environment) = &selection.environment {
            self.known_environment(environment)?;
        }
        let now = self.options.now;
        let (signed, _) = self.verified_all()?;
        let sidecars: Vec<Sidecar> = signed
            .into_iter()
            .map(|signed| signed.sidecar)
            .filter(|sidecar| !sidecar.is_tombstone() && selection.selects(sidecar, now))
            .collect();
        let grants = self.grants_of(&sidecars)?;
        let debts = self.debts_of(sidecars.clone())?;
        let policy = self.policy();
        let mut uncommitted = self.uncommitted()?;
        uncommitted.retain(|path| selection.means(path));
        Ok(Report {
            at: now,
            store: self.id(),
            epoch: policy.epoch,
            epoch_time: policy.time,
            commit: self.head_commit()?,
            branch: self.store.branch(),
            uncommitted,
            members: policy.members.clone(),
            environments: self.counted(&sidecars),
            rules: self.rules_reaching(&sidecars),
            deadlines: deadlines(&sidecars, &grants, &debts, now),
            pending: self.pending_of(&sidecars)?,
            begun: self.begun_of(&sidecars),
            secrets: sidecars.into_iter().map(state).collect(),
            grants,
            debts,
            verification: self.verify(&Verify::default())?,
        })
    }

    fn head_commit(&self) -> Result<Option<String>, VaultError> {
        if !self.store.has_git() {
            return Ok(None);
        }
        Ok(self.store.head()?.map(|commit| commit.to_string()))
    }

    fn counted(&self, sidecars: &[Sidecar]) -> Vec<(Environment, usize)> {
        let count = |environment: &Environment| {
            sidecars.iter().filter(|sidecar| sidecar.path.environment() == environment).count()
        };
        self.environments().into_iter().map(|environment| (environment.clone(), count(&environment))).collect()
    }

    fn grants_of(&self, sidecars: &[Sidecar]) -> Result<Vec<GrantEntry>, VaultError> {
        let (mut grants, _) = self.grants_listed()?;
        let meant = |path: &SecretPath| sidecars.binary_search_by(|sidecar| sidecar.path.cmp(path)).is_ok();
        grants.retain(|entry| (entry.in_force || entry.holds_key) && meant(&entry.grant.path));
        grants.sort_by(|a, b| (a.grant.expires_at, &a.grant.path).cmp(&(b.grant.expires_at, &b.grant.path)));
        Ok(grants)
    }

    fn pending_of(&self, sidecars: &[Sidecar]) -> Result<Vec<Pending>, VaultError> {
        let grants = self.grants_in_force()?;
        let policy = self.policy();
        let waits = |sidecar: &&Sidecar| {
            let (_, holders) = readers_by(policy, &sidecar.path, grants.iter().copied());
            !same_holders(&holders, &sidecar.recipients)
        };
        let pending = sidecars.iter().filter(waits);
        Ok(pending.map(|it| Pending { path: it.path.clone(), who: who_can_reencrypt(policy, it) }).collect())
    }

    fn begun_of(&self, sidecars: &[Sidecar]) -> Vec<BegunRotation> {
        let begun = |sidecar: &Sidecar| {
            let next = sidecar.next.as_ref()?;
            Some(BegunRotation {
                path: sidecar.path.clone(),
                version: next.version,
                author: next.author.clone(),
                since: next.created_at,
                who: who_can_reencrypt(self.policy(), sidecar),
            })
        };
        sidecars.iter().filter_map(begun).collect()
    }

    /// What each rule decides about. A rule is the same for every path that it decides about, so that one question a member is enough.
    fn rules_reaching(&self, sidecars: &[Sidecar]) -> Vec<RuleReach> {
        let policy = self.policy();
        let rights = Rights::of(policy);
        let reach = |(pattern, rule): (&Pattern, &Rule)| RuleReach {
            rule: Some((pattern.clone(), rule.clone())),
            places: BTreeMap::new(),
            people: policy
                .members
                .keys()
                .filter_map(|name| Some((name.clone(), allowed(rights, rule, name)?)))
                .collect(),
        };
        let mut reaching: BTreeMap<&Pattern, RuleReach> =
            policy.secrets.iter().map(|each| (each.0, reach(each))).collect();
        let mut lawless = RuleReach { rule: None, places: BTreeMap::new(), people: BTreeMap::new() };
        for sidecar in sidecars {
            let decides = rights.deciding_rule(&sidecar.path).and_then(|(pattern, _)| reaching.get_mut(pattern));
            *decides.unwrap_or(&mut lawless).places.entry(place(&sidecar.path)).or_default() += 1;
        }
        let lawless = Some(lawless).filter(|it| !it.places.is_empty());
        reaching.into_values().chain(lawless).collect()
    }
}

/// What `rule` lets `name` do; none for nothing.
fn allowed(rights: Rights<'_>, rule: &Rule, name: &MemberName) -> Option<Vec<Action>> {
    let actions: Vec<Action> =
        ACTIONS.into_iter().filter(|action| rights.by_name_in(rule, name, *action).is_some()).collect();
    (!actions.is_empty()).then_some(actions)
}

/// Environment and first folder of a path.
fn place(path: &SecretPath) -> String {
    let folder = path.name().as_str().split_once('/').map_or("", |(folder, _)| folder);
    if folder.is_empty() { path.environment().to_string() } else { format!("{}/{folder}", path.environment()) }
}

fn owner(sidecar: &Sidecar) -> Option<&MetadataValue> {
    sidecar.metadata.iter().find(|(key, _)| key.as_str() == OWNER).map(|(_, owner)| owner)
}

fn state(sidecar: Sidecar) -> SecretState {
    SecretState {
        rotation_due: sidecar.due_at(),
        owner: owner(&sidecar).cloned(),
        path: sidecar.path,
        version: sidecar.version,
        updated_at: sidecar.updated_at,
        expires_at: sidecar.expires_at,
    }
}

fn deadlines(sidecars: &[Sidecar], grants: &[GrantEntry], debts: &[Debt], now: Timestamp) -> Vec<Deadline> {
    let day = |at, kind, path: &SecretPath, who| Deadline {
        at,
        nearness: Nearness::of(at, now),
        kind,
        path: path.clone(),
        who,
    };
    let mut all = Vec::new();
    for sidecar in sidecars {
        let who = owner(sidecar).map(ToString::to_string);
        all.extend(sidecar.expires_at.map(|at| day(at, DeadlineKind::Expiry, &sidecar.path, who.clone())));
        let rotation = sidecar.due_at().map(|at| day(at, DeadlineKind::Rotation, &sidecar.path, who));
        all.extend(rotation.map(|it| Deadline { nearness: sidecar.due(now).into(), ..it }));
    }
    all.extend(grants.iter().map(|GrantEntry { grant, .. }| {
        day(grant.expires_at, DeadlineKind::Grant, &grant.path, Some(grant.grantee.to_string()))
    }));
    let quieted = debts.iter().filter(|debt| debt.acknowledged).map(|debt| &debt.sidecar);
    all.extend(quieted.filter_map(|sidecar| {
        let note = sidecar.acknowledged.as_ref()?;
        Some(day(note.until, DeadlineKind::Acknowledgement, &sidecar.path, Some(note.author.to_string())))
    }));
    all.sort_by(|a, b| (a.at, &a.path, a.kind).cmp(&(b.at, &b.path, b.kind)));
    all
}
