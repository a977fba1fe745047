//! Writing to git: only the store's files, the user's work untouched, whatever kind of repository.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{CANARY, World};

#[test]
fn the_users_work_stays_exactly_as_it_was() {
    let world = World::with_secrets(&[("production/A", "one"), ("production/B", "b")]);
    let before = world.users_work();
    for arguments in [
        vec!["create", "production/NEW", "n"],
        vec!["update", "A", "two"],
        vec!["update", "A", "--add-tag", "x"],
        vec!["rollback", "A"],
        vec!["rename", "A", "staging/A"],
        vec!["copy", "B", "staging/B"],
        vec!["delete", "staging/B"],
        vec!["restore", "staging/B"],
    ] {
        world.ok(&arguments);
        assert_eq!(world.git(&["status", "--porcelain=v2"]), before, "{arguments:?}");
        let files = world.git(&["show", "--name-only", "--format="]);
        assert!(files.lines().all(|file| file.starts_with(".vsecure/secrets/")), "{arguments:?}: {files}");
    }
    world.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn an_edit_of_the_same_second_is_not_hidden_by_our_index() {
    let world = World::with_secrets(&[("production/A", "one")]);
    // What git can tell by is made equal: time (in a second long past), size, inode; and it is told to ignore the rest.
    world.sh(
        "git config core.trustctime false; printf aaaa > code; touch -d @1000000000 code; git add code
         touch -d @1000000000 .git/index; printf bbbb > code; touch -d @1000000000 code; git --no-optional-locks status --porcelain | grep -q '^AM code'",
    );
    world.ok(&["update", "A", "two"]);
    assert_eq!(world.git(&["status", "--porcelain"]), "AM code\n");
}

#[test]
fn a_merge_can_be_aborted_in_the_second_in_which_we_wrote() {
    let world = World::with_secrets(&[("production/A", "one")]);
    // Git won't abort over a file that it must look at again. Its index is made to have no second of its own.
    world.sh("git checkout -q -b other; echo theirs > theirs; git add theirs; git commit -qm Theirs
         git checkout -q main; git merge -q --no-commit --no-ff other; touch -d @1000000000 .git/index");
    world.ok(&["update", "A", "two", "--no-commit"]);
    world.git(&["merge", "--abort"]);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    assert_eq!(world.get("A"), "one");
}

#[test]
fn what_is_only_to_be_added_some_time_is_not_staged_for_deletion() {
    let world = World::with_store();
    world.ok(&["create", "production/A", "one", "--no-commit"]);
    world.sh("git reset -q; echo code > code; git add -N .vsecure code");
    world.ok(&["update", "A", "two"]);
    assert_eq!(world.git(&["status", "--porcelain"]), " A code\n");
    assert_eq!(world.git(&["diff", "--cached", "--name-only"]), "");
}

#[test]
fn the_index_keeps_its_mode_whatever_the_umask() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.sh("chmod 664 .git/index; umask 077; vsecure update A two");
    assert_eq!(world.sh("stat -c %a .git/index"), "664\n");
}

#[test]
fn an_index_that_is_no_plain_file_is_refused() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.sh("mv .git/index .git/real; ln -s real .git/index");
    assert!(world.refused(1, &["update", "A", CANARY]).contains("no plain file"));
    world.sh("rm .git/index; mkfifo .git/index");
    assert!(world.refused(1, &["update", "A", CANARY]).contains("no plain file"));
    world.sh("rm .git/index; mv .git/real .git/index");
    world.ok(&["update", "A", "two"]);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_work_tree_that_was_put_back_by_hand_is_not_built_upon() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.ok(&["update", "A", "two"]);
    world.git(&["checkout", "-q", "HEAD~1", "--", ".vsecure/secrets"]);
    assert_eq!(world.get("A"), "one");
    for arguments in [
        vec!["update", "A", CANARY],
        vec!["delete", "A"],
        vec!["rename", "A", "B"],
        vec!["update", "A", "--add-tag", "x"],
    ] {
        assert!(world.refused(5, &arguments).contains("git checkout"), "{arguments:?}");
    }
    world.sh("rm .vsecure/secrets/production/A.*");
    world.refused(5, &["create", "production/A", CANARY]);
    world.git(&["checkout", "-q", "HEAD", "--", ".vsecure"]);
    world.ok(&["update", "A", "three"]);
}

#[test]
fn an_unborn_branch_a_branch_with_a_slash_and_a_detached_head() {
    let world = World::empty();
    world.git(&["checkout", "-q", "--orphan", "feature/new/x"]);
    world.ok(&["init"]);
    assert_eq!(world.git(&["rev-parse", "--abbrev-ref", "HEAD"]).trim(), "feature/new/x");
    world.ok(&["create", "production/A", "one"]);
    world.git(&["pack-refs", "--all"]);
    world.ok(&["update", "A", "two"]);
    world.git(&["checkout", "-q", "--detach"]);
    let run = world.run(&["update", "A", "three"]);
    assert!(run.err.contains("detached HEAD"), "{}", run.err);
    assert_eq!(world.git(&["log", "--format=%s", "feature/new/x", "-1"]).trim(), "Update production/A to v2");
    assert_eq!(world.git(&["log", "--format=%s", "-1"]).trim(), "Update production/A to v3");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    let reflog = world.git(&["reflog", "feature/new/x"]);
    assert!(
        reflog.contains("commit (initial): Make a vsecure store")
            && reflog.contains("commit: Update production/A to v2"),
        "{reflog}"
    );
    world.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn what_is_not_checked_out_is_not_passed_over() {
    let world = World::with_secrets(&[("production/A", "one"), ("staging/B", "b")]);
    let helps = |error: String| assert!(error.contains("git sparse-checkout add .vsecure"), "{error}");
    world.git(&["sparse-checkout", "set", "--cone", ".vsecure/policy", ".vsecure/secrets/production"]);
    // Work that concerns others goes on.
    world.ok(&["update", "A", "two"]);
    helps(world.refused(5, &["create", "staging/B", CANARY]));
    helps(world.refused(5, &["env:add", "qa", "--yes"]));
    world.git(&["sparse-checkout", "set", "--cone", "code"]);
    assert!(!world.project.join(".vsecure").exists());
    helps(world.refused(5, &["init"]));
    helps(world.refused(5, &["init", "--dry-run"]));
    world.git(&["sparse-checkout", "add", ".vsecure"]);
    world.ok(&["env:add", "qa", "--yes"]);
    assert_eq!(world.get("staging/B"), "b");
    world.sh("rm -r .vsecure");
    assert!(world.refused(5, &["init"]).contains("git checkout -- .vsecure/policy/000001.yaml"));
    world.sh("git add -A; git commit -q -m Gone");
    world.ok(&["init"]);
}

#[test]
fn linked_work_trees_and_several_stores() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.git(&["worktree", "add", "-q", "../tree", "-b", "other"]);
    let tree = world.project.parent().unwrap().join("tree");
    let in_tree = |folder: &Path, arguments: &[&str]| {
        let mut command = world.command("vsecure");
        command.args(arguments).current_dir(folder);
        World::run_command(command, b"")
    };
    assert_eq!(in_tree(&tree, &["update", "A", "two"]).code, 0);
    assert_eq!((in_tree(&tree, &["get", "A"]).out.as_str(), world.get("A").as_str()), ("two", "one"));
    assert_eq!(world.git_in(&tree, &["status", "--porcelain"]), "");
    fs::create_dir_all(world.project.join("infra/deep")).unwrap();
    let infra = world.project.join("infra");
    assert_eq!(in_tree(&infra, &["init", "--here"]).code, 0);
    assert_eq!(in_tree(&infra.join("deep"), &["create", "production/A", "infra"]).code, 0);
    assert_eq!((in_tree(&infra, &["get", "A"]).out.as_str(), world.get("A").as_str()), ("infra", "one"));
    assert_eq!(world.ok(&["--store", "infra", "get", "A"]), "infra");
    assert_eq!(world.ok(&["--store", "infra/.vsecure", "list"]), "production/A\n");
    assert_eq!(world.json(&["versions", "A"])["versions"].as_array().unwrap().len(), 1);
    world.sh("cp infra/.vsecure/secrets/production/A.* .vsecure/secrets/production/");
    assert!(world.refused(6, &["get", "A"]).contains("another store") || !world.run(&["get", "A"]).err.is_empty());
}

#[test]
fn a_merge_or_rebase_under_way_lets_only_no_commit_write() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.git(&["switch", "-q", "-c", "side"]);
    fs::write(world.project.join("code"), "side").unwrap();
    world.sh("git add code && git commit -q -m side && git switch -q main && echo main > code && git add code && git commit -q -m main");
    world.sh("! git merge -q side");
    assert!(world.refused(5, &["update", "A", CANARY]).contains("--no-commit"));
    world.ok(&["update", "A", "two", "--no-commit"]);
    world.sh("echo both > code && git add code && git commit -q -m merged");
    assert_eq!(world.get("A"), "two");
    assert_eq!(world.json(&["versions", "A"])["versions"].as_array().unwrap().len(), 2);
}

#[test]
fn commits_are_signed_when_git_is_configured_so() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.sh("ssh-keygen -q -t ed25519 -N '' -f $HOME/sign");
    world.sh("git config --global gpg.format ssh && git config --global user.signingkey $HOME/sign.pub && git config --global commit.gpgsign true");
    world.sh("echo \"alice@example.com $(cat $HOME/sign.pub)\" > $HOME/allowed && git config --global gpg.ssh.allowedSignersFile $HOME/allowed");
    world.ok(&["update", "A", "two"]);
    world.git(&["verify-commit", "HEAD"]);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    // A repository's own choice of a program that signs is not ours.
    world.sh("printf '#!/bin/sh\\ntouch $HOME/pwned\\nexec ssh-keygen \"$@\"\\n' > $HOME/evil && chmod +x $HOME/evil");
    world.sh("git config gpg.ssh.program $HOME/evil && git config core.fsmonitor $HOME/evil && git config core.hooksPath $HOME");
    world.sh("printf '#!/bin/sh\\ntouch $HOME/pwned\\n' > $HOME/post-commit && cp $HOME/post-commit $HOME/pre-commit && chmod +x $HOME/p*-commit");
    world.ok(&["update", "A", "three"]);
    world.ok(&["versions", "A"]);
    assert!(!world.home.join("pwned").exists(), "a repository's configuration ran a program");
    world.sh("git config --unset gpg.ssh.program; git config --unset core.fsmonitor; git config --unset core.hooksPath; git verify-commit HEAD");
    world.sh("rm $HOME/sign");
    let refused = world.refused(1, &["update", "A", CANARY]);
    assert!(refused.contains("could not sign"), "{refused}");
}

#[test]
fn what_a_git_takes_away_before_a_branch_names_it_is_written_again() {
    let world = World::with_secrets(&[("production/A", "one")]);
    // Whoever signs is asked when the files' contents are written, and nothing names them yet.
    world.sh(
        r#"printf '%s\n' '#!/bin/sh' 'cat > /dev/null' 'mkdir "$HOME/once" 2> /dev/null && git prune --expire=now' \
             'echo "[GNUPG:] SIG_CREATED " >&2' 'printf "%s\n" "-----BEGIN PGP SIGNATURE-----" "" x "-----END PGP SIGNATURE-----"' > $HOME/signer
           chmod +x $HOME/signer; git config --global gpg.program $HOME/signer; git config --global commit.gpgsign true"#,
    );
    world.ok(&["update", "A", "two"]);
    assert!(world.home.join("once").is_dir());
    world.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!((world.get("A").as_str(), world.git(&["status", "--porcelain"]).as_str()), ("two", ""));
}

#[test]
fn commits_are_signed_by_openpgp_too() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let gnupg = world.home.join(".gnupg");
    fs::create_dir(&gnupg).unwrap();
    world.sh("chmod 700 $HOME/.gnupg && gpg --batch -q --passphrase '' --quick-gen-key 'Alice <alice@example.com>' ed25519 sign never");
    world.sh("git config --global commit.gpgsign true");
    world.ok(&["update", "A", "two"]);
    world.git(&["verify-commit", "HEAD"]);
    world.sh("gpgconf --kill all");
}

#[test]
fn a_held_lock_is_waited_for_and_then_named() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.ok(&["config:set", "lock_timeout", "1s"]);
    fs::write(world.project.join(".git/index.lock"), "").unwrap();
    let start = Instant::now();
    let refused = world.refused(5, &["update", "A", CANARY]);
    assert!(refused.contains("index.lock") && start.elapsed() >= Duration::from_secs(1), "{refused}");
    assert!(world.project.join(".git/index.lock").exists(), "a lock that is not ours is not broken");
    assert_eq!(world.get("A"), "one");
    fs::remove_file(world.project.join(".git/index.lock")).unwrap();
    let mut holder = world.command("bash");
    holder
        .args(["-c", "exec 9<>.git/vsecure/lock; flock 9; echo 'process 4711 (write)' >&9; exec sleep 30"])
        .stdout(Stdio::null());
    let mut holder = holder.spawn().unwrap();
    thread::sleep(Duration::from_millis(200));
    let refused = world.refused(5, &["update", "A", CANARY]);
    assert!(refused.contains("lock: process 4711 (write)"), "{refused}");
    assert_eq!(world.get("A"), "one", "reading needs no lock");
    holder.kill().unwrap();
    holder.wait().unwrap();
    world.ok(&["update", "A", "two"]);
}

#[test]
fn an_id_of_the_clone_that_a_kill_cut_off_is_made_again() {
    let world = World::with_store();
    let (id, file) = (
        || fs::read_to_string(world.project.join(".git/vsecure/clone-id")).unwrap(),
        world.project.join(".git/vsecure/clone-id"),
    );
    let made = id();
    for cut in ["", "0123"] {
        fs::write(&file, cut).unwrap();
        world.ok(&["list"]);
        assert!(id().len() == made.len() && id() != made, "{}", id());
    }
}

#[test]
fn init_beside_other_work_and_without_a_commit() {
    let world = World::empty();
    fs::write(world.project.join("staged"), "x").unwrap();
    world.git(&["add", "staged"]);
    let dry = world.run(&["init", "--dry-run"]);
    assert!(dry.code == 0 && !world.project.join(".vsecure").exists() && !world.identity().exists(), "{}", dry.err);
    assert!(dry.err.contains("would make the store") && !dry.err.contains("made"), "{}", dry.err);
    world.ok(&["init", "--no-commit", "--name", "al", "--email", "al@example.com"]);
    world.ok(&["create", "production/A", "one"]);
    let files = world.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
    let expected = ".vsecure/.gitattributes\n.vsecure/policy/000001.yaml\n.vsecure/secrets/production/A.age\n.vsecure/secrets/production/A.yaml\n";
    assert_eq!(files, expected, "a commit of secrets brings what it can't be read without");
    assert_eq!(world.git(&["status", "--porcelain"]), "A  staged\n");
    assert_eq!(world.json(&["status"])["member"], "al");
    let attributes = world.git(&["check-attr", "-a", ".vsecure/secrets/production/A.yaml"]);
    assert!(attributes.contains("text: unset") && attributes.contains("diff: vsecure"), "{attributes}");
}
