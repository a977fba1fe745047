//! Moving in from other stores: sops, pass, passage, and another one of ours. The other programs are real; where one is played, a test says so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::{CANARY, Run, World, found_below};

/// A program that `cargo xtask tools` installed.
pub fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(name);
    assert!(path.exists(), "{} is not there: cargo xtask tools   installs it", path.display());
    path
}

/// The folders in which programs are looked for, without those that hold a sops of the machine's own.
fn folders_without_sops(world: &World) -> String {
    let folders = World::folders_of_programs(&world.command("vsecure"));
    let kept = folders.into_iter().filter(|folder| !folder.join("sops").exists());
    std::env::join_paths(kept).unwrap().into_string().unwrap()
}

/// Runs vsecure with `folder` before the others on its path.
fn with_folder(world: &World, folder: &Path, arguments: &[&str]) -> Run {
    let mut command = world.command("vsecure");
    command.env("PATH", format!("{}:{}", folder.display(), folders_without_sops(world))).args(arguments);
    command.env("SOPS_AGE_KEY_FILE", world.home.join("sops.key")).env("VSECURE_IDENTITY", world.identity());
    World::run_command(command, b"")
}

/// Runs vsecure with sops on its path.
pub fn with_sops(world: &World, arguments: &[&str]) -> Run {
    with_folder(world, tool("python/bin/sops").parent().unwrap(), arguments)
}

const YAML: &str =
    "db:\n  password: canary-7f3a91-value\n  port: 5432\ntoken: \"line one\\nline two\\n\"\nempty: \"\"\n";

/// Files in all three forms, encrypted by sops to a key of age.
fn sops_files() -> World {
    let world = World::with_store();
    fs::write(world.home.join("plain.yaml"), YAML).unwrap();
    fs::write(world.home.join("plain.json"), r#"{"db": {"password": "canary-7f3a91-value"}, "list": ["a", "b"]}"#)
        .unwrap();
    fs::write(world.home.join("plain.env"), "DB_PASSWORD=canary-7f3a91-value\nPORT=1\n").unwrap();
    let sops = tool("python/bin/sops");
    world.sh("age-keygen -o $HOME/sops.key 2>/dev/null");
    for (kind, name) in [("yaml", "secrets.yaml"), ("json", "secrets.json"), ("dotenv", "secrets.env")] {
        let plain = name.replace("secrets", "$HOME/plain");
        world.sh(&format!(
            "'{}' --encrypt --age \"$(age-keygen -y $HOME/sops.key)\" --input-type {kind} --output-type {kind} {plain} > {name}; rm {plain}",
            sops.display()
        ));
        assert!(!fs::read_to_string(world.project.join(name)).unwrap().contains(CANARY));
    }
    world
}

#[test]
fn a_file_that_sops_encrypted_is_decrypted_by_it() {
    let world = sops_files();
    let before = world.commits();
    let shown = with_sops(&world, &["import", "secrets.yaml", "--env", "staging", "--dry-run"]);
    assert!(
        shown.code == 0 && shown.err.contains("staging/DB_PASSWORD") && !shown.err.contains(CANARY),
        "{}",
        shown.err
    );
    for (name, folder) in [("secrets.yaml", "y"), ("secrets.json", "j"), ("secrets.env", "e")] {
        let run = with_sops(&world, &["import", name, "--env", "staging", "--under", folder]);
        assert_eq!(run.code, 0, "{name}: {}", run.err);
        assert_eq!(world.get(&format!("staging/{folder}/DB_PASSWORD")), CANARY, "{name}");
    }
    assert_eq!(world.commits(), before + 3);
    assert_eq!(world.get("staging/y/DB_PORT"), "5432");
    assert_eq!(world.get("staging/y/token"), "line one\nline two\n");
    assert_eq!(world.get("staging/y/empty"), "");
    assert_eq!(world.get("staging/j/LIST_1"), "b");
    assert!(!world.ok(&["list", "--env", "staging"]).contains("sops"), "what sops says of itself is no secret");
    assert_eq!(found_below(world.folder(), CANARY), None);
    world.ok(&["verify"]);
}

#[test]
fn without_sops_or_its_key_nothing_is_imported() {
    let world = sops_files();
    let (before, state) = (world.commits(), world.state());
    let run = with_folder(&world, &world.home, &["import", "secrets.yaml", "--env", "staging"]);
    assert!(run.code == 1 && run.err.contains("`sops` is needed for this"), "{} {}", run.code, run.err);
    assert!(world.commits() == before && world.state() == state);
    fs::remove_file(world.home.join("sops.key")).unwrap();
    let state = world.state();
    let run = with_sops(&world, &["import", "secrets.yaml", "--env", "staging"]);
    assert!(run.code == 1 && run.err.contains("`sops` did not decrypt secrets.yaml"), "{} {}", run.code, run.err);
    assert!(world.commits() == before && world.state() == state);
    // Changed after it was encrypted: sops itself refuses it.
    world.sh("age-keygen -o $HOME/sops.key 2>/dev/null; sed -i 's/^token: ENC/other: ENC/' secrets.yaml");
    let run = with_sops(&world, &["import", "secrets.yaml", "--env", "staging"]);
    assert!(run.code == 1 && world.commits() == before, "{}", run.err);
}

/// Not sops, but a program of that name: what we pass to it, and what we do with what it does.
#[test]
fn the_plumbing_around_a_program_named_sops() {
    let world = sops_files();
    let play = |script: &str| {
        let file = world.home.join("bin/sops");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        with_folder(&world, file.parent().unwrap(), &["import", "secrets.yaml", "--env", "staging", "--update"])
    };
    let run = play("env > $HOME/seen; echo \"$@\" >> $HOME/seen; cat > $HOME/input; echo '{\"A\": \"x\"}'");
    assert_eq!((run.code, world.get("staging/A")), (0, "x".into()), "{}", run.err);
    let seen = fs::read_to_string(world.home.join("seen")).unwrap();
    assert!(seen.ends_with("--decrypt --input-type yaml --output-type json /dev/stdin\n"), "{seen}");
    assert!(!seen.contains("VSECURE_"), "{seen}");
    assert_eq!(fs::read(world.home.join("input")).unwrap(), fs::read(world.project.join("secrets.yaml")).unwrap());
    let before = world.commits();
    for (script, code) in [
        ("echo '{\"A\": \"y\"}'; exit 3", 1),
        ("echo '{\"A\": '", 2),
        ("echo '[1]'", 2),
        ("exit 0", 2),
        ("echo '{\"A\": \"y\", \"sops\": {\"mac\": \"x\"}}'", 2),
        ("yes", 2),
        ("kill -9 $$", 1),
    ] {
        let run = play(script);
        assert_eq!((run.code, world.commits()), (code, before), "{script}: {}", run.err);
    }
}

/// A store of pass, made by pass: three entries and a history.
fn pass_store() -> World {
    let world = World::with_store();
    world.sh(
        "mkdir -m 700 $HOME/.gnupg
         gpg --batch -q --passphrase '' --quick-gen-key 'Alice <alice@example.com>' default default never 2>/dev/null
         pass init alice@example.com >/dev/null && pass git init -q >/dev/null 2>&1
         at() { export GIT_AUTHOR_DATE=$1 GIT_COMMITTER_DATE=$1; }
         at 2020-01-02T03:04:05Z; echo first | pass insert -e web/site >/dev/null
         at 2020-02-02T00:00:00Z; printf 'canary-7f3a91-value\\nuser: alice\\nurl: https://example.com\\n' | pass insert -m mail >/dev/null
         at 2021-01-01T00:00:00Z; echo second | pass insert -f -e web/site >/dev/null
         at 2021-06-01T00:00:00Z; echo gone | pass insert -e old >/dev/null; pass rm -f old >/dev/null
         at 2022-01-01T00:00:00Z; pass init -p web alice@example.com >/dev/null
         at 2023-01-01T00:00:00Z; echo third | pass insert -f -e web/site >/dev/null",
    );
    world
}

const PASS: &str = "../home/.password-store";

#[test]
fn a_store_of_pass_moves_in() {
    let world = pass_store();
    let before = world.commits();
    let shown = world.run(&["import", PASS, "--env", "production", "--dry-run"]);
    assert!(shown.err.contains("production/web/site v1") && !shown.err.contains(CANARY), "{}", shown.err);
    assert_eq!(world.commits(), before);
    world.ok(&["import", PASS, "--env", "production", "--tags", "moved"]);
    assert_eq!((world.commits(), world.get("production/web/site")), (before + 1, "third".into()));
    assert_eq!(world.get("production/mail"), format!("{CANARY}\nuser: alice\nurl: https://example.com\n"));
    let site = world.json(&["describe", "production/web/site"]);
    assert_eq!(
        (&site["created_at"], &site["updated_at"]),
        (&"2020-01-02T03:04:05Z".into(), &"2023-01-01T00:00:00Z".into())
    );
    world.refused(5, &["import", PASS, "--env", "production"]);
    world.ok(&["import", PASS, "--env", "staging", "--first-line"]);
    assert_eq!(world.get("staging/mail"), CANARY);
    assert_eq!(found_below(world.folder(), CANARY), None);
    world.ok(&["verify"]);
    world.sh("gpgconf --kill all");
}

#[test]
fn its_history_becomes_versions_and_an_import_cut_short_goes_on() {
    let world = pass_store();
    let before = world.commits();
    let shown = world.run(&["import", PASS, "--env", "production", "--history", "--dry-run"]);
    assert!(shown.code == 0 && world.commits() == before, "{}", shown.err);
    world.ok(&["import", PASS, "--env", "production", "--history"]);
    // Three values of one and one of the other, each from a commit of its own: encrypting anew is no version.
    assert_eq!(world.commits(), before + 4);
    for (version, value) in [("1", "first"), ("2", "second"), ("3", "third")] {
        assert_eq!(world.ok(&["get", "production/web/site", "--version", version]), value);
    }
    let versions = world.json(&["versions", "production/web/site"]);
    let times: Vec<&str> =
        versions["versions"].as_array().unwrap().iter().map(|it| it["updated_at"].as_str().unwrap()).collect();
    assert_eq!(times, ["2023-01-01T00:00:00Z", "2021-01-01T00:00:00Z", "2020-01-02T03:04:05Z"]);
    assert_eq!(world.commits(), before + 4);
    // Nothing is left to do; what was cut off is done; what came since is added.
    world.ok(&["import", PASS, "--env", "production", "--history"]);
    assert_eq!(world.commits(), before + 4);
    world.git(&["reset", "-q", "--hard", "HEAD~2"]);
    world.sh("echo fourth | pass insert -f -e web/site >/dev/null");
    world.ok(&["import", PASS, "--env", "production", "--history"]);
    assert_eq!(world.ok(&["get", "production/web/site", "--version", "3"]), "third");
    assert_eq!((world.commits(), world.get("production/web/site")), (before + 5, "fourth".into()));
    world.ok(&["verify"]);
    // A secret of that name that came from elsewhere is nobody's to continue.
    world.ok(&["create", "staging/mail", "mine"]);
    world.refused(5, &["import", PASS, "--env", "staging", "--history"]);
    world.ok(&["import", PASS, "--env", "staging", "--history", "--skip"]);
    assert_eq!((world.get("staging/mail"), world.get("staging/web/site")), ("mine".into(), "fourth".into()));
    world.sh("gpgconf --kill all");
}

#[test]
fn what_pass_holds_and_we_cannot_is_refused_or_left_out() {
    let world = pass_store();
    world.sh(
        "echo x | pass insert -e web/alice@example.com >/dev/null; ln -s /etc/passwd $HOME/.password-store/link.gpg",
    );
    let error = world.refused(2, &["import", PASS, "--env", "production"]);
    assert!(error.contains("alice@example.com") && error.contains("--skip-invalid"), "{error}");
    let left = world.json(&["import", PASS, "--env", "production", "--skip-invalid"]);
    let skipped: Vec<&str> = left["skipped"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["link", "web/alice@example.com"]);
    // What can't be decrypted now is refused; what only an older key could decrypt is left out and named.
    world.sh("cd $HOME/.password-store && printf 'no pgp' > bad.gpg && git add bad.gpg && git commit -q -m bad");
    let error = world.refused(1, &["import", PASS, "--env", "staging", "--skip-invalid"]);
    assert!(error.contains("`gpg` did not decrypt") && error.contains("bad.gpg"), "{error}");
    world.sh("echo good | pass insert -f -e bad >/dev/null");
    let run = world.run(&["import", PASS, "--env", "staging", "--skip-invalid", "--history"]);
    assert!(run.code == 0 && run.err.contains("bad: skipped, its value of commit"), "{}", run.err);
    assert_eq!(world.json(&["versions", "staging/bad"])["versions"].as_array().unwrap().len(), 1);
    world.refused(2, &["import", PASS]);
    world.refused(2, &["import", PASS, "--env", "staging", "--history", "--no-commit"]);
    world.refused(2, &["import", PASS, "--env", "staging", "--from-env", "production"]);
    world.ok(&["config:set", "commit", "false"]);
    world.refused(2, &["import", PASS, "--env", "development", "--skip-invalid", "--history"]);
    world.ok(&["config:set", "commit", "true"]);
    // A folder that differs only in case, from another time of the history.
    world.sh("echo x | pass insert -e WEB/other >/dev/null");
    let error = world.refused(5, &["import", PASS, "--env", "development", "--skip-invalid", "--history"]);
    assert!(error.contains("development/WEB/"), "{error}");
    fs::write(world.project.join("x.env"), "A=1\n").unwrap();
    world.refused(2, &["import", "x.env", "--env", "staging", "--history"]);
    fs::create_dir(world.project.join("nothing")).unwrap();
    world.refused(2, &["import", "nothing", "--env", "staging"]);
    world.sh("gpgconf --kill all");
}

/// What passage writes, written as it does: `age` for every recipient, one commit a change.
fn passage_store() -> World {
    let world = World::with_store();
    world.sh(
        "mkdir -p $HOME/.passage/store/db && cd $HOME/.passage && umask 077 && age-keygen -o identities 2>/dev/null
         age-keygen -o $HOME/other.key 2>/dev/null
         cd store && age-keygen -y ../identities > .age-recipients && git init -q
         put() { age -e -R .age-recipients -r $(age-keygen -y $HOME/other.key) -o $1.age; git add .; git commit -q -m \"$1\" --date=$2; }
         echo old | put db/password 2019-05-05T00:00:00Z
         echo canary-7f3a91-value | put db/password 2024-05-05T00:00:00Z
         printf 'a\\nb' | put note 2024-06-06T00:00:00Z",
    );
    world
}

#[test]
fn a_store_of_passage_moves_in() {
    let world = passage_store();
    let store = "../home/.passage/store";
    world.ok(&["import", store, "--env", "production", "--history"]);
    assert_eq!(world.get("production/db/password"), CANARY);
    assert_eq!(world.ok(&["get", "production/db/password", "--version", "1"]), "old");
    assert_eq!(world.get("production/note"), "a\nb");
    // Any of its recipients' keys will do, and none else.
    world.ok(&["import", store, "--env", "staging", "--from-identity", "../home/other.key"]);
    assert_eq!(world.get("staging/db/password"), CANARY);
    // Where passage itself is told that its keys are.
    let with_identities = |file: &str| {
        let mut command = world.command("vsecure");
        command.args(["import", store, "--env", "development", "--dry-run"]);
        command.env("PASSAGE_IDENTITIES_FILE", world.home.join(file));
        World::run_command(command, b"")
    };
    world.sh("mv $HOME/.passage/identities $HOME/moved.key");
    let run = with_identities("moved.key");
    assert!(run.code == 0 && run.err.contains("development/db/password"), "{}", run.err);
    assert_eq!(with_identities("missing.key").code, 4);
    world.sh("mv $HOME/moved.key $HOME/.passage/identities");
    world.sh("age-keygen -o $HOME/stranger.key 2>/dev/null");
    let key = ["--from-identity", "../home/stranger.key"];
    let error = world.refused(4, &["import", store, "--env", "development", key[0], key[1]]);
    assert!(error.contains("--from-identity") && error.contains("not encrypted to this identity"), "{error}");
    world.refused(4, &["import", store, "--env", "development", "--from-identity", "../home/missing.key"]);
    world.sh("printf 'age-encryption.org/v1\\n-> X' > $HOME/.passage/store/cut.age");
    world.refused(1, &["import", store, "--env", "development"]);
    assert_eq!(found_below(world.folder(), CANARY), None);
    world.ok(&["verify"]);
}

#[test]
fn a_history_with_merges_and_deletions_brings_each_value_once() {
    let world = passage_store();
    world.sh("cd $HOME/.passage/store
         put() { age -e -R .age-recipients -o $1.age; git add .; git commit -q -m \"$1\" --date=$2; }
         git checkout -q -b side; echo from-side | put note 2024-07-01T00:00:00Z
         git checkout -q main; echo from-main | put db/password 2024-07-02T00:00:00Z
         git merge -q --no-edit side
         echo first | put back 2020-01-01T00:00:00Z; git rm -q back.age; git commit -q -m gone
         echo again | put back 2024-08-01T00:00:00Z");
    let before = world.commits();
    world.ok(&["import", "../home/.passage/store", "--env", "production", "--history"]);
    // Three values of the password, two of the note, two of the one that went and came back.
    assert_eq!(world.commits(), before + 7);
    let count = |name: &str| world.json(&["versions", name])["versions"].as_array().unwrap().len();
    assert_eq!((count("production/db/password"), count("production/note"), count("production/back")), (3, 2, 2));
    assert_eq!((world.get("production/note"), world.get("production/back")), ("from-side".into(), "again".into()));
    // Without its history a secret is as old as its file is, which was made anew.
    world.ok(&["import", "../home/.passage/store", "--env", "staging"]);
    assert_eq!(world.json(&["describe", "staging/back"])["created_at"], "2024-08-01T00:00:00Z");
}

#[test]
fn another_store_of_ours_moves_in() {
    let world = World::with_store();
    world.sh("mkdir other && cd other && git init -q && vsecure init");
    let other = |arguments: &[&str]| {
        let mut all = vec!["--store", "other"];
        all.extend(arguments);
        world.ok(&all)
    };
    other(&["create", "production/A", CANARY, "--tags", "api", "--metadata", "owner=x", "--expires-in", "30d"]);
    other(&["create", "staging/A", "staged"]);
    other(&["update", "production/A", &format!("{CANARY}2")]);
    let before = world.commits();
    world.ok(&["import", "other", "--tags", "moved"]);
    assert_eq!(world.commits(), before + 1);
    assert_eq!((world.get("production/A"), world.get("staging/A")), (format!("{CANARY}2"), "staged".into()));
    let (ours, theirs) = (
        world.json(&["describe", "production/A"]),
        serde_json::from_str::<serde_json::Value>(&other(&["describe", "production/A", "--json"])).unwrap(),
    );
    for field in ["metadata", "expires_at", "updated_at", "created_at"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    assert_eq!((&ours["tags"], &ours["version"]), (&serde_json::json!(["api", "moved"]), &1.into()));
    world.refused(5, &["import", "other"]);
    let error = world.refused(2, &["import", "other", "--env", "development"]);
    assert!(error.contains("two of its keys come to the name `development/A`"), "{error}");
    world.ok(&["import", "other/.vsecure", "--env", "development", "--from-env", "staging"]);
    assert_eq!(world.get("development/A"), "staged");
    assert!(other(&["audit:logs"]).contains("exported"), "the other store's log says who took its values");
    world.ok(&["verify"]);
}

#[test]
fn another_store_is_trusted_and_verified_as_any_is() {
    let (world, stranger) = (World::with_store(), World::with_secrets(&[("production/A", CANARY)]));
    let (theirs, key) = (stranger.project.to_str().unwrap(), stranger.identity());
    let arguments = ["import", theirs, "--from-identity", key.to_str().unwrap()];
    let error = world.refused(6, &arguments);
    assert!(error.contains("is not trusted yet") && error.contains("--from-store-id"), "{error}");
    let id = stranger.ok(&["trust", "--export"]);
    let said = [&arguments[..], &["--from-store-id", id.trim()]].concat();
    world.refused(4, &["import", theirs, "--from-store-id", id.trim()]);
    stranger.sh("printf x >> .vsecure/secrets/production/A.age");
    world.refused(6, &said);
    stranger.git(&["checkout", "-q", "."]);
    world.ok(&said);
    assert_eq!(world.get("production/A"), CANARY);
}
