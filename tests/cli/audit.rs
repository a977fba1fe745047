//! The access log: what is written down, and who can see and check it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vsecure::crypto::{Identity, Namespace, NoPassphrase, SecretBytes, parse_identities, sign_document};
use vsecure::model::{Digest, Document as _, Epoch, Member, MemberKeys, Policy, Rule, StoreId};

use crate::support::{CANARY, Run, World, found_below, with_mounts};

/// The files of the local log.
fn log_files(project: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(project.join(".git/vsecure/audit")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        folder.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
    files.sort();
    files
}

/// The lines of the local log, parsed.
fn lines(project: &Path) -> Vec<Value> {
    let texts = log_files(project).into_iter().map(|file| fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

#[test]
fn a_read_is_written_down_before_it_is_released() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    assert!(lines(&world.project).is_empty(), "writing is in the signed history and needs no line");
    world.ok(&["update", "A", "two"]);
    world.get("A");
    world.ok(&["get", "A", "--version", "1"]);
    world.ok(&["get", "A", "--at", "HEAD"]);
    world.ok(&["diff", "A"]);
    world.ok(&["list"]);
    world.ok(&["describe", "A"]);
    let lines = lines(&world.project);
    let said = |key: &str| lines.iter().map(|line| line[key].to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(said("sequence"), "1 2 3 4 5");
    assert_eq!(said("command"), "\"secrets:get\" \"secrets:get\" \"secrets:get\" \"secrets:diff\" \"secrets:diff\"");
    assert_eq!(
        lines.iter().map(|line| line["resource"]["version"].as_u64().unwrap()).collect::<Vec<_>>(),
        [2, 1, 2, 2, 1]
    );
    let first = &lines[0];
    assert_eq!(first["action"], "accessed");
    assert_eq!(first["result"], "ok");
    assert_eq!(first["actor"]["member"], "alice");
    assert_eq!(first["resource"]["path"], "production/A");
    assert_eq!(first["resource"]["revision"], 2);
    assert_eq!(first["previous"], Value::Null);
    assert_eq!(first["ci"], Value::Null);
    assert!(first["client"].as_str().unwrap().starts_with("vsecure "));
    let device = fs::read_to_string(world.project.join(".git/vsecure/clone-id")).unwrap();
    assert_eq!(first["device"], device.trim());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&log_files(&world.project)[0]), 0o600);
    assert_eq!(mode(&world.project.join(".git/vsecure/audit")), 0o700);
    assert_eq!(found_below(&world.project.join(".git/vsecure"), CANARY), None, "no value is ever written down");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_refused_read_is_written_down_as_refused() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let age = world.file("secrets/production/A.age");
    let good = fs::read(&age).unwrap();
    fs::write(&age, "rubbish").unwrap();
    world.refused(6, &["get", "A"]);
    fs::write(&age, good).unwrap();
    world.refused(3, &["get", "B"]);
    let lines = lines(&world.project);
    assert_eq!(lines.len(), 1, "what is not there was not refused: {lines:?}");
    assert_eq!((lines[0]["result"].as_str(), lines[0]["reason"].as_str()), (Some("refused"), Some("value-replaced")));
    assert_eq!(lines[0]["resource"]["version"], Value::Null);
}

#[test]
fn a_run_of_ci_is_named_and_odd_variables_do_no_harm() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for (number, run) in [("77", Some("77")), ("a\u{1b}[31m", None)] {
        let mut command = world.command("vsecure");
        command.args(["get", "A"]).env("GITHUB_ACTIONS", "true").env("GITHUB_RUN_ID", number);
        assert_eq!(World::run_command(command, b"").out, "one");
        let line = lines(&world.project).pop().unwrap();
        assert_eq!((line["ci"]["provider"].as_str(), line["ci"]["run"].as_str()), (Some("github-actions"), run));
    }
}

#[test]
fn reads_can_be_left_out_or_required() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    world.ok(&["config:set", "access_log", "off"]);
    world.get("A");
    assert!(lines(&world.project).is_empty());
    world.ok(&["config:set", "access_log", "required"]);
    assert_eq!(world.get("A"), CANARY);
    assert_eq!(lines(&world.project).len(), 1);
    // Where there can be no log, a value is released only if none is required.
    let log = log_files(&world.project).remove(0);
    fs::write(&log, format!("{}\n", "x".repeat(9000))).unwrap();
    assert!(world.refused(1, &["get", "A"]).contains("not released"));
    world.ok(&["config:set", "access_log", "local"]);
    let run = world.run(&["get", "A"]);
    assert!(run.out == CANARY && run.err.contains("could not be written down"), "{}", run.err);
    fs::remove_dir_all(world.project.join(".git")).unwrap();
    let run = world.run(&["get", "A"]);
    assert!(run.out == CANARY && run.err.is_empty(), "{}", run.err);
    world.ok(&["config:set", "access_log", "required"]);
    let run: Run = world.run(&["get", "A"]);
    assert!(run.code == 1 && run.out.is_empty() && run.err.contains("git work tree"), "{}", run.err);
}

#[test]
fn a_torn_line_is_cut_off_and_the_chain_goes_on() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.get("A");
    let log = log_files(&world.project).remove(0);
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{whole}{{\"format\":1,\"seq")).unwrap();
    world.get("A");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with(&whole));
    assert_eq!(lines(&world.project).iter().map(|line| line["sequence"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_read_killed_at_any_step_releases_nothing_that_is_not_written_down() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    world.ok(&["config:set", "access_log", "required"]);
    let (mut killed, mut released) = (0, 0);
    for (calls, most) in [("write", 3), ("fdatasync", 1), ("flock", 1), ("pread64", 2)] {
        for nth in 1..=most {
            let before = lines(&world.project).len();
            let mut command = world.command("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
            command.args(["-e", &format!("inject={calls}:signal=KILL:when={nth}"), "vsecure", "get", "A"]);
            let run = World::run_command(command, b"");
            killed += usize::from(run.code != 0);
            released += usize::from(run.out == CANARY);
            world.ok(&["audit:verify"]);
            let now = lines(&world.project).len();
            assert!(run.out.is_empty() || now > before, "{calls} {nth}: released without a line");
        }
    }
    assert!(killed >= 4 && released >= 1, "{killed} killed, {released} released");
    assert_eq!(world.get("A"), CANARY);
    world.ok(&["audit:verify"]);
}

#[test]
fn many_readers_at_once_make_one_unbroken_log() {
    let world = World::with_secrets(&[("production/A", "one")]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| assert_eq!(world.get("A"), "one")));
        }
    });
    let sequence: Vec<u64> = lines(&world.project).iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (1..=20).collect::<Vec<_>>());
}

#[test]
fn on_a_full_disk_a_read_goes_on_and_a_required_line_is_missed() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let printed = with_mounts(
        &world,
        "mkdir $HOME/ram; mount -t tmpfs -o size=900k tmpfs $HOME/ram; cp -r . $HOME/ram/project; cd $HOME/ram/project
         vsecure get A >/dev/null; log=$(echo .git/vsecure/audit/*.jsonl)
         # Up to the end of the page that the file has.
         while test $(($(stat -c %s $log) % 4096)) -lt 3300; do vsecure get A >/dev/null; done
         head -c 1M /dev/zero > ../filler || true; before=$(stat -c %s $log)
         for n in 1 2 3; do test \"$(vsecure get A 2>>$HOME/warnings)\" = one || exit 9; done
         test $(grep -c 'could not be written down (disk-full)' $HOME/warnings) -ge 2
         vsecure config:set access_log required
         if vsecure get A > $HOME/out; then exit 7; else test $? = 1; fi; test ! -s $HOME/out
         tail -c 1 $log | od -c | grep -q '\\\\n'
         rm ../filler; test $(vsecure get A) = one
         echo lines $(wc -l < $log) last $(tail -1 $log | grep -o '\"sequence\":[0-9]*')",
    );
    let end = printed.split("lines ").nth(1).unwrap();
    let (lines, sequence) = end.split_once(" last \"sequence\":").unwrap();
    assert_eq!(lines, sequence.trim().lines().next().unwrap(), "{printed}");
}

#[test]
fn a_read_only_repository_has_no_log_unless_one_is_required() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let printed = with_mounts(
        &world,
        "vsecure config:set access_log local; mount --bind . .; mount -o remount,bind,ro .; cd $PWD
         test $(vsecure get A 2>$HOME/err) = one; test ! -s $HOME/err
         vsecure config:set access_log required
         if vsecure get A; then exit 9; else test $? = 1; fi",
    );
    assert!(printed.contains("not released") && printed.contains("can't be written"), "{printed}");
    assert!(lines(&world.project).is_empty());
}

/// Two members who both read and write, each at a machine of their own, and a bare repository between their clones.
struct Team {
    alice: World,
    bob: World,
}

fn identity_of(world: &World) -> Identity {
    let bytes = SecretBytes::new(fs::read(world.identity()).unwrap());
    parse_identities(&bytes, "test", &mut NoPassphrase).unwrap().remove(0)
}

fn key_of(world: &World) -> String {
    identity_of(world).verifying_key().fingerprint().digest().to_string()
}

fn remote_of(alice: &World) -> PathBuf {
    alice.home.join("remote.git")
}

impl Team {
    fn new() -> Self {
        let team = Self { alice: World::empty(), bob: World::empty() };
        let Self { alice, bob } = &team;
        alice.ok(&["keys:generate"]);
        bob.ok(&["keys:generate"]);
        let id = team.write_policy();
        alice.git(&["init", "-q", "--bare", remote_of(alice).to_str().unwrap()]);
        alice.git(&["remote", "add", "origin", remote_of(alice).to_str().unwrap()]);
        alice.git(&["push", "-q", "-u", "origin", "main"]);
        alice.ok(&["--store-id", &id, "trust"]);
        alice.ok(&["create", "production/A", CANARY]);
        alice.git(&["push", "-q"]);
        fs::remove_dir_all(&bob.project).unwrap();
        bob.git_in(&bob.home, &["clone", "-q", remote_of(alice).to_str().unwrap(), bob.project.to_str().unwrap()]);
        bob.ok(&["--store-id", &id, "trust"]);
        team
    }

    /// The policy of epoch 1, in which both may do everything.
    fn policy(&self) -> Policy {
        let member = |name: &str, world: &World| {
            let identity = identity_of(world);
            let keys = MemberKeys {
                recipient: identity.recipient().to_string(),
                signing: identity.verifying_key().to_string(),
            };
            let email = format!("{name}@example.com").parse().unwrap();
            let roles = vec!["admins".parse().unwrap()];
            (name.parse().unwrap(), Member { email, roles, keys: vec![keys], lost: Default::default() })
        };
        let both: Vec<_> = ["alice", "bob"].iter().map(|name| name.parse().unwrap()).collect();
        let rule = Rule {
            read: both.clone(),
            write: both.clone(),
            delete: both,
            grant: None,
            on_expired: None,
            max_grant: None,
        };
        Policy {
            epoch: Epoch::FIRST,
            salt: Some("0".repeat(32)),
            previous: None,
            author: "alice".parse().unwrap(),
            time: "2026-11-24".parse().unwrap(),
            environments: vec!["production".parse().unwrap()],
            roles: vec!["admins".parse().unwrap()],
            members: [member("alice", &self.alice), member("bob", &self.bob)].into(),
            secrets: [("**".parse().unwrap(), rule)].into(),
            accepted: None,
        }
    }

    fn write_policy(&self) -> String {
        let attributes = "* -text -filter -ident -working-tree-encoding -merge\nsecrets/** diff=vsecure\n";
        fs::create_dir_all(self.alice.file("policy")).unwrap();
        fs::write(self.alice.file(".gitattributes"), attributes).unwrap();
        StoreId::of_first_epoch(&self.commit_policy(&self.policy())).to_string()
    }

    /// Signs `policy` as alice and commits it; its file.
    fn commit_policy(&self, policy: &Policy) -> Vec<u8> {
        let file = sign_document(&policy.body(), Namespace::Policy, &identity_of(&self.alice)).unwrap();
        fs::write(self.alice.file(&format!("policy/{:06}.yaml", policy.epoch.get())), &file).unwrap();
        self.alice.git(&["add", "."]);
        self.alice.git(&["commit", "-q", "-m", "policy"]);
        file
    }
}

#[test]
fn what_a_member_read_who_was_removed_since_stays_known() {
    let team = Team::new();
    let Team { alice, bob } = &team;
    bob.get("A");
    bob.ok(&["audit:push"]);
    alice.ok(&["audit:fetch"]);
    let mut policy = team.policy();
    policy.epoch = policy.epoch.next();
    policy.salt = None;
    policy.previous = Some(Digest::of(&fs::read(alice.file("policy/000001.yaml")).unwrap()));
    policy.members.retain(|name, _| name.as_str() == "alice");
    for rule in policy.secrets.values_mut() {
        for names in [&mut rule.read, &mut rule.write, &mut rule.delete] {
            names.retain(|name| name.as_ref() == "alice");
        }
    }
    team.commit_policy(&policy);
    assert_eq!(reads(alice), ["bob production/A ok"]);
    alice.ok(&["audit:verify"]);
    let epochs = alice.ok(&["audit:logs", "--resource", "policy"]);
    assert!(epochs.contains("updated\tpolicy, epoch 2") && epochs.contains("created\tpolicy, epoch 1"), "{epochs}");
    alice.git(&["push", "-q"]);
    bob.git(&["pull", "-q"]);
    for arguments in [&["get", "A"][..], &["audit:push"]] {
        assert_eq!(bob.run(arguments).code, 4, "{arguments:?}");
    }
}

/// What `audit:logs` shows of reads: who, what, how often, as programs see it.
fn reads(world: &World) -> Vec<String> {
    let logs = world.json(&["audit:logs", "--resource", "secrets", "--action", "accessed"]);
    let events = logs["events"].as_array().unwrap();
    let text = |event: &Value| {
        format!(
            "{} {} {}",
            event["actor"].as_str().unwrap(),
            event["resource"]["path"].as_str().unwrap(),
            event["result"].as_str().unwrap()
        )
    };
    let mut reads: Vec<String> = events.iter().map(text).collect();
    reads.sort();
    reads
}

/// Runs a check that must find something; its findings.
fn findings(world: &World, arguments: &[&str]) -> String {
    let mut all = arguments.to_vec();
    all.push("--json");
    let run = world.run(&all);
    assert_eq!(run.code, 8, "{arguments:?}: {}{}", run.out, run.err);
    let value: Value = serde_json::from_str(&run.out).unwrap();
    value["findings"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_one_member_reads_and_publishes_another_sees() {
    let Team { alice, bob } = Team::new();
    assert_eq!(bob.get("A"), CANARY);
    bob.get("A");
    alice.get("A");
    assert_eq!(reads(&alice), ["alice production/A ok"]);
    assert!(alice.ok(&["audit:fetch"]).is_empty(), "nothing is published yet");
    let pushed = bob.json(&["audit:push"]);
    assert_eq!((pushed["events"].as_u64(), pushed["new"].as_u64()), (Some(2), Some(2)));
    let reference = format!("refs/vsecure/audit/{}", key_of(&bob));
    assert_eq!(pushed["reference"], reference.as_str());
    assert_eq!(bob.json(&["audit:push"])["new"], 0);
    let fetched = alice.json(&["audit:fetch"]);
    assert_eq!((fetched["logs"][0]["member"].as_str(), fetched["logs"][0]["events"].as_u64()), (Some("bob"), Some(2)));
    let both = ["alice production/A ok", "bob production/A ok", "bob production/A ok"];
    assert_eq!(reads(&alice), both);
    // Its own reads, published and here, are shown once.
    alice.ok(&["audit:push"]);
    alice.ok(&["audit:fetch"]);
    assert_eq!(reads(&alice), both);
    bob.get("A");
    assert_eq!(bob.json(&["audit:push"])["new"], 1);
    alice.ok(&["audit:fetch"]);
    assert_eq!(reads(&alice).len(), 4);
    let verified = alice.json(&["audit:verify"]);
    assert_eq!(verified["logs"].as_array().unwrap().len(), 3, "{verified}");
    assert_eq!(verified["findings"], serde_json::json!([]));
    // Branches, index, work tree and FETCH_HEAD are as they were.
    assert_eq!(alice.git(&["status", "--porcelain"]), "");
    assert!(!alice.project.join(".git/FETCH_HEAD").exists());
    assert_eq!(found_below(&alice.project.join(".git/vsecure"), CANARY), None);
}

#[test]
fn stock_tools_verify_a_published_log() {
    let Team { alice, bob } = Team::new();
    bob.get("A");
    bob.ok(&["audit:push"]);
    let signer = identity_of(&bob).verifying_key().to_string();
    alice.sh(&format!(
        "git fetch -q origin 'refs/vsecure/audit/*:refs/x/*'; commit=$(git for-each-ref --format='%(objectname)' refs/x)
         head=$(git ls-tree -r --name-only $commit | grep head.yaml); git show $commit:$head > F; git show $commit:${{head%head.yaml}}000001.jsonl > L
         echo 'bob {signer}' > allowed; sed '1,/^signature: |$/d; s/^  //' F > F.sig
         sed '/^signature: |$/,$d' F | ssh-keygen -Y verify -f allowed -I bob -n vsecure-audit-v1 -s F.sig
         grep -q \"last: \\\"$(tail -1 L | sha256sum | cut -d' ' -f1)\\\"\" F; grep -q \"events: $(wc -l < L)\" F"
    ));
}

#[test]
fn two_clones_of_one_member_write_one_reference_without_losing_a_line() {
    let Team { alice, bob } = Team::new();
    let second = alice.home.join("second");
    alice.git_in(&alice.home, &["clone", "-q", remote_of(&alice).to_str().unwrap(), second.to_str().unwrap()]);
    let in_second = |arguments: &[&str]| {
        let mut command = alice.command("vsecure");
        command.args(arguments).current_dir(&second);
        let run = World::run_command(command, b"");
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
    };
    alice.get("A");
    alice.ok(&["audit:push"]);
    in_second(&["get", "A"]);
    in_second(&["audit:push"]);
    alice.get("A");
    alice.ok(&["audit:push"]);
    let fetched = bob.json(&["audit:fetch"]);
    let counts: Vec<u64> =
        fetched["logs"].as_array().unwrap().iter().map(|log| log["events"].as_u64().unwrap()).collect();
    assert!(counts == [1, 2] || counts == [2, 1], "{fetched}");
    assert_eq!(reads(&bob).len(), 3);
    // A clone copied with its git directory goes on from the same line in two ways.
    let third = alice.home.join("third");
    alice.sh(&format!("cp -r . {}", third.display()));
    alice.get("A");
    alice.ok(&["audit:push"]);
    let mut command = alice.command("bash");
    command.args(["-c", "vsecure get A && vsecure audit:push"]).current_dir(&third);
    let run = World::run_command(command, b"");
    assert!(run.code == 5 && run.err.contains("clone-id"), "{}", run.err);
}

/// Whether it goes on from what is there, the files by path and content, and what is found to be wrong with it.
type Forgery = (bool, Vec<(String, String)>, &'static str);

/// Makes `reference` of the remote name a commit with these files, upon what it names, or upon nothing.
fn forge(world: &World, reference: &str, upon: bool, files: &[(&str, &str)]) {
    let remote = remote_of(world);
    let mut script =
        format!("cd {}; export GIT_INDEX_FILE=$HOME/forged-index; rm -f $GIT_INDEX_FILE\n", remote.display());
    if upon {
        script += &format!("git read-tree {reference}\n");
    }
    for (path, content) in files {
        fs::write(world.home.join("forged-content"), content).unwrap();
        script +=
            &format!("git update-index --add --cacheinfo 100644,$(git hash-object -w $HOME/forged-content),{path}\n");
        // One file after the other: each has its own content.
        world.sh(&script);
        script = format!("cd {}; export GIT_INDEX_FILE=$HOME/forged-index\n", remote.display());
    }
    let parent = if upon { format!("-p {reference}") } else { String::new() };
    script += &format!("git update-ref {reference} $(git commit-tree $(git write-tree) {parent} -m forged)");
    world.sh(&script);
}

#[test]
fn whoever_can_push_can_neither_forge_nor_take_back_a_log() {
    let Team { alice, bob } = Team::new();
    bob.get("A");
    bob.get("A");
    bob.ok(&["audit:push"]);
    alice.ok(&["audit:fetch"]);
    let reference = format!("refs/vsecure/audit/{}", key_of(&bob));
    let git = |arguments: &[&str]| alice.git_in(&remote_of(&alice), arguments);
    let good = git(&["rev-parse", &reference]).trim().to_owned();
    let log = git(&["ls-tree", "-r", "--name-only", &reference])
        .lines()
        .find(|it| it.ends_with(".jsonl"))
        .unwrap()
        .to_owned();
    let folder = log.trim_end_matches("/000001.jsonl");
    let text = git(&["cat-file", "blob", &format!("{reference}:{log}")]);
    let head = git(&["cat-file", "blob", &format!("{reference}:{folder}/head.yaml")]);
    let first = format!("{}\n", text.lines().next().unwrap());
    let extra = format!("{text}{{\"format\":1}}\n");
    let store = folder.split_once('/').unwrap().0;
    let other_clone = format!("{store}/{}", "0".repeat(32));
    let cases: Vec<Forgery> = vec![
        (true, vec![(log.clone(), text.replace("production/A", "production/B"))], "chain is broken"),
        (true, vec![(log.clone(), first)], "not those that were signed"),
        (true, vec![(log.clone(), extra)], "can't be used"),
        (true, vec![(format!("{folder}/head.yaml"), head.replace("events: 2", "events: 1"))], "signature"),
        (
            true,
            vec![
                (format!("{other_clone}/head.yaml"), head.clone()),
                (format!("{other_clone}/000001.jsonl"), text.clone()),
            ],
            "moved here",
        ),
        (true, vec![(format!("{folder}/000003.jsonl"), text.clone())], "not made as a log is"),
        (true, vec![("evil\u{1b}[31m".to_owned(), "x".to_owned())], "not made as a log is"),
        (false, vec![(format!("{folder}/head.yaml"), head), (log.clone(), text)], "rewritten"),
    ];
    for (upon, files, expected) in cases {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
        forge(&alice, &reference, upon, &files);
        for arguments in [["audit:fetch"], ["audit:verify"]] {
            let found = findings(&alice, &arguments);
            assert!(
                found.contains(expected) && found.contains("bob") && !found.contains('\u{1b}'),
                "{expected}: {found}"
            );
        }
        assert_eq!(reads(&alice), ["bob production/A ok", "bob production/A ok"], "{expected}: what was seen is kept");
        git(&["update-ref", &reference, &good]);
    }
    // Back on a good state, nothing is wrong any more.
    alice.ok(&["audit:fetch"]);
    git(&["update-ref", "-d", &reference]);
    assert!(findings(&alice, &["audit:fetch"]).contains("not there any more"));
    assert_eq!(reads(&alice).len(), 2);
    // Bob's next push brings it back, and goes on from what was seen.
    bob.get("A");
    bob.ok(&["audit:push"]);
    alice.ok(&["audit:fetch"]);
    assert_eq!(reads(&alice).len(), 3);
}

#[test]
fn a_clones_log_that_is_dropped_or_a_stranger_is_found() {
    let Team { alice, bob } = Team::new();
    bob.get("A");
    bob.ok(&["audit:push"]);
    alice.ok(&["audit:fetch"]);
    let reference = format!("refs/vsecure/audit/{}", key_of(&bob));
    // A commit that goes on from what was seen, and no longer has bob's log in it.
    alice.sh(&format!(
        "cd {}; git update-ref {reference} $(git commit-tree $(git hash-object -t tree /dev/null) -p {reference} -m x)",
        remote_of(&alice).display()
    ));
    assert!(findings(&alice, &["audit:fetch"]).contains("takes back"));
    assert_eq!(reads(&alice), ["bob production/A ok"]);
    bob.get("A");
    bob.ok(&["audit:push"]);
    alice.ok(&["audit:fetch"]);
    assert_eq!(reads(&alice).len(), 2);
    let remote = remote_of(&alice);
    let stranger = format!("refs/vsecure/audit/{}", "0".repeat(64));
    alice.git_in(&remote, &["update-ref", &stranger, &reference]);
    assert!(findings(&alice, &["audit:fetch"]).contains("no member's key"));
    alice.git_in(&remote, &["update-ref", "-d", &stranger]);
    let blob = alice.sh(&format!("cd {}; echo x | git hash-object -w --stdin", remote.display()));
    alice.git_in(&remote, &["update-ref", &reference, blob.trim()]);
    assert!(findings(&alice, &["audit:fetch"]).contains("it is no commit"));
    assert_eq!(reads(&alice).len(), 2);
}

#[test]
fn a_changed_local_log_is_found_and_not_published() {
    let Team { alice, bob } = Team::new();
    alice.get("A");
    alice.get("A");
    let log = log_files(&alice.project).remove(0);
    let text = fs::read_to_string(&log).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    for changed in [second.to_owned(), format!("{}\n{second}", first.replace("accessed", "listed"))] {
        fs::write(&log, changed).unwrap();
        assert!(findings(&alice, &["audit:verify"]).contains("not what was written"));
        assert!(alice.refused(6, &["audit:push"]).contains("chain is broken"));
        let run = alice.run(&["audit:logs"]);
        assert!(run.code == 0 && run.err.contains("left out"), "{}", run.err);
    }
    bob.get("A");
    fs::copy(log_files(&bob.project).remove(0), &log).unwrap();
    assert!(alice.refused(6, &["audit:push"]).contains("belongs to another log"));
    // Lines that were published and are cut off here: what others saw is not taken back.
    fs::write(&log, &text).unwrap();
    alice.ok(&["audit:push"]);
    fs::write(&log, format!("{first}\n")).unwrap();
    alice.refused(5, &["audit:push"]);
}

#[test]
fn changes_and_reads_are_one_stream_with_filters() {
    let world = World::with_secrets(&[("production/A", "one"), ("staging/B", "two")]);
    world.ok(&["update", "production/A", "three"]);
    world.ok(&["update", "production/A", "--add-tag", "x"]);
    world.ok(&["rollback", "production/A"]);
    world.ok(&["copy", "staging/B", "staging/C"]);
    world.ok(&["rename", "staging/C", "staging/D"]);
    world.ok(&["delete", "staging/D"]);
    world.ok(&["restore", "staging/D"]);
    world.ok(&["create", "staging/E", "x", "--no-commit"]);
    world.get("production/A");
    let shown = |arguments: &[&str]| -> Vec<String> {
        let mut all = vec!["audit:logs"];
        all.extend(arguments);
        let logs = world.json(&all);
        let events = logs["events"].as_array().unwrap().clone();
        let text = |event: &Value| {
            let path = event["resource"]["path"].as_str().unwrap_or("-").to_owned();
            format!("{} {path}", event["action"].as_str().unwrap())
        };
        let mut shown: Vec<String> = events.iter().map(text).collect();
        shown.sort();
        shown
    };
    assert_eq!(
        shown(&[]),
        [
            "accessed production/A",
            "created -",
            "created production/A",
            "created staging/B",
            "created staging/C",
            "created staging/D",
            "created staging/E",
            "deleted staging/C",
            "deleted staging/D",
            "restored staging/D",
            "rolled_back production/A",
            "updated production/A",
            "updated production/A",
        ]
    );
    assert_eq!(shown(&["--resource", "policy"]), ["created -"]);
    assert_eq!(shown(&["--resource", "secrets", "--action", "accessed"]), ["accessed production/A"]);
    assert_eq!(shown(&["--action", "deleted,restored", "--name", "D"]), ["deleted staging/D", "restored staging/D"]);
    assert_eq!(shown(&["--env", "production", "--action", "created"]), ["created production/A"]);
    assert_eq!(shown(&["--name", "staging/*", "--action", "deleted"]).len(), 2);
    assert_eq!(shown(&["--actor", "alice@example.com"]).len(), 13);
    assert_eq!(shown(&["--actor", "bob"]).len(), 0);
    assert_eq!(shown(&["--limit", "3"]).len(), 3);
    assert_eq!(shown(&["--since", "1h"]).len(), 13);
    assert_eq!(shown(&["--until", "1h"]).len(), 0);
    assert_eq!(shown(&["--since", "2999-01-01"]).len(), 0);
    world.refused(2, &["audit:logs", "--action", "watched"]);
    world.refused(3, &["audit:logs", "--env", "nowhere"]);
    world.get("production/A");
    let run = world.run(&["audit:logs", "--resource", "secrets", "--action", "accessed"]);
    assert!(run.out.contains("accessed ×2\tproduction/A v3\tok\tsecrets:get, clone "), "{}", run.out);
    assert!(run.err.contains("the absence of a line is no proof"), "{}", run.err);
    let newest = world.json(&["audit:logs", "--limit", "1"]);
    assert_eq!(newest["events"][0]["action"], "accessed");
    assert!(newest["unknown"].to_string().contains("no proof"));
    let change = &world.json(&["audit:logs", "--action", "rolled_back"])["events"][0];
    assert_eq!((change["source"].as_str(), change["change"].as_str()), (Some("history"), Some("rollback")));
    assert_eq!(change["commit"].as_str().unwrap().len(), 40);
}

#[test]
fn without_a_remote_a_log_can_not_be_published() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.get("A");
    assert!(world.refused(3, &["audit:push"]).contains("git remote add"));
    world.git(&["remote", "add", "origin", "/nowhere/at/all"]);
    world.refused(1, &["audit:push"]);
    world.refused(3, &["audit:fetch", "--remote=--upload-pack=touch x"]);
    world.git(&["remote", "add", "one", "x"]);
    world.git(&["remote", "rename", "origin", "two"]);
    assert!(world.refused(3, &["audit:fetch"]).contains("--remote says which: one, two"));
}
