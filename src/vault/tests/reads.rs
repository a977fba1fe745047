//! Reads that are written down, and what is told of them: refusals, grants, removed members.

use super::*;
use crate::audit::{Action as Done, Outcome, ResourceType};
use crate::vault::{GrantRequest, Grantee, Origin, TrailEntry, TrailFilter};

impl World {
    fn told(&self, filter: &TrailFilter) -> Vec<TrailEntry> {
        let trail = self.vault_as("alice").trail(filter).unwrap();
        assert!(trail.refused.is_empty() && trail.findings.is_empty(), "{trail:?}");
        let mut entries = trail.entries;
        entries.reverse();
        entries
    }

    fn reads(&self) -> Vec<TrailEntry> {
        self.told(&TrailFilter { actions: vec![Done::Accessed], ..TrailFilter::default() })
    }
}

#[test]
fn a_read_without_a_right_is_told_as_refused() {
    let world = World::new();
    world.create();
    world.vault_as("rita").get(&path()).unwrap();
    world.later(1);
    assert_eq!(denied(world.vault_as("otto").get(&path())), Action::Read);
    let reads = world.reads();
    let told: Vec<_> =
        reads.iter().map(|it| (it.actor.as_str(), it.result, it.reason.as_ref().map(|it| it.as_str()))).collect();
    assert_eq!(told, [("rita", Outcome::Ok, None), ("otto", Outcome::Refused, Some("denied"))]);
    let trail = world.vault_as("alice").trail(&TrailFilter::default()).unwrap();
    let names =
        |names: &[crate::model::MemberName]| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!((names(&trail.heard), names(&trail.silent)), ("otto rita".to_owned(), "alice will".to_owned()));
}

#[test]
fn what_the_vault_opens_for_a_change_is_no_read() {
    let world = World::new();
    world.create();
    let to = "production/B".parse().unwrap();
    world.vault_as("alice").copy(&path(), &to, &Writing::default()).unwrap();
    world.vault_as("will").get(&to).unwrap();
    assert_eq!(world.reads().len(), 1);
}

#[test]
fn a_read_by_a_grant_names_it_and_the_grant_is_told_from_history() {
    let world = World::new();
    world.create();
    let request = GrantRequest {
        path: path(),
        grantee: Grantee::Member("otto".into()),
        duration: "1h".parse().unwrap(),
        reason: None,
    };
    let granted = world.vault_as("alice").grant(&request, &Writing::default()).unwrap().grants.remove(0);
    world.vault_as("otto").get(&path()).unwrap();
    world.vault_as("rita").get(&path()).unwrap();
    world.later(3600);
    assert!(matches!(world.vault_as("otto").get(&path()), Err(VaultError::GrantEnded { .. })));
    let grant_of = |entry: &TrailEntry| match &entry.origin {
        Origin::Log { grant, .. } => grant.as_ref().map(ToString::to_string),
        Origin::History { .. } => None,
    };
    let reads = world.reads();
    let told: Vec<_> = reads
        .iter()
        .map(|it| (it.actor.to_string(), grant_of(it), it.reason.as_ref().map(ToString::to_string)))
        .collect();
    assert!(told.contains(&("otto".into(), Some(granted.id.to_string()), None)), "{told:?}");
    assert!(told.contains(&("rita".into(), None, None)), "{told:?}");
    assert!(told.contains(&("otto".into(), None, Some("grant-ended".into()))), "{told:?}");
    // Its file is removed when it has ended; what it was is in the history.
    world.vault_as("alice").expire_grants(&Writing::default()).unwrap();
    let about_grants = TrailFilter { resources: vec![ResourceType::Grant], ..TrailFilter::default() };
    let actions = |world: &World| world.told(&about_grants).iter().map(|it| it.action).collect::<Vec<_>>();
    assert_eq!(actions(&world), [Done::Granted, Done::Expired]);
    world.later(1);
    world.vault_as("alice").grant(&request, &Writing::default()).unwrap();
    world.later(1);
    world.vault_as("alice").revoke(&path(), "otto", &Writing::default()).unwrap();
    world.later(7200);
    assert_eq!(actions(&world), [Done::Granted, Done::Expired, Done::Granted, Done::Revoked]);
    let epochs = TrailFilter { resources: vec![ResourceType::Policy], ..TrailFilter::default() };
    assert_eq!(world.told(&epochs).iter().map(|it| it.action).collect::<Vec<_>>(), [Done::Created]);
}
