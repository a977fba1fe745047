//! Private keys: where they come from, and what kinds there are.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{CANARY, World, found_below};

#[test]
fn init_makes_a_private_key_that_only_its_owner_can_read() {
    let world = World::with_store();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.identity()), 0o600);
    assert_eq!(mode(world.identity().parent().unwrap()), 0o700);
    let key = fs::read_to_string(world.identity()).unwrap();
    let line = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    assert_eq!(found_below(&world.project, line), None, "the key is in the repository");
    let mut command = world.command("age-keygen");
    command.arg("-y").arg(world.identity());
    let public = World::run_command(command, b"").out;
    assert_eq!(world.json(&["keys:show"])["keys"][0]["recipient"], public.trim());
}

#[test]
fn a_key_comes_from_option_variable_file_or_command() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let moved = world.home.join("moved.txt");
    fs::rename(world.identity(), &moved).unwrap();
    let key = fs::read_to_string(&moved).unwrap().lines().last().unwrap().to_owned();
    let with = |name: &str, value: &str| {
        let mut command = world.command("vsecure");
        command.args(["get", "A"]).env(name, value);
        World::run_command(command, b"")
    };
    assert_eq!(world.run(&["get", "A"]).code, 4);
    assert_eq!(world.ok(&["--identity", moved.to_str().unwrap(), "get", "A"]), "one");
    assert_eq!(with("VSECURE_IDENTITY_KEY", &key).out, "one");
    assert_eq!(with("VSECURE_IDENTITY", moved.to_str().unwrap()).out, "one");
    assert_eq!(with("VSECURE_IDENTITY_COMMAND", &format!("cat {}", moved.display())).out, "one");
    assert_eq!(with("VSECURE_IDENTITY_COMMAND", "exit 3").code, 4);
    let wrong = with("VSECURE_IDENTITY_KEY", CANARY);
    assert!(wrong.code == 4 && !wrong.err.contains(CANARY), "{}", wrong.err);
    // The command that prints the key does not get the value that is piped in.
    let mut command = world.command("vsecure");
    command.args(["update", "A"]).env("VSECURE_IDENTITY_COMMAND", format!("cat >/dev/null; cat {}", moved.display()));
    assert_eq!(World::run_command(command, b"piped\n").code, 0);
    assert_eq!(with("VSECURE_IDENTITY_KEY", &key).out, "piped");
}

#[test]
fn an_ssh_key_serves_both_ends() {
    let world = World::empty();
    world.sh("ssh-keygen -q -t ed25519 -N '' -f $HOME/id");
    let key = world.home.join("id");
    let with = |arguments: &[&str]| {
        let mut all = vec!["--identity", key.to_str().unwrap()];
        all.extend(arguments);
        world.ok(&all)
    };
    with(&["init"]);
    with(&["create", "production/A", "one"]);
    assert_eq!(with(&["get", "A"]), "one");
    assert!(!world.identity().exists(), "no other key is made");
    assert_eq!(world.sh("age -d -i $HOME/id .vsecure/secrets/production/A.age"), "one");
    let printed = with(&["keys:show"]);
    let fingerprint = world.sh("ssh-keygen -lf $HOME/id.pub | cut -d' ' -f2");
    assert!(printed.contains(fingerprint.trim()), "{printed}");
}

#[test]
fn passphrases_are_asked_for_on_a_terminal_and_nowhere_else() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.sh("ssh-keygen -q -t ed25519 -N 'open sesame' -f $HOME/id");
    let key = world.home.join("id");
    let refused = World::run_command(
        {
            let mut command = world.command("setsid");
            command.args(["-w", env!("CARGO_BIN_EXE_vsecure"), "--identity", key.to_str().unwrap(), "get", "A"]);
            command
        },
        b"open sesame\n",
    );
    assert!(refused.code == 4 && refused.err.contains("VSECURE_IDENTITY_KEY"), "{}", refused.err);
    let mut command = world.command("script");
    let line = format!("vsecure --identity {} keys:show", key.display());
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "dumb");
    let run = World::run_command(command, b"open sesame\n");
    assert!(run.code == 0 && run.out.contains("ssh-ed25519 AAAA"), "{}", run.out);
}
