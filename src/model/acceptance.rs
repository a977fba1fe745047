//! The list of sidecars that stay valid though the policy alone would reject them (`policy/accepted/<sha256>`).

use std::collections::BTreeSet;

use super::{Digest, DocumentError};

/// A digest in hex, and the line feed.
const LINE_BYTES: usize = 65;

/// Digests of whole sidecar files, sorted and without doubles: one line each, in hex, ended by LF.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acceptance(BTreeSet<Digest>);

impl Acceptance {
    /// The largest list's size in bytes: a million sidecars.
    pub const MAX_BYTES: u64 = LINE_BYTES as u64 * 1_000_000;

    /// Whether the sidecar whose file has this digest is accepted.
    #[must_use]
    pub fn contains(&self, sidecar: &Digest) -> bool {
        self.0.contains(sidecar)
    }

    /// How many sidecars are accepted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This list with `more` in it.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = Digest>) -> Self {
        Self(self.0.iter().copied().chain(more).collect())
    }

    /// The file's bytes. Its name is their SHA-256.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|digest| format!("{digest}\n").into_bytes()).collect()
    }

    /// Parses a file whose SHA-256 a policy names.
    ///
    /// # Errors
    /// [`DocumentError`] for anything but sorted lines of hex.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let malformed = DocumentError::Malformed { line: 0, column: 0 };
        let text = std::str::from_utf8(bytes).map_err(|_| malformed.clone())?;
        let digests = text.split_terminator('\n').map(str::parse).collect::<Result<Vec<Digest>, _>>();
        let digests = digests.map_err(|_| malformed)?;
        // A digest has one spelling, so that order and line ends are all that is left to differ: `get` of an accepted state waits for this.
        if digests.is_sorted_by(|a, b| a < b) && (text.is_empty() || text.ends_with('\n')) {
            Ok(Self(digests.into_iter().collect()))
        } else {
            Err(DocumentError::NotCanonical)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_spelling() {
        let [a, b] = [b"a", b"b"].map(|bytes| Digest::of(bytes));
        let list = Acceptance::default().with([a, b, a]);
        assert_eq!(list.len(), 2);
        assert_eq!(Acceptance::parse(&list.to_bytes()), Ok(list.clone()));
        assert!(list.contains(&a) && !list.contains(&Digest::of(b"c")));
        for bad in
            [format!("{b}\n{a}\n{b}\n"), format!("{a}\n{a}\n"), format!("{a}"), "x\n".to_owned(), format!("{a}\r\n")]
        {
            assert!(Acceptance::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["\n", "\n\n", &format!("{a}\n\n"), &format!("\n{a}\n"), &a.to_string().to_uppercase()] {
            assert!(Acceptance::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(Acceptance::parse(b""), Ok(Acceptance::default()));
    }
}
