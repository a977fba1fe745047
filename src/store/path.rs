//! Paths within a store.

use std::fmt;
use std::str::FromStr;

const MAX_BYTES: usize = 1024;

/// Why a text is no path within a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a path within a store")]
pub struct StorePathError;

/// A path within a store: relative, `/` between its segments, none of them empty, `.`, `..` or `.git`, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(String);

impl StorePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments.
    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Its folder, none at the top, and its last segment.
    pub(super) fn split_last(&self) -> (Option<&str>, &str) {
        self.0.rsplit_once('/').map_or((None, &self.0), |(folder, name)| (Some(folder), name))
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && !segment.eq_ignore_ascii_case(".git")
                && !segment.chars().any(|c| c.is_control() || c == '\\')
        };
        if text.len() <= MAX_BYTES && text.split('/').all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(StorePathError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_within_the_store() {
        for good in ["a", "secrets/production/A.yaml", ".gitattributes"] {
            assert!(good.parse::<StorePath>().is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", ".git/config", "a/.GIT/x", "a\0b", "a\nb", "a\\b"] {
            assert_eq!(bad.parse::<StorePath>(), Err(StorePathError), "{bad}");
        }
    }
}
