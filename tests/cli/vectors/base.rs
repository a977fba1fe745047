//! The good store that vectors are laid over, and the makers of its files. Texts are written out as docs/format.md says, not through the
//! library, so that a mistake of the library can't hide itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::age::{self, FILE_KEY};
use super::sign::{Person, Signature, document};
use crate::support::CANARY;

/// A secret's place.
#[derive(Debug, Clone)]
pub struct Place {
    pub store: String,
    pub path: String,
    pub version: u64,
}

/// The people of the store, and its policy: alice may do everything, rita may read.
pub struct Base {
    pub alice: Person,
    pub rita: Person,
    /// No member.
    pub mallory: Person,
    pub policy: Vec<u8>,
    pub id: String,
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// `text` with `from` replaced, which must be there.
pub fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in it");
    text.replacen(from, to, 1)
}

impl Base {
    pub fn load() -> Self {
        let [alice, rita, mallory] = ["alice", "rita", "mallory"].map(Person::load);
        let mut base = Self { alice, rita, mallory, policy: Vec::new(), id: String::new() };
        base.policy = base.signed_policy(&base.policy_body());
        base.id = sha256(&base.policy);
        base
    }

    pub fn policy_body(&self) -> String {
        let member = |it: &Person| {
            format!(
                "  \"{0}\":\n    email: \"{0}@example.com\"\n    roles: []\n    keys:\n      - recipient: \"{1}\"\n        signing: \"{2}\"\n    lost: []\n",
                it.name,
                it.recipient,
                it.verifying_key()
            )
        };
        let members = [&self.alice, &self.rita].map(member).concat();
        format!(
            "vsecure: policy/1\nepoch: 1\nsalt: \"00112233445566778899aabbccddeeff\"\nprevious: null\nauthor: \"alice\"\ntime: 2026-11-24T03:00:00Z\n\
             environments:\n  - \"production\"\n  - \"staging\"\nroles:\n  - \"admins\"\nmembers:\n{members}secrets:\n  \"**\":\n    read:\n      - \"alice\"\n      - \"rita\"\n    \
             write:\n      - \"alice\"\n    delete:\n      - \"alice\"\n    grant: null\n    on_expired: null\n    max_grant: null\naccepted: null\n"
        )
        .replace("    email: \"alice@example.com\"\n    roles: []\n", "    email: \"alice@example.com\"\n    roles:\n      - \"admins\"\n")
    }

    pub fn signed_policy(&self, body: &str) -> Vec<u8> {
        let policy = Signature { namespace: "vsecure-policy-v1", ..Signature::default() };
        document(body.as_bytes(), &policy.of(body.as_bytes(), &self.alice))
    }

    /// Another store of the same people.
    pub fn other(&self) -> Self {
        let mut other = Self::load();
        other.policy = self.signed_policy(&changed(&self.policy_body(), "00112233", "ff112233"));
        other.id = sha256(&other.policy);
        other
    }

    pub fn place(&self, path: &str, version: u64) -> Place {
        Place { store: self.id.clone(), path: path.to_owned(), version }
    }

    /// The secret that vectors are about.
    pub fn a(&self) -> Place {
        self.place("production/A", 1)
    }

    /// A value that gives itself away, of so many bytes.
    pub fn long_value(bytes: usize) -> Vec<u8> {
        CANARY.bytes().cycle().take(bytes).collect()
    }

    /// The readers' stanzas.
    pub fn readers(&self) -> Vec<String> {
        let people = [&self.alice, &self.rita].into_iter().zip(1..);
        people.map(|(person, number)| age::x25519_stanza(&person.point, number, &FILE_KEY)).collect()
    }

    /// The context of `place`, then the readers.
    pub fn stanzas(&self, place: &Place) -> Vec<String> {
        let context = age::context_stanza(&place.store, &place.path, place.version);
        [vec![context], self.readers()].concat()
    }

    /// The age file of `value` at `place`, as it should be.
    pub fn age(&self, place: &Place, value: &[u8]) -> Vec<u8> {
        self.sealed(&self.stanzas(place), value)
    }

    /// An age file with these stanzas and the right MAC.
    pub fn sealed(&self, stanzas: &[String], value: &[u8]) -> Vec<u8> {
        [age::header(stanzas, &FILE_KEY), age::payload(value, &FILE_KEY)].concat()
    }

    /// The body of the first sidecar of `place`, for this age file.
    pub fn sidecar(&self, place: &Place, age: &[u8]) -> String {
        let reader = |it: &Person| format!("  - member: \"{}\"\n    key: \"{}\"\n", it.name, it.fingerprint());
        format!(
            "vsecure: secret/1\nstore: \"{store}\"\npath: \"{path}\"\nrevision: 1\nparents: []\nchange: create\nversion: {version}\nciphertext:\n  sha256: \"{sha256}\"\n  size: {size}\n\
             source: null\npolicy:\n  epoch: 1\n  sha256: \"{store}\"\nauthor: \"alice\"\ntime: 2026-11-24T03:00:00Z\nrecipients:\n{readers}exposed_to: []\n\
             value_author: \"alice\"\ncreated_at: 2026-11-24T03:00:00Z\nupdated_at: 2026-11-24T03:00:00Z\ntags: []\nmetadata: {{}}\nexpires_at: null\nrotation: null\nnext: null\nacknowledged: null\n",
            store = place.store,
            path = place.path,
            version = place.version,
            sha256 = sha256(age),
            size = age.len(),
            readers = [&self.alice, &self.rita].map(reader).concat(),
        )
    }

    /// A sidecar that alice signs, whatever it says.
    pub fn signed(&self, body: impl AsRef<[u8]>) -> Vec<u8> {
        document(body.as_ref(), &Signature::default().of(body.as_ref(), &self.alice))
    }

    /// The files of the good store.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let attributes = "* -text -filter -ident -working-tree-encoding -merge\nsecrets/** diff=vsecure\n";
        let mut files = BTreeMap::from([
            (".gitattributes".to_owned(), attributes.into()),
            (super::vector::POLICY.to_owned(), self.policy.clone()),
        ]);
        for (path, value) in [
            ("production/A", CANARY.to_owned()),
            ("production/B", format!("{CANARY} b")),
            ("staging/A", format!("{CANARY} s")),
        ] {
            let place = self.place(path, 1);
            let age = self.age(&place, value.as_bytes());
            files.insert(format!("secrets/{path}.yaml"), self.signed(self.sidecar(&place, &age)));
            files.insert(format!("secrets/{path}.age"), age);
        }
        files
    }
}
