//! Writing blobs, trees and a commit. They must be on the disk before anything refers to them.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

use git2::build::TreeUpdateBuilder;
use git2::{ConfigLevel, FileMode, Oid, Repository, Signature, Time};

use super::batch::Person;
use super::durable::{MANY, Unflushed};
use super::pack::Packing;
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

    /// Writes new contents, none for a deletion: one id each. And the tree that has nothing changed against `parent`'s but these files.
    pub(super) fn write_tree(
        &self,
        parent: Option<Oid>,
        files: &[NewFile<'_>],
        unflushed: &mut Unflushed,
    ) -> Result<(Vec<Option<Oid>>, Oid), StoreError> {
        let packing = if files.len() > MANY { Packing::of(self)? } else { None };
        let repository = packing.as_ref().map_or_else(|| self.repository(), |packing| Ok(packing.repository()))?;
        let blobs = self.write_blobs(repository, files)?;
        packing.as_ref().map_or(Ok(()), Packing::see_repository)?;
        let named: Vec<(&str, Option<Oid>)> = files.iter().map(|(path, _)| path.as_str()).zip(blobs.clone()).collect();
        let tree = self.tree_with(repository, parent, &named)?;
        let new = new_objects(repository, tree, &named)?;
        match packing {
            Some(packing) => packing.write(&new, unflushed)?,
            None => self.unflushed_objects(&new, unflushed)?,
        }
        Ok((blobs, tree))
    }

    /// Writes new contents, none for a deletion: one id each.
    pub(super) fn write_blobs(
        &self,
        repository: &Repository,
        files: &[NewFile<'_>],
    ) -> Result<Vec<Option<Oid>>, StoreError> {
        let write = |(_, content): &NewFile<'_>| content.map(|content| self.object(repository.blob(content)));
        files.iter().map(|file| write(file).transpose()).collect()
    }

    pub(super) fn object(&self, written: Result<Oid, git2::Error>) -> Result<Oid, StoreError> {
        let objects = self.git()?.common_dir.join("objects");
        written.map_err(|error| refused(&objects, error))
    }

    fn tree_with(
        &self,
        repository: &Repository,
        parent: Option<Oid>,
        files: &[(&str, Option<Oid>)],
    ) -> Result<Oid, StoreError> {
        let base = match parent {
            Some(parent) => repository.find_commit(parent)?.tree()?,
            None => repository.find_tree(self.object(repository.treebuilder(None)?.write())?)?,
        };
        let mut builder = TreeUpdateBuilder::new();
        for (path, blob) in files {
            match blob {
                Some(blob) => drop(builder.upsert(*path, *blob, FileMode::Blob)),
                None if base.get_path(Path::new(path)).is_ok() => drop(builder.remove(*path)),
                None => {}
            }
        }
        self.object(builder.create_updated(repository, &base))
    }

    /// Writes the commit of `tree` upon `parent`: its id.
    pub(super) fn write_commit(
        &self,
        parent: Option<Oid>,
        tree: Oid,
        message: &str,
        persons: &Persons,
        unflushed: &mut Unflushed,
    ) -> Result<Oid, StoreError> {
        let repository = self.repository()?;
        let commit = if wants_signature(repository)? {
            self.signed_commit(parent, tree, message, persons)?
        } else {
            let parent = parent.map(|id| repository.find_commit(id)).transpose()?;
            let tree = repository.find_tree(tree)?;
            let parents: Vec<_> = parent.iter().collect();
            self.object(repository.commit(None, &persons.author, &persons.committer, message, &tree, &parents))?
        };
        self.unflushed_objects(&[commit], unflushed)?;
        Ok(commit)
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
            let minutes = person.when().offset_minutes();
            let (sign, ahead) = if minutes < 0 { ('-', -minutes) } else { ('+', minutes) };
            let when = format!("@{} {sign}{:02}{:02}", person.when().seconds(), ahead / 60, ahead % 60);
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

    /// Gathers loose objects that were written. One that is not loose was there before, or is packed.
    pub(super) fn unflushed_objects(&self, objects: &[Oid], unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let all = self.git()?.common_dir.join("objects");
        for object in objects {
            let name = object.to_string();
            let (start, rest) = name.split_at(2);
            let folder = all.join(start);
            let path = folder.join(rest);
            let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
            match opened {
                // Left by a crash of the machine; git would take it for the object for ever.
                Ok((0, _)) => {
                    return Err(StoreError::GitFailed {
                        stderr: format!("the object {name} is empty: run `git fsck`"),
                    });
                }
                Ok((_, file)) => {
                    unflushed.add_objects(&path, file)?;
                    unflushed.add_folder(&folder)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if !self.is_kept(*object)? {
                        unflushed.miss_objects(&path);
                    }
                }
                Err(error) => return Err(StoreError::io(&path, error)),
            }
        }
        unflushed.add_folder(&all)
    }

    /// Whether an object is in the repository, whatever the library remembers of it.
    fn is_kept(&self, object: Oid) -> Result<bool, StoreError> {
        let (root, git, options) = (self.root.clone(), self.git.clone(), self.options.clone());
        let fresh = Self { root, git, options, repository: OnceCell::new() };
        Ok(fresh.repository()?.odb()?.exists(object))
    }
}

/// Whether the user's configuration asks for signed commits.
fn wants_signature(repository: &Repository) -> Result<bool, StoreError> {
    Ok(repository.config()?.snapshot()?.get_bool("commit.gpgsign").unwrap_or(false))
}

/// What the system refused below `folder`: the library says it only in words, and asking the system again gives its reason.
pub(super) fn refused(folder: &Path, error: git2::Error) -> StoreError {
    match error.class() {
        git2::ErrorClass::Os => {
            let refused = tempfile::tempfile_in(folder).err();
            StoreError::io(folder, refused.unwrap_or_else(|| io::Error::other(error)))
        }
        _ => StoreError::Git(error),
    }
}

/// The objects that a tree of these files may have made: their blobs, and the trees on the way to them.
fn new_objects(repository: &Repository, root: Oid, files: &[(&str, Option<Oid>)]) -> Result<Vec<Oid>, StoreError> {
    let mut objects: Vec<Oid> = files.iter().filter_map(|(_, blob)| *blob).collect();
    objects.push(root);
    let tree = repository.find_tree(root)?;
    let mut folders = HashSet::new();
    for (path, _) in files {
        let mut folder = *path;
        while let Some((parent, _)) = folder.rsplit_once('/').filter(|(parent, _)| folders.insert(*parent)) {
            folder = parent;
        }
    }
    let ids = folders.into_iter().filter_map(|folder| tree.get_path(folder.as_ref()).ok());
    objects.extend(ids.map(|entry| entry.id()));
    objects.sort_unstable();
    objects.dedup();
    Ok(objects)
}
