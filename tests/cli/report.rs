//! What tests tried to break counted, told to whoever runs them.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Names the file that stages append their rows to: `<name>`, count and number of failures, with tabs between them.
const ROWS: &str = "VSECURE_TORTURE_ROWS";

/// One line of the table that the torture ends with.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub count: usize,
    pub failures: Vec<String>,
}

/// Reports rows; fails when one has failures, or nothing was tried.
pub fn settle(rows: impl IntoIterator<Item = Row>) {
    let mut bad = Vec::new();
    for Row { name, count, failures } in rows {
        let line = format!("{name}\t{count}\t{}\n", failures.len());
        if let Some(file) = std::env::var_os(ROWS) {
            OpenOptions::new().append(true).create(true).open(file).unwrap().write_all(line.as_bytes()).unwrap();
        }
        if count == 0 || !failures.is_empty() {
            bad.push(format!("{name}: {} failures in {count}\n{}", failures.len(), failures.join("\n")));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
