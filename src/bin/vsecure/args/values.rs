//! Types of arguments. None of them shows, in an error, what was typed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::str::FromStr;

use vsecure::crypto::SecretBytes;
use vsecure::model::{MetadataKey, MetadataValue, NameError, Span, TimeError, Timestamp};

/// A value given as an argument. It can be anything, and is shown nowhere.
#[derive(Debug, Clone)]
pub struct SecretArg(pub SecretBytes);

impl From<OsString> for SecretArg {
    fn from(text: OsString) -> Self {
        Self(SecretBytes::new(text.into_vec()))
    }
}

/// `key=value`, of metadata.
#[derive(Debug, Clone)]
pub struct Assignment(pub MetadataKey, pub MetadataValue);

/// Why a text is no assignment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// No `=`.
    #[error("metadata is written key=value")]
    NoEquals,
    /// A bad key or value.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for Assignment {
    type Err = AssignmentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or(AssignmentError::NoEquals)?;
        Ok(Self(key.parse()?, value.parse()?))
    }
}

/// `VAR=NAME`: a variable and the secret that it holds.
#[derive(Debug, Clone)]
pub struct Mapping(pub String, pub String);

/// Why a text is no mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mapping is written VARIABLE=NAME")]
pub struct MappingError;

impl FromStr for Mapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (variable, name) = text.split_once('=').ok_or(MappingError)?;
        if variable.is_empty() || name.is_empty() {
            return Err(MappingError);
        }
        Ok(Self(variable.to_owned(), name.to_owned()))
    }
}

/// A moment: a time, or a span before the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    Ago(Span),
}

impl Moment {
    /// The moment, seen from `now`; at the earliest 1970.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => Timestamp::from_unix(now.unix().saturating_sub(span.seconds()).max(0)).unwrap_or(now),
        }
    }
}

impl FromStr for Moment {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Ago).or_else(|_| text.parse().map(Self::At))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_span_before_now() {
        let now: Timestamp = "2026-11-24".parse().unwrap();
        for (text, expected) in [("7d", "2026-11-17"), ("2026-11-20", "2026-11-20"), ("9999w", "1970-01-01")] {
            assert_eq!(text.parse::<Moment>().unwrap().at(now).to_string(), format!("{expected}T00:00:00Z"), "{text}");
        }
        assert_eq!("yesterday".parse::<Moment>(), Err(TimeError::NotATime));
    }
}
