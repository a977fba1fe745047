//! A request to join a store, or to change one's keys there (`vsecure: request/1`).

use serde::Deserialize;

use super::policy::MemberKeys;
use super::yaml::{Document, DocumentError, Node};
use super::{Email, MemberName, StoreId, Timestamp};

/// The largest request file, in bytes, its signature included.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// The fields as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    #[serde(rename = "vsecure")]
    _format: String,
    store: StoreId,
    name: MemberName,
    email: Email,
    keys: MemberKeys,
    time: Timestamp,
}

/// What somebody asks to be listed with. It is signed by the key that it names, which proves possession and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The store it is meant for.
    pub store: StoreId,
    /// The name asked for.
    pub name: MemberName,
    /// The e-mail address.
    pub email: Email,
    /// The public keys, as texts.
    pub keys: MemberKeys,
    /// When, by the asker's clock.
    pub time: Timestamp,
}

impl Document for Request {
    type Wire = Wire;
    const FORMAT: &'static str = "request/1";
    const MAX_BYTES: usize = MAX_REQUEST_BYTES;

    fn from_wire(wire: Wire) -> Self {
        Self { store: wire.store, name: wire.name, email: wire.email, keys: wire.keys, time: wire.time }
    }

    fn check(&self) -> Result<(), DocumentError> {
        Ok(())
    }

    fn fields(&self) -> Vec<(&'static str, Node)> {
        vec![
            ("store", Node::text(self.store)),
            ("name", Node::text(&self.name)),
            ("email", Node::text(&self.email)),
            ("keys", self.keys.node()),
            ("time", Node::word(self.time)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_spelling() {
        let request = Request {
            store: StoreId::of_first_epoch(b"epoch 1"),
            name: "bob".parse().unwrap(),
            email: "bob@example.com".parse().unwrap(),
            keys: MemberKeys { recipient: "age1xyz".into(), signing: "ssh-ed25519 AAAA".into() },
            time: "2026-11-24T03:00:00Z".parse().unwrap(),
        };
        let body = String::from_utf8(request.body()).unwrap();
        insta::assert_snapshot!(body);
        assert_eq!(Request::parse(body.as_bytes()), Ok(request));
        assert_eq!(Request::parse(body.replace("\"bob\"", "bob").as_bytes()), Err(DocumentError::NotCanonical));
    }
}
