//! Secrets in the forms that other programs read, and those programs reading them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use proptest::prelude::*;
use vsecure::crypto::SecretBytes;
use vsecure::format::{Delimiter, Form, Manifest, export};

use crate::support::{CANARY, World};

const HOSTILE: [&[u8]; 10] = [
    b"$(touch started) `touch started` ; touch started #",
    b"'; touch started; echo '",
    b"''''",
    b"it's \"both\" \\ \\\\ \\'",
    b"\n\nlines\n\n",
    b"* ? [a-z] ~ {a,b} !! !x",
    b"\xff\xfe\x80 \xc3\x28",
    b"\x1b[31m\r\t\x07",
    b" -n -e ",
    b"",
];

/// The shells that an `eval` must be safe in.
const SHELLS: [&str; 3] = ["bash", "dash", "zsh"];

#[test]
fn a_shell_that_evaluates_an_export_has_the_values_and_runs_nothing() {
    let world = World::with_store();
    for (number, value) in HOSTILE.into_iter().enumerate() {
        let created = world.run_with(&["create", &format!("V{number}"), "--from-file", "-", "--allow-empty"], value);
        assert_eq!(created.code, 0, "{}", created.err);
    }
    let mut expected = Vec::new();
    let mut script = String::from("eval \"$(vsecure export --format shell)\"\n");
    for (number, value) in HOSTILE.into_iter().enumerate() {
        script.push_str(&format!("printf '%s\\0' \"$V{number}\"\n"));
        expected.extend([value, b"\0"].concat());
    }
    for shell in SHELLS {
        let mut command = world.command(shell);
        command.args(["-c", &script]);
        let run = World::run_command(command, b"");
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{shell}");
        assert!(run.bytes == expected, "{shell}: {}", run.out);
        assert!(!world.project.join("started").exists(), "{shell} ran something");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_but_nul_come_out_of_every_shell(value in prop::collection::vec(1..=255_u8, 0..200)) {
        let secret = SecretBytes::new(value.clone());
        let text = export(Form::Shell, &[("A", &secret)], &Manifest::default(), &Delimiter(String::new())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        fs::write(&file, text.as_bytes()).unwrap();
        for shell in SHELLS {
            let run = Command::new(shell).args(["-c", "eval \"$(cat \"$0\")\"; printf %s \"$A\""]).arg(&file).output().unwrap();
            prop_assert!(run.status.success() && run.stdout == value, "{} {:?}", shell, run);
        }
    }
}

#[test]
fn json_and_yaml_are_read_by_others() {
    let world = World::with_secrets(&[("A", "it's\n\"x\" # \\ é"), ("B", "on"), ("sub/C", "0x1F")]);
    let json: serde_json::Value = serde_json::from_str(&world.ok(&["export", "--format", "json"])).unwrap();
    assert_eq!(json, serde_json::json!({ "A": "it's\n\"x\" # \\ é", "B": "on", "C": "0x1F" }));
    fs::write(world.project.join("out.yaml"), world.ok(&["export", "--format", "yaml"])).unwrap();
    world.ok(&["import", "out.yaml", "--env", "staging"]);
    for name in ["A", "B", "C"] {
        let path = if name == "C" { "default/sub/C" } else { &format!("default/{name}") };
        assert_eq!(world.get(&format!("staging/{name}")), world.get(path));
    }
    let log = world.json(&["audit:logs", "--action", "exported"]).to_string();
    assert_eq!(log.matches("\"exported\"").count(), 6, "{log}");
}

#[test]
fn a_kubernetes_secret_keeps_every_byte() {
    let world = World::with_store();
    assert_eq!(world.run_with(&["create", "production/tls.key", "--from-file", "-"], b"\xff\0\n").code, 0);
    let words =
        ["export", "--env", "production", "--format", "kubernetes", "--name", "user-api", "--namespace", "prod"];
    assert_eq!(
        world.ok(&words),
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"user-api\"\n  namespace: \"prod\"\ntype: Opaque\ndata:\n  \"tls.key\": \"/wAK\"\n"
    );
    world.refused(2, &["export", "--env", "production", "--format", "kubernetes"]);
    world.refused(2, &["export", "--env", "production", "--format", "kubernetes", "--name", "User API"]);
}

#[test]
fn github_actions_get_variables_and_masks() {
    let world = World::with_secrets(&[("A", "one"), ("B", "100%\ntwo lines")]);
    let file = world.project.join("github_env");
    fs::write(&file, "EARLIER=1\n").unwrap();
    let mut command = world.command("vsecure");
    command.args(["export", "--format", "github-env"]).env("GITHUB_ENV", &file);
    let run = World::run_command(command, b"");
    assert_eq!(run.out, "::add-mask::one\n::add-mask::100%25%0Atwo lines\n::add-mask::100%25\n::add-mask::two lines\n");
    let text = fs::read_to_string(&file).unwrap();
    let delimiter = text.lines().nth(1).unwrap().split_once("<<").unwrap().1.to_owned();
    assert!(delimiter.len() >= 32, "{delimiter}");
    assert_eq!(
        text,
        format!("EARLIER=1\nA<<{delimiter}\none\n{delimiter}\nB<<{delimiter}\n100%\ntwo lines\n{delimiter}\n")
    );
    let error = world.refused(2, &["export", "--format", "github-env"]);
    assert!(error.contains("GITHUB_ENV"), "{error}");
}

#[test]
fn an_output_file_is_private_and_never_overwritten_unasked() {
    let world = World::with_secrets(&[("A", CANARY)]);
    world.ok(&["export", "--format", "dotenv", "--output", ".env"]);
    let file = world.project.join(".env");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("A={CANARY}\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    world.refused(5, &["export", "--format", "json", "--output", ".env"]);
    let below = world.refused(1, &["export", "--format", "json", "--output", ".env/x"]);
    assert!(below.contains("could not be written: there is a file in the place of its folder"), "{below}");
    world.ok(&["export", "--format", "docker-env", "--output", ".env", "--force"]);
    world.refused(2, &["export", "--format", "json", "--force"]);
}

#[test]
fn what_a_form_cannot_hold_is_refused_by_name_and_writes_no_file() {
    let world = World::with_store();
    for (name, value) in [("LINES", &b"canary-7f3a91-value\nx"[..]), ("NUL1", b"canary-7f3a91-value\0")] {
        assert_eq!(world.run_with(&["create", name, "--from-file", "-"], value).code, 0);
    }
    assert_eq!(world.run_with(&["create", "tls.key", "--from-file", "-"], b"x").code, 0);
    for (form, only, expected) in [
        ("docker-env", "LINES", "LINES"),
        ("shell", "NUL1", "NUL1"),
        ("dotenv", "NUL1", "NUL1"),
        ("shell", "tls.key", "tls.key"),
        ("docker-env", "tls.key", "tls.key"),
    ] {
        let error = world.refused(2, &["export", "--format", form, "--only", only, "--output", "out"]);
        assert!(error.contains(expected), "{form}: {error}");
    }
    world.ok(&["create", "NODE_OPTIONS", "./x.js"]);
    let error = world.refused(4, &["export", "--format", "shell", "--only", "NODE_OPTIONS"]);
    assert!(error.contains("NODE_OPTIONS"), "{error}");
    world.ok(&["export", "--format", "json", "--only", "NODE_OPTIONS"]);
}
