//! One event: a line of JSON in one spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::{Digest, Fingerprint, MemberName, RandomId, Revision, SecretPath, Timestamp, Version};
use crate::store::MAX_LINE_BYTES;

const FORMAT: u64 = 1;
const MAX_WORD_BYTES: usize = 128;

/// What was done.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// A new secret, policy or grant.
    Created,
    /// A new value, tags, metadata, expiry or readers.
    Updated,
    /// A value was read, or was to be read.
    Accessed,
    /// Names were read.
    Listed,
    /// Values were handed to a program or file.
    Exported,
    /// Removed.
    Deleted,
    /// Brought back.
    Restored,
    /// An earlier value made the current one.
    RolledBack,
    /// A new value by rule.
    Rotated,
    /// Given for a time.
    Granted,
    /// Taken away.
    Revoked,
    /// Ended by its deadline.
    Expired,
}

/// What it was done to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ResourceType {
    /// A secret.
    Secret,
    /// The policy.
    Policy,
    /// A grant.
    Grant,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was refused.
    Refused,
}

/// Why a text is no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("printable ASCII is needed, from 1 to 128 bytes of it")]
pub struct WordError;

/// A short text of a line: printable ASCII, at most 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

impl Word {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Word {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Word {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=MAX_WORD_BYTES).contains(&text.len()) && text.bytes().all(|c| matches!(c, b' '..=b'~'));
        if fits { Ok(Self(text)) } else { Err(WordError) }
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn text_or_null<T: fmt::Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn version<S: Serializer>(value: &Option<Version>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(Version::get).serialize(serializer)
}

fn revision<S: Serializer>(value: &Option<Revision>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(Revision::get).serialize(serializer)
}

/// Who did it: a member, by one of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The member.
    #[serde(serialize_with = "text")]
    pub member: MemberName,
    /// The fingerprint of its signing key.
    #[serde(serialize_with = "text")]
    pub key: Fingerprint,
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Of which kind.
    #[serde(rename = "type")]
    pub kind: ResourceType,
    /// A secret's path.
    #[serde(serialize_with = "text_or_null")]
    pub path: Option<SecretPath>,
    /// The version, where it came to one.
    #[serde(serialize_with = "version")]
    pub version: Option<Version>,
    /// The revision, where it came to one.
    #[serde(serialize_with = "revision")]
    pub revision: Option<Revision>,
}

/// The run of a continuous integration in which it happened, by its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CiRun {
    /// Which service.
    pub provider: Word,
    /// Its number of the run.
    pub run: Option<Word>,
}

/// What happened, before it has a place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// How it went.
    pub result: Outcome,
    /// Why it was refused, in a word.
    pub reason: Option<Word>,
    /// The grant by which it was allowed.
    pub grant: Option<Word>,
    /// The command.
    pub command: Word,
    /// The program and its version.
    pub client: Word,
    /// The run of a continuous integration.
    pub ci: Option<CiRun>,
}

/// One event of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// The hash of the line before; none of the first.
    pub previous: Option<Digest>,
    /// Its id, the same wherever it is seen.
    pub id: RandomId,
    /// The clone in which it happened.
    pub device: RandomId,
    /// What happened.
    pub deed: Deed,
}

/// The fields of a line, in order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: u64,
    sequence: u64,
    #[serde(serialize_with = "text_or_null")]
    previous: Option<Digest>,
    #[serde(serialize_with = "text")]
    id: RandomId,
    #[serde(serialize_with = "text")]
    time: Timestamp,
    #[serde(serialize_with = "text")]
    device: RandomId,
    actor: Actor,
    action: Action,
    resource: Resource,
    result: Outcome,
    reason: Option<Word>,
    grant: Option<Word>,
    command: Word,
    client: Word,
    ci: Option<CiRun>,
}

/// Only what a line of any format has.
#[derive(Deserialize)]
struct AnyLine {
    format: u64,
}

/// Why a line is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Too long.
    #[error("it is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// Of a format that this program does not know.
    #[error("it says format {format}: a newer vsecure wrote it")]
    Newer {
        /// The number.
        format: u64,
    },
    /// Not the fields of an event.
    #[error("it is not an event")]
    Malformed,
    /// An event in another spelling than the one there is.
    #[error("it is an event, spelt in another way than vsecure does")]
    NotCanonical,
}

/// The hash by which the line after `line` names it; the line's end is part of it.
#[must_use]
pub fn line_digest(line: &[u8]) -> Digest {
    Digest::of(line)
}

impl Event {
    /// Its line, ended by LF.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let Deed { time, actor, action, resource, result, reason, grant, command, client, ci } = self.deed.clone();
        let line = Line {
            format: FORMAT,
            sequence: self.sequence,
            previous: self.previous,
            id: self.id.clone(),
            time,
            device: self.device.clone(),
            actor,
            action,
            resource,
            result,
            reason,
            grant,
            command,
            client,
            ci,
        };
        // Strings and numbers in memory: there is nothing in it that could fail.
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Parses a line with its LF, strictly: unknown, doubled or missing fields and other spellings are refused.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LineError> {
        if bytes.len() > MAX_LINE_BYTES {
            return Err(LineError::TooLong);
        }
        let line: Line = serde_json::from_slice(bytes).map_err(|_| match newer_format(bytes) {
            Some(format) => LineError::Newer { format },
            None => LineError::Malformed,
        })?;
        if line.format != FORMAT {
            return Err(LineError::Newer { format: line.format });
        }
        let Line { sequence, previous, id, time, device, actor, action, resource, result, .. } = line;
        let Line { reason, grant, command, client, ci, .. } = line;
        let deed = Deed { time, actor, action, resource, result, reason, grant, command, client, ci };
        let event = Self { sequence, previous, id, device, deed };
        if event.to_line() == bytes { Ok(event) } else { Err(LineError::NotCanonical) }
    }
}

fn newer_format(bytes: &[u8]) -> Option<u64> {
    serde_json::from_slice::<AnyLine>(bytes).ok().map(|line| line.format).filter(|format| *format > FORMAT)
}
