//! What a published access log states and signs: how far it goes, and the hash that its last line has.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::yaml::{self, Document, Node};
use super::{Digest, DocumentError, MemberName, StoreId, Timestamp};

/// The largest head, in bytes, with its signature.
pub const MAX_AUDIT_HEAD_BYTES: usize = 4096;

/// Why a text is no random id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 32 lowercase hexadecimal digits are needed")]
pub struct RandomIdError;

/// 16 random bytes in hex: the id of a clone, or of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RandomId(String);

impl RandomId {
    /// The id that `bytes` are.
    #[must_use]
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RandomId {
    type Err = RandomIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.len() == 32 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if hex { Ok(Self(text.to_owned())) } else { Err(RandomIdError) }
    }
}

impl<'de> Deserialize<'de> for RandomId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        yaml::from_text(deserializer)
    }
}

/// The signed head of one clone's published access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The store.
    pub store: StoreId,
    /// The clone that the events happened in.
    pub device: RandomId,
    /// The member that signs: whose reads they are.
    pub author: MemberName,
    /// When it was signed.
    pub time: Timestamp,
    /// How many events there are.
    pub events: u64,
    /// The hash of the last event's line.
    pub last: Digest,
}

/// The fields as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    #[serde(rename = "vsecure")]
    _format: String,
    store: StoreId,
    device: RandomId,
    author: MemberName,
    time: Timestamp,
    events: u64,
    last: Digest,
}

impl Document for AuditHead {
    type Wire = Wire;
    const FORMAT: &'static str = "audit/1";
    const MAX_BYTES: usize = MAX_AUDIT_HEAD_BYTES;

    fn from_wire(wire: Wire) -> Self {
        let Wire { store, device, author, time, events, last, .. } = wire;
        Self { store, device, author, time, events, last }
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.events == 0 {
            return Err(DocumentError::Inconsistent("a head of no events, with a last line"));
        }
        Ok(())
    }

    fn fields(&self) -> Vec<(&'static str, Node)> {
        vec![
            ("store", Node::text(self.store)),
            ("device", Node::text(&self.device)),
            ("author", Node::text(&self.author)),
            ("time", Node::word(self.time)),
            ("events", Node::Number(self.events)),
            ("last", Node::text(self.last)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_round_trips_in_one_spelling() {
        let head = AuditHead {
            store: StoreId::of_first_epoch(b"x"),
            device: RandomId::of([7; 16]),
            author: "alice".parse().unwrap(),
            time: "2026-11-24".parse().unwrap(),
            events: 12,
            last: Digest::of(b"line"),
        };
        let body = head.body();
        assert!(body.starts_with(b"vsecure: audit/1\nstore: \""));
        assert_eq!(AuditHead::parse(&body), Ok(head));
        let text = String::from_utf8(body).unwrap();
        assert_eq!(AuditHead::parse(text.replace("\"alice\"", "alice").as_bytes()), Err(DocumentError::NotCanonical));
        let newer = text.replace("audit/1", "audit/2");
        assert!(matches!(AuditHead::parse(newer.as_bytes()), Err(DocumentError::UnknownFormat { .. })));
        let none = text.replace("events: 12", "events: 0");
        assert!(matches!(AuditHead::parse(none.as_bytes()), Err(DocumentError::Inconsistent(_))));
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = RandomId::of([0xab; 16]);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        for wrong in [&id.as_str().to_uppercase(), "ab", &format!("{id}0"), ""] {
            assert_eq!(wrong.parse::<RandomId>(), Err(RandomIdError));
        }
    }
}
