//! A repository that wants to run programs on the reader's machine, or to lead writes elsewhere. Each trap is first sprung by plain git, so that it
//! is known to work, and must then stay quiet whatever command of ours runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{CANARY, World};

/// Everything that the program does in a repository, but for what goes over the network: that is git's, with its configuration. What each ends with is
/// not the matter here.
const COMMANDS: [&str; 32] = [
    "get production/A",
    "get production/A --version 1",
    "get production/A --at HEAD~1",
    "list",
    "list --json",
    "describe production/A",
    "versions production/A",
    "versions production/A --all",
    "diff production/A --reveal",
    "status",
    "doctor",
    "verify",
    "verify HEAD~1..HEAD",
    "verify --base HEAD~1 HEAD",
    "trust",
    "update production/A three",
    "update production/A four --no-commit",
    "update production/A --add-tag x",
    "create staging/NEW new",
    "rename staging/NEW staging/OTHER",
    "copy production/A staging/COPY",
    "delete staging/COPY",
    "restore staging/COPY",
    "rollback production/A --version 1",
    "edit production/A",
    "set production/A five",
    "init",
    "--store . get production/A",
    "audit:logs",
    "audit:verify",
    "revert HEAD~1",
    "trust --export",
];

/// A way to have a program run.
struct Trap {
    name: &'static str,
    /// A script that lays it; `$trap` runs the canary.
    lay: &'static str,
    /// What springs it with plain git.
    spring: &'static str,
}

const TRAPS: [Trap; 22] = [
    Trap { name: "core.fsmonitor", lay: "git config core.fsmonitor $trap", spring: "git status" },
    Trap { name: "core.hooksPath", lay: "mkdir h; cp $trap h/pre-commit; git config core.hooksPath h", spring: "git commit --allow-empty -m x" },
    Trap {
        name: "hooks",
        lay: "for hook in pre-commit prepare-commit-msg commit-msg post-commit post-index-change reference-transaction pre-auto-gc post-rewrite \
              post-checkout post-merge pre-merge-commit fsmonitor-watchman; do cp $trap .git/hooks/$hook; done",
        spring: "git commit --allow-empty -m x",
    },
    Trap { name: "a hook that watches references", lay: "cp $trap .git/hooks/reference-transaction", spring: "git update-ref refs/heads/x HEAD" },
    Trap { name: "a hook that watches the index", lay: "cp $trap .git/hooks/post-index-change", spring: "echo > new; git add new" },
    Trap { name: "core.pager", lay: "git config core.pager $trap", spring: "script -qec 'git log' /dev/null" },
    Trap { name: "pager.log", lay: "git config pager.log $trap", spring: "script -qec 'git log' /dev/null" },
    Trap { name: "core.editor", lay: "git config core.editor $trap", spring: "git commit --allow-empty" },
    Trap { name: "sequence.editor", lay: "git config sequence.editor $trap", spring: "git rebase -i HEAD~1" },
    Trap { name: "core.sshCommand", lay: "git config core.sshCommand $trap; git remote add origin ssh://localhost/x", spring: "git fetch" },
    Trap { name: "gpg.program", lay: "git config gpg.program $trap; git config commit.gpgsign true", spring: "git commit --allow-empty -m x" },
    Trap { name: "gpg.openpgp.program", lay: "git config gpg.openpgp.program $trap; git config commit.gpgsign true", spring: "git commit --allow-empty -m x" },
    Trap {
        name: "gpg.ssh.program",
        lay: "git config gpg.ssh.program $trap; git config gpg.format ssh; git config user.signingkey 'key::ssh-ed25519 AAAA'; git config commit.gpgsign true",
        spring: "git commit --allow-empty -m x",
    },
    Trap {
        name: "gpg.ssh.defaultKeyCommand",
        lay: "git config gpg.ssh.defaultKeyCommand $trap; git config gpg.format ssh; git config commit.gpgsign true",
        spring: "git commit --allow-empty -m x",
    },
    Trap {
        name: "a signature that log shows",
        lay: "git config gpg.program $trap; git config log.showSignature true
              git cat-file commit HEAD | sed '/^committer/a gpgsig -----BEGIN PGP SIGNATURE-----\\n \\n x\\n -----END PGP SIGNATURE-----' |
              git hash-object -t commit -w --stdin | xargs git update-ref HEAD",
        spring: "git log -1",
    },
    Trap {
        name: "filters",
        lay: "git config filter.x.clean $trap; git config filter.x.smudge $trap; git config filter.x.process $trap; git config filter.x.required true
              echo '* filter=x' > .git/info/attributes; echo '* filter=x' > .gitattributes; echo '* filter=x' > .vsecure/.gitattributes",
        spring: "git add --renormalize .vsecure",
    },
    Trap {
        name: "textconv",
        lay: "git config diff.vsecure.textconv $trap; git config diff.x.textconv $trap; echo '*.age diff=x' > .git/info/attributes",
        spring: "git log -p",
    },
    Trap { name: "diff.external", lay: "git config diff.external $trap", spring: "git diff HEAD~1" },
    Trap {
        name: "a diff driver",
        lay: "git config diff.vsecure.command $trap; git config merge.x.driver $trap; echo '* diff=vsecure merge=x' > .git/info/attributes",
        spring: "git diff HEAD~1",
    },
    Trap { name: "include.path", lay: "git config -f .git/more core.fsmonitor $trap; git config include.path more", spring: "git status" },
    Trap {
        name: "the configuration of a work tree",
        lay: "git config extensions.worktreeConfig true; git config -f .git/config.worktree core.fsmonitor $trap",
        spring: "git status",
    },
    Trap {
        name: "alias",
        lay: "for word in log rev-list commit-tree x; do git config alias.$word \"!$trap\"; done",
        spring: "git x",
    },
];

/// A store with two versions of a secret, and the script `trap.sh`, which leaves a mark when it runs.
fn world() -> (World, PathBuf) {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.ok(&["update", "A", "two"]);
    let (program, mark) = (world.home.join("trap.sh"), world.home.join("sprung"));
    let script = format!("#!/bin/sh\ntouch {}\ncat >/dev/null 2>&1 </dev/null\nexit 1\n", mark.display());
    fs::write(&program, script).unwrap();
    world.sh("chmod +x $HOME/trap.sh");
    (world, mark)
}

#[test]
fn no_command_runs_what_a_repository_names() {
    for Trap { name, lay, spring } in TRAPS {
        let (world, mark) = world();
        let lay = lay.replace("$trap", &world.home.join("trap.sh").display().to_string());
        world.sh(&lay);
        let copy = world.home.join("copy");
        world.sh("cp -r . $HOME/copy");
        let mut plain = world.command("bash");
        plain.current_dir(&copy).args(["-c", spring]).env("TERM", "xterm");
        let run = World::run_command(plain, b"");
        assert!(mark.exists(), "{name} is no trap for git: {}{}", run.out, run.err);
        fs::remove_file(&mark).unwrap();
        for line in COMMANDS {
            let mut command = world.command("vsecure");
            command.args(line.split(' ')).env("EDITOR", "true");
            let run = World::run_command(command, b"");
            assert!(!mark.exists(), "{name} is sprung by `vsecure {line}`");
            assert_ne!(run.code, 70, "{name}: {line}: {}", run.err);
        }
        assert!(["two", "one", "three", "four", "five"].contains(&world.get("production/A").as_str()), "{name}");
    }
}

#[test]
fn a_repository_within_the_repository_is_not_used() {
    // What a clone can bring: a bare repository as plain files, found by git from within its folder.
    let (world, mark) = world();
    world.sh(
        "git init -q --bare inner; git -C inner config core.fsmonitor $HOME/trap.sh; git -C inner config core.bare false
         git -C inner config core.worktree .; mkdir inner/deep",
    );
    let inner = world.project.join("inner");
    let mut plain = world.command("git");
    plain.current_dir(&inner).args(["status"]);
    World::run_command(plain, b"");
    assert!(mark.exists(), "no trap for git");
    fs::remove_file(&mark).unwrap();
    for line in COMMANDS {
        let mut command = world.command("vsecure");
        command.args(line.split(' ')).current_dir(inner.join("deep")).env("EDITOR", "true");
        World::run_command(command, b"");
        assert!(!mark.exists(), "sprung by `vsecure {line}`");
    }
    assert!(!inner.join("refs/heads/main").exists(), "a commit went astray");
    assert_eq!(world.get("production/A"), "five");
}

/// Everything below `folder`, to see that nothing was written there.
fn below(folder: &Path) -> String {
    let mut names: Vec<String> = crate::vectors::files_below(folder).keys().cloned().collect();
    names.sort();
    names.join(" ")
}

#[test]
fn settings_that_lead_elsewhere_lead_no_write_of_ours_there() {
    for lay in [
        "git config core.worktree $HOME/elsewhere",
        "echo $HOME/elsewhere/objects > .git/objects/info/alternates",
        "git config core.attributesFile $HOME/elsewhere/a; git config core.excludesFile $HOME/elsewhere/b",
        "git config commit.template $HOME/elsewhere/objects/t; git config core.logAllRefUpdates always",
        "rm -rf .git/vsecure; ln -s $HOME/elsewhere .git/vsecure",
        "rm -rf .vsecure/secrets/staging; ln -s $HOME/elsewhere .vsecure/secrets/staging",
        "mv .vsecure/secrets $HOME/moved; ln -s $HOME/elsewhere .vsecure/secrets",
        "rm -rf .vsecure; ln -s $HOME/elsewhere .vsecure",
        "printf '[submodule \"x\"]\\n\\tpath = .vsecure\\n\\turl = ../elsewhere\\n' > .gitmodules",
    ] {
        let world = World::with_secrets(&[("production/A", CANARY)]);
        world.sh("mkdir -p $HOME/elsewhere/objects");
        world.sh(lay);
        let elsewhere = world.home.join("elsewhere");
        let before = below(&elsewhere);
        for line in COMMANDS {
            let mut command = world.command("vsecure");
            command.args(line.split(' ')).env("EDITOR", "true");
            let run = World::run_command(command, b"");
            assert_eq!(below(&elsewhere), before, "`vsecure {line}` with {lay}: {}", run.err);
        }
    }
}

#[test]
fn history_is_what_was_committed_and_not_what_a_repository_puts_in_its_place() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for value in ["two", "three"] {
        world.ok(&["update", "A", value]);
    }
    let versions = || {
        let _ = fs::remove_dir_all(world.project.join(".git/vsecure"));
        world.json(&["versions", "A"])["versions"].as_array().unwrap().len()
    };
    // Replaced: the first version's sidecar by another text, and the newest commit by one without its past.
    world.sh(
        "blob=$(git rev-parse HEAD~2:.vsecure/secrets/production/A.yaml); git replace $blob $(echo forged | git hash-object -w --stdin)
         test \"$(git show HEAD~2:.vsecure/secrets/production/A.yaml)\" = forged
         git replace --graft HEAD; test $(git rev-list --count HEAD) = 1",
    );
    assert_eq!((versions(), world.ok(&["get", "A", "--version", "1"]).as_str()), (3, "one"));
    world.sh("git for-each-ref --format='%(refname)' refs/replace | xargs -n1 git update-ref -d; test $(git rev-list --count HEAD) = 4");
    // Grafted: HEAD has no parents, says a file.
    world.sh("git rev-parse HEAD > .git/info/grafts; test $(git rev-list --count HEAD 2>/dev/null) = 1");
    assert_eq!((versions(), world.ok(&["get", "A", "--version", "1"]).as_str()), (3, "one"));
}

#[test]
fn a_store_that_a_commit_says_is_a_link_or_a_submodule_is_not_built_upon() {
    for entry in [
        "120000 blob $(printf elsewhere | git hash-object -w --stdin)",
        "160000 commit $(git rev-parse HEAD)",
        "100644 blob $(echo text | git hash-object -w --stdin)",
    ] {
        for (place, tree) in [
            (".vsecure", "printf \"$entry\\t.vsecure\\n\" | git mktree"),
            (
                ".vsecure/secrets",
                "store=$(printf \"$entry\\tsecrets\\n\" | git mktree); printf \"040000 tree $store\\t.vsecure\\n\" | git mktree",
            ),
            (
                ".vsecure/secrets/production",
                "secrets=$(printf \"$entry\\tproduction\\n\" | git mktree); store=$(printf \"040000 tree $secrets\\tsecrets\\n\" | git mktree)
                 printf \"040000 tree $store\\t.vsecure\\n\" | git mktree",
            ),
        ] {
            let world = World::with_secrets(&[("production/A", "one")]);
            let tree = tree.replace('\n', ";");
            world.sh(&format!(
                "entry=\"{entry}\"; tree=$({tree}); git update-ref HEAD $(git commit-tree -p HEAD -m hostile $tree)"
            ));
            assert_eq!(world.get("production/A"), "one", "what lies in the work tree is signed as ever");
            for arguments in [
                vec!["get", "production/A", "--at", "HEAD"],
                vec!["update", "production/A", CANARY],
                vec!["create", "production/B", CANARY],
                vec!["delete", "production/A"],
            ] {
                let before = world.state();
                let run = world.run(&arguments);
                assert!([3, 5, 6].contains(&run.code), "{place} {entry}: {arguments:?}: {} {}", run.code, run.err);
                assert!(!run.out.contains("one") && !run.err.contains(CANARY), "{place} {entry}: {arguments:?}");
                assert_eq!(world.state(), before, "{place} {entry}: {arguments:?} changed something");
            }
            // The commit before it is as it was.
            assert_eq!(world.ok(&["get", "production/A", "--at", "HEAD~1"]), "one");
        }
    }
}

#[test]
fn init_makes_no_store_behind_a_link() {
    let world = World::empty();
    let elsewhere = world.home.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, world.project.join(".vsecure")).unwrap();
    let run = world.run(&["init"]);
    assert!(run.code == 5 || run.code == 6, "{} {}", run.code, run.err);
    assert_eq!(below(&elsewhere), "");
    fs::remove_file(world.project.join(".vsecure")).unwrap();
    symlink("nowhere", world.project.join(".vsecure")).unwrap();
    let run = world.run(&["init"]);
    assert!(run.code == 5 || run.code == 6, "{} {}", run.code, run.err);
    assert!(!world.project.join("nowhere").exists());
}
