//! The guide's command lines, word for word. `docs/guide.md` is a copy of what users were promised; each section runs in a store
//! freshly made, with what it presupposes.

use std::fs;
use std::path::Path;

use crate::support::World;
use crate::team::Team;

/// The command lines of the guide's section that begins with `heading`.
fn lines(heading: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(root.join("docs/guide.md")).unwrap();
    // Where the promise itself lies beside the project, it must be the same.
    if let Ok(promised) = fs::read_to_string(root.join("../shared/guide.md")) {
        assert!(promised == guide, "docs/guide.md is not what users were promised");
    }
    let section = guide
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap_or_else(|| panic!("no section {heading}"));
    let lines: Vec<String> =
        section.lines().filter(|line| line.starts_with("vsecure ")).map(ToOwned::to_owned).collect();
    assert!(!lines.is_empty());
    lines
}

/// The JSON document of the guide's section that begins with `heading`.
fn document(heading: &str) -> String {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md")).unwrap();
    let section = guide.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let block = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("no document in {heading}")).to_owned()
}

fn run_section(world: &World, heading: &str) {
    for line in lines(heading) {
        world.sh(&line);
    }
}

#[test]
fn create() {
    let world = World::with_store();
    run_section(&world, "Create");
    assert_eq!(world.get("API_KEY"), "sk_live_...");
    let described = world.json(&["describe", "production/DATABASE_URL"]);
    assert_eq!(described["tags"], serde_json::json!(["database", "production"]));
    assert_eq!(described["metadata"], serde_json::json!({ "owner": "backend-team", "service": "user-api" }));
    assert!(!world.json(&["describe", "default/TEMP_TOKEN"])["expires_at"].is_null());
    assert_eq!(
        world.ok(&["list"]),
        "default/TEMP_TOKEN\nproduction/API_KEY\nproduction/DATABASE_URL\nproduction/DB_PASSWORD\n"
    );
    assert_eq!(world.commits(), 5);
}

#[test]
fn the_names_that_the_guide_recommends() {
    let world = World::with_store();
    for name in
        ["USER_API_PRODUCTION_DATABASE_URL", "PAYMENT_SERVICE_STAGING_STRIPE_KEY", "AUTH_SERVICE_PRODUCTION_JWT_SECRET"]
    {
        let run = world.run(&["create", name, "x"]);
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.err.contains("its name speaks of"), "a hint, not an error: {}", run.err);
    }
}

#[test]
fn environment_specific_secrets() {
    let world = World::with_store();
    run_section(&world, "Environment-specific secrets");
    assert_eq!(world.get("development/API_KEY"), "dev_key");
    assert_eq!(world.ok(&["get", "API_KEY", "--env", "production"]), "prod_key");
    assert!(world.refused(2, &["get", "API_KEY"]).contains("development/API_KEY, production/API_KEY"));
}

#[test]
fn metadata() {
    let world = World::with_store();
    run_section(&world, "Metadata");
    let described = world.json(&["describe", "API_KEY"]);
    let expected = serde_json::json!({
        "owner": "john@example.com", "purpose": "Payment processing", "documentation": "https://wiki.company.com/api",
    });
    assert_eq!(described["metadata"], expected);
}

/// The guide's JSON document, and its command for an hour of access.
#[test]
fn access() {
    let team = Team::with_secrets(&[("production/DATABASE_URL", "one")]);
    let bob = team.joins("bob", "devops");
    let john = team.joins("john", "");
    bob.pull();
    let document = document("Access");
    team.alice.ok(&["policy:apply", &team.file("access.json", &document), "--yes"]);
    team.alice.push();
    bob.pull();
    assert!(bob.opens("production/DATABASE_URL") && !team.alice.opens("production/DATABASE_URL"));
    let shared: Vec<String> = lines("Access").into_iter().filter(|line| line.contains(" secrets:")).collect();
    assert_eq!(shared.len(), 1, "{shared:?}");
    shared.iter().for_each(|line| drop(bob.sh(line)));
    bob.push();
    john.pull();
    assert_eq!(john.get("DATABASE_URL"), "one");
    let grant = &john.json(&["access:grants"])["grants"][0];
    let time = |key: &str| grant[key].as_str().unwrap().parse::<vsecure::model::Timestamp>().unwrap().unix();
    assert_eq!(time("expires_at") - time("time"), 3600);
}

#[test]
fn rotate_by_hand_history_rollback_diff() {
    let world = World::with_secrets(&[
        ("production/API_KEY", "old"),
        ("production/STRIPE_KEY", "s"),
        ("production/DATABASE_URL", "one"),
    ]);
    world.ok(&["update", "DATABASE_URL", "two"]);
    world.ok(&["update", "DATABASE_URL", "three"]);
    let before = world.commits();
    let mut printed = Vec::new();
    for line in lines("Rotate by hand") {
        printed.push((line.clone(), world.sh(&line)));
    }
    let of = |start: &str| &printed.iter().find(|(line, _)| line.starts_with(start)).unwrap().1;
    assert_eq!(of("vsecure secrets:versions API_KEY").lines().count(), 2);
    assert_eq!(of("vsecure secrets:get DATABASE_URL --version 2"), "two");
    assert!(of("vsecure secrets:diff").contains("the value changed"), "masked off a terminal");
    assert_eq!(world.json(&["describe", "STRIPE_KEY"])["version"], 1, "no new value: no new version");
    assert!(!world.json(&["describe", "STRIPE_KEY"])["expires_at"].is_null());
    assert_eq!(world.get("API_KEY"), "new_key_value");
    // The first rollback went from three to two, the second to version 3.
    assert_eq!(world.ok(&["get", "DATABASE_URL", "--version", "4"]), "two");
    assert_eq!(world.get("DATABASE_URL"), "three");
    assert_eq!(world.json(&["versions", "DATABASE_URL"])["versions"].as_array().unwrap().len(), 5);
    assert_eq!(world.commits(), before + 4);
}

#[test]
fn who_read_what() {
    let world = World::with_secrets(&[("production/DATABASE_URL", "one")]);
    world.get("DATABASE_URL");
    let line = lines("Access").into_iter().find(|line| line.starts_with("vsecure audit:logs")).unwrap();
    let printed = world.sh(&line);
    assert!(printed.contains("alice\taccessed\tproduction/DATABASE_URL v1\tok"), "{printed}");
    assert_eq!(printed.lines().count(), 1, "reads only: {printed}");
}
