//! Everything that a vault refuses or fails at. No value, and no argument that may be one, is ever part of it.

use crate::audit::LineError;
use crate::crypto::{OpenError, SealError, SignedDocumentError};
use crate::format::{GeneratorError, Step};
use crate::model::{
    Digest, Environment, Epoch, HookPath, MemberName, NameError, SecretPath, Span, StoreId, Timestamp, Version,
};
use crate::policy::{Action, ChainFlaw, EditError, PinError, SignedFlaw};
use crate::store::StoreError;

use super::logs::LogFinding;
use super::rotate::HookFault;

/// What is wrong with a signed file of the store.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Flaw {
    /// Not a document with a good signature.
    #[error(transparent)]
    Signed(#[from] SignedFlaw),
    /// Not the next epoch of the policy.
    #[error("it is not a valid epoch of the policy")]
    Policy(#[source] ChainFlaw),
    /// An epoch is missing though a later one is there.
    #[error("it is missing, and later epochs of the policy are there")]
    EpochMissing,
    /// An acceptance list that is missing, or not the one that the policy names.
    #[error("it is not the acceptance list that the policy names")]
    AcceptanceReplaced,
    /// A grant that its author may not give, or not for so long.
    #[error("`{author}` may not give this grant")]
    GrantNotAllowed {
        /// The author.
        author: MemberName,
    },
    /// A grant that was taken back before, put in place again.
    #[error("this grant was taken back before, and was put in place again")]
    GrantRevived,
    /// An older state, put back on the trusted branch.
    #[error("commit {commit} put an older state back, or lost it: the branch had revision {seen} before")]
    Replayed {
        /// The commit that did it.
        commit: String,
        /// The highest revision before.
        seen: u64,
    },
    /// Signed by a key that no policy gives to the author.
    #[error("it is signed by a key that does not belong to `{author}`")]
    ForeignKey {
        /// Whom the document names as its author.
        author: MemberName,
    },
    /// Signed by somebody without the right to do what it does.
    #[error("`{author}` signed it and has no right to do that")]
    NoRight {
        /// The author.
        author: MemberName,
    },
    /// Signed with a key that its owner has reported as lost: others may have it.
    #[error("`{author}` has lost the key that signed it: somebody else may have")]
    LostKey {
        /// The author.
        author: MemberName,
    },
    /// States another path: it was moved or copied here.
    #[error("it belongs to `{stated}` and was moved or copied here")]
    Moved {
        /// The path it states.
        stated: SecretPath,
    },
    /// States another store.
    #[error("it belongs to another store")]
    OtherStore,
    /// The age file is missing.
    #[error("its `.age` file is missing")]
    ValueMissing,
    /// There is an age file, but the secret is deleted.
    #[error("there is an `.age` file that no signed revision knows")]
    ValueUnknown,
    /// The age file is not the one that was signed.
    #[error("its `.age` file is not the one that was signed")]
    ValueReplaced,
    /// The age file could not be opened, or may not be.
    #[error("its `.age` file is refused")]
    Value(#[source] OpenError),
    /// An age file without a sidecar.
    #[error("nobody signed for it: there is an `.age` file, and no `.yaml` beside it")]
    Unsigned,
    /// No plain file: a link, a submodule, or a name that no file of a store has.
    #[error("it is no plain file of a store")]
    NotPlain,
    /// A file whose name is not a secret's.
    #[error("its name is not one that a secret may have")]
    BadName(#[source] NameError),
}

impl Flaw {
    /// The kind of refusal, in one word that programs can compare: the innermost reason.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Policy(reason) => reason.into(),
            Self::Signed(reason) => reason.kind(),
            Self::Value(OpenError::Header(reason)) => reason.into(),
            Self::Value(reason) => reason.into(),
            flaw => flaw.into(),
        }
    }
}

impl From<ChainFlaw> for Flaw {
    fn from(flaw: ChainFlaw) -> Self {
        match flaw {
            ChainFlaw::Signed(flaw) => Self::Signed(flaw),
            flaw => Self::Policy(flaw),
        }
    }
}

/// Everything that a vault refuses or fails at.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum VaultError {
    /// Git, files, locks.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local memory of trusted stores.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A name that is not valid.
    #[error("this is not a valid {what}")]
    Name {
        /// What was named.
        what: &'static str,
        /// Why it isn't.
        #[source]
        source: NameError,
    },
    /// An environment that the policy doesn't list.
    #[error("there is no environment `{environment}` in this store")]
    UnknownEnvironment {
        /// The one asked for.
        environment: Environment,
        /// One that was probably meant.
        nearest: Option<Environment>,
        /// All that there are.
        known: Vec<Environment>,
    },
    /// `--env` says another environment than the path.
    #[error("the path says `{path}`, and --env says `{environment}`")]
    ContradictingEnvironment {
        /// The environment that the path begins with.
        path: Environment,
        /// The one said by option.
        environment: Environment,
    },
    /// Two tags that name environments, and none chosen.
    #[error("the tags name several environments")]
    SeveralEnvironmentTags {
        /// Them.
        environments: Vec<Environment>,
    },
    /// A tag that is nearly an environment.
    #[error("the tag `{tag}` is nearly the environment `{environment}`")]
    NearEnvironmentTag {
        /// The tag.
        tag: String,
        /// The environment that was probably meant.
        environment: Environment,
    },
    /// A name that several environments have.
    #[error("several environments have this name")]
    Ambiguous {
        /// Every secret that is meant.
        candidates: Vec<SecretPath>,
    },
    /// No such secret.
    #[error("there is no secret `{name}`")]
    NotFound {
        /// A path, or a name where no environment was said.
        name: String,
        /// A path that was probably meant.
        nearest: Option<SecretPath>,
    },
    /// The secret was deleted.
    #[error("`{path}` was deleted")]
    Deleted {
        /// The secret.
        path: SecretPath,
    },
    /// The secret is not deleted, so it can't be restored.
    #[error("`{path}` is not deleted")]
    NotDeleted {
        /// The secret.
        path: SecretPath,
    },
    /// The secret exists.
    #[error("`{path}` exists already")]
    Exists {
        /// The secret.
        path: SecretPath,
    },
    /// A path that differs only in case.
    #[error("`{path}` differs only in case from `{existing}`")]
    CaseTwin {
        /// The one wanted.
        path: SecretPath,
        /// The one that exists.
        existing: String,
    },
    /// No such version.
    #[error("`{path}` has no version {version} in this history")]
    NoVersion {
        /// The secret.
        path: SecretPath,
        /// The version asked for.
        version: Version,
        /// The current version.
        current: Version,
        /// The nearest one that can be read.
        nearest: Option<Version>,
        /// Whether the history here is shallow.
        shallow: bool,
    },
    /// A secret with only one version has none before it.
    #[error("`{path}` has only one version")]
    NoEarlierVersion {
        /// The secret.
        path: SecretPath,
    },
    /// Two branches made the same version.
    #[error("two branches made version {version} of `{path}`")]
    AmbiguousVersion {
        /// The secret.
        path: SecretPath,
        /// The version.
        version: Version,
        /// How each can be named: `4@<commit>`.
        candidates: Vec<String>,
    },
    /// Another version is current than the caller built upon.
    #[error("`{path}` is at version {current}, not {expected}")]
    OtherVersion {
        /// The secret.
        path: SecretPath,
        /// The version expected.
        expected: Version,
        /// The current one.
        current: Version,
    },
    /// An empty value, not allowed.
    #[error("the value is empty")]
    EmptyValue,
    /// A value over the limit.
    #[error("the value has {size} bytes, and the limit is {limit}")]
    ValueTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// No identity was given or found.
    #[error("there is no identity to work with")]
    NoIdentity,
    /// The identity is no member's.
    #[error("your identity {fingerprint} belongs to no member of this store")]
    NotAMember {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// The policy denies it.
    #[error("`{member}` may not {} `{path}`", verb(*action))]
    Denied {
        /// Who asked.
        member: MemberName,
        /// What for.
        action: Action,
        /// The secret.
        path: SecretPath,
    },
    /// The value is not encrypted to this identity.
    #[error("`{path}` is not encrypted to your key")]
    NotARecipient {
        /// The secret.
        path: SecretPath,
    },
    /// Nobody could read what would be written.
    #[error("the policy lets nobody read `{path}`")]
    NoReaders {
        /// The secret.
        path: SecretPath,
    },
    /// An expired credential that the policy refuses to hand out.
    #[error("`{path}` expired at {at}")]
    Expired {
        /// The secret.
        path: SecretPath,
        /// When.
        at: Timestamp,
    },
    /// A file of the store is refused.
    #[error("`{file}` is refused")]
    Refused {
        /// The file, as a path within the store.
        file: String,
        /// Why.
        #[source]
        flaw: Flaw,
    },
    /// No policy in the store.
    #[error("the store has no policy")]
    NoPolicy,
    /// The policy in the tree is neither an older nor a newer state of the one that the trusted branch has.
    #[error("the policy here and that of the trusted branch went separate ways")]
    PolicyForked,
    /// The policy in the tree is older than the one that the trusted branch has.
    #[error("the policy here is at epoch {here}, and the trusted branch has epoch {known}")]
    PolicyBehind {
        /// The tree's epoch.
        here: Epoch,
        /// The pinned epoch.
        known: Epoch,
    },
    /// The present member is no admin.
    #[error("`{member}` is no admin of this store")]
    NotAnAdmin {
        /// Who.
        member: MemberName,
    },
    /// The change of the policy can't be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The change would leave existing secrets to nobody.
    #[error("nobody could {what} `{path}` any more{}", others(*count))]
    WouldLockOut {
        /// What nobody could do.
        what: &'static str,
        /// One of the secrets.
        path: SecretPath,
        /// How many there are.
        count: usize,
    },
    /// The epoch that was made would be refused by everybody.
    #[error("the next epoch would not be valid")]
    EpochRefused(#[source] Box<ChainFlaw>),
    /// A policy that could not be read back.
    #[error("the policy would be larger than 1 MiB")]
    PolicyTooLarge,
    /// No such epoch.
    #[error("the policy has no epoch {epoch}: the newest is {newest}")]
    NoSuchEpoch {
        /// The number asked for.
        epoch: u64,
        /// The newest one.
        newest: Epoch,
    },
    /// A time before the store was made.
    #[error("the store was made after {time}")]
    BeforeTheStore {
        /// The time asked for.
        time: Timestamp,
    },
    /// An environment that the policy would lose has living secrets.
    #[error("the environment `{environment}` still holds secrets: {count}")]
    EnvironmentInUse {
        /// Which.
        environment: Environment,
        /// How many secrets live in it.
        count: usize,
    },
    /// No two policies that went separate ways.
    #[error("the policy here did not part from that of the trusted branch")]
    NotForked,
    /// The history of a trusted branch was rewritten.
    #[error("the trusted branch {reference} was rewritten: {before:.10} is not part of {now:.10}")]
    Rewritten {
        /// The full name of the reference.
        reference: String,
        /// Where it was verified last.
        before: String,
        /// Where it is now.
        now: String,
    },
    /// A trusted branch has another policy than it had.
    #[error("the policy of the trusted branch {reference} does not go on from the one it had")]
    TrustedPolicyForked {
        /// The full name of the reference.
        reference: String,
    },
    /// No remote branch of that name.
    #[error("there is no remote branch {name} in this clone")]
    NoSuchReference {
        /// What somebody named.
        name: String,
    },
    /// A branch that nobody said is trusted: it is trusted by itself, or not at all.
    #[error("{name} was not trusted by `trust:branch`")]
    NotTrustedBranch {
        /// What somebody named.
        name: String,
    },
    /// A grant beyond what the rule allows.
    #[error("a grant for `{path}` may last {longest} at most")]
    GrantTooLong {
        /// The secret.
        path: SecretPath,
        /// The longest allowed.
        longest: Span,
    },
    /// Somebody needs no grant.
    #[error("`{member}` may read `{path}` already")]
    ReadsAlready {
        /// Who.
        member: MemberName,
        /// The secret.
        path: SecretPath,
    },
    /// No such grant in force.
    #[error("`{who}` has no grant for `{path}`")]
    NoSuchGrant {
        /// Who.
        who: String,
        /// The secret.
        path: SecretPath,
    },
    /// A moment past the year 9999.
    #[error("that is past the year 9999")]
    TimeOutOfRange,
    /// A request that is not valid, or for another store.
    #[error("the request is not valid")]
    Request(#[source] Flaw),
    /// A request in the name of somebody else.
    #[error("the request is for `{found}`, not for `{expected}`")]
    OtherRequest {
        /// Whom it is for.
        found: MemberName,
        /// Whom it had to be for.
        expected: MemberName,
    },
    /// The secret's present state counts already.
    #[error("`{path}` is valid as it is")]
    NothingToAdopt {
        /// The secret.
        path: SecretPath,
    },
    /// The commit did nothing to any secret.
    #[error("that commit changed no secret, or has no parent here")]
    NothingToRevert,
    /// The secret was changed after the commit that is to be taken back.
    #[error("`{path}` was changed after that commit")]
    ChangedSince {
        /// The secret.
        path: SecretPath,
    },
    /// Nothing to take note of.
    #[error("`{path}` has no debt")]
    NoDebt {
        /// The secret.
        path: SecretPath,
    },
    /// The policy changed while a command was at work.
    #[error("the policy changed in the meantime")]
    PolicyMoved,
    /// The claim names an epoch that the chain doesn't contain.
    #[error("this store's policy does not contain epoch {epoch} as it was said")]
    OtherEpoch {
        /// The epoch said.
        epoch: Epoch,
        /// The hash said for it.
        digest: Digest,
    },
    /// The newest policy that is pinned on this machine can't be read there.
    #[error("what this machine remembers of the newest policy is incomplete")]
    PinIncomplete,
    /// A grant whose deadline has passed.
    #[error("the grant for `{path}` ended at {at}")]
    GrantEnded {
        /// The secret.
        path: SecretPath,
        /// The deadline.
        at: Timestamp,
    },
    /// Nobody said that this store may be trusted.
    #[error("this store is not trusted on this machine: its id is {id}")]
    Untrusted {
        /// Its id.
        id: StoreId,
    },
    /// The store is another one than was said.
    #[error("this store's id is {found}, and {expected} was expected")]
    OtherStore {
        /// The id found.
        found: StoreId,
        /// The id said by option or variable, or remembered for this clone.
        expected: StoreId,
        /// Whether it was remembered rather than said.
        remembered: bool,
    },
    /// The work tree's file is neither what HEAD has nor an uncommitted change of it.
    #[error("`{file}` in the work tree is neither what the branch has nor a change made from it")]
    Diverged {
        /// The file, as a path within the store.
        file: String,
    },
    /// What HEAD has is missing in the work tree: it was removed by hand, or the checkout is sparse.
    #[error("`{file}` is in the branch's commit and not in the work tree")]
    NotCheckedOut {
        /// The file, as a path within the store.
        file: String,
    },
    /// A rotation is under way, and the next version is its pending value's.
    #[error("a rotation of `{path}` is under way: there is a pending value")]
    RotationPending {
        /// The secret.
        path: SecretPath,
    },
    /// A secret without a rotation.
    #[error("`{path}` has no rotation")]
    NoRotation {
        /// The secret.
        path: SecretPath,
    },
    /// A rotation without pending value.
    #[error("no rotation of `{path}` is under way")]
    NothingPending {
        /// The secret.
        path: SecretPath,
    },
    /// A rotation whose new value only a person can bring.
    #[error("`{path}` needs a new value from a person: its rotation has no generator and no hook")]
    NeedsValue {
        /// The secret.
        path: SecretPath,
    },
    /// A rotation policy that would be told of before it begins.
    #[error("people can't be told earlier than the period is long: {period}")]
    TooLongBefore {
        /// The period.
        period: Span,
    },
    /// A rotation whose generator this program doesn't know.
    #[error("the generator in the rotation of `{path}` can't be used")]
    BadGenerator {
        /// The secret.
        path: SecretPath,
        /// Why.
        #[source]
        source: GeneratorError,
    },
    /// A secret with a change that no commit has.
    #[error("`{path}` has a change that is not committed")]
    Uncommitted {
        /// The secret.
        path: SecretPath,
    },
    /// A hook that is not there.
    #[error("there is no program `{program}` in the work tree")]
    HookMissing {
        /// Its path from the work tree's root.
        program: HookPath,
    },
    /// A hook that nobody on this machine has trusted as it is.
    #[error("the hook `{program}` {}", if *changed { "was changed since it was trusted" } else { "is not trusted on this machine" })]
    HookNotTrusted {
        /// Its path from the work tree's root.
        program: HookPath,
        /// The hash of its content.
        digest: Digest,
        /// Whether another content of it was trusted.
        changed: bool,
    },
    /// A hook with another content than was said.
    #[error("the program `{program}` has the SHA-256 {found}, and {said} was said")]
    OtherHook {
        /// Its path from the work tree's root.
        program: HookPath,
        /// The hash of its content.
        found: Digest,
        /// The one said.
        said: Digest,
    },
    /// There is no place to remember what is trusted.
    #[error("there is no place to remember what is trusted")]
    NoState,
    /// A hook that did not do its step.
    #[error("the hook `{program}` failed at the step {step} for `{path}`")]
    Hook {
        /// The secret.
        path: SecretPath,
        /// Its path from the work tree's root.
        program: HookPath,
        /// The step.
        step: Step,
        /// Why.
        #[source]
        source: HookFault,
    },
    /// Somebody changed the secret at the same time, again and again.
    #[error("`{path}` was changed at the same time")]
    Raced {
        /// The secret.
        path: SecretPath,
    },
    /// Rename or copy onto itself.
    #[error("source and target are both `{path}`")]
    SamePath {
        /// The secret.
        path: SecretPath,
    },
    /// Encryption failed.
    #[error("the value could not be encrypted")]
    Seal(#[source] SealError),
    /// A document could not be signed.
    #[error("the document could not be signed")]
    Sign(#[source] SignedDocumentError),
    /// A revision that would be too large to be read back.
    #[error("tags and metadata of `{path}` are too large: a sidecar may have 64 KiB")]
    SidecarTooLarge {
        /// The secret.
        path: SecretPath,
    },
    /// A read that could not be written down, where it must be.
    #[error("the value was not released, because the read could not be written down")]
    NotLogged {
        /// Why.
        #[source]
        source: Box<VaultError>,
    },
    /// The local access log ends in something that no line can follow.
    #[error("the last line of the local access log can't be built upon")]
    LogEnd(#[source] LineError),
    /// A published or local access log that is not in order.
    #[error("the access log can't be built upon")]
    Log(#[from] LogFinding),
    /// A guest's log, which nobody could verify.
    #[error("a guest with a one-off key can't publish a log: nobody could verify it")]
    GuestLog,
    /// What was published of this clone's log is not what is here.
    #[error("the log published for this clone goes on otherwise than the one here")]
    LogDiverged,
    /// No remote of that name, or none to choose by itself.
    #[error("there is no such remote")]
    NoRemote {
        /// Those there are.
        known: Vec<String>,
    },
    /// The file with this clone's id is damaged.
    #[error("this clone has no id: the file `vsecure/clone-id` in its git directory is damaged")]
    NoCloneId,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// More values than can be looked for at once.
    #[error("these are more values than can be looked for at once")]
    TooManyValues,
}

impl VaultError {
    /// The kind of refusal or failure, in one word that programs can compare.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Store(reason) => reason.into(),
            Self::Refused { flaw, .. } | Self::Request(flaw) => flaw.kind(),
            Self::Edit(reason) => reason.into(),
            Self::EpochRefused(reason) => reason.as_ref().into(),
            error => error.into(),
        }
    }
}

fn others(count: usize) -> String {
    if count > 1 { format!(", nor {} others", count - 1) } else { String::new() }
}

const fn verb(action: Action) -> &'static str {
    match action {
        Action::Read => "read",
        Action::Write => "write",
        Action::Delete => "delete",
        Action::Grant => "let others read",
    }
}
