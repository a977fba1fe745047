//! What the command can't be made to meet on purpose: somebody who changes files between the plan and the transaction.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Batch, CommitId, FileChange, Mode, Person, Store, StoreError, StoreOptions, StorePath};

const NAME: &str = "secrets/a";

fn store(folder: &Path) -> Store {
    git2::Repository::init(folder).unwrap();
    let options = StoreOptions { git_program: "git".into(), lock_timeout: Duration::from_secs(5) };
    Store::locate_new(folder, true, options).unwrap()
}

fn path() -> StorePath {
    NAME.parse().unwrap()
}

fn batch(seen: Option<&str>, content: &str, mode: Mode) -> Batch {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let person = Person { name: Some("A".to_owned()), email: Some("a@example.com".to_owned()), time: None };
    Batch {
        changes: vec![FileChange { path: path(), seen: seen.map(bytes), content: Some(bytes(content)) }],
        unchanged: vec![],
        message: "Change".to_owned(),
        author: Some(person.clone()),
        committer: Some(person),
        mode,
    }
}

#[test]
fn a_file_that_changed_since_the_plan_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.begin("test").unwrap().apply(batch(None, "one", Mode::Commit)).unwrap();
    let head = store.head().unwrap();
    for mode in [Mode::Commit, Mode::Stage] {
        for (now, seen) in [(Some("theirs"), Some("one")), (Some("theirs"), None), (None, Some("one"))] {
            let file = store.root().join(NAME);
            match now {
                Some(text) => fs::write(&file, text).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            let refused = store.begin("test").unwrap().apply(batch(seen, "two", mode));
            assert!(matches!(refused, Err(StoreError::DirtyWorkTree { .. })), "{refused:?}");
            assert_eq!(fs::read_to_string(&file).ok().as_deref(), now);
            assert_eq!(store.head().unwrap(), head);
        }
    }
}

#[test]
fn a_file_that_changed_on_the_branch_since_the_plan_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.begin("test").unwrap().apply(batch(None, "one", Mode::Commit)).unwrap();
    let transaction = store.begin("test").unwrap();
    let script = "echo other > .vsecure/secrets/a && git add -f .vsecure && git -c user.name=B -c user.email=b@example.com commit -qm Other && printf one > .vsecure/secrets/a";
    let other = std::process::Command::new("sh").args(["-ec", script]).current_dir(folder.path()).status().unwrap();
    assert!(other.success());
    let head = store.head().unwrap();
    let refused = transaction.apply(batch(Some("one"), "two", Mode::Commit));
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(store.head().unwrap(), head);
    assert_eq!(fs::read(store.root().join(NAME)).unwrap(), b"one");
}

#[test]
fn many_files_are_changed_made_and_removed_in_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let file = |number: usize| -> StorePath { format!("secrets/{}/{number}", number % 7).parse().unwrap() };
    let change = |number: usize, seen: Option<&str>, content: Option<&str>| {
        let bytes = |text: &str| content_of(number, text).into_bytes();
        FileChange { path: file(number), seen: seen.map(bytes), content: content.map(bytes) }
    };
    let apply = |changes: Vec<FileChange>| {
        let batch = Batch { changes, ..batch(None, "", Mode::Commit) };
        store.begin("test").unwrap().apply(batch).unwrap();
    };
    apply((0..200).map(|number| change(number, None, Some("one"))).collect());
    let second = (0..200).map(|number| change(number, Some("one"), (number % 2 == 0).then_some("two")));
    apply(second.chain((200..300).map(|number| change(number, None, Some("new")))).collect());
    let head = store.head_tree().unwrap().unwrap();
    for number in 0..300 {
        let expected = match number {
            200.. => Some(content_of(number, "new")),
            number if number % 2 == 0 => Some(content_of(number, "two")),
            _ => None,
        };
        for bytes in [store.read(&file(number), 10_000).unwrap(), head.read(&file(number), 10_000).unwrap()] {
            assert_eq!(bytes.map(|bytes| String::from_utf8(bytes).unwrap()), expected, "{number}");
        }
    }
    let git = |arguments: &[&str]| {
        let run = std::process::Command::new("git").args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(run.status.success(), "{arguments:?}");
        String::from_utf8(run.stdout).unwrap()
    };
    assert_eq!(git(&["status", "--porcelain"]), "");
    git(&["fsck", "--strict"]);
    // A pack for each.
    let counts = git(&["count-objects", "-v"]);
    assert!(
        counts.contains("count: 0\n") && counts.contains("packs: 2\n") && counts.contains("garbage: 0\n"),
        "{counts}"
    );
}

/// Of lengths from a few bytes to some thousands.
fn content_of(number: usize, text: &str) -> String {
    format!("{text} {number}").repeat(1 + number * number % 700)
}

#[test]
fn the_way_to_a_tip_is_its_first_parents_as_far_as_they_contain_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let repository = git2::Repository::open(folder.path()).unwrap();
    let person = git2::Signature::new("A", "a@example.com", &git2::Time::new(0, 0)).unwrap();
    let tree = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
    let commit = |name: &str, parents: &[CommitId]| {
        let parents: Vec<_> = parents.iter().map(|id| repository.find_commit(id.0).unwrap()).collect();
        CommitId(repository.commit(None, &person, &person, name, &tree, &parents.iter().collect::<Vec<_>>()).unwrap())
    };
    let root = commit("root", &[]);
    let pinned = commit("pinned", &[root]);
    let ahead = [commit("next", &[pinned])];
    assert_eq!(store.first_parents(&pinned, &pinned).unwrap(), []);
    assert_eq!(store.first_parents(&pinned, &ahead[0]).unwrap(), ahead);
    assert_eq!(store.first_parents(&ahead[0], &pinned).unwrap(), [], "backwards is no way");
    // Somebody merges what is pinned into a branch of their own.
    let mut side = vec![commit("side", &[root])];
    for number in 0..5 {
        side.push(commit(&format!("side {number}"), &side[number..]));
    }
    for (length, theirs) in side.iter().enumerate().skip(1) {
        let mut way = vec![commit("merge", &[*theirs, pinned])];
        while way.len() < length {
            way.push(commit(&format!("then {}", way.len()), &way[way.len() - 1..]));
        }
        assert_eq!(store.first_parents(&pinned, way.last().unwrap()).unwrap(), way);
    }
    assert_eq!(store.first_parents(&pinned, &commit("unrelated", &[])).unwrap(), []);
}
