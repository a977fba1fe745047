//! Moving in: files of other programs become secrets, in one commit.

use std::fs;
use std::path::Path;

use crate::support::{CANARY, World};

#[test]
fn dotenv_files_give_what_nodes_package_reads() {
    let world = World::with_store();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dotenv");
    let mut count = 0;
    for entry in fs::read_dir(&fixtures).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "env") {
            continue;
        }
        count += 1;
        let folder = path.file_stem().unwrap().to_str().unwrap();
        let before = world.commits();
        world.ok(&["import", path.to_str().unwrap(), "--env", "staging", "--under", folder]);
        assert_eq!(world.commits(), before + 1);
        let expected: serde_json::Value =
            serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let found = world.ok(&["export", "--env", "staging", "--under", folder, "--format", "json"]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&found).unwrap(), expected, "{folder}");
        // What is written in the same dialect is the same again.
        let shown = ["export", "--env", "staging", "--under", folder, "--except", "*/dotted*", "--format", "dotenv"];
        let written = world.ok(&shown);
        fs::write(world.project.join("again.env"), written).unwrap();
        world.ok(&["import", "again.env", "--env", "development", "--under", folder]);
        let again = world.ok(&["export", "--env", "development", "--under", folder, "--format", "json"]);
        let mut without = expected.clone();
        without.as_object_mut().unwrap().remove("dotted.key-name");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap(), without, "{folder}");
    }
    assert!(count >= 3, "the fixtures are gone");
}

#[test]
fn json_yaml_and_pipes() {
    let world = World::with_store();
    fs::write(world.project.join("config.json"), r#"{"db": {"password": "p", "port": 5432}, "old": null}"#).unwrap();
    let run =
        world.run(&["import", "config.json", "--env", "staging", "--tags", "moved,db", "--metadata", "from=config"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.err.contains("old: skipped, it holds null") && run.err.contains("DB_PASSWORD v1: imported"),
        "{}",
        run.err
    );
    assert_eq!((world.get("staging/DB_PASSWORD"), world.get("staging/DB_PORT")), ("p".into(), "5432".into()));
    assert_eq!(world.ok(&["list", "--tags", "moved,db", "--metadata", "from=config"]).lines().count(), 2);
    let piped = world.run_with(&["import", "-", "--format", "yaml", "--env", "staging"], b"a:\n  b: x\n");
    assert_eq!((piped.code, world.get("staging/A_B")), (0, "x".into()), "{}", piped.err);
    world.ok(&["verify"]);
}

#[test]
fn secrets_that_exist_are_refused_updated_or_skipped() {
    let world = World::with_secrets(&[("staging/A", "old"), ("staging/SAME", "same")]);
    fs::write(world.project.join(".env"), "A=canary-7f3a91-value\nB=two\nSAME=same\nNONE=\n").unwrap();
    world.refused(5, &["import", ".env", "--env", "staging"]);
    let before = world.commits();
    let shown = world.run(&["import", ".env", "--env", "staging", "--update", "--dry-run"]);
    assert!(
        shown.err.contains("staging/B v1") && !shown.err.contains("two") && !shown.err.contains(CANARY),
        "{}",
        shown.err
    );
    assert_eq!(world.commits(), before);
    world.ok(&["import", ".env", "--env", "staging", "--skip"]);
    assert_eq!(
        (world.get("staging/A"), world.get("staging/B"), world.get("staging/NONE")),
        ("old".into(), "two".into(), String::new())
    );
    let json = world.json(&["import", ".env", "--env", "staging", "--update"]);
    let changed: Vec<&str> = json["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["changed"] == true)
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert_eq!((changed, world.commits()), (vec!["staging/A"], before + 2));
    assert_eq!(world.json(&["versions", "staging/A"])["versions"].as_array().unwrap().len(), 2);
    let left = world.json(&["import", ".env", "--env", "staging", "--skip"]);
    assert_eq!(left["existing"].as_array().unwrap().len(), 4);
}

#[test]
fn a_bad_file_changes_nothing() {
    let world = World::with_store();
    for (name, content, code, expected) in [
        ("bad.env", "A=canary-7f3a91-value\nno assignment canary-7f3a91-value\n", 2, "line 2"),
        ("bad.json", "{\"A\": \"canary-7f3a91-value\",\n\"B\": }", 2, "line 2"),
        ("list.json", "[\"canary-7f3a91-value\"]", 2, "not a JSON object"),
        ("anchors.yaml", "a: &x canary-7f3a91-value\nb: *x\n", 2, "not a YAML mapping"),
        ("names.json", "{\"A\": \"x\", \"no name\": \"canary-7f3a91-value\"}", 2, "`no name`"),
        ("twins.json", "{\"Key\": \"canary-7f3a91-value\", \"KEY\": \"x\"}", 5, "KEY"),
        ("what", "canary-7f3a91-value", 2, "--format"),
    ] {
        fs::write(world.project.join(name), content).unwrap();
        let error = world.refused(code, &["import", name, "--env", "staging"]);
        assert!(error.contains(expected), "{name}: {error}");
    }
    fs::write(world.project.join("ok.env"), "A=1\n").unwrap();
    world.refused(2, &["import", "ok.env"]);
    world.refused(3, &["import", "ok.env", "--env", "nowhere"]);
    world.refused(1, &["import", "missing.env", "--env", "staging"]);
    world.refused(2, &["import", "ok.env", "--env", "staging", "--update", "--skip"]);
    world.ok(&["config:set", "max_value_size", "3"]);
    fs::write(world.project.join("large.env"), "A=1\nB=canary-7f3a91-value\n").unwrap();
    world.refused(2, &["import", "large.env", "--env", "staging"]);
    fs::write(world.project.join("huge.env"), vec![b'#'; 17 << 20]).unwrap();
    world.refused(2, &["import", "huge.env", "--env", "staging"]);
}
