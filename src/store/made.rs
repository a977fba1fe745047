//! Objects of git, made in memory: blobs, the trees that name them, and the commit. Nothing is written here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use git2::{ObjectType, Odb, Oid, Signature};
use rayon::prelude::*;

use super::StoreError;
use super::durable::MANY;
use super::index_file::cut;

const FILE: &[u8] = b"100644";
const FOLDER: &[u8] = b"40000";
/// Of an id in a tree.
const ID_BYTES: usize = 20;

/// An object: its id, and what it is the hash of.
pub(super) struct Object {
    pub(super) id: Oid,
    pub(super) kind: ObjectType,
    pub(super) data: Vec<u8>,
}

/// Objects that are written nowhere yet.
#[derive(Default)]
pub(super) struct Made(Vec<Object>);

/// What is to become of a name in a folder.
enum Edit<'a> {
    File(Option<Oid>),
    Folder(Edits<'a>),
}

type Edits<'a> = BTreeMap<&'a str, Edit<'a>>;

/// What a tree says of a name.
struct Entry<'a> {
    mode: &'a [u8],
    name: &'a [u8],
    id: Id<'a>,
}

/// Of what is named: as it stands in the tree, or new.
enum Id<'a> {
    There(&'a [u8]),
    New(Oid),
}

impl Made {
    /// Adds an object.
    pub(super) fn add(&mut self, kind: ObjectType, data: Vec<u8>) -> Result<Oid, StoreError> {
        let id = Oid::hash_object(kind, &data)?;
        self.0.push(Object { id, kind, data });
        Ok(id)
    }

    /// Adds a blob of each content: their ids.
    pub(super) fn blobs(&mut self, contents: &[Option<&[u8]>]) -> Result<Vec<Option<Oid>>, StoreError> {
        let ids = blob_ids(contents)?;
        let object = |(id, data): (&Option<Oid>, &Option<&[u8]>)| {
            Some(Object { id: (*id)?, kind: ObjectType::Blob, data: (*data)?.to_vec() })
        };
        self.0.extend(ids.iter().zip(contents).filter_map(object));
        Ok(ids)
    }

    /// Adds the tree that has nothing changed against `base` but these files, each by its path from the root, and nothing where it is to go.
    /// Folders that hold nothing any more go too.
    pub(super) fn tree(
        &mut self,
        odb: &Odb<'_>,
        base: Option<Oid>,
        files: &[(&str, Option<Oid>)],
    ) -> Result<Oid, StoreError> {
        let mut edits = Edits::new();
        for (path, blob) in files {
            note(&mut edits, path, *blob);
        }
        match self.edited(odb, base, edits)? {
            Some(tree) => Ok(tree),
            None => self.add(ObjectType::Tree, Vec::new()),
        }
    }

    fn edited(&mut self, odb: &Odb<'_>, base: Option<Oid>, edits: Edits<'_>) -> Result<Option<Oid>, StoreError> {
        let base = base.map(|id| odb.read(id)).transpose()?;
        let mut entries = match &base {
            Some(base) if base.kind() == ObjectType::Tree => entries(base.data()).ok_or_else(|| {
                StoreError::GitFailed { stderr: format!("the tree {} is damaged: run `git fsck`", base.id()) }
            })?,
            _ => Vec::new(),
        };
        for (name, edit) in edits {
            let at = entries.iter().position(|entry| entry.name == name.as_bytes());
            let there = at.map(|at| entries.remove(at));
            let is_folder = there.as_ref().map(|there| there.mode == FOLDER);
            let refused = || StoreError::NotPlain { path: name.to_owned() };
            let (mode, id) = match edit {
                Edit::File(None) => (FILE, None),
                Edit::File(_) if there.as_ref().is_some_and(|there| !there.mode.starts_with(b"100")) => {
                    return Err(refused());
                }
                Edit::File(id) => (FILE, id),
                Edit::Folder(_) if is_folder == Some(false) => return Err(refused()),
                Edit::Folder(edits) => {
                    (FOLDER, self.edited(odb, there.map(|there| there.id.oid()).transpose()?, edits)?)
                }
            };
            entries.extend(id.map(|id| Entry { mode, name: name.as_bytes(), id: Id::New(id) }));
        }
        if entries.is_empty() {
            return Ok(None);
        }
        entries.sort_by(Entry::order);
        let mut data = Vec::with_capacity(base.as_ref().map_or(0, |base| base.len()) + 256);
        for Entry { mode, name, id } in entries {
            for part in [mode, b" ", name, b"\0", id.bytes()] {
                data.extend_from_slice(part);
            }
        }
        self.add(ObjectType::Tree, data).map(Some)
    }

    /// Adds a commit.
    pub(super) fn commit(
        &mut self,
        tree: Oid,
        parent: Option<Oid>,
        [author, committer]: [&Signature<'_>; 2],
        message: &str,
    ) -> Result<Oid, StoreError> {
        let mut text = format!("tree {tree}\n").into_bytes();
        text.extend(parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default().into_bytes());
        for (role, person) in [("author", author), ("committer", committer)] {
            text.extend([role.as_bytes(), b" ", person.name_bytes(), b" <", person.email_bytes(), b"> "].concat());
            text.extend(format!("{} {}\n", person.when().seconds(), offset(person)).into_bytes());
        }
        text.extend([b"\n", message.as_bytes()].concat());
        self.add(ObjectType::Commit, text)
    }

    /// All of them, each once; none before one that it names.
    pub(super) fn into_objects(self) -> Vec<Object> {
        let mut known = HashSet::new();
        self.0.into_iter().filter(|object| known.insert(object.id)).collect()
    }
}

/// The ids of blobs with these contents.
pub(super) fn blob_ids(contents: &[Option<&[u8]>]) -> Result<Vec<Option<Oid>>, StoreError> {
    let id = |content: &Option<&[u8]>| content.map(|bytes| Oid::hash_object(ObjectType::Blob, bytes)).transpose();
    let ids: Result<_, git2::Error> =
        if contents.len() > MANY { contents.par_iter().map(id).collect() } else { contents.iter().map(id).collect() };
    Ok(ids?)
}

impl Entry<'_> {
    /// Git's order: a folder stands where its name and a slash would.
    fn order(&self, other: &Self) -> Ordering {
        let end = |entry: &Self| (entry.mode == FOLDER).then_some(&b'/');
        self.name.iter().chain(end(self)).cmp(other.name.iter().chain(end(other)))
    }
}

impl Id<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::There(bytes) => bytes,
            Self::New(id) => id.as_bytes(),
        }
    }

    fn oid(&self) -> Result<Oid, git2::Error> {
        Oid::from_bytes(self.bytes())
    }
}

/// East of UTC, as git writes it.
pub(super) fn offset(person: &Signature<'_>) -> String {
    let minutes = person.when().offset_minutes();
    let (sign, minutes) = if minutes < 0 { ('-', minutes.unsigned_abs()) } else { ('+', minutes.unsigned_abs()) };
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}

fn note<'a>(edits: &mut Edits<'a>, path: &'a str, blob: Option<Oid>) {
    match path.split_once('/') {
        None => drop(edits.insert(path, Edit::File(blob))),
        Some((folder, rest)) => {
            let below = edits.entry(folder).or_insert_with(|| Edit::Folder(Edits::new()));
            if let Edit::Folder(below) = below {
                note(below, rest, blob);
            }
        }
    }
}

/// What a tree names; none when it is damaged.
fn entries(mut rest: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (mode, after) = cut(rest, b' ')?;
        let (name, after) = cut(after, 0)?;
        let (id, after) = after.split_at_checked(ID_BYTES)?;
        entries.push(Entry { mode, name, id: Id::There(id) });
        rest = after;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use git2::{IndexEntry, IndexTime, Repository, Time};
    use proptest::prelude::*;

    use super::*;

    /// No folder has a file's name; each file's name may stand before or behind a folder's.
    fn path() -> impl Strategy<Value = String> {
        let folder = prop_oneof!["[ab]", "[ab]{2}"];
        let name = prop_oneof!["[xyz]", "[ab][-.0]x", "é"];
        (prop::collection::vec(folder, 0..4), name).prop_map(|(mut path, name)| {
            path.push(name);
            path.join("/")
        })
    }

    fn repository() -> (tempfile::TempDir, Repository) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        (folder, repository)
    }

    /// Writes them, and sees that none comes before one that it names.
    fn keep(repository: &Repository, made: Made) {
        let odb = repository.odb().unwrap();
        for Object { id, kind, data } in made.into_objects() {
            if kind == ObjectType::Tree {
                assert!(entries(&data).unwrap().iter().all(|entry| odb.exists(entry.id.oid().unwrap())));
            }
            assert_eq!(odb.write(kind, &data).unwrap(), id);
        }
    }

    fn entry(path: &str, id: Oid) -> IndexEntry {
        let (time, path) = (IndexTime::new(0, 0), path.as_bytes().to_vec());
        let (dev, ino, uid, gid, file_size, flags, flags_extended) = (0, 0, 0, 0, 0, 0, 0);
        IndexEntry {
            ctime: time,
            mtime: time,
            dev,
            ino,
            mode: 0o100_644,
            uid,
            gid,
            file_size,
            id,
            flags,
            flags_extended,
            path,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_tree_is_the_one_that_the_library_makes(
            before in prop::collection::btree_map(path(), 0..3u8, 0..12),
            edits in prop::collection::btree_map(path(), prop::option::of(0..3u8), 0..8),
        ) {
            let (_folder, repository) = repository();
            let mut index = repository.index().unwrap();
            let blobs = [0, 1, 2].map(|number| repository.blob(&[number]).unwrap());
            let blob = |number: &u8| blobs[usize::from(*number)];
            let mut base = None;
            let removed = before.keys().zip(&edits).filter(|(_, (_, new))| new.is_none()).map(|(path, _)| (path.clone(), None));
            let edits: BTreeMap<String, Option<u8>> = edits.clone().into_iter().chain(removed).collect();
            let before: BTreeMap<String, Option<u8>> = before.into_iter().map(|(path, number)| (path, Some(number))).collect();
            for step in [before, edits] {
                let named: Vec<_> = step.iter().map(|(path, number)| (path.as_str(), number.as_ref().map(blob))).collect();
                let mut made = Made::default();
                let tree = made.tree(&repository.odb().unwrap(), base, &named).unwrap();
                for (path, id) in named {
                    match id {
                        Some(id) => index.add(&entry(path, id)).unwrap(),
                        None => drop(index.remove(path.as_ref(), 0)),
                    }
                }
                prop_assert_eq!(tree, index.write_tree().unwrap());
                keep(&repository, made);
                base = Some(tree);
            }
        }
    }

    #[test]
    fn what_is_no_plain_file_or_folder_is_not_replaced() {
        let (_folder, repository) = repository();
        let odb = repository.odb().unwrap();
        let blob = repository.blob(b"").unwrap();
        let mut made = Made::default();
        let base = made.tree(&odb, None, &[("a/x", Some(blob)), ("y", Some(blob))]).unwrap();
        keep(&repository, made);
        for path in ["a", "y/x", "a/x/z"] {
            let refused = Made::default().tree(&odb, Some(base), &[(path, Some(blob))]);
            assert!(matches!(refused, Err(StoreError::NotPlain { .. })), "{path}");
        }
        let damaged = odb.write(ObjectType::Tree, b"100644 x").unwrap();
        let refused = Made::default().tree(&odb, Some(damaged), &[("y", Some(blob))]);
        assert!(matches!(refused, Err(StoreError::GitFailed { .. })), "{refused:?}");
    }

    #[test]
    fn a_commit_is_the_one_that_the_library_makes() {
        let (_folder, repository) = repository();
        let tree = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let person =
            |name, seconds, offset| Signature::new(name, "a@example.com", &Time::new(seconds, offset)).unwrap();
        let persons = [person("A B", 1, -90), person("É", 1_800_000_000, 330)];
        let mut parent = None;
        for message in ["Begin\n\nTrailer: é\n", "no end", ""] {
            let mut made = Made::default();
            let ours = made.commit(tree.id(), parent, [&persons[0], &persons[1]], message).unwrap();
            let known = parent.map(|id| repository.find_commit(id).unwrap());
            let parents: Vec<_> = known.iter().collect();
            let theirs = repository.commit(None, &persons[0], &persons[1], message, &tree, &parents).unwrap();
            assert_eq!(ours, theirs, "{message:?}");
            parent = Some(ours);
        }
    }
}
