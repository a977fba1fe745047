//! The story of a team, from the first commit to somebody's leaving: three people, each with a key and a clone, and a bare repository
//! between them. At each step stock age says who can open which file.

use crate::support::World;
use crate::team::Team;

const GUIDE: &str =
    r#"{"secrets": {"production/*": {"read": ["engineers", "devops"], "write": ["devops"], "delete": ["admins"]}}}"#;
const URL: &str = "production/DATABASE_URL";
const KEY: &str = "staging/API_KEY";

#[track_caller]
fn readers(people: &[(&str, &World)], path: &str, expected: &[&str]) {
    let can: Vec<&str> = people.iter().filter(|(_, world)| world.opens(path)).map(|(name, _)| *name).collect();
    assert_eq!(can, expected, "who opens {path} with stock age");
}

#[test]
fn a_team_joins_shares_parts_and_cleans_up() {
    let team = Team::with_secrets(&[(URL, "postgres://one"), (KEY, "key-one")]);
    let alice = &team.alice;

    // Two people ask, and are let in. Nobody reads by being a member.
    let bob = team.joins("bob", "devops");
    let john = team.joins("john", "qa");
    bob.pull();
    let people = [("alice", alice), ("bob", &bob), ("john", &john)];
    let all_pull = || people.iter().for_each(|(_, world)| world.pull());
    readers(&people, URL, &["alice"]);
    assert!(bob.refused(4, &["get", URL]).contains("may not read"));

    // Roles get rights: the guide's document, as it stands. alice is in neither role, so she loses what she could read.
    team.rules(GUIDE);
    all_pull();
    readers(&people, URL, &["bob"]);
    readers(&people, KEY, &["alice"]);
    assert_eq!(bob.get(URL), "postgres://one");
    assert_eq!(alice.debts(), [format!("{URL} alice")], "she knows the value that she may not read any more");
    alice.ok(&["members:roles", "alice", "admins", "engineers", "--yes"]);
    assert_eq!(alice.check(), ["reader-missing"], "she may read it, and cannot give herself the key");
    alice.push();
    bob.pull();
    assert!(bob.ok(&["rekey", "--dry-run", "--json"]).contains(URL));
    bob.ok(&["rekey"]);
    bob.push();
    all_pull();
    readers(&people, URL, &["alice", "bob"]);
    assert!(alice.check().is_empty(), "{:?}", alice.check());
    assert!(alice.refused(4, &["update", URL, "mine"]).contains("may not write"), "engineers read");

    // bob's new value, and a grant for john until a deadline.
    bob.ok(&["update", URL, "postgres://two"]);
    bob.ok(&["secrets:grant-access", "DATABASE_URL", "--user", "john@example.com", "--duration", "4s"]);
    bob.push();
    all_pull();
    readers(&people, URL, &["alice", "bob", "john"]);
    assert_eq!(john.get(URL), "postgres://two");
    assert!(john.refused(4, &["update", URL, "mine"]).contains("may not write"));
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert!(john.refused(4, &["get", URL]).contains("ended"), "his client keeps the deadline");
    readers(&people, URL, &["alice", "bob", "john"]);
    assert!(alice.check().contains(&"grant-overdue".to_owned()), "his key is still there, and CI says so");
    bob.ok(&["access:expire"]);
    bob.push();
    all_pull();
    readers(&people, URL, &["alice", "bob"]);
    assert!(john.opens_at("HEAD~1", URL), "old commits stay as they were");
    assert_eq!(alice.debts(), [format!("{URL} john")]);

    // bob leaves. Somebody has to be able to write, so alice takes over first, and has a change of his to accept.
    assert!(alice.refused(5, &["members:remove", "bob", "--yes"]).contains("nobody could write"));
    alice.ok(&["members:roles", "alice", "admins", "engineers", "devops", "--yes"]);
    let plan = alice.run(&["members:remove", "bob", "--dry-run"]);
    assert!(
        plan.err.contains("bob loses read: 1 secret") && plan.err.contains("1 secrets are encrypted anew"),
        "{plan:?}"
    );
    let left = alice.run(&["members:remove", "bob", "--yes"]);
    assert!(left.code == 0 && left.err.contains("NOT DONE") && left.err.contains("bob knows 1 secret"), "{left:?}");
    alice.push();
    all_pull();
    readers(&people, URL, &["alice"]);
    assert!(bob.opens_at("HEAD~1", URL), "his key still opens old commits, as he was told");
    assert!(bob.refused(4, &["get", URL]).contains("belongs to no member"));
    assert_eq!(alice.get(URL), "postgres://two", "what he signed stands");
    assert_eq!(alice.debts(), [format!("{URL} bob"), format!("{URL} john")]);
    assert_eq!(alice.run(&["access:debt", "--member", "bob", "--fail-on", "debt"]).code, 8);
    assert_eq!(alice.run(&["access:debt", "--member", "nobody", "--fail-on", "debt"]).code, 0);

    // A note quiets the debt, an equal value keeps it, a new one clears it.
    alice.ok(&["access:acknowledge", URL, "--reason", "with the next release", "--until", "2099-01-01"]);
    assert!(alice.check().is_empty());
    assert_eq!(alice.run(&["access:debt", "--fail-on", "debt"]).code, 0);
    alice.ok(&["update", URL, "postgres://one"]);
    assert_eq!(alice.debts(), [format!("{URL} bob"), format!("{URL} john")], "bob knew that one too");
    alice.ok(&["update", URL, "postgres://three"]);
    assert!(alice.debts().is_empty());
    alice.push();
    all_pull();
    readers(&people, URL, &["alice"]);
    for (name, world) in &people {
        assert!(world.check().is_empty(), "{name}");
    }

    // An old branch is read by today's policy, and what bob signed there still has a valid follower.
    alice.git(&["checkout", "-q", "HEAD~5"]);
    assert_eq!(alice.get(URL), "postgres://two");
    alice.ok(&["list"]);
    alice.git(&["checkout", "-q", "main"]);

    // Who could read it then is still known.
    let then = alice.json(&["access:who", URL, "--at", "HEAD~5"]);
    let members: Vec<&str> = then["people"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["holds_key"] == true)
        .map(|it| it["member"].as_str().unwrap())
        .collect();
    assert!(members.contains(&"bob"), "{then}");
    let epochs = alice.json(&["policy:history"]);
    assert_eq!(epochs["epochs"].as_array().unwrap().len(), 7, "{epochs:#}");
}
