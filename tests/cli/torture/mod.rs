//! The store, taken apart on purpose: killed at every call that changes a file, with calls that fail, and many writers at once.
//!
//! `cargo xtask test` runs the short form, `cargo xtask torture` the long one.

mod leaks;
mod order;
mod scenario;
mod sweep;
mod tracer;
mod writers;

use crate::report;
use scenario::Scenario;

/// How much is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Every point of `update`, and a few of every other scenario.
    Short,
    /// Every point of every scenario.
    Long,
    /// One point of one scenario, in every way.
    Replay(String, usize),
}

impl Extent {
    /// As the environment says: `VSECURE_TORTURE=long`, `VSECURE_TORTURE=update:37`, or nothing.
    fn asked_for() -> Self {
        let said = std::env::var("VSECURE_TORTURE").unwrap_or_default();
        match said.rsplit_once(':') {
            Some((scenario, point)) => Self::Replay(scenario.to_owned(), point.parse().unwrap()),
            None if said == "long" => Self::Long,
            None => Self::Short,
        }
    }

    /// Whether everything is tried at each point, or one way at each, in turn.
    const fn is_whole(&self, scenario: &Scenario) -> bool {
        match self {
            Self::Short => false,
            Self::Long => !scenario.is_variant,
            Self::Replay(..) => true,
        }
    }

    /// Whether a scenario is to be tried at all.
    fn includes(&self, scenario: &str) -> bool {
        !matches!(self, Self::Replay(name, _) if name != scenario)
    }

    /// The points to try of a scenario that has so many.
    fn points(&self, scenario: &str, count: usize) -> Vec<usize> {
        match self {
            Self::Long => (1..=count).collect(),
            Self::Replay(_, at) => vec![*at],
            // Odd, so that each kind of follow-up and each error meets each kind of call.
            Self::Short if scenario == "update" => (1..=count).collect(),
            Self::Short => (1..=count).step_by(7).collect(),
        }
    }
}

#[test]
fn killed_or_failing_at_any_call_a_command_leaves_the_old_state_or_the_new() {
    report::settle(sweep::sweep(&Extent::asked_for()));
}

#[test]
fn of_many_writers_at_once_none_is_lost_and_nobodys_work() {
    report::settle([writers::writers()]);
}

#[test]
fn a_value_and_a_key_are_found_nowhere_after_any_command() {
    report::settle([leaks::leaks(&Extent::asked_for())]);
}

#[test]
fn each_way_to_leak_is_noticed() {
    assert_eq!(leaks::the_search_finds(), Vec::<String>::new());
}
