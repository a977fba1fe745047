//! What a list remembers, and what it must not be fooled by.

use std::fs::{self, File, FileTimes};
use std::path::PathBuf;

use super::{World, secret};
use crate::crypto::{Namespace, sign_document};
use crate::model::Document as _;
use crate::vault::{Create, Listing, Selection, VaultError, Writing, layout};

const COUNT: usize = 40;

/// A world of forty secrets, long after they were made.
fn world() -> World {
    let world = World::new();
    for number in 0..COUNT {
        let request = Create {
            path: format!("production/S{number}").parse().unwrap(),
            value: secret("one"),
            allow_empty: false,
            tags: vec!["api".parse().unwrap()],
            metadata: vec![],
            expires_at: None,
            rotation: None,
        };
        world.vault_as("alice").create(&request, &Writing { no_commit: true, ..Writing::default() }).unwrap();
    }
    world.now.set("2030-01-01".parse().unwrap());
    world
}

fn list(world: &World) -> Listing {
    world.vault_as("alice").list(&Selection { tags: vec!["api".parse().unwrap()], ..Selection::default() }).unwrap()
}

fn memory(world: &World) -> Option<PathBuf> {
    let folder = fs::read_dir(world.folder.path().join("project/.git/vsecure")).unwrap();
    folder.map(|entry| entry.unwrap().path()).find(|path| path.to_string_lossy().contains("/list-"))
}

#[test]
fn what_a_list_verified_the_next_one_knows() {
    let world = world();
    world.now.set("2026-11-25".parse().unwrap());
    let first = list(&world);
    assert_eq!(first.entries.len(), COUNT);
    assert_eq!(memory(&world), None, "files that may have been changed within the clock's tick are not remembered");
    world.now.set("2030-01-01".parse().unwrap());
    assert_eq!(list(&world).entries, first.entries);
    let memory = memory(&world).unwrap();
    assert_eq!(list(&world).entries, first.entries);
    // That it is used shows when it lies. Who can write here can write hooks.
    let kept = fs::read_to_string(&memory).unwrap();
    fs::write(&memory, kept.replace("value_author: \"alice\"", "value_author: \"alicf\"")).unwrap();
    assert!(list(&world).entries.iter().all(|entry| entry.sidecar.value_author.as_str() == "alicf"));
    // What is cut off, of another policy or of another version is none.
    let other =
        |from: &str, to: &str| kept.replacen(from, to, 1).replace("\"alice\"\ncreated_at", "\"alicf\"\ncreated_at");
    let policy = world.vault_as("alice").authority.reference().sha256.to_string();
    for damaged in [
        kept.get(..kept.len() - 10).unwrap().to_owned(),
        other(&policy, &"0".repeat(64)),
        other(env!("CARGO_PKG_VERSION"), "0.0.0"),
        String::new(),
    ] {
        fs::write(&memory, damaged).unwrap();
        assert_eq!(list(&world).entries, first.entries);
    }
}

#[test]
fn a_changed_file_is_verified_whatever_its_times_say() {
    let world = world();
    assert_eq!(list(&world).entries.len(), COUNT);
    assert!(memory(&world).is_some());
    let place = layout::sidecar(&"production/S7".parse().unwrap());
    let file = world.file(&place);
    let good = fs::read_to_string(&file).unwrap();
    let times = fs::metadata(&file).unwrap();
    let put = |content: &str| {
        fs::write(&file, content).unwrap();
        let file = File::options().write(true).open(&file).unwrap();
        file.set_times(FileTimes::new().set_modified(times.modified().unwrap())).unwrap();
    };
    put(&good.replacen("\"api\"", "\"xpi\"", 1));
    let Listing { entries, refused } = list(&world);
    assert_eq!(entries.len(), COUNT - 1);
    assert!(
        matches!(refused.as_slice(), [VaultError::Refused { file, .. }] if *file == place.to_string()),
        "{refused:?}"
    );
    // Signed right, and of the same size.
    let mut sidecar = world.vault_as("alice").list(&Selection::default()).unwrap().entries[0].sidecar.clone();
    sidecar.path = "production/S7".parse().unwrap();
    sidecar.tags = ["apj".parse().unwrap()].into();
    let other = sign_document(&sidecar.body(), Namespace::Secret, world.identity("alice")).unwrap();
    put(std::str::from_utf8(&other).unwrap());
    let Listing { entries, refused } = list(&world);
    assert_eq!((entries.len(), refused.len()), (COUNT - 1, 0), "another tag now");
    fs::remove_file(&file).unwrap();
    let Listing { entries, refused } = list(&world);
    assert_eq!((entries.len(), refused.len()), (COUNT - 1, 1), "a value without a sidecar");
    put(&good);
    assert_eq!(list(&world).entries.len(), COUNT);
}
