//! A grant: a signed statement that someone may read one secret until a deadline (`vsecure: grant/1`).

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::audit::{RandomId, RandomIdError};
use super::yaml::{Document, DocumentError, Node};
use super::{MemberName, MetadataValue, SecretPath, StoreId, Timestamp};

/// The largest grant file, in bytes, its signature included.
pub const MAX_GRANT_BYTES: usize = 64 * 1024;
/// How the names begin under which one-off keys are listed; no member is called so.
pub const GUEST: &str = "guest-";
/// How many of its grant's digits follow.
const GUEST_DIGITS: usize = 12;

/// A grant's identity; the name of its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(RandomId);

impl GrantId {
    /// The id of these random bytes.
    #[must_use]
    pub fn of_random(bytes: [u8; 16]) -> Self {
        Self(RandomId::of(bytes))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name under which a grant of this id lists a one-off key: `guest-` and the id's first 12 digits.
    #[must_use]
    pub fn guest_name(&self) -> String {
        format!("{GUEST}{:.GUEST_DIGITS$}", self.as_str())
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for GrantId {
    type Err = RandomIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The fields as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    #[serde(rename = "vsecure")]
    _format: String,
    store: StoreId,
    id: GrantId,
    path: SecretPath,
    grantee: MemberName,
    recipient: Option<String>,
    author: MemberName,
    time: Timestamp,
    expires_at: Timestamp,
    reason: Option<MetadataValue>,
    revoked: bool,
}

/// Who may read one secret, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The store it belongs to.
    pub store: StoreId,
    /// Its identity.
    pub id: GrantId,
    /// The secret.
    pub path: SecretPath,
    /// Who may read: a member, or the name under which a one-off key is listed.
    pub grantee: MemberName,
    /// The one-off key, as text; none for a member, whose keys the policy has.
    pub recipient: Option<String>,
    /// Who granted, or revoked.
    pub author: MemberName,
    /// When, by the author's clock.
    pub time: Timestamp,
    /// The deadline: from then on nobody reads by this grant.
    pub expires_at: Timestamp,
    /// Why, for people.
    pub reason: Option<MetadataValue>,
    /// Whether it was taken back. The file stays until the deadline, so that nobody puts the grant back unnoticed.
    pub revoked: bool,
}

impl Grant {
    /// Whether it lets its grantee read at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.revoked && now < self.expires_at
    }
}

impl Document for Grant {
    type Wire = Wire;
    const FORMAT: &'static str = "grant/1";
    const MAX_BYTES: usize = MAX_GRANT_BYTES;

    fn from_wire(wire: Wire) -> Self {
        Self {
            store: wire.store,
            id: wire.id,
            path: wire.path,
            grantee: wire.grantee,
            recipient: wire.recipient,
            author: wire.author,
            time: wire.time,
            expires_at: wire.expires_at,
            reason: wire.reason,
            revoked: wire.revoked,
        }
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.expires_at <= self.time && !self.revoked {
            return Err(DocumentError::Inconsistent("a grant that ends before it begins"));
        }
        Ok(())
    }

    fn fields(&self) -> Vec<(&'static str, Node)> {
        vec![
            ("store", Node::text(self.store)),
            ("id", Node::text(&self.id)),
            ("path", Node::text(&self.path)),
            ("grantee", Node::text(&self.grantee)),
            ("recipient", Node::option(self.recipient.as_ref(), Node::text)),
            ("author", Node::text(&self.author)),
            ("time", Node::word(self.time)),
            ("expires_at", Node::word(self.expires_at)),
            ("reason", Node::option(self.reason.as_ref(), Node::text)),
            ("revoked", Node::Bool(self.revoked)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Grant {
        Grant {
            store: StoreId::of_first_epoch(b"epoch 1"),
            id: GrantId::of_random([7; 16]),
            path: "production/DATABASE_URL".parse().unwrap(),
            grantee: "john".parse().unwrap(),
            recipient: None,
            author: "alice".parse().unwrap(),
            time: "2026-11-24T03:00:00Z".parse().unwrap(),
            expires_at: "2026-11-24T04:00:00Z".parse().unwrap(),
            reason: Some("incident 7".parse().unwrap()),
            revoked: false,
        }
    }

    #[test]
    fn a_grant_has_one_spelling() {
        let body = String::from_utf8(example().body()).unwrap();
        insta::assert_snapshot!(body);
        assert_eq!(Grant::parse(body.as_bytes()), Ok(example()));
        let formatted = body.replace("\"john\"", "john");
        assert_eq!(Grant::parse(formatted.as_bytes()), Err(DocumentError::NotCanonical));
    }

    #[test]
    fn a_guest_is_called_as_its_grants_id_begins() {
        let id = GrantId::of_random([0x0a; 16]);
        assert_eq!(id.guest_name(), "guest-0a0a0a0a0a0a");
        assert!(id.guest_name().parse::<MemberName>().is_ok());
    }

    #[test]
    fn a_grant_is_in_force_until_its_deadline_or_its_revocation() {
        let grant = example();
        assert!(grant.is_in_force(grant.time));
        assert!(grant.is_in_force("2026-11-24T03:59:59Z".parse().unwrap()));
        assert!(!grant.is_in_force(grant.expires_at), "the deadline itself is too late");
        assert!(!Grant { revoked: true, ..grant.clone() }.is_in_force(grant.time));
        let backwards = Grant { expires_at: grant.time, ..grant };
        assert!(matches!(Grant::parse(&backwards.body()), Err(DocumentError::Inconsistent(_))));
    }

    proptest! {
        #[test]
        fn a_grant_round_trips(id in any::<[u8; 16]>(), length in 1i64..1_000_000, reason in prop::option::of("[^\\p{C}]{0,60}"), revoked in any::<bool>()) {
            let grant = Grant {
                id: GrantId::of_random(id),
                expires_at: Timestamp::from_unix(example().time.unix() + length).unwrap(),
                reason: reason.map(|text| text.parse().unwrap()),
                recipient: revoked.then(|| "age1xyz".to_owned()),
                revoked,
                ..example()
            };
            prop_assert_eq!(Grant::parse(&grant.body()), Ok(grant));
        }
    }
}
