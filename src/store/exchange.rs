//! References of our own, and their exchange with a remote.
//!
//! The network is git's: fetch and push run the user's `git` with the user's transport, and without hooks, tags, submodules or
//! anything else that was not asked for. What comes in lies below `refs/vsecure/` and touches neither branches nor the work tree.

use std::env;
use std::process::Command;

use git2::{ErrorCode, ObjectType};

use super::batch::Person;
use super::made::Made;
use super::objects::NewFile;
use super::tree::{BlobId, CommitId};
use super::{Store, StoreError};

/// How git reaches a remote is the user's to say; of git's variables only these get through.
const TRANSPORT: [&str; 13] = [
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_PROXY_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_HTTP_USER_AGENT",
];
/// How deep the files of such a commit lie, at most.
const MAX_DEPTH: usize = 4;

impl Store {
    /// The names of the remotes.
    ///
    /// # Errors
    /// [`StoreError`] when the configuration can't be read.
    pub fn remotes(&self) -> Result<Vec<String>, StoreError> {
        let remotes = self.repository()?.remotes()?;
        Ok(remotes.iter().flatten().flatten().map(ToOwned::to_owned).collect())
    }

    /// The references whose names begin with `folder`: the rest of each name, and the commit; none where it names something else.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be read.
    pub fn references(&self, folder: &str) -> Result<Vec<(String, Option<CommitId>)>, StoreError> {
        let mut found = Vec::new();
        for reference in self.repository()?.references_glob(&format!("{folder}*"))? {
            let reference = reference?;
            let Some(name) = reference.name().ok().and_then(|name| name.strip_prefix(folder)) else { continue };
            let commit = reference.target().filter(|id| self.repository().is_ok_and(|it| it.find_commit(*id).is_ok()));
            found.push((name.to_owned(), commit.map(CommitId)));
        }
        found.sort();
        Ok(found)
    }

    /// Makes the reference `name` name `commit`, unless it names another one than `old` meanwhile: whether it did.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be written.
    pub fn move_reference(&self, name: &str, old: Option<CommitId>, commit: CommitId) -> Result<bool, StoreError> {
        let old = old.map_or(git2::Oid::ZERO_SHA1, |old| old.0);
        match self.repository()?.reference_matching(name, commit.0, true, old, "vsecure") {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `commit` is `ancestor` or has it behind it.
    ///
    /// # Errors
    /// [`StoreError`] when history can't be read.
    pub fn descends(&self, commit: CommitId, ancestor: CommitId) -> Result<bool, StoreError> {
        Ok(commit == ancestor || self.repository()?.graph_descendant_of(commit.0, ancestor.0)?)
    }

    /// The plain files of `commit`, at most `most`, by path.
    ///
    /// # Errors
    /// [`StoreError::NotPlain`] for links, submodules and names that are not text, [`StoreError::TooMany`].
    pub fn files_at(&self, commit: CommitId, most: usize) -> Result<Vec<(String, BlobId)>, StoreError> {
        let repository = self.repository()?;
        let mut found = Vec::new();
        let mut folders = vec![(String::new(), repository.find_commit(commit.0)?.tree_id())];
        while let Some((folder, id)) = folders.pop() {
            for entry in &repository.find_tree(id)? {
                let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
                let plain = entry.name().is_ok() && path.matches('/').count() < MAX_DEPTH;
                match entry.kind() {
                    Some(ObjectType::Tree) if plain => folders.push((format!("{path}/"), entry.id())),
                    Some(ObjectType::Blob) if plain && matches!(entry.filemode(), 0o100_644 | 0o100_755) => {
                        found.push((path, BlobId(entry.id())));
                    }
                    _ => return Err(StoreError::NotPlain { path }),
                }
                if found.len() + folders.len() > most {
                    return Err(StoreError::TooMany { folder, most });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Writes a commit upon `parent`, durably, that brings `files` and changes nothing else. No reference names it yet.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be written.
    pub fn commit_upon(
        &self,
        parent: Option<CommitId>,
        files: &[(String, Vec<u8>)],
        message: &str,
        author: &Person,
    ) -> Result<CommitId, StoreError> {
        let parent = parent.map(|parent| parent.0);
        let files: Vec<NewFile<'_>> =
            files.iter().map(|(path, content)| (path.clone(), Some(content.as_slice()))).collect();
        let persons = self.persons(Some(author), Some(author))?;
        let mut made = Made::default();
        let (_, tree) = self.make_tree(parent, &files, &mut made)?;
        let (commit, unflushed, unpacked) = self.make_commit(parent, tree, message, &persons, made)?;
        self.flush_objects(unflushed, unpacked)?;
        Ok(CommitId(commit))
    }

    /// Makes the references whose names begin with `into` those that `remote` has with `from` instead. Ones that are gone there go here
    /// too.
    ///
    /// # Errors
    /// [`StoreError::GitFailed`] with what git said.
    pub fn fetch(&self, remote: &str, from: &str, into: &str) -> Result<(), StoreError> {
        let mut command = self.network_command()?;
        command.args(["fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]);
        command.args(["--no-filter", "--no-show-forced-updates", "--", remote, &format!("+{from}*:{into}*")]);
        self.run(command, b"").map(drop)
    }

    /// Makes the reference `name` of `remote` name `commit`, if that goes on from what it names there.
    ///
    /// # Errors
    /// [`StoreError::GitFailed`] with what git said.
    pub fn push(&self, remote: &str, commit: CommitId, name: &str) -> Result<(), StoreError> {
        let mut command = self.network_command()?;
        command.args(["push", "--quiet", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no"]);
        command.args(["--", remote, &format!("{commit}:{name}")]);
        self.run(command, b"").map(drop)
    }

    fn network_command(&self) -> Result<Command, StoreError> {
        let mut command = self.git_command()?;
        let said = TRANSPORT.iter().filter_map(|name| env::var_os(name).map(|value| (name, value)));
        command.envs(said);
        command.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
        Ok(command)
    }
}
