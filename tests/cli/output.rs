//! What is printed, and where: data on standard output, everything else on standard error, no value where none was asked for.

use std::fs;

use crate::support::{CANARY, World, found_below};

fn on_terminal(world: &World, line: &str, input: &str) -> crate::support::Run {
    let mut command = world.command("script");
    command.args(["-qec", line, "/dev/null"]).env("TERM", "xterm").env("EDITOR", "true");
    World::run_command(command, input.as_bytes())
}

#[test]
fn get_prints_the_bytes_and_a_line_end_only_on_a_terminal() {
    let world = World::with_secrets(&[("production/A", "one")]);
    assert_eq!(world.run(&["get", "A"]).bytes, b"one");
    assert_eq!(on_terminal(&world, "vsecure get A", "").out, "one\r\n");
    let json = world.json(&["get", "A"]);
    assert_eq!(
        (json["value"].as_str(), json["path"].as_str(), json["version"].as_u64()),
        (Some("one"), Some("production/A"), Some(1))
    );
    world.run_with(&["create", "production/B", "-"], b"\xff\x00");
    assert_eq!(world.json(&["get", "B"])["value_base64"], "/wA=");
    world.ok(&["create", "production/J", r#"{"a":{"b":"x"},"l":[1]}"#]);
    assert_eq!(
        (world.ok(&["get", "J", "--field", "a.b"]).as_str(), world.ok(&["get", "J", "--field", "l[0]"]).as_str()),
        ("x", "1")
    );
    assert_eq!(world.run(&["get", "J", "--field", "a.c"]).code, 3);
    assert_eq!(world.run(&["get", "A", "--field", "a"]).code, 2);
}

#[test]
fn values_come_from_pipes_files_generators_and_hidden_prompts() {
    let world = World::with_store();
    let value = |name: &str| world.run(&["get", name]).bytes;
    world.run_with(&["create", "PIPED"], b"line\nend\n");
    world.run_with(&["create", "DASH", "-"], b"as it is\n");
    fs::write(world.project.join("f"), b"file\n").unwrap();
    world.ok(&["create", "FILE", "--from-file", "f"]);
    assert_eq!(
        (value("PIPED"), value("DASH"), value("FILE")),
        (b"line\nend".to_vec(), b"as it is\n".to_vec(), b"file\n".to_vec())
    );
    let printed = world.ok(&["create", "MADE", "--generate=length=40,alphabet=alnum", "--print"]);
    assert!(printed.len() == 40 && value("MADE") == printed.as_bytes());
    assert_eq!(world.ok(&["update", "MADE", "--generate"]), "");
    assert_eq!(world.ok(&["create", "HYPHEN", "--", "-x"]), "");
    assert_eq!(value("HYPHEN"), b"-x");
    // `update` takes a pipe only when nothing else is asked for.
    world.run_with(&["update", "PIPED"], b"new\n");
    world.run_with(&["update", "PIPED", "--add-tag", "x"], b"not taken\n");
    assert_eq!(value("PIPED"), b"new");
    let run = on_terminal(&world, "vsecure create TYPED", &format!("{CANARY}\n{CANARY}\n"));
    assert!(run.code == 0 && value("TYPED") == CANARY.as_bytes(), "{}", run.out);
    assert!(!run.out.replace(&format!("{CANARY}\r\n{CANARY}\r\n"), "").contains("canary"), "echoed: {}", run.out);
    assert_eq!(on_terminal(&world, "vsecure create TYPED2", "one\ntwo\n").code, 2);
    let warned = on_terminal(&world, "vsecure create ARGUMENT x", "");
    assert!(warned.out.contains("shell's history"), "{}", warned.out);
}

#[test]
fn set_creates_or_updates_and_an_unchanged_value_makes_no_commit() {
    let world = World::with_store();
    world.ok(&["set", "production/A", "one", "--tags", "x"]);
    world.ok(&["set", "A", "two"]);
    let before = world.commits();
    for arguments in [
        vec!["set", "A", "two"],
        vec!["update", "A", "two"],
        vec!["update", "A", "--tags", "x"],
        vec!["update", "A", "--no-expiry"],
    ] {
        let run = world.run(&arguments);
        assert!(run.code == 0 && run.err.contains("unchanged"), "{}", run.err);
    }
    assert_eq!(world.commits(), before);
    assert_eq!(world.json(&["update", "A", "two"])["changed"], false);
    world.ok(&["update", "A", "two", "--force"]);
    assert_eq!(world.commits(), before + 1);
    let outcome = world.json(&["update", "A", "three", "--if-version", "3"]);
    assert_eq!((outcome["version"].as_u64(), outcome["change"].as_str()), (Some(4), Some("set")));
    assert_eq!(outcome["commit"].as_str().unwrap(), world.git(&["rev-parse", "HEAD"]).trim());
    let state = world.state();
    world.ok(&["update", "A", "four", "--dry-run"]);
    world.ok(&["delete", "A", "-n"]);
    assert_eq!(world.state(), state, "a dry run writes nothing");
}

#[test]
fn lists_are_filtered() {
    let world = World::with_store();
    world.ok(&["create", "production/API_KEY", "1", "--tags", "api,web", "--metadata", "owner=a b"]);
    world.ok(&["create", "staging/API_KEY", "1", "--tags", "api", "--expires-in", "10d"]);
    world.ok(&["create", "staging/user-api/URL", "1", "--expires-in", "90d"]);
    let list = |arguments: &[&str]| {
        let mut all = vec!["list"];
        all.extend(arguments);
        world.ok(&all).lines().map(ToOwned::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(&[]), "production/API_KEY staging/API_KEY staging/user-api/URL");
    assert_eq!(list(&["--env", "staging"]), "staging/API_KEY staging/user-api/URL");
    assert_eq!(list(&["--tags", "api,web"]), "production/API_KEY");
    assert_eq!(list(&["--tags", "api", "--tags", "web"]), "production/API_KEY");
    assert_eq!(list(&["--metadata", "owner=a b"]), "production/API_KEY");
    assert_eq!(list(&["API_*"]), "production/API_KEY staging/API_KEY");
    assert_eq!(list(&["staging/*"]), "staging/API_KEY staging/user-api/URL");
    assert_eq!(list(&["--expiring", "30d"]), "staging/API_KEY");
    assert_eq!(list(&["--no-expiry"]), "production/API_KEY");
    assert_eq!(list(&["--env", "staging", "--missing-in", "production"]), "staging/user-api/URL");
    world.refused(3, &["list", "--env", "nowhere"]);
    let json = world.json(&["list"]);
    assert_eq!(json["secrets"].as_array().unwrap().len(), 3);
    let table = on_terminal(&world, "vsecure list", "").out;
    assert!(table.contains("\u{1b}[1m") && table.contains("SECRET") && table.contains("api,web"), "{table}");
    assert!(!on_terminal(&world, "NO_COLOR=1 vsecure list", "").out.contains("\u{1b}["));
}

#[test]
fn differences_are_masked_unless_asked_for_or_looked_at() {
    let world = World::with_secrets(&[("production/A", "secret-one")]);
    world.ok(&["update", "A", "secret-two", "--add-tag", "x", "--metadata", "k=v", "--expires-at", "2030-01-01"]);
    let masked = world.run(&["diff", "A"]);
    assert!(!masked.out.contains("secret-") && masked.out.contains("the value changed"), "{}", masked.out);
    for line in ["+ tag x", "+ metadata k=v", "~ expires never -> 2030-01-01T00:00:00Z"] {
        assert!(masked.out.contains(line), "{}", masked.out);
    }
    assert!(world.ok(&["diff", "A", "--reveal"]).contains("-secret-one\n+secret-two\n"));
    assert!(on_terminal(&world, "vsecure diff A", "").out.contains("secret-two"));
    assert!(!on_terminal(&world, "vsecure diff A --mask", "").out.contains("secret-"));
    let json = world.json(&["diff", "A"]);
    assert_eq!(
        (json["value_changed"].as_bool(), json["masked"].as_bool(), &json["value"]["new"]),
        (Some(true), Some(true), &serde_json::Value::Null)
    );
    assert_eq!(world.json(&["diff", "A", "--reveal"])["value"]["new"], "secret-two");
    assert_eq!(world.run(&["diff", "A", "--fail-on", "change"]).code, 8);
    assert_eq!(world.run(&["diff", "A", "--from", "2", "--to", "2", "--fail-on", "change"]).code, 0);
}

#[test]
fn an_editor_changes_a_value_and_leaves_nothing_behind() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    let edit = |editor: &str| {
        let mut command = world.command("vsecure");
        command.args(["edit", "A"]).env("EDITOR", editor);
        World::run_command(command, b"")
    };
    let before = world.commits();
    assert_eq!(edit("true").code, 0);
    assert_eq!(edit("false").code, 1);
    assert_eq!(edit("f() { printf x >> $1; vsecure update A other; }; f").code, 5, "somebody else was quicker");
    assert_eq!((world.get("A").as_str(), world.commits()), ("other", before + 1));
    assert_eq!(edit("sed -i s/other/edited/").code, 0);
    assert_eq!((world.get("A").as_str(), world.commits()), ("edited", before + 2));
    world.refused(2, &["edit", "A"]);
    for signal in ["INT", "TERM", "HUP"] {
        world.ok(&["update", "A", &format!("{CANARY}-{signal}")]);
        // The editor says where its file is, and waits; the command is then told to end.
        world.sh(&format!(
            "export EDITOR='f() {{ echo $1 > $HOME/where; sleep 1; }}; f'; vsecure edit A & pid=$!
             until [ -s $HOME/where ]; do sleep 0.05; done; kill -{signal} $pid; ! wait $pid
             test ! -e \"$(dirname $(cat $HOME/where))\"; rm $HOME/where"
        ));
    }
    assert_eq!(found_below(&world.home, CANARY), None);
}

#[test]
fn hostile_text_does_not_reach_the_terminal() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.ok(&["update", "A", "two", "-m", "\u{1b}[2Jcleared\u{202e}"]);
    fs::write(world.file("secrets/production/\u{1b}[31mred.yaml"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", world.file("secrets/production/LINK.yaml")).unwrap();
    let run = world.run(&["list"]);
    assert_eq!((run.code, run.out.as_str()), (6, "production/A\n"), "one bad name hides nothing else: {}", run.err);
    assert!(run.err.contains("\\u{1b}[31mred.yaml") && run.err.contains("LINK.yaml"), "{}", run.err);
    for arguments in [vec!["versions", "A"], vec!["versions", "A", "--all"], vec!["list"], vec!["status"]] {
        let run = world.run(&arguments);
        assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'), "{arguments:?}: {}{}", run.out, run.err);
        assert!(!run.out.contains('\u{202e}'), "{arguments:?}");
    }
    assert!(world.ok(&["versions", "A"]).contains("\\u{1b}[2Jcleared"));
}

#[test]
fn errors_are_json_when_data_would_be() {
    let world = World::with_store();
    let run = world.run(&["get", "NONE", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!((run.code, run.out.as_str(), error["error"]["exit_code"].as_u64()), (3, "", Some(3)));
    let run = world.run(&["get", "--json"]);
    assert_eq!(
        (run.code, serde_json::from_str::<serde_json::Value>(&run.err).unwrap()["format"].as_u64()),
        (2, Some(1))
    );
}

#[test]
fn values_are_nowhere_but_in_the_age_file() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    world.ok(&["update", "A", &format!("{CANARY}2")]);
    world.ok(&["update", "A", &format!("{CANARY}3"), "--no-commit"]);
    world.ok(&["rollback", "A", "--version", "1"]);
    world.ok(&["rename", "A", "B"]);
    world.run(&["diff", "B"]);
    world.run(&["--store", "/nowhere", "create", "X", CANARY]);
    world.ok(&["delete", "B"]);
    assert_eq!(found_below(&world.project, CANARY), None);
    assert_eq!(found_below(&world.home, CANARY), None);
}
