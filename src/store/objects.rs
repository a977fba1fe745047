//! Making blobs, trees and a commit, and having them written. They must be on the disk before anything refers to them.

use std::fs::File;
use std::io;
use std::process::Command;

use git2::{ConfigLevel, Oid, Repository, Signature, Time};

use super::batch::Person;
use super::durable::{MANY, Objects, Unflushed};
use super::loose::{self, Loose};
use super::made::{self, Made};
use super::pack::Unpacked;
use super::{Store, StoreError};

/// Settings that name a program to run when signing, with git's own defaults.
const SIGNERS: [(&str, &str); 5] = [
    ("gpg.program", "gpg"),
    ("gpg.openpgp.program", "gpg"),
    ("gpg.x509.program", "gpgsm"),
    ("gpg.ssh.program", "ssh-keygen"),
    ("gpg.ssh.defaultKeyCommand", ""),
];

/// A file by its path in the repository, and what it is to hold; nothing when it is to go.
pub(super) type NewFile<'a> = (String, Option<&'a [u8]>);

/// Whose commit it is.
pub(super) struct Persons {
    pub(super) author: Signature<'static>,
    pub(super) committer: Signature<'static>,
}

impl Store {
    /// Author and committer: git's configuration, with what was said instead.
    pub(super) fn persons(&self, author: Option<&Person>, committer: Option<&Person>) -> Result<Persons, StoreError> {
        let (name, email) = self.git_user()?;
        let sign = |said: Option<&Person>| {
            let name = said.and_then(|said| said.name.clone()).or_else(|| name.clone());
            let email = said.and_then(|said| said.email.clone()).or_else(|| email.clone());
            let (Some(name), Some(email)) = (name, email) else { return Err(StoreError::NoGitUser) };
            Ok(match said.and_then(|said| said.time) {
                Some((seconds, offset)) => Signature::new(&name, &email, &Time::new(seconds, offset))?,
                None => Signature::now(&name, &email)?,
            })
        };
        Ok(Persons { author: sign(author)?, committer: sign(committer)? })
    }

    /// Makes new contents, none for a deletion: one id each.
    pub(super) fn make_blobs(files: &[NewFile<'_>], made: &mut Made) -> Result<Vec<Option<Oid>>, StoreError> {
        made.blobs(&files.iter().map(|(_, content)| *content).collect::<Vec<_>>())
    }

    /// As [`Store::make_blobs`], and the tree that has nothing changed against `parent`'s but these files.
    pub(super) fn make_tree(
        &self,
        parent: Option<Oid>,
        files: &[NewFile<'_>],
        made: &mut Made,
    ) -> Result<(Vec<Option<Oid>>, Oid), StoreError> {
        let blobs = Self::make_blobs(files, made)?;
        let repository = self.repository()?;
        let base = parent.map(|parent| repository.find_commit(parent).map(|commit| commit.tree_id())).transpose()?;
        let named: Vec<(&str, Option<Oid>)> = files.iter().map(|(path, _)| path.as_str()).zip(blobs.clone()).collect();
        let tree = made.tree(&repository.odb()?, base, &named)?;
        Ok((blobs, tree))
    }

    /// Makes the commit of `tree` upon `parent`: its id, and what is still to be written of it and all else that was made.
    pub(super) fn make_commit(
        &self,
        parent: Option<Oid>,
        tree: Oid,
        message: &str,
        persons: &Persons,
        mut made: Made,
    ) -> Result<(Oid, Unflushed, Option<Unpacked>), StoreError> {
        if !wants_signature(self.repository()?)? {
            let commit = made.commit(tree, parent, [&persons.author, &persons.committer], message)?;
            let (unflushed, unpacked) = self.write_few(made)?;
            return Ok((commit, unflushed, unpacked));
        }
        // Git signs what is in the repository.
        let written = self.write_objects(made)?;
        let commit = self.signed_commit(parent, tree, message, persons)?;
        let mut unflushed = Unflushed::default();
        unflushed.take_objects(written);
        self.gather_written(commit, &mut unflushed)?;
        Ok((commit, unflushed, None))
    }

    /// Writes what was made, durably.
    pub(super) fn write_objects(&self, made: Made) -> Result<Objects, StoreError> {
        let (unflushed, unpacked) = self.write_few(made)?;
        self.flush_objects(unflushed, unpacked)
    }

    /// Waits until what was written, and what is to be packed, is on the disk.
    pub(super) fn flush_objects(
        &self,
        mut unflushed: Unflushed,
        unpacked: Option<Unpacked>,
    ) -> Result<Objects, StoreError> {
        if let Some(unpacked) = unpacked {
            unpacked.write(&mut unflushed)?;
        }
        unflushed.flush(&self.crew)
    }

    /// Writes what was made, each object in its file, if these are few; many are given back, to be packed.
    fn write_few(&self, made: Made) -> Result<(Unflushed, Option<Unpacked>), StoreError> {
        let place = self.git()?.common_dir.join("objects");
        let objects = made.into_objects();
        let mut unflushed = Unflushed::default();
        if objects.len() > MANY {
            return Ok((unflushed, Some(Unpacked { place, objects })));
        }
        let mut deflater = loose::deflater();
        for object in objects {
            unflushed.add_loose(Loose::write(&place, object, &mut deflater)?)?;
        }
        // Whoever made the folders in it, lately: a git does not flush it.
        unflushed.add_folder(&place)?;
        Ok((unflushed, None))
    }

    /// Lets git sign: it chooses program and key as the user has configured.
    fn signed_commit(
        &self,
        parent: Option<Oid>,
        tree: Oid,
        message: &str,
        persons: &Persons,
    ) -> Result<Oid, StoreError> {
        let mut command = self.git_command()?;
        for (role, person) in [("AUTHOR", &persons.author), ("COMMITTER", &persons.committer)] {
            let when = format!("@{} {}", person.when().seconds(), made::offset(person));
            command.env(format!("GIT_{role}_NAME"), String::from_utf8_lossy(person.name_bytes()).as_ref());
            command.env(format!("GIT_{role}_EMAIL"), String::from_utf8_lossy(person.email_bytes()).as_ref());
            command.env(format!("GIT_{role}_DATE"), when);
        }
        self.trust_no_local_signer(&mut command)?;
        command.args(["-c", "i18n.commitEncoding=UTF-8", "commit-tree", "-S"]);
        if let Some(parent) = parent {
            command.args(["-p", &parent.to_string()]);
        }
        command.arg(tree.to_string());
        let printed = self.run(command, message.as_bytes()).map_err(|error| match error {
            StoreError::GitFailed { stderr } => StoreError::SigningFailed { stderr },
            other => other,
        })?;
        let id = String::from_utf8_lossy(&printed);
        Oid::from_str(id.trim()).map_err(StoreError::Git)
    }

    /// Which program signs is the user's to say, in the user's or system's configuration: a repository's own, which may have come from
    /// anywhere, is overridden.
    fn trust_no_local_signer(&self, command: &mut Command) -> Result<(), StoreError> {
        let own = self.repository()?.config()?;
        let mut users = git2::Config::open_default()?;
        let users = users.snapshot()?;
        for (key, default) in SIGNERS {
            let local = |level| own.open_level(level).is_ok_and(|config| config.get_string(key).is_ok());
            if local(ConfigLevel::Local) || local(ConfigLevel::Worktree) {
                command.arg("-c").arg(format!("{key}={}", users.get_str(key).unwrap_or(default)));
            }
        }
        Ok(())
    }

    /// Gathers an object that git wrote. One that is not loose is packed already.
    fn gather_written(&self, object: Oid, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let all = self.git()?.common_dir.join("objects");
        let (folder, path) = loose::place(&all, object);
        match File::open(&path) {
            Ok(file) => {
                unflushed.add_objects(&path, file)?;
                unflushed.add_folder(&folder)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !self.is_kept(object)? {
                    unflushed.miss_objects(&path);
                }
            }
            Err(error) => return Err(StoreError::io(&path, error)),
        }
        unflushed.add_folder(&all)
    }

    /// Whether an object is in the repository, whatever the library remembers of it.
    fn is_kept(&self, object: Oid) -> Result<bool, StoreError> {
        let (root, git, options) = (self.root.clone(), self.git.clone(), self.options.clone());
        let fresh = Self::at(root, git, options);
        Ok(fresh.repository()?.odb()?.exists(object))
    }
}

/// Whether the user's configuration asks for signed commits.
fn wants_signature(repository: &Repository) -> Result<bool, StoreError> {
    Ok(repository.config()?.snapshot()?.get_bool("commit.gpgsign").unwrap_or(false))
}
