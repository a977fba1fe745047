//! What a commit changes around the store, as far as it matters to it: other stores, and the attributes that git finds for the store's files on the
//! way up.

use git2::{ObjectType, Oid};

use super::branch::entries_of_both;
use super::locate::STORE;
use super::tree::{CommitId, MOST_ENTRIES, MOST_PATH_BYTES, read_blob};
use super::{Store, StoreError};

const ATTRIBUTES: &str = ".gitattributes";
const MAX_ATTRIBUTES_BYTES: u64 = 1024 * 1024;

/// A file of attributes above the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// The folder that it lies in, within the work tree; empty at the top.
    pub folder: String,
    /// What it was; empty where there was none.
    pub before: String,
    /// What it is; none where it is no plain file, or larger than git's users write one.
    pub now: Option<String>,
}

/// What one commit has around the store, and another one had not.
#[derive(Debug, Default)]
pub struct Outside {
    /// Where something named as a store lies, within the work tree; escape it when shown.
    pub stores: Vec<String>,
    /// Attributes that were changed or added.
    pub attributes: Vec<Attributes>,
}

impl Store {
    /// What `b` has around the store, and `a` had not.
    ///
    /// # Errors
    /// [`StoreError::TooMany`], or when the repository can't be read.
    pub fn outside(&self, a: &CommitId, b: &CommitId) -> Result<Outside, StoreError> {
        let root = |commit: &CommitId| Ok::<_, StoreError>(Some(self.repository()?.find_commit(commit.0)?.tree_id()));
        let prefix = self.git()?.prefix.clone();
        let too_many = || StoreError::TooMany { folder: "the commit".to_owned(), most: MOST_ENTRIES };
        let mut outside = Outside::default();
        let mut folders = vec![(String::new(), [root(a)?, root(b)?])];
        let mut seen = [0, 0];
        while let Some((folder, sides)) = folders.pop() {
            for (name, [was, is]) in entries_of_both(self.repository()?, sides, &mut seen)? {
                let Some(is) = is.filter(|is| was != Some(*is)) else { continue };
                let name = String::from_utf8_lossy(&name);
                let path = format!("{folder}{name}");
                if name.eq_ignore_ascii_case(STORE) {
                    // A file system that folds case takes any spelling for a store.
                    let known = path == prefix || was.is_some_and(|was| was.is_folder);
                    outside.stores.extend((!known).then_some(path));
                } else if name == ATTRIBUTES && prefix.starts_with(&folder) {
                    let text = |id: Oid| self.attributes_text(id);
                    let before = was.and_then(|was| text(was.id)).unwrap_or_default();
                    let folder = folder.trim_end_matches('/').to_owned();
                    outside.attributes.push(Attributes { folder, before, now: text(is.id) });
                } else if is.is_folder {
                    if path.len() > MOST_PATH_BYTES {
                        return Err(too_many());
                    }
                    let was = was.filter(|was| was.is_folder).map(|was| was.id);
                    folders.push((format!("{path}/"), [was, Some(is.id)]));
                }
            }
            if seen.iter().any(|seen| *seen > MOST_ENTRIES) {
                return Err(too_many());
            }
        }
        Ok(outside)
    }

    fn attributes_text(&self, id: Oid) -> Option<String> {
        let repository = self.repository().ok()?;
        let plain = repository.find_object(id, Some(ObjectType::Blob)).is_ok();
        let bytes = plain.then(|| read_blob(repository, id, MAX_ATTRIBUTES_BYTES, ATTRIBUTES).ok())??;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}
