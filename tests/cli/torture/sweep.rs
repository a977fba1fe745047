//! The sweep: every scenario, stopped or failed at its points, one at a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::errno::Errno;

use super::Extent;
use super::scenario::{Follow, SCENARIOS, Scenario, is_left_to_next_writer, leftovers, let_time_pass, users_files};
use super::tracer::{Act, Point, Traced, trace};
use crate::report::Row;
use crate::support::{CANARY, Run, World};

/// How calls are made to fail.
const FAILURES: [Act; 5] = [
    Act::Fail(Errno::ENOSPC),
    Act::Fail(Errno::EIO),
    Act::Fail(Errno::EINTR),
    Act::Fail(Errno::EACCES),
    Act::FailFrom(Errno::EIO),
];

/// How often a run is made again whose points lie elsewhere than in the first.
const TRIES: usize = 40;

/// What a scenario starts from, and the only two states that it may end in, but where it has one between them.
struct Start {
    scenario: &'static Scenario,
    world: World,
    points: Vec<Point>,
    head: Option<String>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// As before, and as after, when nothing else happens.
    plain: [String; 2],
    /// The same, after what follows.
    followed: BTreeMap<Follow, [String; 2]>,
    /// Between the two, as it is and after what follows.
    between: BTreeMap<Option<Follow>, String>,
    /// As when what follows had come first: where nothing is committed, a change that has begun is completed behind it.
    overtaken: BTreeMap<Follow, String>,
}

impl Start {
    fn new(scenario: &'static Scenario) -> Self {
        let world = scenario.start();
        let (done, points) = Self::finish(scenario, &world);
        let worlds = [&world, &done];
        let followed = Follow::ALL.map(|follow| {
            let views = worlds.map(|world| {
                let world = world.copy();
                follow
                    .happen(scenario, &world)
                    .unwrap_or_else(|error| panic!("{}, not killed, {error}", scenario.name));
                scenario.view(&world)
            });
            (follow, views)
        });
        let overtaken = Follow::ALL.map(|follow| {
            let world = world.copy();
            follow.happen(scenario, &world).unwrap();
            trace(&scenario.command(&world), scenario.input().as_bytes(), 0, Act::Watch);
            (follow, scenario.view(&world))
        });
        let overtaken = if scenario.arguments.contains(&"--no-commit") { overtaken.into() } else { BTreeMap::new() };
        // Looking may write (a cache): not in the world that is copied.
        let plain = worlds.map(|world| scenario.view(&world.copy()));
        let between = scenario.between.into_iter().flat_map(|begin| {
            let begun = world.copy();
            begin(&begun);
            let each = Follow::ALL.map(Some).into_iter().chain([None]);
            each.map(move |follow| {
                let world = begun.copy();
                follow.map(|follow| follow.happen(scenario, &world)).transpose().unwrap();
                (follow, scenario.view(&world))
            })
        });
        let between = between.collect();
        let (head, files) = (head(&world), users_files(&world));
        assert_eq!(leftovers(&done), Vec::<String>::new(), "{}, not killed", scenario.name);
        Self { scenario, points, head, files, plain, followed: followed.into(), between, overtaken, world }
    }
}

impl Start {
    /// The world after the command, and the points that it comes to most often: two objects in one folder are synced by fewer calls,
    /// a longer object is written by more, and threads may take turns in another order.
    fn finish(scenario: &Scenario, world: &World) -> (World, Vec<Point>) {
        let run = |_| {
            let done = world.copy();
            let traced = trace(&scenario.command(&done), scenario.input().as_bytes(), 0, Act::Watch);
            assert_eq!(traced.run.code, 0, "{}: {}", scenario.name, traced.run.err);
            (done, traced.points)
        };
        let runs: Vec<_> = (0..7).map(run).collect();
        let calls = |points: &[Point]| points.iter().map(|point| point.call).collect::<Vec<_>>();
        let alike = |points: &[Point]| runs.iter().filter(|(_, others)| calls(others) == calls(points)).count();
        let usual = (0..runs.len()).max_by_key(|number| alike(&runs[*number].1)).unwrap();
        runs.into_iter().nth(usual).unwrap()
    }
}

fn head(world: &World) -> Option<String> {
    let mut command = world.command("git");
    command.args(["rev-parse", "-q", "--verify", "HEAD"]);
    let run = World::run_command(command, b"");
    (run.code == 0).then_some(run.out)
}

/// One run: a scenario, the point, what is done there, what follows.
#[derive(Clone, Copy)]
struct Case<'a> {
    start: &'a Start,
    at: usize,
    act: Act,
    follow: Option<Follow>,
}

impl Case<'_> {
    fn name(&self) -> String {
        let follow = self.follow.map(|follow| format!(", then {follow:?}")).unwrap_or_default();
        format!("{}:{} {:?}{follow}", self.start.scenario.name, self.at, self.act)
    }

    /// Whether the point was come to, and what was wrong.
    fn run(&self) -> (bool, Option<String>) {
        let scenario = self.start.scenario;
        let expected = self.start.points.get(self.at - 1).map(|point| point.call);
        let run = || {
            let world = self.start.world.copy();
            let traced = trace(&scenario.command(&world), scenario.input().as_bytes(), self.at, self.act);
            (world, traced)
        };
        let as_expected = |(_, traced): &(World, Traced)| traced.hit(self.at).map(|point| point.call) == expected;
        let (world, traced) = std::iter::repeat_with(run).take(TRIES).find(as_expected).unwrap_or_else(run);
        let Some(point) = traced.hit(self.at) else { return (false, None) };
        let tried = catch_unwind(AssertUnwindSafe(|| match self.follow {
            Some(follow) => self.check_kill(&world, follow),
            None => self.check_failure(&world, &traced.run, point),
        }));
        let mut result = tried.unwrap_or_else(|_| Err("the check itself failed; see above".to_owned()));
        if expected != Some(point.call) {
            result = Err(format!("the points have moved: this one was {expected:?}"));
        }
        (true, result.err().map(|error| format!("{} ({} {}): {error}", self.name(), point.call, point.about)))
    }

    fn check_kill(&self, world: &World, follow: Follow) -> Result<(), String> {
        let decided = head(world) != self.start.head;
        let_time_pass(world);
        follow.happen(self.start.scenario, world)?;
        let left: Vec<_> = leftovers(world).into_iter().filter(|path| !is_left_to_next_writer(path)).collect();
        if !left.is_empty() {
            return Err(format!("left behind: {}", left.join(", ")));
        }
        let [old, new] = &self.start.followed[&follow];
        let view = self.start.scenario.view(world);
        if decided && view != *new && self.start.between.get(&Some(follow)) != Some(&view) {
            return Err(format!("the branch had moved, and the new state was lost: {}", difference(new, &view)));
        }
        if self.start.overtaken.get(&follow) == Some(&view) {
            self.check_state(world, &view, [&view, &view])?;
        } else {
            self.check_state(world, &view, [old, new])?;
        }
        let again =
            trace(&self.start.scenario.command(world), self.start.scenario.input().as_bytes(), 0, Act::Watch).run;
        if !(0..=6).contains(&again.code) {
            return Err(format!("made again, it ended with {}: {}", again.code, again.err));
        }
        self.check_rest(world)
    }

    fn check_failure(&self, world: &World, run: &Run, point: &Point) -> Result<(), String> {
        let (code, said) = (run.code, &run.err);
        let [old, new] = &self.start.plain;
        let view = self.start.scenario.view(world);
        match code {
            0 if view == *new => {}
            0 => return Err(format!("it said to have succeeded: {}", difference(new, &view))),
            // A full disk is not what keeps people out.
            1 | 4 | 6
                if (code == 1 || self.act == Act::Fail(Errno::EACCES))
                    && said.lines().any(|line| line.starts_with("error: ")) =>
            {
                self.check_state(world, &view, [old, new])?;
                if view == *new && old != new && !["was made", "is current"].iter().any(|told| said.contains(told)) {
                    return Err(format!("it made the change, and did not say so: {said}"));
                }
            }
            _ => return Err(format!("exit code {code}: {said}")),
        }
        if said.contains(CANARY) {
            return Err(format!("it shows the value: {said}"));
        }
        if !leftovers(world).is_empty() {
            // What couldn't be removed then is removed by the next command.
            let_time_pass(world);
            Follow::Read.happen(self.start.scenario, world)?;
        }
        if point.call == "unlink" && point.about.contains(".git/objects/") {
            // Git and its library take no notice, and so the command succeeds; `git gc` will remove it.
            world.sh("rm -f .git/objects/tmp_* .git/objects/??/tmp_*");
        }
        self.check_rest(world)
    }

    fn check_state(&self, world: &World, view: &str, [old, new]: [&String; 2]) -> Result<(), String> {
        if view != old && view != new && self.start.between.get(&self.follow).is_none_or(|between| between != view) {
            return Err(format!("neither old ({}) nor new ({})", difference(old, view), difference(new, view)));
        }
        if users_files(world) != self.start.files {
            return Err("the user's files were changed".to_owned());
        }
        Ok(())
    }

    /// What holds after every command of ours.
    fn check_rest(&self, world: &World) -> Result<(), String> {
        // Pins are written when something new is to be remembered: a command made again may have nothing. And where removing failed, too,
        // it is for the next writer.
        let no_writer = |path: &str| path.starts_with("home/.local/state/") || matches!(self.act, Act::FailFrom(_));
        let excused = |path: &String| is_left_to_next_writer(path) && no_writer(path);
        let left: Vec<_> = leftovers(world).into_iter().filter(|path| !excused(path)).collect();
        if !left.is_empty() {
            return Err(format!("left behind: {}", left.join(", ")));
        }
        let mut command = world.command("git");
        command.args(["fsck", "--strict", "--no-dangling"]);
        let fsck = World::run_command(command, b"");
        if fsck.code == 0 { Ok(()) } else { Err(format!("git fsck: {}{}", fsck.out, fsck.err)) }
    }
}

/// The first line in which two views differ.
fn difference(expected: &str, found: &str) -> String {
    let pairs = expected.lines().zip(found.lines());
    match pairs.into_iter().find(|(one, other)| one != other) {
        Some((one, other)) => format!("expected `{one}`, found `{other}`"),
        None => format!("expected {} lines, found {}", expected.lines().count(), found.lines().count()),
    }
}

/// Does `work` for each of `items` on all processors; the results in the order of the items.
pub fn on_all_processors<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let result = work(item);
            results.lock().unwrap().push((index, result));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(worker))));
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn row(name: &'static str, cases: &[Case<'_>]) -> Row {
    let results = on_all_processors(cases, Case::run);
    let count = results.iter().filter(|(hit, _)| *hit).count();
    Row { name, count, failures: results.into_iter().filter_map(|(_, failure)| failure).collect() }
}

/// Kills commands, and makes their calls fail, at every point in the long form, at some in the short one.
pub fn sweep(extent: &Extent) -> [Row; 2] {
    let wanted = SCENARIOS.iter().filter(|scenario| extent.includes(scenario.name)).collect::<Vec<_>>();
    let starts = on_all_processors(&wanted, |scenario| Start::new(scenario));
    let (mut kills, mut failures) = (Vec::new(), Vec::new());
    for start in &starts {
        let whole = extent.is_whole(start.scenario);
        for at in extent.points(start.scenario.name, start.points.len()) {
            for (number, follow) in Follow::ALL.into_iter().enumerate() {
                let act = if (at + number).is_multiple_of(2) { Act::Kill } else { Act::Tear };
                if whole || at % Follow::ALL.len() == number {
                    kills.push(Case { start, at, act, follow: Some(follow) });
                }
            }
            for (number, act) in FAILURES.into_iter().enumerate() {
                if whole || at % FAILURES.len() == number {
                    failures.push(Case { start, at, act, follow: None });
                }
            }
        }
    }
    [row("points killed", &kills), row("calls failed", &failures)]
}
