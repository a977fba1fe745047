//! `cargo xtask fuzz [SECONDS]`: every fuzz target for so long, one after the other, and what came of it.
//!
//! The targets are built by stable Rust with the coverage that libFuzzer needs; `cargo fuzz` runs them too, with its sanitizers. What is found
//! is left in `fuzz/artifacts`, what was learnt in `fuzz/target/corpus`; both stay on the machine. `fuzz/corpus` is kept.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";
const DEFAULT_SECONDS: u64 = 60;
/// What libFuzzer calls hanging and too much memory; inputs are as long as most documents are.
const LIMITS: [&str; 4] = ["-timeout=5", "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=1"];
const EXECUTIONS: &str = "stat::number_of_executed_units:";

/// What one target came to.
struct Outcome {
    executions: u64,
    findings: usize,
}

/// Builds and runs all targets; how many inputs were executed.
#[expect(clippy::print_stdout, reason = "a chore tells people what came of it")]
pub fn run(seconds: Option<&str>) -> Result<u64, String> {
    let seconds = seconds.map_or(Ok(DEFAULT_SECONDS), str::parse).map_err(|_| "SECONDS is a number".to_owned())?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz");
    let host = host()?;
    build(&folder, &host)?;
    let (mut executions, mut findings) = (0, 0);
    for target in targets(&folder)? {
        let program = folder.join("target").join(&host).join("release").join(&target);
        let outcome = fuzz(&folder, &program, &target, seconds)?;
        println!("{target:<10} {:>12} executions  {:>3} findings", outcome.executions, outcome.findings);
        executions += outcome.executions;
        findings += outcome.findings;
    }
    println!("executions fuzzed: {executions}, findings: {findings}");
    if findings == 0 { Ok(executions) } else { Err(format!("{findings} findings: see fuzz/artifacts")) }
}

/// The names of the targets, sorted.
fn targets(folder: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder.join("fuzz_targets")).map_err(|error| format!("fuzz/fuzz_targets: {error}"))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = files.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    Ok(names)
}

/// The triple of this machine. Named as a target, so that build scripts are not instrumented.
fn host() -> Result<String, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc).arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(ToOwned::to_owned).ok_or_else(|| "rustc does not say which machine this is".to_owned())
}

fn build(folder: &Path, host: &str) -> Result<(), String> {
    // Not locked: what the library newly depends on is taken into the other workspace's lock file here.
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).args(["build", "--release", "--bins", "--target", host]);
    let status = command.env("RUSTFLAGS", COVERAGE).env_remove("CARGO_TARGET_DIR").stdin(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        Err("the fuzz targets could not be built".to_owned())
    }
}

fn fuzz(folder: &Path, program: &Path, target: &str, seconds: u64) -> Result<Outcome, String> {
    let learnt = folder.join("target/corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for made in [&learnt, &artifacts] {
        fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
    }
    let before = files(&artifacts);
    let mut command = Command::new(program);
    command.args(LIMITS).arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    // The first folder is written to, the second only read.
    command.arg(learnt).arg(folder.join("corpus").join(target)).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let executions = told.lines().find_map(|line| line.strip_prefix(EXECUTIONS)?.trim().parse().ok());
    let new = files(&artifacts).into_iter().filter(|file| !before.contains(file)).count();
    // One that ends badly and leaves no input is a finding as well.
    let findings = if output.status.success() { new } else { new.max(1) };
    Ok(Outcome { executions: executions.unwrap_or_default(), findings })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
