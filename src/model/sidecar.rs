//! The sidecar: one signed revision of a secret (`vsecure: secret/1`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use super::yaml::{Document, DocumentError, Node};
use super::{
    Digest, Epoch, Fingerprint, HookPath, MemberName, MetadataKey, MetadataValue, Revision, SecretPath, Span, StoreId,
    Tag, Timestamp, Version,
};

/// The largest sidecar file, in bytes, its signature included.
pub const MAX_SIDECAR_BYTES: usize = 64 * 1024;
const MAX_HOLDERS: usize = 250;

/// What a revision did, in a word, for people. Rights follow what happened, not this word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words speak for themselves, and format.md defines them")]
pub enum Change {
    Create,
    Set,
    Metadata,
    Rekey,
    Rollback,
    Rename,
    Copy,
    Delete,
    Restore,
    Rotate,
    Merge,
    Adopt,
    Import,
    Revert,
    Acknowledge,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Metadata => "metadata",
            Self::Rekey => "rekey",
            Self::Rollback => "rollback",
            Self::Rename => "rename",
            Self::Copy => "copy",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Rotate => "rotate",
            Self::Merge => "merge",
            Self::Adopt => "adopt",
            Self::Import => "import",
            Self::Revert => "revert",
            Self::Acknowledge => "acknowledge",
        })
    }
}

/// The age file that a revision goes with: its SHA-256 and its size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ciphertext {
    /// SHA-256 of the whole `.age` file.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Ciphertext {
    /// What describes the age file `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

/// Where a renamed, copied, rolled-back or restored value came from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The secret it was taken from.
    pub path: SecretPath,
    /// SHA-256 of the sidecar file that stated it.
    pub sha256: Digest,
}

/// The policy that was current when a revision was signed. Information only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRef {
    /// Its epoch.
    pub epoch: Epoch,
    /// SHA-256 of its file.
    pub sha256: Digest,
}

/// A member with one of its keys: one stanza of the age file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyHolder {
    /// Whose key it is.
    pub member: MemberName,
    /// The recipient's fingerprint.
    pub key: Fingerprint,
}

/// A rotation policy: how old a value may become, and how a new one is made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Whether it is in force.
    pub enabled: bool,
    /// The age at which a value is due.
    pub period: Span,
    /// How long before that people are told.
    pub notify_before: Option<Span>,
    /// A generator's specification, where a new value can be made from it.
    pub generator: Option<String>,
    /// A program in the repository that makes, sets and tests a new value.
    pub hook: Option<HookPath>,
}

/// How a value stands by its rotation's schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// There is time.
    NotYet,
    /// It is to be told of.
    Soon,
    /// The period has passed.
    Overdue,
}

/// A rotation's pending value, in `<NAME>.next.age`, bound to the next version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The version it will have.
    pub version: Version,
    /// What hooks know this rotation by: the same from before there was a value to its end.
    pub token: Digest,
    /// Its age file.
    pub ciphertext: Ciphertext,
    /// Who can open it, one entry a stanza.
    pub recipients: Vec<KeyHolder>,
    /// Who could read it and is no recipient any more; sorted.
    pub exposed_to: BTreeSet<KeyHolder>,
    /// Who made it.
    pub author: MemberName,
    /// When.
    pub created_at: Timestamp,
}

/// A debt that someone took note of; it is quieted, not cleared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    /// By whom.
    pub author: MemberName,
    /// When.
    pub time: Timestamp,
    /// Why it is bearable.
    pub reason: MetadataValue,
    /// Until when.
    pub until: Timestamp,
}

/// The fields as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    #[serde(rename = "vsecure")]
    _format: String,
    store: StoreId,
    path: SecretPath,
    revision: Revision,
    parents: Vec<Digest>,
    change: Change,
    version: Version,
    ciphertext: Option<Ciphertext>,
    source: Option<Source>,
    policy: PolicyRef,
    author: MemberName,
    time: Timestamp,
    recipients: Vec<KeyHolder>,
    exposed_to: Vec<KeyHolder>,
    value_author: MemberName,
    created_at: Timestamp,
    updated_at: Timestamp,
    tags: Vec<Tag>,
    metadata: BTreeMap<MetadataKey, MetadataValue>,
    expires_at: Option<Timestamp>,
    rotation: Option<Rotation>,
    next: Option<Pending>,
    acknowledged: Option<Acknowledged>,
}

/// One revision of a secret. Nothing in it derives from the value: no hash, no length beyond the ciphertext's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// The store it belongs to.
    pub store: StoreId,
    /// The secret.
    pub path: SecretPath,
    /// The number of this signed state.
    pub revision: Revision,
    /// SHA-256 of the whole previous sidecar file; two after a merge, none at revision 1.
    pub parents: Vec<Digest>,
    /// What it did, for people.
    pub change: Change,
    /// The number of the value.
    pub version: Version,
    /// The age file; none for a tombstone.
    pub ciphertext: Option<Ciphertext>,
    /// Where the value came from, if from another revision than the parent.
    pub source: Option<Source>,
    /// The policy then current; information only.
    pub policy: PolicyRef,
    /// Who signed.
    pub author: MemberName,
    /// When, by the author's clock.
    pub time: Timestamp,
    /// Who can open the age file, one entry a stanza, in order.
    pub recipients: Vec<KeyHolder>,
    /// Who could read the present value and is no recipient any more; sorted.
    pub exposed_to: BTreeSet<KeyHolder>,
    /// Who set the present value.
    pub value_author: MemberName,
    /// When the secret was created.
    pub created_at: Timestamp,
    /// When the present value was set.
    pub updated_at: Timestamp,
    /// Tags; sorted.
    pub tags: BTreeSet<Tag>,
    /// Metadata; sorted.
    pub metadata: BTreeMap<MetadataKey, MetadataValue>,
    /// When the credential expires.
    pub expires_at: Option<Timestamp>,
    /// How it is rotated.
    pub rotation: Option<Rotation>,
    /// A pending value.
    pub next: Option<Pending>,
    /// A debt taken note of.
    pub acknowledged: Option<Acknowledged>,
}

impl Sidecar {
    /// Whether this revision says that the secret is deleted.
    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        self.ciphertext.is_none()
    }

    /// Whether the credential has expired at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The rotation policy, where one is in force.
    #[must_use]
    pub fn rotated_by(&self) -> Option<&Rotation> {
        self.rotation.as_ref().filter(|rotation| rotation.enabled)
    }

    /// When the present value is due for rotation: the period counts from the last change of the value.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.rotated_by().map(|rotation| self.updated_at + rotation.period)
    }

    /// How the present value stands at `now` by its rotation's schedule.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Due {
        let Some((rotation, at)) = self.rotated_by().zip(self.due_at()) else { return Due::NotYet };
        let soon = |span| at <= now + span;
        match rotation.notify_before {
            _ if at <= now => Due::Overdue,
            Some(span) if soon(span) => Due::Soon,
            _ => Due::NotYet,
        }
    }
}

impl Document for Sidecar {
    type Wire = Wire;
    const FORMAT: &'static str = "secret/1";
    const MAX_BYTES: usize = MAX_SIDECAR_BYTES;

    fn from_wire(wire: Wire) -> Self {
        Self {
            store: wire.store,
            path: wire.path,
            revision: wire.revision,
            parents: wire.parents,
            change: wire.change,
            version: wire.version,
            ciphertext: wire.ciphertext,
            source: wire.source,
            policy: wire.policy,
            author: wire.author,
            time: wire.time,
            recipients: wire.recipients,
            exposed_to: wire.exposed_to.into_iter().collect(),
            value_author: wire.value_author,
            created_at: wire.created_at,
            updated_at: wire.updated_at,
            tags: wire.tags.into_iter().collect(),
            metadata: wire.metadata,
            expires_at: wire.expires_at,
            rotation: wire.rotation,
            next: wire.next,
            acknowledged: wire.acknowledged,
        }
    }

    fn check(&self) -> Result<(), DocumentError> {
        let wrong = |what| Err(DocumentError::Inconsistent(what));
        if (self.revision == Revision::FIRST) != self.parents.is_empty() {
            return wrong("revision 1, and only that, has no parent");
        }
        if self.parents.len() > 2 {
            return wrong("more than two parents");
        }
        if self.version.get() > self.revision.get() {
            return wrong("a version above its revision");
        }
        if self.is_tombstone() != self.recipients.is_empty() {
            return wrong("a value needs recipients, and a tombstone has none");
        }
        if self.change == Change::Delete && !self.is_tombstone() {
            return wrong("a deletion that leaves a value");
        }
        if self.recipients.len() > MAX_HOLDERS || self.exposed_to.len() > 4 * MAX_HOLDERS {
            return wrong("too many recipients");
        }
        if self.rotation.as_ref().is_some_and(|it| it.notify_before.is_some_and(|before| before > it.period)) {
            return wrong("a rotation that is told of before it begins");
        }
        self.next.as_ref().map_or(Ok(()), |pending| self.check_pending(pending))
    }

    fn fields(&self) -> Vec<(&'static str, Node)> {
        let metadata = self.metadata.iter().map(|(key, value)| (key.to_string(), Node::text(value))).collect();
        vec![
            ("store", Node::text(self.store)),
            ("path", Node::text(&self.path)),
            ("revision", Node::Number(self.revision.get())),
            ("parents", Node::list(&self.parents, Node::text)),
            ("change", Node::word(self.change)),
            ("version", Node::Number(self.version.get())),
            ("ciphertext", Node::option(self.ciphertext.as_ref(), ciphertext_node)),
            ("source", Node::option(self.source.as_ref(), source_node)),
            ("policy", policy_node(&self.policy)),
            ("author", Node::text(&self.author)),
            ("time", Node::word(self.time)),
            ("recipients", Node::list(&self.recipients, holder_node)),
            ("exposed_to", Node::list(&self.exposed_to, holder_node)),
            ("value_author", Node::text(&self.value_author)),
            ("created_at", Node::word(self.created_at)),
            ("updated_at", Node::word(self.updated_at)),
            ("tags", Node::list(&self.tags, Node::text)),
            ("metadata", Node::Map(metadata)),
            ("expires_at", Node::option(self.expires_at.as_ref(), Node::word)),
            ("rotation", Node::option(self.rotation.as_ref(), rotation_node)),
            ("next", Node::option(self.next.as_ref(), pending_node)),
            ("acknowledged", Node::option(self.acknowledged.as_ref(), acknowledged_node)),
        ]
    }
}

impl Sidecar {
    fn check_pending(&self, pending: &Pending) -> Result<(), DocumentError> {
        let wrong = |what| Err(DocumentError::Inconsistent(what));
        if self.is_tombstone() {
            return wrong("a deleted secret with a pending value");
        }
        if pending.version != self.version.next() {
            return wrong("a pending value that is not the next version's");
        }
        if pending.recipients.is_empty() {
            return wrong("a pending value that nobody can open");
        }
        if pending.recipients.len() > MAX_HOLDERS || pending.exposed_to.len() > 4 * MAX_HOLDERS {
            return wrong("too many recipients");
        }
        Ok(())
    }
}

fn ciphertext_node(it: &Ciphertext) -> Node {
    Node::Fields(vec![("sha256", Node::text(it.sha256)), ("size", Node::Number(it.size))])
}

fn source_node(it: &Source) -> Node {
    Node::Fields(vec![("path", Node::text(&it.path)), ("sha256", Node::text(it.sha256))])
}

fn policy_node(it: &PolicyRef) -> Node {
    Node::Fields(vec![("epoch", Node::Number(it.epoch.get())), ("sha256", Node::text(it.sha256))])
}

fn holder_node(it: &KeyHolder) -> Node {
    Node::Fields(vec![("member", Node::text(&it.member)), ("key", Node::text(it.key))])
}

fn rotation_node(it: &Rotation) -> Node {
    Node::Fields(vec![
        ("enabled", Node::Bool(it.enabled)),
        ("period", Node::text(it.period)),
        ("notify_before", Node::option(it.notify_before.as_ref(), Node::text)),
        ("generator", Node::option(it.generator.as_ref(), Node::text)),
        ("hook", Node::option(it.hook.as_ref(), Node::text)),
    ])
}

fn pending_node(it: &Pending) -> Node {
    Node::Fields(vec![
        ("version", Node::Number(it.version.get())),
        ("token", Node::text(it.token)),
        ("ciphertext", ciphertext_node(&it.ciphertext)),
        ("recipients", Node::list(&it.recipients, holder_node)),
        ("exposed_to", Node::list(&it.exposed_to, holder_node)),
        ("author", Node::text(&it.author)),
        ("created_at", Node::word(it.created_at)),
    ])
}

fn acknowledged_node(it: &Acknowledged) -> Node {
    Node::Fields(vec![
        ("author", Node::text(&it.author)),
        ("time", Node::word(it.time)),
        ("reason", Node::text(&it.reason)),
        ("until", Node::word(it.until)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Sidecar {
        let alice: MemberName = "alice".parse().unwrap();
        let time: Timestamp = "2026-11-24T03:00:00Z".parse().unwrap();
        let holder = |name: &str| KeyHolder { member: name.parse().unwrap(), key: Fingerprint::over(name.as_bytes()) };
        Sidecar {
            store: StoreId::of_first_epoch(b"epoch 1"),
            path: "production/API_KEY".parse().unwrap(),
            revision: Revision::new(3).unwrap(),
            parents: vec![Digest::of(b"parent")],
            change: Change::Set,
            version: Version::new(2).unwrap(),
            ciphertext: Some(Ciphertext::of(b"age file")),
            source: None,
            policy: PolicyRef { epoch: Epoch::FIRST, sha256: Digest::of(b"epoch 1") },
            author: alice.clone(),
            time,
            recipients: vec![holder("alice"), holder("bob")],
            exposed_to: [holder("carol")].into(),
            value_author: alice,
            created_at: time,
            updated_at: time,
            tags: ["production".parse().unwrap(), "api".parse().unwrap()].into(),
            metadata: [("owner".parse().unwrap(), "john@example.com".parse().unwrap())].into(),
            expires_at: Some(time),
            rotation: None,
            next: None,
            acknowledged: None,
        }
    }

    #[test]
    fn a_sidecar_has_one_spelling() {
        let sidecar = example();
        let body = String::from_utf8(sidecar.body()).unwrap();
        insta::assert_snapshot!(body);
        assert!(crate::model::canonical::read::<Wire>(body.as_bytes()).is_some(), "the quick reader knows it");
        assert_eq!(Sidecar::parse(body.as_bytes()), Ok(sidecar));
        for (what, other) in [
            ("a comment", body.replacen('\n', " # hi\n", 1)),
            ("single quotes", body.replace("\"alice\"", "'alice'")),
            ("other order of tags", body.replace("- \"api\"\n  - \"production\"", "- \"production\"\n  - \"api\"")),
            ("a string for a number", body.replace("revision: 3", "revision: \"3\"")),
            ("hexadecimal", body.replace("revision: 3", "revision: 0x3")),
            ("another time zone", body.replace("time: 2026-11-24T03:00:00Z", "time: 2026-11-24T05:00:00+02:00")),
            ("a trailing line", format!("{body}\n")),
        ] {
            assert_ne!(other, body, "{what} changes nothing");
            let error = Sidecar::parse(other.as_bytes()).expect_err(what);
            assert!(!matches!(error, DocumentError::Inconsistent(_)), "{what}: {error}");
        }
        let formatted = body.replace("\"alice\"", "alice");
        assert_eq!(Sidecar::parse(formatted.as_bytes()), Err(DocumentError::NotCanonical));
        assert_eq!(Sidecar::canonical_of(formatted.as_bytes()), Ok(body.into_bytes()));
    }

    /// The example in the midst of a rotation.
    fn rotating() -> Sidecar {
        let sidecar = example();
        let span = |days: i64| Span::from_seconds(days * 86_400).unwrap();
        Sidecar {
            rotation: Some(Rotation {
                enabled: true,
                period: span(30),
                notify_before: Some(span(7)),
                generator: Some("words=6".to_owned()),
                hook: Some("ops/rotate.sh".parse().unwrap()),
            }),
            next: Some(Pending {
                version: sidecar.version.next(),
                token: Digest::of(b"token"),
                ciphertext: Ciphertext::of(b"next age file"),
                recipients: sidecar.recipients.clone(),
                exposed_to: sidecar.exposed_to.clone(),
                author: sidecar.author.clone(),
                created_at: sidecar.time,
            }),
            ..sidecar
        }
    }

    #[test]
    fn a_rotation_under_way_has_one_spelling() {
        let body = String::from_utf8(rotating().body()).unwrap();
        let part = &body[body.find("rotation:").unwrap()..];
        insta::assert_snapshot!(part);
        assert!(crate::model::canonical::read::<Wire>(body.as_bytes()).is_some(), "the quick reader knows it");
        assert_eq!(Sidecar::parse(body.as_bytes()), Ok(rotating()));
        for hook in ["/bin/sh", "../rotate.sh", "ops//rotate.sh", ".git/hooks/x", "a b", "-c", ""] {
            assert!(Sidecar::parse(body.replace("ops/rotate.sh", hook).as_bytes()).is_err(), "{hook}");
        }
    }

    #[test]
    fn a_value_is_due_when_its_period_has_passed_since_it_was_set() {
        let at = |days: i64| Timestamp::from_unix(rotating().updated_at.unix() + days * 86_400).unwrap();
        assert_eq!(rotating().due_at(), Some(at(30)));
        for (day, due) in [(0, Due::NotYet), (22, Due::NotYet), (23, Due::Soon), (29, Due::Soon), (30, Due::Overdue)] {
            assert_eq!(rotating().due(at(day)), due, "day {day}");
        }
        let with = |change: fn(&mut Rotation)| {
            let mut sidecar = rotating();
            sidecar.rotation.as_mut().map(change);
            sidecar
        };
        assert_eq!(with(|it| it.notify_before = None).due(at(29)), Due::NotYet);
        assert_eq!(with(|it| it.enabled = false).due(at(99)), Due::NotYet);
        assert_eq!(example().due(at(99)), Due::NotYet);
    }

    #[test]
    fn a_contradicting_sidecar_is_refused() {
        let refuse = |change: fn(&mut Sidecar)| {
            let mut sidecar = example();
            change(&mut sidecar);
            assert!(matches!(Sidecar::parse(&sidecar.body()), Err(DocumentError::Inconsistent(_))));
        };
        refuse(|s| s.parents.clear());
        refuse(|s| s.parents = vec![Digest::of(b"x"); 3]);
        refuse(|s| s.recipients.clear());
        refuse(|s| s.ciphertext = None);
        refuse(|s| s.change = Change::Delete);
        refuse(|s| s.version = Version::new(9).unwrap());
        let refuse_pending = |change: fn(&mut Pending)| {
            let mut sidecar = rotating();
            sidecar.next.as_mut().map(change);
            assert!(matches!(Sidecar::parse(&sidecar.body()), Err(DocumentError::Inconsistent(_))));
        };
        refuse_pending(|next| next.version = next.version.next());
        refuse_pending(|next| next.version = Version::FIRST);
        refuse_pending(|next| next.recipients.clear());
        let tombstone = Sidecar { change: Change::Delete, ciphertext: None, recipients: Vec::new(), ..rotating() };
        assert!(Sidecar::parse(&tombstone.body()).is_err());
        let mut late = rotating();
        late.rotation.as_mut().unwrap().notify_before = Span::from_seconds(31 * 86_400);
        assert!(Sidecar::parse(&late.body()).is_err());
    }

    prop_compose! {
        fn any_sidecar()(
            revision in 2u64..1_000_000,
            seconds in 0i64..4_000_000_000,
            tags in prop::collection::btree_set("[a-z0-9_][a-z0-9:/@+-]{0,20}", 0..5),
            metadata in prop::collection::btree_map("[a-z_][a-z0-9-]{0,20}q", "[^\\p{C}]{0,60}", 0..5),
            members in prop::collection::vec("[a-z][a-z0-9]{0,12}q", 1..6),
            exposed in prop::collection::btree_set("[a-z][a-z0-9]{0,12}q", 0..6),
            period in prop::option::of(1i64..100_000_000),
            reason in prop::option::of("[^\\p{C}]{0,60}"),
            expires in prop::option::of(0i64..4_000_000_000),
        ) -> Sidecar {
            let time = Timestamp::from_unix(seconds).unwrap();
            let holder = |name: &String| KeyHolder { member: name.parse().unwrap(), key: Fingerprint::over(name.as_bytes()) };
            let recipients: Vec<_> = members.iter().map(holder).collect();
            let author = recipients[0].member.clone();
            Sidecar {
                revision: Revision::new(revision).unwrap(),
                version: Version::new(revision / 2 + 1).unwrap(),
                time,
                tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
                metadata: metadata.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect(),
                exposed_to: exposed.iter().map(holder).collect(),
                expires_at: expires.map(|s| Timestamp::from_unix(s).unwrap()),
                rotation: period.and_then(Span::from_seconds).map(|period| Rotation {
                    enabled: true, period, notify_before: Some(period), generator: reason.clone(), hook: None,
                }),
                next: period.map(|_| Pending {
                    version: Version::new(revision / 2 + 2).unwrap(), token: Digest::of(b"t"),
                    ciphertext: Ciphertext::of(b"x"), recipients: recipients.clone(),
                    exposed_to: exposed.iter().map(holder).collect(), author: author.clone(), created_at: time,
                }),
                acknowledged: reason.map(|reason| Acknowledged {
                    author: author.clone(), time, reason: reason.parse().unwrap(), until: time,
                }),
                source: expires.map(|_| Source { path: "a/b".parse().unwrap(), sha256: Digest::of(b"s") }),
                recipients,
                ..example()
            }
        }
    }

    proptest! {
        #[test]
        fn a_sidecar_round_trips(sidecar in any_sidecar()) {
            prop_assert_eq!(Sidecar::parse(&sidecar.body()), Ok(sidecar));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..1000) {
            let mut body = example().body();
            let at = at % body.len();
            body.splice(at..(at + noise.len() / 2).min(body.len()), noise);
            let _ = Sidecar::parse(&body);
        }
    }
}
