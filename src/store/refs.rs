//! HEAD and its branch: where they stand, and the compare-and-swap that makes a commit count.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use git2::{ErrorCode, Oid, Signature};

use super::journal::Journal;
use super::lock;
use super::{Store, StoreError};

/// Where HEAD stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The branch's full name; none when detached.
    pub(super) branch: Option<String>,
    /// The commit; none on an unborn branch.
    pub(super) commit: Option<Oid>,
}

impl Store {
    /// Where HEAD stands now: read anew each time.
    pub(super) fn head_state(&self) -> Result<Head, StoreError> {
        let repository = self.repository()?;
        let mut name = "HEAD".to_owned();
        // A branch may itself be a name for another; git allows five steps.
        for _ in 0..6 {
            match repository.find_reference(&name) {
                Ok(reference) => match reference.symbolic_target().ok().flatten() {
                    Some(target) => name = target.to_owned(),
                    None => {
                        let branch = (name != "HEAD").then_some(name);
                        return Ok(Head { branch, commit: reference.target() });
                    }
                },
                Err(error) if error.code() == ErrorCode::NotFound && name != "HEAD" => {
                    return Ok(Head { branch: Some(name), commit: None });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unsupported { what: "HEAD is a symbolic reference to itself".to_owned() })
    }

    /// With git's locks held: the branch moves to the new commit, unless it or HEAD moved before. Whether it did.
    pub(super) fn swap(&self, journal: &Journal, person: &Signature<'_>, message: &str) -> Result<bool, StoreError> {
        let now = self.head_state()?;
        if now.branch != journal.branch || now.commit != journal.old() {
            return Ok(false);
        }
        let git = self.git()?;
        let (target, locked) = (journal.reference(git), journal.reference_lock(git));
        // A deleted branch `x/y` may have left the folder `x` where the branch `x` is to be.
        let _ = fs::remove_dir(&target);
        fs::rename(&locked, &target).map_err(|error| StoreError::io(&target, error))?;
        if let Some(folder) = target.parent() {
            lock::sync_folder(folder)?;
        }
        self.log(journal, person, message)?;
        Ok(true)
    }

    /// Adds to the reflogs of the branch and of HEAD, as git does.
    fn log(&self, journal: &Journal, person: &Signature<'_>, message: &str) -> Result<(), StoreError> {
        let config = self.repository()?.config()?.snapshot()?;
        let wanted = config.get_str("core.logAllRefUpdates") != Ok("false");
        let zero = Oid::ZERO_SHA1;
        let (old, new) = (journal.old().unwrap_or(zero), journal.new_commit().unwrap_or(zero));
        let offset = person.when().offset_minutes();
        let (sign, ahead) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
        let kind = if journal.old().is_some() { "commit" } else { "commit (initial)" };
        let line = format!(
            "{old} {new} {} <{}> {} {sign}{:02}{:02}\t{kind}: {}\n",
            String::from_utf8_lossy(person.name_bytes()),
            String::from_utf8_lossy(person.email_bytes()),
            person.when().seconds(),
            ahead / 60,
            ahead % 60,
            message.lines().next().unwrap_or_default()
        );
        let git = self.git()?;
        let branch = journal.branch.as_ref().map(|branch| git.common_dir.join("logs").join(branch));
        for path in branch.into_iter().chain([git.git_dir.join("logs/HEAD")]) {
            if wanted || path.exists() {
                append(&path, &line).map_err(|error| StoreError::io(&path, error))?;
            }
        }
        Ok(())
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).custom_flags(lock::NOFOLLOW).open(path)?.write_all(line.as_bytes())
}
