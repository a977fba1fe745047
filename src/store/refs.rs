//! HEAD and its branch: where they stand, and the compare-and-swap that gives the branch its commit.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use git2::{Commit, ErrorCode, Oid};

use super::durable::Shared;
use super::journal::Journal;
use super::lock;
use super::{Store, StoreError, made};

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

    /// With git's locks held: decides that the branch is to have the commit, unless it or HEAD moved before. Whether it is. What is only
    /// staged was decided with its journal.
    pub(super) fn decide(&self, journal: &Journal) -> Result<bool, StoreError> {
        if journal.new_commit().is_none() {
            return Ok(true);
        }
        let now = self.head_state()?;
        if now.branch != journal.branch || now.commit != journal.old() {
            return Ok(false);
        }
        let git = self.git()?;
        // A link of a file that is on the disk already: there is only a name to be flushed.
        let mark = journal.decision(git);
        fs::hard_link(journal.reference_token(git), &mark).map_err(|error| StoreError::io(&mark, error))?;
        lock::sync_folder(&git.shared_state())?;
        Ok(true)
    }

    /// Whether the branch has the journal's commit.
    pub(super) fn has_landed(&self, journal: &Journal) -> Result<bool, StoreError> {
        let (Some(new), Some(tip)) = (journal.new_commit(), self.tip(journal)?) else { return Ok(false) };
        // Where nothing happened there is no history to be walked.
        Ok(Some(tip) != journal.old() && (tip == new || self.repository()?.graph_descendant_of(tip, new)?))
    }

    /// What the journal's branch names now; none when it is unborn, or when HEAD was detached and is not any more.
    fn tip(&self, journal: &Journal) -> Result<Option<Oid>, StoreError> {
        let Some(branch) = &journal.branch else {
            let now = self.head_state()?;
            return Ok(now.commit.filter(|_| now.branch.is_none()));
        };
        match self.repository()?.refname_to_id(branch) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            // Not to know is not to have happened: nothing may be released on a guess.
            Err(error) => Err(error.into()),
        }
    }

    /// Moves the branch to the commit that was decided, unless it has it. Its folder is still to be flushed.
    pub(super) fn land(&self, journal: &Journal, unflushed: &Shared<'_>) -> Result<(), StoreError> {
        let Some(new) = journal.new_commit() else { return Ok(()) };
        let git = self.git()?;
        let (target, locked, token) =
            (journal.reference(git), journal.reference_lock(git), journal.reference_token(git));
        if let Some(folder) = target.parent().filter(|folder| folder.exists()) {
            let open = File::open(folder).map_err(|error| StoreError::io(folder, error))?;
            unflushed.add(folder, open)?;
        }
        // It has it; or somebody broke our locks and went on, and what was to be committed stays staged.
        let moved = || Ok::<_, StoreError>(self.tip(journal)? != journal.old());
        if moved()? {
            return Ok(());
        }
        if !lock::is_ours(&token, &locked) {
            lock::remove(&token)?;
            lock::sync_file(&token, &self.write_reference(journal, new)?)?;
            self.lock_reference(journal)?;
            if moved()? {
                return Ok(());
            }
        }
        // A deleted branch `x/y` may have left the folder `x` where the branch `x` is to be.
        let _ = fs::remove_dir(&target);
        // It is ours to replace: nothing but a name is read here.
        File::open(&target).into_iter().for_each(|old| unflushed.close(old));
        fs::rename(&locked, &target).map_err(|error| StoreError::io(&target, error))?;
        self.log(journal, &self.repository()?.find_commit(new)?)
    }

    /// Writes the file that becomes the new value of the branch.
    pub(super) fn write_reference(&self, journal: &Journal, commit: Oid) -> Result<File, StoreError> {
        lock::write_new_shared(&journal.reference_token(self.git()?), format!("{commit}\n").as_bytes())
    }

    /// Takes git's lock of the branch with that file.
    pub(super) fn lock_reference(&self, journal: &Journal) -> Result<(), StoreError> {
        let git = self.git()?;
        let target = journal.reference_lock(git);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, error))?;
        }
        lock::link(&journal.reference_token(git), &target, self.options.lock_timeout)
    }

    /// Adds to the reflogs of the branch and of HEAD, as git does.
    fn log(&self, journal: &Journal, commit: &Commit<'_>) -> Result<(), StoreError> {
        let config = self.repository()?.config()?.snapshot()?;
        let wanted = config.get_str("core.logAllRefUpdates") != Ok("false");
        let (old, new, person) = (journal.old().unwrap_or(Oid::ZERO_SHA1), commit.id(), commit.committer());
        let kind = if journal.old().is_some() { "commit" } else { "commit (initial)" };
        let message = String::from_utf8_lossy(commit.message_bytes());
        let line = format!(
            "{old} {new} {} <{}> {} {}\t{kind}: {}\n",
            String::from_utf8_lossy(person.name_bytes()),
            String::from_utf8_lossy(person.email_bytes()),
            person.when().seconds(),
            made::offset(&person),
            message.lines().next().unwrap_or_default()
        );
        let git = self.git()?;
        let branch = journal.branch.as_ref().map(|branch| git.common_dir.join("logs").join(branch));
        let head = (self.head_state()?.branch == journal.branch).then(|| git.git_dir.join("logs/HEAD"));
        for path in branch.into_iter().chain(head) {
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
