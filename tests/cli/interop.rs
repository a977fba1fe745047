//! Independent tools agree: age reads our values, ssh-keygen verifies our signatures, git finds our repository sound.

use std::fs;

use crate::support::World;

const VALUES: [(&str, &[u8]); 4] = [
    ("production/TEXT", b"text"),
    ("production/LINES", b"one\ntwo\n\n"),
    ("staging/BINARY", b"\x00\xff\xfe\r\n\x00"),
    ("default/nested/LONG", &[b'x'; 200_000]),
];

fn story() -> World {
    let world = World::with_store();
    for (path, value) in VALUES {
        let run = world.run_with(&["create", path, "-"], value);
        assert_eq!(run.code, 0, "{}", run.err);
    }
    world.ok(&["update", "TEXT", "text", "--add-tag", "api", "--metadata", "note=ü \" \\ x"]);
    world.ok(&["copy", "TEXT", "staging/TEXT"]);
    world.ok(&["delete", "staging/TEXT"]);
    world
}

#[test]
fn stock_age_prints_every_value_byte_for_byte() {
    let world = story();
    for (path, value) in VALUES {
        let mut command = world.command("age");
        command.arg("-d").arg("-i").arg(world.identity()).arg(world.file(&format!("secrets/{path}.age")));
        let run = World::run_command(command, b"");
        assert_eq!((run.code, run.bytes.as_slice()), (0, value), "{path}: {}", run.err);
        assert_eq!(world.run(&["get", path]).bytes, value, "{path}");
    }
}

#[test]
fn ssh_keygen_accepts_every_signature_by_the_lines_of_the_format_page() {
    let world = story();
    let keys = world.json(&["keys:show"]);
    fs::write(world.home.join("allowed"), format!("alice {}\n", keys["keys"][0]["signing"].as_str().unwrap())).unwrap();
    let files = world.git(&["ls-files", ".vsecure/*.yaml"]);
    assert_eq!(files.lines().count(), 6);
    for file in files.lines() {
        let namespace = if file.contains("/policy/") { "vsecure-policy-v1" } else { "vsecure-secret-v1" };
        let verify = |file: &str| {
            format!(
                "sed '1,/^signature: |$/d; s/^  //' {file} > $HOME/F.sig; sed '/^signature: |$/,$d' {file} | \
                 ssh-keygen -Y verify -f $HOME/allowed -I alice -n {namespace} -s $HOME/F.sig"
            )
        };
        world.sh(&verify(file));
        world.sh(&format!("sed 's/^author: .*/author: \"mallory\"/' {file} > $HOME/forged"));
        world.sh(&format!("! ({})", verify("$HOME/forged")));
    }
}

#[test]
fn git_finds_the_repository_sound_and_unchanged() {
    let world = story();
    world.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    assert_eq!(world.git(&["diff", "HEAD", "--stat"]), "");
    world.git(&["gc", "--prune=now", "--quiet"]);
    assert_eq!(world.get("TEXT"), "text");
    let log = world.git(&["log", "-1", "--format=%an %ae%n%(trailers:only)"]);
    assert_eq!(
        log.trim(),
        "alice alice@example.com\nVsecure-Change: delete\nVsecure-Path: staging/TEXT\nVsecure-Version: 1"
    );
}

#[test]
fn what_stock_age_encrypted_is_refused() {
    let world = World::with_secrets(&[("production/A", "mine")]);
    let keys = world.json(&["keys:show"]);
    let recipient = keys["keys"][0]["recipient"].as_str().unwrap();
    world.sh(&format!("printf theirs | age -r {recipient} > .vsecure/secrets/production/A.age"));
    let run = world.run(&["get", "A"]);
    assert_eq!((run.code, run.out.as_str()), (6, ""), "{}", run.err);
    world.sh(&format!("printf theirs | age -r {recipient} > .vsecure/secrets/production/B.age"));
    let run = world.run(&["get", "production/B"]);
    assert_eq!((run.code, run.out.as_str()), (6, ""), "{}", run.err);
    assert!(run.err.contains("nobody signed for it"), "{}", run.err);
}
