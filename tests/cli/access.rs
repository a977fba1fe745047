//! Grants, debt, re-encryption, adoption, trusted branches: who can read what, and what is left to do.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::support::{CANARY, World};
use crate::team::Team;

const A: &str = "production/A";
const RULES: &str = r#"{"secrets": {"production/*": {"read": ["admins", "devops"], "write": ["admins", "devops"], "delete": ["admins"], "max_grant": "1d"}}}"#;

/// A secret in production, bob who reads and writes there, and john who doesn't.
fn team() -> (Team, World, World) {
    team_after(Duration::ZERO)
}

/// As [`team`], with a pause between the first secrets and the first change of the policy.
fn team_after(pause: Duration) -> (Team, World, World) {
    let team = Team::with_secrets(&[(A, CANARY), ("staging/B", "two")]);
    sleep(pause);
    let bob = team.joins("bob", "devops");
    let john = team.joins("john", "qa");
    team.rules(RULES);
    bob.pull();
    john.pull();
    (team, bob, john)
}

#[test]
fn a_grant_is_given_listed_taken_back_and_refused_where_it_may_not_be() {
    let (team, bob, john) = team();
    john.refused(4, &["grant-access", A, "--user", "bob", "--duration", "1h"]);
    for (code, user, duration) in
        [(5, "alice", "1h"), (3, "eve@example.com", "1h"), (2, "john", "2d"), (2, "john", "soon"), (2, "john", "0s")]
    {
        bob.refused(code, &["grant-access", A, "--user", user, "--duration", duration]);
    }
    bob.refused(3, &["grant-access", "production/NONE", "--user", "john", "--duration", "1h"]);
    bob.refused(2, &["grant-access", A, "--duration", "1h"]);
    bob.refused(3, &["revoke-access", A, "--user", "john"]);
    let state = bob.state();
    bob.ok(&["access:grant", A, "--user", "john@example.com", "--duration", "1h", "-n"]);
    assert_eq!(bob.state(), state);
    let run = bob.run(&["access:grant", A, "--user", "john@example.com", "--duration", "1h", "--reason", "incident 7"]);
    assert!(run.code == 0 && run.err.contains("not what was read"), "what a deadline can't do: {}", run.err);
    bob.push();
    john.pull();
    assert_eq!(john.get(A), CANARY);
    assert!(john.opens(A));
    let grants = john.json(&["access:grants"]);
    let grant = &grants["grants"][0];
    assert_eq!(
        (&grant["grantee"], &grant["reason"], &grant["in_force"]),
        (&"john".into(), &"incident 7".into(), &true.into())
    );
    let why = john.ok(&["access:why", "john", A]);
    assert!(why.contains("granted by bob: incident 7") && why.contains("may not write"), "{why}");
    assert!(john.ok(&["access:list", "A"]).contains(&format!("{A}\tjohn\tt\n")));
    // A new value goes to the grantee too; a removed grant does not.
    bob.ok(&["update", A, "new"]);
    assert!(bob.opens_for(&john, A));
    bob.ok(&["secrets:revoke-access", A, "--user", "john@example.com"]);
    assert!(!bob.opens_for(&john, A));
    assert_eq!(bob.debts(), [format!("{A} john")]);
    bob.push();
    john.pull();
    assert!(john.refused(4, &["get", A]).contains("may not read"));
    let listed = john.ok(&["access:grants"]);
    assert!(listed.contains("taken back"), "{listed}");
    team.alice.pull();
    assert_eq!(team.alice.check(), ["debt"]);
}

#[test]
fn a_guests_key_opens_one_secret_until_the_deadline() {
    let (team, bob, _) = team();
    let dry = bob.run(&["grant-access", A, "--ephemeral", "--duration", "1h", "-n"]);
    assert!(dry.code == 0 && dry.out.is_empty(), "{}", dry.out);
    assert!(
        bob.refused(2, &["grant-access", A, "--ephemeral", "--user", "john", "--duration", "1h"]).contains("member")
    );
    let run = bob.run(&[
        "grant-access",
        A,
        "--ephemeral",
        "--user",
        "eve@example.org",
        "--duration",
        "5s",
        "--reason",
        "audit",
    ]);
    assert!(run.out.starts_with("AGE-SECRET-KEY-") && !run.err.contains("AGE-SECRET-KEY-"), "{}", run.err);
    bob.ok(&["create", "production/C", "other"]);
    bob.push();
    let guest = team.clone_of("guest");
    let as_guest = |arguments: &[&str]| {
        let mut command = guest.command("vsecure");
        command.args(arguments).env("VSECURE_IDENTITY_KEY", run.out.trim());
        World::run_command(command, b"")
    };
    assert_eq!(as_guest(&["get", A]).out, CANARY);
    assert_eq!(as_guest(&["get", "production/C"]).code, 4);
    assert_eq!(as_guest(&["update", A, "mine"]).code, 4);
    assert_eq!(as_guest(&["members:roles", "bob", "qa", "--yes"]).code, 4);
    let grants = guest.json(&["access:grants"]);
    let name = grants["grants"][0]["grantee"].as_str().unwrap();
    assert!(name.starts_with("guest-") && grants["grants"][0]["reason"] == "for eve@example.org: audit", "{grants}");
    sleep(Duration::from_secs(6));
    assert!(as_guest(&["get", A]).err.contains("ended"));
    assert!(guest.check().contains(&"grant-overdue".to_owned()));
    // Any write of the secret takes the key away as well.
    bob.ok(&["update", A, "--add-tag", "x"]);
    bob.ok(&["access:expire"]);
    assert!(bob.run(&["access:expire"]).err.contains("no grant has ended"));
    assert_eq!(bob.debts(), [format!("{A} {name}")]);
    bob.ok(&["update", A, "rotated"]);
    assert!(bob.check().is_empty() && bob.debts().is_empty());
}

#[test]
fn a_grant_by_hand_is_refused_and_found() {
    let (team, bob, _) = team();
    bob.ok(&["grant-access", A, "--user", "john", "--duration", "1h"]);
    let folder = bob.file("grants");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    let end = text.lines().find(|line| line.starts_with("expires_at: ")).unwrap();
    fs::write(&file, text.replace(end, "expires_at: 2099-01-01T00:00:00Z")).unwrap();
    assert!(bob.refused(6, &["access:grants"]).contains("signature"));
    let found = bob.check();
    assert!(found.contains(&"reader-surplus".to_owned()), "{found:?}");
    fs::write(&file, &text).unwrap();
    bob.ok(&["access:grants"]);
    // Who may not grant any more, has not granted.
    bob.push();
    team.alice.pull();
    team.alice.ok(&["members:roles", "bob", "qa", "--yes"]);
    assert!(team.alice.refused(6, &["access:grants"]).contains("may not give this grant"));
}

#[test]
fn whom_a_grant_let_read_is_told_also_when_its_file_is_gone() {
    let (team, bob, _) = team();
    let alice = &team.alice;
    let now = || alice.sh("date -u +%FT%TZ").trim().to_owned();
    let john_at = |at: &str| {
        let access = alice.json(&["access:who", A, "--at", at]);
        let people = access["people"].as_array().unwrap().clone();
        people.into_iter().find(|it| it["member"] == "john").map(|it| it["granted_until"].clone())
    };
    let ticks = || sleep(Duration::from_millis(1100));
    let before = now();
    ticks();
    bob.ok(&["grant-access", A, "--user", "john", "--duration", "1h"]);
    let granted = now();
    let with_grant = bob.git(&["rev-parse", "HEAD"]);
    ticks();
    bob.ok(&["revoke-access", A, "--user", "john"]);
    ticks();
    bob.ok(&["grant-access", A, "--user", "john", "--duration", "2s"]);
    let again = bob.sh("cat .vsecure/grants/*.yaml | grep '^time: ' | sort | tail -1 | cut -c7-").trim().to_owned();
    sleep(Duration::from_secs(3));
    bob.ok(&["access:expire"]);
    bob.push();
    alice.pull();
    let until = |at: &str| john_at(at).is_some_and(|until| !until.is_null());
    assert_eq!(alice.json(&["access:grants"])["grants"].as_array().unwrap().len(), 1, "one revoked, one removed");
    assert!(!until(&before));
    assert!(until(&granted), "{:?}", john_at(&granted));
    assert!(until(with_grant.trim()));
    assert!(until(&again), "{again}: {:?}", john_at(&again));
    ticks();
    assert!(!until(&now()));
    // By the rules of that time: who may not grant any more, could.
    alice.ok(&["members:roles", "bob", "qa", "--yes"]);
    assert!(until(&granted) && until(&again));
}

#[test]
fn rights_are_told_now_then_and_with_reasons() {
    // Times are whole seconds: the policy's has to be another one than the secrets'.
    let (team, bob, _) = team_after(Duration::from_millis(1100));
    let alice = &team.alice;
    let why = alice.json(&["access:why", "bob@example.com", A]);
    assert_eq!((&why["pattern"], &why["actions"][0]["by"]), (&"production/*".into(), &"devops".into()));
    assert_eq!((&why["actions"][2]["allowed"], &why["admins"]), (&false.into(), &serde_json::json!(["alice"])));
    assert!(alice.ok(&["access:why", "bob", "staging/NEW"]).contains("the rule ** decides about staging/NEW"));
    alice.refused(3, &["access:why", "eve", A]);
    alice.refused(3, &["access:why", "bob", "NOTHING"]);
    let list = alice.ok(&["access:list", "production/*"]);
    assert_eq!(list, format!("{A}\talice\trwdg\n{A}\tbob\trwg\n"));
    let matrix = alice.on_terminal("vsecure access:list", "").out;
    assert!(matrix.contains("SECRET") && matrix.contains("alice  bob"), "{matrix}");
    let holders = |at: &[&str]| {
        let mut all = vec!["access:who", A];
        all.extend(at);
        let who = alice.json(&all);
        let people = who["people"].as_array().unwrap().iter().filter(|it| it["holds_key"] == true);
        people.map(|it| it["member"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(holders(&[]), ["alice", "bob"]);
    let first = alice.git(&["log", "--format=%H", "--reverse", "--", ".vsecure/secrets/production"]);
    assert_eq!(holders(&["--at", first.lines().next().unwrap()]), ["alice"]);
    assert_eq!(holders(&["--at", "2099-01-01"]), ["alice", "bob"]);
    assert!(alice.refused(3, &["access:who", A, "--at", "2020-01-01"]).contains("made after"));
    alice.refused(3, &["access:who", A, "--at", "no-such-tag"]);
    // By time, from what was signed: bob had no right yet in the second after the first commit.
    let made =
        alice.json(&["versions", A, "--all"])["revisions"].as_array().unwrap().last().unwrap()["time"].to_string();
    let then = alice.json(&["access:who", A, "--at", made.trim_matches('"')]);
    assert_eq!(then["rule"], "**");
    assert!(bob.ok(&["access:who", "A"]).contains("bob\tread,write,grant\tby rule\tholds one"));
}

#[test]
fn debt_is_listed_acknowledged_and_cleared() {
    let (team, bob, _) = team();
    let alice = &team.alice;
    assert!(alice.ok(&["access:debt"]).is_empty());
    alice.refused(3, &["access:acknowledge", A, "--reason", "r", "--until", "2099-01-01"]);
    alice.ok(&["members:remove", "bob", "--yes"]);
    let debt = alice.json(&["access:debt", "--member", "bob"]);
    let debtor = &debt["debts"][0]["debtors"][0];
    assert!(debtor["key"].as_str().unwrap().starts_with("SHA256:") && !debtor["since"].is_null(), "{debt}");
    assert_eq!(alice.run(&["access:debt", "--fail-on", "debt"]).code, 8);
    assert_eq!(alice.run(&["access:debt"]).code, 0);
    alice.refused(2, &["access:acknowledge", A, "--reason", "r", "--until", "2020-01-01"]);
    alice.refused(2, &["access:acknowledge", A, "--until", "2099-01-01"]);
    alice.ok(&["access:acknowledge", A, "--reason", "after the audit", "--until", "2099-01-01"]);
    assert!(alice.ok(&["access:debt"]).contains("acknowledged until 2099-01-01T00:00:00Z by alice: after the audit"));
    assert_eq!(alice.run(&["access:debt", "--fail-on", "debt"]).code, 0);
    alice.ok(&["update", A, "new"]);
    assert!(alice.ok(&["access:debt"]).is_empty());
    drop(bob);
}

#[test]
fn what_waits_for_others_is_named_and_done_by_them() {
    let (team, bob, john) = team();
    let alice = &team.alice;
    // An admin without a right to read decides, and others encrypt.
    team.rules(r#"{"secrets": {"production/*": {"read": ["devops"], "write": ["devops"], "delete": ["admins"]}}}"#);
    let run = alice.run(&["members:roles", "john", "devops", "--yes"]);
    assert!(run.err.contains("production/A: waits for bob to run: vsecure rekey"), "{}", run.err);
    assert!(alice.check().contains(&"reader-missing".to_owned()));
    assert!(alice.run(&["rekey"]).err.contains("waits for bob"));
    alice.push();
    [&bob, &john].iter().for_each(|world| world.pull());
    john.refused(4, &["get", A]);
    let state = bob.state();
    assert_eq!(bob.json(&["rekey", "--dry-run"])["reencrypted"], serde_json::json!([A]));
    assert_eq!(bob.json(&["rekey", "staging/*"])["reencrypted"], serde_json::json!([]));
    assert_eq!(bob.state(), state);
    let commits = bob.commits();
    bob.ok(&["rekey", "production/*"]);
    assert_eq!(bob.commits(), commits + 1);
    bob.push();
    john.pull();
    assert_eq!(john.get(A), CANARY);
    assert!(bob.run(&["rekey"]).err.contains("nothing is left"));
}

#[test]
fn a_state_that_does_not_count_is_shown_masked_and_adopted() {
    let (team, bob, john) = team();
    // john takes part in a branch of bob's, who is removed before it comes in.
    bob.git(&["checkout", "-q", "-b", "feature"]);
    bob.ok(&["update", A, "bobs-new-value"]);
    bob.git(&["push", "-q", "-u", "origin", "feature"]);
    let alice = &team.alice;
    alice.ok(&["members:remove", "bob", "--yes"]);
    alice.push();
    alice.git(&["fetch", "-q"]);
    alice.refused(5, &["adopt", A]);
    alice.refused(2, &["adopt", &format!("{A}@origin/feature")]);
    let shown = alice.run(&["adopt", &format!("{A}@origin/feature"), "-n"]);
    assert!(shown.err.contains("signed by bob as v2") && shown.err.contains("does not count"), "{}", shown.err);
    assert!(!shown.err.contains("bobs-new-value") && !shown.err.contains(CANARY), "masked: {}", shown.err);
    assert_eq!(alice.get(A), CANARY);
    alice.ok(&["adopt", &format!("{A}@origin/feature"), "--yes"]);
    assert_eq!(alice.get(A), "bobs-new-value");
    assert_eq!(alice.json(&["describe", A])["value_author"], "alice");
    assert_eq!(alice.debts(), [format!("{A} bob")], "he wrote it");
    alice.push();
    john.pull();
    john.refused(4, &["adopt", A]);
    alice.refused(3, &["adopt", &format!("{A}@no-such-commit"), "--yes"]);
}

#[test]
fn an_equal_value_keeps_its_debt_when_it_is_adopted() {
    let (team, _bob, _) = team();
    let alice = &team.alice;
    alice.ok(&["members:remove", "bob", "--yes"]);
    let recipient = alice.json(&["keys:show"])["keys"][0]["recipient"].as_str().unwrap().to_owned();
    let by_hand = |value: &str| {
        alice.sh(&format!(
            "rm .vsecure/secrets/{A}.yaml; printf %s {value} | age -r {recipient} > .vsecure/secrets/{A}.age"
        ));
        let run = alice.run(&["adopt", A, "--yes"]);
        assert!(run.code == 0 && !run.err.contains(CANARY), "{}", run.err);
        run.err
    };
    let shown = by_hand(CANARY);
    assert!(shown.contains("signed by nobody who is known") && shown.contains("its value is that of v1"), "{shown}");
    assert_eq!(alice.debts(), [format!("{A} bob")]);
    assert!(by_hand("other").contains("the value changed"));
    alice.ok(&["update", A, "new"]);
    assert!(alice.debts().is_empty());
}

#[test]
fn a_rewritten_branch_is_an_error_until_somebody_says_it_is_right() {
    let (team, bob, john) = team();
    let alice = &team.alice;
    alice.ok(&["members:remove", "bob", "--yes"]);
    alice.push();
    john.pull();
    let before = alice.ok(&["trust", "--export"]);
    // Somebody pushes the branch to before the removal.
    bob.git(&["commit", "-q", "--allow-empty", "-m", "Start over"]);
    bob.git(&["push", "-q", "--force"]);
    john.git(&["fetch", "-q"]);
    let error = john.refused(6, &["access:list"]);
    assert!(error.contains("was rewritten") && error.contains("trust:rewrite"), "{error}");
    assert_eq!(john.run(&["--store-id", before.trim(), "list"]).code, 6);
    john.refused(3, &["trust:rewrite", "no-such-commit"]);
    john.refused(3, &["trust:rewrite", "HEAD"]);
    let tip = john.git(&["rev-parse", "origin/main"]);
    john.ok(&["trust:rewrite", tip.trim()]);
    john.refused(4, &["get", A]);
    assert_eq!(john.json(&["trust", "--export"])["store_id"], team.store_id.as_str());
    assert!(before.contains("@5:"), "the newest epoch: {before}");
    // Nor does a fresh clone that was told the epoch fall for it.
    let fresh = team.clone_of("fresh");
    fresh.refused(6, &["--store-id", before.trim(), "list"]);
}

#[test]
fn one_more_branch_is_trusted() {
    let (team, bob, _) = team();
    bob.git(&["checkout", "-q", "-b", "release"]);
    bob.git(&["push", "-q", "-u", "origin", "release"]);
    let alice = &team.alice;
    alice.refused(3, &["trust:branch", "release"]);
    alice.git(&["fetch", "-q"]);
    assert_eq!(alice.json(&["trust:branch", "origin/release"])["reference"], "refs/remotes/origin/release");
    let shown = alice.run(&["trust"]);
    assert!(shown.err.contains("refs/remotes/origin/release  verified at"), "{}", shown.err);
    alice.refused(3, &["trust", "branch", "origin/none"]);
    assert_eq!(alice.json(&["trust:branch", "release", "--forget"])["reference"], "refs/remotes/origin/release");
    assert!(!alice.run(&["trust"]).err.contains("origin/release"));
    alice.refused(3, &["trust:branch", "release", "--forget"]);
    alice.refused(3, &["trust:branch", "main", "--forget"]);
}
