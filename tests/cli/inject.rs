//! Templates with the values of secrets in them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{CANARY, World};

#[test]
fn references_become_values_byte_for_byte() {
    let world = World::with_secrets(&[("production/user-api/URL", "postgres://x"), ("staging/KEY", CANARY)]);
    assert_eq!(world.run_with(&["create", "production/RAW", "--from-file", "-"], b"\xff\0").code, 0);
    let template = "a: {{ vsecure \"KEY\" }}\nb: 'vsecure://production/user-api/URL'\nc: {{ .Other }}\n";
    fs::write(world.project.join("t.yaml"), template).unwrap();
    let expected = format!("a: {CANARY}\nb: 'postgres://x'\nc: {{{{ .Other }}}}\n");
    assert_eq!(world.ok(&["inject", "t.yaml"]), expected);
    assert_eq!(world.ok(&["inject", "t.yaml", "--env", "staging"]), expected);
    assert_eq!(world.run_with(&["inject", "-"], b"<vsecure://production/RAW>").bytes, b"<\xff\0>");
    world.ok(&["inject", "t.yaml", "--output", "out.yaml"]);
    let out = world.project.join("out.yaml");
    assert_eq!(fs::read_to_string(&out).unwrap(), expected);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    world.refused(5, &["inject", "t.yaml", "--output", "out.yaml"]);
    world.ok(&["inject", "t.yaml", "--output", "out.yaml", "--force"]);
    let log = world.json(&["audit:logs", "--action", "exported", "--name", "production/RAW"]);
    assert_eq!(log.to_string().matches("production/RAW").count(), 1, "{log}");
}

#[test]
fn a_reference_that_leads_nowhere_is_an_error_and_no_file_appears() {
    let world = World::with_secrets(&[("production/A", CANARY), ("production/BAD", CANARY), ("staging/A", "x")]);
    fs::copy(world.file("secrets/production/A.age"), world.file("secrets/production/BAD.age")).unwrap();
    for (template, code, expected) in [
        ("vsecure://production/A\n\nvsecure://production/NOPE", 3, "line 3"),
        ("vsecure://production/A {{ vsecure \"A\" }}", 2, "staging/A, production/A"),
        ("vsecure://production/A vsecure://prodution/A", 3, "production"),
        ("vsecure://production/A vsecure://production/BAD", 6, "BAD"),
        ("vsecure://production/A\n{{ vsecure A }}", 2, "line 2"),
    ] {
        fs::write(world.project.join("t"), template).unwrap();
        let error = world.refused(code, &["inject", "t", "--output", "out"]);
        assert!(error.contains(expected), "{template}: {error}");
        assert_eq!(world.run(&["inject", "t"]).out, "", "{template}");
    }
    world.refused(1, &["inject", "missing", "--output", "out"]);
}
