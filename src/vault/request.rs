//! What callers ask of the writing commands, and what comes of it.

use super::Existing;
use crate::crypto::SecretBytes;
use crate::model::{
    Change, Environment, MetadataKey, MetadataValue, Revision, Rotation, SecretPath, Span, Tag, Timestamp, Version,
};

/// How a change is to be written.
#[derive(Debug, Clone, Default)]
pub struct Writing {
    /// The commit's message; a sentence about the change where none is given.
    pub message: Option<String>,
    /// Write and stage only, for one commit together with other work.
    pub no_commit: bool,
    /// Plan and check everything, write nothing.
    pub dry_run: bool,
}

/// A new secret.
#[derive(Debug, Clone)]
pub struct Create {
    /// Where.
    pub path: SecretPath,
    /// Its value.
    pub value: SecretBytes,
    /// Whether the value may be empty.
    pub allow_empty: bool,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Metadata.
    pub metadata: Vec<(MetadataKey, MetadataValue)>,
    /// When the credential expires.
    pub expires_at: Option<Timestamp>,
    /// How it is rotated.
    pub rotation: Option<Rotation>,
}

/// A change of how a secret is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationEdit {
    /// Leave it.
    Keep,
    /// No rotation from now on.
    Off,
    /// Another period; how a new value is made stays.
    Schedule {
        /// The age at which a value is due.
        period: Span,
        /// How long before that people are told.
        notify_before: Option<Span>,
    },
    /// All of it anew.
    Replace(Rotation),
}

impl RotationEdit {
    /// Makes the change.
    pub(super) fn apply(&self, rotation: &mut Option<Rotation>) {
        *rotation = match self {
            Self::Keep => return,
            Self::Off => None,
            Self::Schedule { period, notify_before } => {
                let (generator, hook) = rotation.take().map(|it| (it.generator, it.hook)).unwrap_or_default();
                Some(Rotation { enabled: true, period: *period, notify_before: *notify_before, generator, hook })
            }
            Self::Replace(new) => Some(new.clone()),
        };
    }
}

/// How old a value is that was kept elsewhere before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    /// When the secret was first made.
    pub created_at: Timestamp,
    /// When this value came.
    pub updated_at: Timestamp,
}

/// A secret that moves in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What it becomes, where it is new.
    pub create: Create,
    /// Its age, where more is known than that it is here now. What lies in the future counts as now.
    pub dates: Option<Dates>,
    /// What happens where it exists already.
    pub existing: Existing,
}

/// A change of an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Leave it.
    Keep,
    /// None from now on.
    Never,
    /// This moment.
    At(Timestamp),
}

/// A change of a secret; what is not mentioned stays.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which.
    pub path: SecretPath,
    /// A new value.
    pub value: Option<SecretBytes>,
    /// Whether the value may be empty.
    pub allow_empty: bool,
    /// Tags that replace all there are.
    pub tags: Option<Vec<Tag>>,
    /// Tags to add.
    pub add_tags: Vec<Tag>,
    /// Tags to remove.
    pub remove_tags: Vec<Tag>,
    /// Metadata to merge in.
    pub metadata: Vec<(MetadataKey, MetadataValue)>,
    /// Metadata to remove.
    pub unset_metadata: Vec<MetadataKey>,
    /// The expiry.
    pub expiry: Expiry,
    /// How it is rotated.
    pub rotation: RotationEdit,
    /// The version that must be current.
    pub if_version: Option<Version>,
    /// Make a new version though the value is the same.
    pub force: bool,
}

impl Update {
    /// A change of nothing yet, of the secret `path`.
    #[must_use]
    pub const fn of(path: SecretPath) -> Self {
        Self {
            path,
            value: None,
            allow_empty: false,
            tags: None,
            add_tags: Vec::new(),
            remove_tags: Vec::new(),
            metadata: Vec::new(),
            unset_metadata: Vec::new(),
            expiry: Expiry::Keep,
            rotation: RotationEdit::Keep,
            if_version: None,
            force: false,
        }
    }
}

/// What a writing command did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The secret.
    pub path: SecretPath,
    /// Where a renamed or copied secret came from.
    pub source: Option<SecretPath>,
    /// What happened, in a word.
    pub change: Change,
    /// The version now current.
    pub version: Version,
    /// The revision now current.
    pub revision: Revision,
    /// The version whose value came back, of a rollback or restore.
    pub from_version: Option<Version>,
    /// Whether anything changed.
    pub changed: bool,
    /// The commit; none when nothing changed, or with `no_commit`.
    pub commit: Option<String>,
    /// The branch that the commit is on; none when HEAD is detached.
    pub branch: Option<String>,
    /// When the secret expires now.
    pub expires_at: Option<Timestamp>,
    /// An expiry that had passed and that the new value cleared.
    pub expiry_cleared: Option<Timestamp>,
    /// The environment that the name seems to speak of, though the secret lies in another.
    pub name_hint: Option<Environment>,
}
