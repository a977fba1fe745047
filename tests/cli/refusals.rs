//! What bad input gets: the exit code, what to do, and nothing changed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::{CANARY, World, with_mounts};

#[test]
fn outside_a_repository_or_a_store() {
    let world = World::empty();
    assert!(world.refused(3, &["get", "A"]).contains("vsecure init"));
    assert!(world.refused(3, &["list"]).contains("no vsecure store"));
    fs::remove_dir_all(world.project.join(".git")).unwrap();
    assert!(world.refused(3, &["init"]).contains("git init"));
    assert!(world.refused(3, &["--store", "/nowhere", "list"]).contains("no vsecure store"));
}

#[test]
fn a_store_copied_without_git_is_read_and_not_written() {
    let world = World::with_secrets(&[("production/A", "one")]);
    fs::remove_dir_all(world.project.join(".git")).unwrap();
    assert_eq!(world.get("A"), "one");
    assert_eq!(world.ok(&["list"]), "production/A\n");
    world.refused(3, &["update", "A", CANARY]);
    world.refused(3, &["versions", "A"]);
}

#[test]
fn names_and_environments() {
    let world = World::with_secrets(&[("production/API_KEY", "one"), ("staging/API_KEY", "two")]);
    let long = "a".repeat(5000);
    for name in ["../x", "production/../x", "/abs", ".git/config", "a b", "NUL", "x.age", "é", "", "a\u{1b}[31m", &long]
    {
        world.refused(2, &["create", name, CANARY]);
        world.refused(2, &["get", name]);
    }
    assert!(world.refused(3, &["create", "A", CANARY, "--env", "prodution"]).contains("did you mean production?"));
    assert!(world.refused(3, &["get", "prodution/API_KEY"]).contains("did you mean production?"));
    assert!(world.refused(2, &["create", "A", CANARY, "--tags", "prod"]).contains("--tags production"));
    assert!(world.refused(2, &["create", "A", CANARY, "--tags", "stagign"]).contains("staging"));
    assert!(world.refused(2, &["create", "A", CANARY, "--tags", "production,staging"]).contains("--env"));
    world.refused(2, &["get", "production/API_KEY", "--env", "staging"]);
    for verb in ["get", "describe", "versions", "diff", "delete", "rollback", "edit"] {
        assert!(world.refused(2, &[verb, "API_KEY"]).contains("staging/API_KEY, production/API_KEY"), "{verb}");
    }
    world.refused(2, &["rename", "API_KEY", "OTHER"]);
    world.refused(2, &["update", "API_KEY", CANARY]);
    assert!(world.refused(5, &["create", "production/api_key", CANARY]).contains("differs only in case"));
    assert!(world.refused(5, &["copy", "staging/API_KEY", "production/Api_Key"]).contains("differs only in case"));
    assert!(world.refused(3, &["get", "production/api_key"]).contains("did you mean production/API_KEY?"));
    assert!(world.refused(3, &["get", "API_KEI"]).contains("did you mean"));
}

#[test]
fn what_exists_and_what_does_not() {
    let world = World::with_secrets(&[("production/A", "one"), ("production/B", "two")]);
    assert!(world.refused(5, &["create", "production/A", CANARY]).contains("vsecure update production/A"));
    for arguments in [["update", "NONE", CANARY], ["set", "nowhere/NONE/", CANARY]] {
        let code = if arguments[0] == "update" { 3 } else { 2 };
        world.refused(code, &arguments);
    }
    world.refused(3, &["delete", "NONE"]);
    world.refused(3, &["rollback", "NONE"]);
    world.refused(5, &["restore", "A"]);
    world.refused(5, &["copy", "A", "B"]);
    world.refused(5, &["rename", "A", "B"]);
    world.refused(2, &["rename", "A", "A"]);
    world.refused(2, &["rename", "A", "x.lock"]);
    world.ok(&["delete", "A"]);
    assert!(world.refused(3, &["get", "A"]).contains("vsecure restore production/A"));
    world.refused(3, &["update", "A", CANARY]);
    world.refused(3, &["delete", "A"]);
    assert!(world.refused(5, &["init"]).contains("store already"));
}

#[test]
fn versions_that_are_not_there() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.refused(2, &["get", "A", "--version", "0"]);
    world.refused(2, &["get", "A", "--version", "x"]);
    assert!(world.refused(3, &["get", "A", "--version", "99"]).contains("current version is v1"));
    world.refused(3, &["rollback", "A", "--version", "99"]);
    world.refused(3, &["rollback", "A"]);
    world.refused(3, &["diff", "A"]);
    world.refused(3, &["diff", "A", "--from", "1", "--to", "7"]);
    world.refused(3, &["get", "A", "--at", "nowhere"]);
    world.refused(5, &["update", "A", CANARY, "--if-version", "2"]);
}

#[test]
fn malformed_arguments_are_refused_and_not_repeated() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for arguments in [
        vec!["create", "B", CANARY, "--expires-in", CANARY],
        vec!["create", "B", CANARY, "--expires-at", "tomorrow"],
        vec!["create", "B", CANARY, "--tags", "a b"],
        vec!["create", "B", CANARY, "--metadata", CANARY],
        vec!["create", "B", CANARY, "--metadata", "a b=c"],
        vec!["create", "B", CANARY, CANARY],
        vec!["create", "B", CANARY, "--tgas", "x"],
        vec!["create", "B", CANARY, "--generate"],
        vec!["create", "B", CANARY, "--from-file", "x"],
        vec!["create", "B", "--print"],
        vec!["create", "B", "--generate=3"],
        vec!["update", "A", "--expires-in", "1d", "--no-expiry"],
        vec!["create"],
        vec![CANARY],
        vec!["secrets:rm", "A"],
        vec!["config:set", "commit", CANARY],
        vec!["config:get", CANARY],
    ] {
        world.refused(2, &arguments);
    }
}

#[test]
fn values_that_are_empty_or_too_large_or_not_there() {
    let world = World::with_secrets(&[("production/A", "one")]);
    assert!(world.refused(2, &["create", "B", ""]).contains("--allow-empty"));
    world.refused_with(2, &["create", "B"], b"");
    world.refused_with(2, &["create", "B"], b"\n");
    let large = vec![b'x'; 1024 * 1024 + 1];
    assert!(world.refused_with(2, &["create", "B", "-"], &large).contains("max_value_size"));
    assert_eq!(world.run_with(&["create", "B", "-"], &large[1..]).code, 0);
    world.refused(1, &["create", "C", "--from-file", "nowhere"]);
    world.ok(&["create", "C", "", "--allow-empty"]);
    assert_eq!(world.get("C"), "");
    // Standard input closed: an empty value, and no hang.
    let before = world.commits();
    world.sh("! vsecure create D <&-");
    assert_eq!(world.commits(), before);
}

#[test]
fn identities_that_cannot_be_used() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let key = world.identity();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(world.refused(4, &["get", "A"]).contains("chmod 600"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    world.ok(&["keys:generate", "--output", "other.txt"]);
    let refused = world.refused(4, &["--identity", "other.txt", "get", "A"]);
    assert!(refused.contains("no member"), "{refused}");
    world.refused(4, &["--identity", "other.txt", "update", "A", CANARY]);
    world.refused(4, &["--identity", "nowhere", "get", "A"]);
    fs::rename(&key, world.home.join("moved")).unwrap();
    assert!(world.refused(4, &["get", "A"]).contains("keys:generate"));
    assert_eq!(world.ok(&["list"]), "production/A\n", "no key is needed for that");
    world.refused(5, &["keys:generate", "--output", "other.txt"]);
}

#[test]
fn git_without_a_name_says_what_to_do() {
    let world = World::with_secrets(&[("production/A", "one")]);
    fs::write(world.home.join(".gitconfig"), "").unwrap();
    assert!(world.refused(1, &["update", "A", CANARY]).contains("git config --global user.name"));
    let empty = World::empty();
    fs::write(empty.home.join(".gitconfig"), "").unwrap();
    empty.refused(2, &["init"]);
}

#[test]
fn links_and_files_in_the_stores_place() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let folder = world.file("secrets/production");
    fs::rename(&folder, world.home.join("elsewhere")).unwrap();
    symlink(world.home.join("elsewhere"), &folder).unwrap();
    for arguments in [vec!["get", "production/A"], vec!["list"], vec!["update", "production/A", CANARY]] {
        world.refused(6, &arguments);
    }
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    for name in ["A.yaml", "A.age"] {
        symlink(world.home.join("elsewhere").join(name), folder.join(name)).unwrap();
    }
    world.refused(6, &["get", "production/A"]);
    let store = World::with_store();
    fs::rename(store.project.join(".vsecure"), store.home.join("store")).unwrap();
    symlink(store.home.join("store"), store.project.join(".vsecure")).unwrap();
    store.refused(6, &["list"]);
}

#[test]
fn files_that_were_swapped_changed_or_reformatted() {
    let world = World::with_secrets(&[("production/A", "one"), ("production/B", "two"), ("staging/A", "three")]);
    let (yaml, age) = (world.file("secrets/production/A.yaml"), world.file("secrets/production/A.age"));
    let (good_yaml, good_age) = (fs::read(&yaml).unwrap(), fs::read(&age).unwrap());
    let text = String::from_utf8(good_yaml.clone()).unwrap();
    let restore = || {
        fs::write(&yaml, &good_yaml).unwrap();
        fs::write(&age, &good_age).unwrap();
    };
    let refused = |expected: &str| {
        for arguments in
            [vec!["get", "production/A"], vec!["update", "production/A", CANARY], vec!["delete", "production/A"]]
        {
            let error = world.refused(6, &arguments);
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(world.run(&["get", "production/A"]).out, "");
        assert_eq!(world.get("production/B"), "two", "other secrets go on");
        restore();
    };
    fs::copy(world.file("secrets/production/B.age"), &age).unwrap();
    refused("not the one that was signed");
    for file in ["A.yaml", "A.age"] {
        fs::copy(world.file("secrets/staging").join(file), world.file("secrets/production").join(file)).unwrap();
    }
    refused("belongs to `staging/A`");
    let mut flipped = good_age.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&age, flipped).unwrap();
    refused("not the one that was signed");
    fs::write(&yaml, text.replace("version: 1", "version: 2")).unwrap();
    refused("signature does not");
    fs::write(&yaml, text.replace('\n', "\r\n")).unwrap();
    refused("line endings");
    fs::write(&yaml, text.replace("author: \"alice\"", "author: alice")).unwrap();
    refused("a formatter or an editor changed this file");
    fs::write(&yaml, text.split("signature: |").next().unwrap()).unwrap();
    refused("no signature");
    fs::remove_file(&age).unwrap();
    refused("`.age` file is missing");
    fs::remove_file(&yaml).unwrap();
    refused("nobody signed for it");
    assert_eq!(world.get("production/A"), "one");
    // One bad file hides no other from a list.
    fs::write(&yaml, "nonsense").unwrap();
    let run = world.run(&["list"]);
    assert_eq!((run.code, run.out.as_str()), (6, "production/B\nstaging/A\n"), "{}", run.err);
}

#[test]
fn an_epoch_that_does_not_follow_is_no_policy() {
    let world = World::with_secrets(&[("production/A", "one")]);
    fs::copy(world.file("policy/000001.yaml"), world.file("policy/000002.yaml")).unwrap();
    assert!(world.refused(6, &["get", "A"]).contains("it says epoch 1 where epoch 2 has to be"));
    fs::rename(world.file("policy/000002.yaml"), world.file("policy/000003.yaml")).unwrap();
    assert!(world.refused(6, &["get", "A"]).contains("later epochs of the policy are there"));
    fs::remove_file(world.file("policy/000003.yaml")).unwrap();
    assert_eq!(world.get("A"), "one");
}

#[test]
fn repositories_that_cannot_be_written() {
    for option in ["--ref-format=reftable", "--object-format=sha256"] {
        let world = World::empty();
        fs::remove_dir_all(world.project.join(".git")).unwrap();
        world.git(&["init", "-q", option]);
        let error = world.refused(1, &["init"]);
        assert!(error.contains("can't be used"), "{option}: {error}");
    }
    let bare = World::empty();
    fs::remove_dir_all(bare.project.join(".git")).unwrap();
    bare.git(&["init", "-q", "--bare", "."]);
    bare.refused(3, &["init"]);
    let split = World::with_secrets(&[("production/A", "one")]);
    split.git(&["update-index", "--split-index"]);
    assert!(split.refused(1, &["update", "A", CANARY]).contains("index"));
    assert_eq!(split.get("A"), "one");
}

#[test]
fn a_full_disk_changes_nothing() {
    let world = World::with_secrets(&[("production/A", "one")]);
    // Less and less space: the disk is full at one step of the command after another.
    let printed = with_mounts(
        &world,
        "mkdir $HOME/ram; mount -t tmpfs -o size=900k tmpfs $HOME/ram; cp -r . $HOME/ram/project; cd $HOME/ram/project
         vsecure config:set lock_timeout 1s; refused=0
         for free in 0 4 8 16 24 32 40 48; do
             left=$(df --output=avail -k . | tail -1); head -c $(((left - free) * 1024)) /dev/zero > ../filler
             if vsecure update A \"value $free\" 2> ../error; then expected=\"value $free\"; else
                 test $? = 1; grep -q 'no space left' ../error || cat ../error; refused=$((refused + 1)); expected=$(cat ../before 2>/dev/null || echo one); fi
             rm ../filler
             test \"$(vsecure get A)\" = \"$expected\"; echo \"$expected\" > ../before
             test -z \"$(git status --porcelain)\"; git fsck --strict --no-dangling
             test -z \"$(find .git -name '*.lock')\"
         done
         echo refused $refused",
    );
    let refused: usize = printed.split("refused ").nth(1).unwrap().trim().split('\n').next().unwrap().parse().unwrap();
    assert!((2..8).contains(&refused), "some must be refused and some succeed: {printed}");
    assert!(!printed.contains("error:"), "{printed}");
}

#[test]
fn a_repository_that_is_read_only_is_read_and_not_written() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.ok(&["update", "A", "two"]);
    let printed = with_mounts(
        &world,
        "mount --bind . .; mount -o remount,bind,ro .; cd $PWD
         test $(vsecure get A) = two; test $(vsecure get A --version 1) = one; vsecure list; vsecure status >/dev/null; vsecure versions A >/dev/null
         for line in 'update A x' 'create B x' 'delete A' 'update A x --no-commit'; do
             if vsecure $line; then exit 9; else test $? = 1; fi
         done",
    );
    assert_eq!(printed.matches("can't be written").count(), 4, "{printed}");
    assert_eq!(world.get("A"), "two");
}
