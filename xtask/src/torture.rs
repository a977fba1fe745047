//! The torture: everything that tries to break a store, in stages, and one table of what was tried and what was found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{cargo, fuzz};

/// Names the file that tests append their rows to: name, count and number of failures, with tabs between them.
pub const ROWS: &str = "VSECURE_TORTURE_ROWS";
/// Says how much is tried: `long`, or one point such as `update:37`.
const EXTENT: &str = "VSECURE_TORTURE";

/// How long each fuzz target runs.
const FUZZ_SECONDS: &str = "600";

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    name: String,
    count: usize,
    failures: usize,
}

/// What a stage tried, and why it failed if it did.
type Tried = (Vec<Row>, Result<(), String>);

/// The stages, in the order of the table. Each runs to its end, whatever the others find.
const STAGES: [fn() -> Tried; 3] = [store, fuzzing, budgets];

/// Kills, failing calls, parallel writers, leaks, hostile files: tests of the command, in their long form.
fn store() -> Tried {
    with_rows(|rows| {
        let variables = [(EXTENT, Path::new("long")), (ROWS, rows)];
        cargo(
            &[
                "test",
                "--package",
                "vsecure",
                "--locked",
                "--test",
                "cli",
                "--",
                "--test-threads=1",
                "torture::",
                "vectors::every_vector",
            ],
            &variables,
        )
    })
}

/// Coverage-guided fuzzing of everything that reads what strangers wrote.
fn fuzzing() -> Tried {
    let result = fuzz::run(Some(FUZZ_SECONDS));
    let count = result.as_ref().map_or(0, |executions| usize::try_from(*executions).unwrap_or(usize::MAX));
    let row = Row { name: "executions fuzzed".to_owned(), count, failures: usize::from(result.is_err()) };
    (vec![row], result.map(drop))
}

/// The budgets, each measured beside its named peer; one that is missed is a failure.
#[expect(clippy::print_stdout, reason = "what was measured is shown")]
fn budgets() -> Tried {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("benches").join("run.sh");
    let measured = Command::new(&script).stderr(Stdio::inherit()).output();
    let printed = match &measured {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => return (vec![], Err(format!("{}: {error}", script.display()))),
    };
    println!("{printed}");
    let (count, missed) = verdicts(&printed);
    let whole = measured.is_ok_and(|output| output.status.success());
    let result = match (whole, missed) {
        (true, 0) => Ok(()),
        (_, 0) => Err("benches/run.sh could not measure everything".to_owned()),
        (_, missed) => {
            Err(format!("{missed} budgets missed: docs/performance.md says what bounds those that are known"))
        }
    };
    (vec![Row { name: "budgets".to_owned(), count, failures: missed }], result)
}

/// How many budgets were measured, and how many of them missed, by the last word of each line.
fn verdicts(printed: &str) -> (usize, usize) {
    let last_words = printed.lines().filter_map(|line| line.split_whitespace().next_back());
    let verdicts: Vec<&str> = last_words.filter(|word| ["met", "MISSED"].contains(word)).collect();
    (verdicts.len(), verdicts.iter().filter(|verdict| **verdict == "MISSED").count())
}

/// Runs every stage and prints the table.
///
/// # Errors
/// When a stage failed or found something.
pub fn torture() -> Result<(), String> {
    let tried: Vec<Tried> = STAGES.iter().map(|stage| stage()).collect();
    let (rows, results): (Vec<_>, Vec<_>) = tried.into_iter().unzip();
    print_table(&rows.into_iter().flatten().collect::<Vec<_>>());
    results.into_iter().collect()
}

/// Runs one point of one scenario again, in every way, and shows what is found.
///
/// # Errors
/// When something is.
pub fn replay(point: &str) -> Result<(), String> {
    let test = "torture::killed_or_failing_at_any_call_a_command_leaves_the_old_state_or_the_new";
    let (rows, result) = with_rows(|rows| {
        let variables = [(EXTENT, Path::new(point)), (ROWS, rows)];
        cargo(&["test", "--package", "vsecure", "--locked", "--test", "cli", test, "--", "--exact"], &variables)
    });
    print_table(&rows);
    result
}

/// Runs `work` with a file for rows; the rows that were written to it.
pub fn with_rows(work: impl FnOnce(&Path) -> Result<(), String>) -> Tried {
    let file = rows_file();
    let result =
        fs::write(&file, "").map_err(|error| format!("{}: {error}", file.display())).and_then(|()| work(&file));
    let rows = fs::read_to_string(&file).unwrap_or_default().lines().filter_map(parse).collect();
    // It lies among temporary files: no harm if it stays.
    let _ = fs::remove_file(&file);
    (rows, result)
}

fn rows_file() -> PathBuf {
    std::env::temp_dir().join(format!("vsecure-torture-{}.rows", std::process::id()))
}

fn parse(line: &str) -> Option<Row> {
    let mut fields = line.split('\t');
    let row = Row {
        name: fields.next()?.to_owned(),
        count: fields.next()?.parse().ok()?,
        failures: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(row)
}

/// Prints the table; none of no rows.
#[expect(clippy::print_stdout, reason = "the table is what people run it for")]
pub fn print_table(rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    println!("\n{:<22} {:>9} {:>9}", "tried", "count", "failures");
    for Row { name, count, failures } in rows {
        println!("{name:<22} {count:>9} {failures:>9}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_counted_by_their_verdicts() {
        let printed =
            "# machine\nbudget    ours at most\nget / rage -d   1.2  1.5  met\nupdate / insert 0.3 0.2  MISSED\n";
        assert_eq!(verdicts(printed), (2, 1));
        assert_eq!(verdicts(""), (0, 0));
    }

    #[test]
    fn rows_are_read_as_tests_write_them() {
        let row = Row { name: "points killed".to_owned(), count: 12, failures: 0 };
        assert_eq!(parse("points killed\t12\t0"), Some(row));
        for line in ["", "points killed", "points killed\t12", "points killed\ttwelve\t0", "a\t1\t0\tmore"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
