//! Whole processes, timed in turns: what else the machine does falls on all of them alike.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// One command's times, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    /// The median and the least, in milliseconds.
    pub fn median_and_least(&self) -> (f64, f64) {
        let at = |index: usize| self.0.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        (at(self.0.len() / 2), at(0))
    }
}

/// Runs each shell-less command line `runs` times, in turns, after `warmup` rounds that don't count. Before each run of a command, the
/// shell script of the same place in `before` is run, where there is one.
pub fn compare(lines: &[String], before: &[String], warmup: usize, runs: usize) -> anyhow::Result<Vec<Times>> {
    let mut all: Vec<Vec<Duration>> = vec![Vec::with_capacity(runs); lines.len()];
    for round in 0..warmup + runs {
        for (place, (line, times)) in lines.iter().zip(&mut all).enumerate() {
            if let Some(script) = before.get(place).filter(|script| !script.is_empty()) {
                ensure!(quiet(&["sh", "-ec", script])?.1, "{script} failed");
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let (time, worked) = quiet(&words)?;
            ensure!(worked, "{line} failed");
            if round >= warmup {
                times.push(time);
            }
        }
    }
    all.iter_mut().for_each(|times| times.sort_unstable());
    Ok(all.into_iter().map(Times).collect())
}

/// How long it took, and whether it succeeded.
fn quiet(words: &[&str]) -> anyhow::Result<(Duration, bool)> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{program} can't be started"))?;
    Ok((start.elapsed(), status.success()))
}
