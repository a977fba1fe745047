//! The store's state in one piece: what falls due, and what each rule decides about.

use super::*;
use crate::model::{Digest, Rotation, Span};
use crate::vault::{Deadline, DeadlineKind, Level, Nearness, Report, Selection, Tally};

fn report(world: &World) -> Report {
    Vault::open(world.options()).unwrap().report(&Selection::default()).unwrap()
}

/// A value set on 25 November, whose rotation is due in ten days and told of three days before.
fn rotated(world: &World, enabled: bool) {
    world.create();
    world.forge(world.identity("alice"), "alice", |sidecar| {
        sidecar.change = Change::Metadata;
        let period: Span = "10d".parse().unwrap();
        let notify_before = Some("3d".parse().unwrap());
        sidecar.rotation = Some(Rotation { enabled, period, notify_before, generator: None, hook: None });
    });
}

#[test]
fn a_rotation_falls_due_by_the_age_of_the_value_and_is_told_of_before() {
    let world = World::new();
    rotated(&world, true);
    for (now, nearness) in [
        ("2026-12-01T23:59:59Z", Nearness::Later),
        ("2026-12-02", Nearness::Soon),
        ("2026-12-04T23:59:59Z", Nearness::Soon),
        ("2026-12-05", Nearness::Past),
    ] {
        world.now.set(now.parse().unwrap());
        let report = report(&world);
        let [Deadline { at, kind, .. }] = &report.deadlines[..] else { panic!("{:?}", report.deadlines) };
        assert_eq!((at.to_string().as_str(), *kind), ("2026-12-05T00:00:00Z", DeadlineKind::Rotation));
        assert_eq!(report.deadlines[0].nearness, nearness, "{now}");
        assert_eq!(report.secrets[0].rotation_due, Some(*at));
        let Tally { rotation_overdue, rotation_soon, .. } = report.tally();
        let is = |wanted| usize::from(nearness == wanted);
        assert_eq!((rotation_overdue, rotation_soon), (is(Nearness::Past), is(Nearness::Soon)), "{now}");
    }
}

#[test]
fn a_rotation_that_is_off_falls_due_never() {
    let world = World::new();
    rotated(&world, false);
    assert_eq!(report(&world).deadlines, []);
}

#[test]
fn a_report_says_what_a_rule_lets_whom_do_and_needs_no_key() {
    let world = World::new();
    world.create();
    let report = report(&world);
    let [reach] = &report.rules[..] else { panic!("{:?}", report.rules) };
    assert_eq!(reach.places, [("production".to_owned(), 1)].into());
    let may: Vec<(&str, &[Action])> = reach.people.iter().map(|(name, may)| (name.as_str(), may.as_slice())).collect();
    let [read, write, delete, grant] = [Action::Read, Action::Write, Action::Delete, Action::Grant];
    assert_eq!(
        may,
        [
            ("alice", &[read, write, delete, grant][..]),
            ("otto", &[write]),
            ("rita", &[read]),
            ("will", &[read, write, grant])
        ]
    );
}

#[test]
fn what_is_refused_is_a_finding_and_hides_nothing_else() {
    let world = World::new();
    world.create();
    world.forge(world.identity("rita"), "rita", |sidecar| sidecar.parents = vec![Digest::of(b"other")]);
    let report = report(&world);
    assert_eq!((report.secrets.len(), report.tally().errors), (0, 1), "{:?}", report.verification);
    let errors = report.verification.findings.iter().filter(|finding| finding.level == Level::Error);
    assert_eq!(errors.map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), ["no-right"]);
    assert_eq!(report.members.len(), 4);
}
