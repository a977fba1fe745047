//! Types of arguments. None of them shows, in an error, what was typed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::str::FromStr;

use vsecure::crypto::SecretBytes;
use vsecure::model::{MetadataKey, MetadataValue, NameError};

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
