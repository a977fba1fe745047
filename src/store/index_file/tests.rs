//! Beside git itself: what it makes of the same changes of the same index.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use sha1::{Digest as _, Sha1};

use super::{Bytes, Changed, Entry, HASH, IndexFile, IndexFileError};

const BLOBS: [&str; 3] = ["one", "two", "three"];
const MODE: u32 = 0o100_644;

fn git(folder: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("git");
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").arg("-C").arg(folder);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A repository with the blobs; their ids.
fn repository() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q"], "");
    // Without a branch fsck has something to say.
    git(folder.path(), &["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qm", "Begin", "--allow-empty"], "");
    let ids = BLOBS.map(|blob| git(folder.path(), &["hash-object", "-w", "--stdin"], blob).trim().to_owned());
    (folder, ids.to_vec())
}

fn parse(bytes: &[u8]) -> Result<IndexFile, IndexFileError> {
    let mut memory = Bytes::zeroed(bytes.len() as u64).unwrap();
    memory.copy_from_slice(bytes);
    IndexFile::parse(memory)
}

fn written(file: IndexFile) -> Vec<u8> {
    let mut changed = file.changed().unwrap();
    changed.begin_hash(&[]);
    completed(&changed)
}

/// As it is written: first all that is known before, then what is known at the end.
fn completed(changed: &Changed) -> Vec<u8> {
    let mut bytes = changed.parts().collect::<Vec<_>>().concat();
    for (at, new) in changed.completed() {
        let at = usize::try_from(at).unwrap();
        bytes.resize(bytes.len().max(at + new.len()), 0);
        bytes[at..at + new.len()].copy_from_slice(&new);
    }
    let (content, sum) = bytes.split_at(bytes.len() - HASH);
    assert_eq!(Sha1::digest(content)[..], *sum);
    bytes
}

fn entry(id: &str) -> Entry {
    let mut entry = Entry { mode: MODE, ..Entry::default() };
    entry.id.copy_from_slice(git2::Oid::from_str(id).unwrap().as_bytes());
    entry
}

/// An index to begin with, by lines of `git update-index --index-info` and the paths that get a flag.
#[derive(Debug, Clone)]
struct Beginning {
    version: u8,
    files: Vec<(String, usize)>,
    flagged: Vec<(String, &'static str)>,
    conflicted: Vec<String>,
    cached_trees: bool,
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![4 => "[ab]", 2 => "[a-c]{2}", 1 => "[.-][a0-]{1,3}x", 1 => "é{1,130}"];
    prop::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"))
}

fn beginning() -> impl Strategy<Value = Beginning> {
    let flag = prop_oneof![Just("--assume-unchanged"), Just("--skip-worktree")];
    let files = prop::collection::vec((path(), 0..BLOBS.len()), 0..14);
    (2..=4u8, files, prop::collection::vec(flag, 0..3), prop::collection::vec(path(), 0..2), any::<bool>()).prop_map(
        |(version, files, flags, conflicted, cached_trees)| {
            let flagged = files.iter().map(|(path, _)| path.clone()).zip(flags).collect();
            Beginning { version, files, flagged, conflicted, cached_trees }
        },
    )
}

/// Makes the index; git sees to it that no file is where a folder is.
fn begin(folder: &Path, ids: &[String], it: &Beginning) {
    let mut lines = String::new();
    for (path, blob) in &it.files {
        lines += &format!("100644 {}\t{path}\n", ids[*blob]);
    }
    git(folder, &["update-index", "--replace", "--index-info"], &lines);
    let there = git(folder, &["-c", "core.quotePath=false", "ls-files"], "");
    for (path, flag) in it.flagged.iter().filter(|(path, _)| there.lines().any(|line| line == path)) {
        git(folder, &["update-index", flag, "--", path], "");
    }
    if it.cached_trees {
        git(folder, &["write-tree"], "");
    }
    let free = |path: &&String| there.lines().all(|line| !line.starts_with(*path) && !path.starts_with(line));
    for path in it.conflicted.iter().filter(free) {
        let stages = (1..=3).map(|stage| format!("100644 {} {stage}\t{path}\n", ids[stage - 1]));
        git(folder, &["update-index", "--index-info"], &stages.collect::<String>());
    }
    git(folder, &["update-index", "--force-write-index", "--index-version", &it.version.to_string()], "");
}

/// Everything that git knows of the index: entries with their flags and stat data, and the tree that it is.
fn seen(folder: &Path) -> (String, Option<String>) {
    let entries = git(folder, &["ls-files", "--stage", "--debug", "-v"], "");
    git(folder, &["fsck", "--strict"], "");
    let whole = git(folder, &["ls-files", "--unmerged"], "").is_empty();
    (entries, whole.then(|| git(folder, &["write-tree"], "")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_set_and_removed_is_what_git_makes_of_it(
        it in beginning(),
        others in prop::collection::vec((path(), prop::option::of(0..BLOBS.len())), 0..6),
        same in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(0..BLOBS.len())), 0..3),
    ) {
        let (folder, ids) = repository();
        begin(folder.path(), &ids, &it);
        let index = folder.path().join(".git/index");
        let mut file = fs::read(&index).map_or_else(|_| IndexFile::empty(), |bytes| parse(&bytes).unwrap());
        // Each path once, as a change has it; none in place of another.
        let known = it.files.iter().map(|(path, _)| path).chain(&it.conflicted).collect::<Vec<_>>();
        let same = same.iter().filter(|_| !known.is_empty()).map(|(at, blob)| (known[at.index(known.len())].clone(), *blob));
        let mut edits: Vec<(String, Option<usize>)> = Vec::new();
        for (path, blob) in others.into_iter().chain(same) {
            let inside = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
            if edits.iter().all(|(other, _)| !inside(&path, other) && !inside(other, &path)) {
                edits.push((path, blob));
            }
        }
        let mut lines = String::new();
        for (path, blob) in &edits {
            match blob {
                Some(blob) => {
                    file.set(path.as_bytes(), entry(&ids[*blob]));
                    lines += &format!("0 {}\t{path}\n100644 {}\t{path}\n", "0".repeat(40), ids[*blob]);
                }
                None => {
                    file.remove(path.as_bytes());
                    lines += &format!("0 {}\t{path}\n", "0".repeat(40));
                }
            }
        }
        let ours = written(file);
        git(folder.path(), &["update-index", "--replace", "--index-info"], &lines);
        let theirs = seen(folder.path());
        fs::write(&index, &ours).unwrap();
        prop_assert_eq!(seen(folder.path()), theirs);
        // And so do we: no path is left that was removed, every other is staged as what it was set to.
        let file = parse(&ours).unwrap();
        for (path, blob) in &edits {
            let id = blob.map(|blob| git2::Oid::from_str(&ids[blob]).unwrap());
            let staged = file.staged(path.as_bytes());
            prop_assert_eq!((staged.id, staged.conflicted), (id, false));
        }
    }

    #[test]
    fn damage_is_refused_or_passed_on_and_never_worse(
        version in 2..=4u8,
        at in any::<prop::sample::Index>(),
        change in prop_oneof![any::<u8>().prop_map(Some), Just(None)],
    ) {
        for beginning in damaged_beginnings(version) {
            let mut bytes = beginning;
            let at = at.index(bytes.len());
            match change {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at),
            }
            let Ok(mut file) = parse(&bytes) else { continue };
            file.set(b"a/b/c", Entry::default());
            file.remove(b"a/a");
            let racy: Vec<_> = file.modified_since(0).filter(|found| !file.is_edited(&found.path)).collect();
            let mut changed = file.changed().unwrap();
            changed.begin_hash(&racy);
            changed.forget_size(racy.iter());
            changed.stamp(b"a/b/c", &Entry { inode: 7, ..Entry::default() });
            let again = parse(&completed(&changed)).unwrap();
            let inode = again.range(b"a/b/c").next().and_then(|slot| super::number(&again.bytes, again.slots[slot].at + 20));
            prop_assert_eq!(inode, Some(7));
            prop_assert!(again.staged(b"a/b/c").id.is_some() && again.staged(b"a/a").id.is_none());
            prop_assert_eq!(again.modified_since(0).count(), 0);
        }
    }
}

/// Indexes of `version` with all that there is in one: trees, conflicts that were resolved, flags.
fn damaged_beginnings(version: u8) -> Vec<Vec<u8>> {
    use std::sync::LazyLock;
    static MADE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        (2..=4)
            .map(|version| {
                let (folder, ids) = repository();
                let files = ["a/a", "a/b/b", "a/b/d", "b", &"long".repeat(1100)];
                let it = Beginning {
                    version,
                    files: files.iter().map(|path| ((*path).to_owned(), 0)).collect(),
                    flagged: if version == 2 { vec![] } else { vec![("b".to_owned(), "--skip-worktree")] },
                    conflicted: vec![],
                    cached_trees: true,
                };
                begin(folder.path(), &ids, &it);
                fs::read(folder.path().join(".git/index")).unwrap()
            })
            .collect()
    });
    vec![MADE[usize::from(version) - 2].clone()]
}

#[test]
fn an_index_of_another_kind_is_refused_by_its_name() {
    let [whole] = <[Vec<u8>; 1]>::try_from(damaged_beginnings(2)).unwrap();
    let with = |extension: &[u8]| {
        let mut bytes = whole.clone();
        let end = bytes.len() - HASH;
        bytes.splice(end..end, [extension, &[0; 4]].concat());
        parse(&bytes).unwrap_err()
    };
    assert_eq!(with(b"link"), IndexFileError::Split);
    assert_eq!(with(b"sdir"), IndexFileError::Sparse);
    assert_eq!(with(b"what"), IndexFileError::Extension("what".to_owned()));
    let mut newer = whole.clone();
    newer[7] = 5;
    assert_eq!(parse(&newer).unwrap_err(), IndexFileError::Version(5));
    for bytes in [&b""[..], b"DIRC", b"what is this?"] {
        assert_eq!(parse(bytes).unwrap_err(), IndexFileError::Damaged);
    }
    let mut unsorted = whole;
    unsorted.splice(12..12, unsorted[12 + 72..12 + 144].to_vec());
    unsorted[11] += 1;
    assert_eq!(parse(&unsorted).unwrap_err(), IndexFileError::Damaged);
}

#[test]
fn an_index_that_git_has_split_is_refused_as_such() {
    let (folder, ids) = repository();
    for version in ["2", "4"] {
        let lines = |blob: usize| format!("100644 {}\ta/a\n100644 {}\tb\n", ids[blob], ids[blob]);
        git(folder.path(), &["update-index", "--no-split-index", "--index-info"], &lines(0));
        git(folder.path(), &["update-index", "--force-write-index", "--index-version", version], "");
        git(folder.path(), &["update-index", "--split-index"], "");
        // Entries that stand for others of the shared index have no path.
        git(folder.path(), &["update-index", "--index-info"], &lines(1));
        let bytes = fs::read(folder.path().join(".git/index")).unwrap();
        assert_eq!(parse(&bytes).unwrap_err(), IndexFileError::Split, "{version}");
    }
}

#[test]
fn paths_that_eat_memory_are_damage() {
    let mut bytes = [&b"DIRC"[..], &4u32.to_be_bytes(), &40_000u32.to_be_bytes()].concat();
    for number in 0..40_000u32 {
        bytes.extend([0; 60]);
        bytes.extend(0x0FFFu16.to_be_bytes());
        // Each is the one before it and some more.
        bytes.extend([&[0][..], format!("{number:08}").as_bytes(), &[0]].concat());
    }
    bytes.extend([0; 20]);
    assert_eq!(parse(&bytes).unwrap_err(), IndexFileError::Damaged);
}
