//! The inputs kept from fuzzing, and small changes of them, through the fuzz targets: a short run without a fuzzer, the same every time.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// How many changed inputs are made of one that is kept.
const CHANGES: usize = 60;

/// The `number`th change of `input`: a bit turned, a piece cut out, a piece doubled, or the end cut off.
fn changed(input: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if bytes.is_empty() {
        return vec![u8::try_from(number).unwrap()];
    }
    // Spread over the input by a step that has no factor in common with most lengths.
    let at = number * 7919 % bytes.len();
    let end = (at + 1 + number % 9).min(bytes.len());
    match number % 4 {
        0 => bytes[at] ^= 1 << (number % 8),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => bytes.truncate(at),
    }
    bytes
}

#[test]
fn no_kept_input_and_no_change_of_one_breaks_a_promise() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let (mut executions, mut failures) = (0, Vec::new());
    for (name, target) in targets::TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpora.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        assert!(files.len() >= 5, "the corpus of {name} was lost");
        for file in files {
            let kept = fs::read(&file).unwrap();
            for input in [kept.clone()].into_iter().chain((0..CHANGES).map(|number| changed(&kept, number))) {
                executions += 1;
                if catch_unwind(|| target(&input)).is_err() {
                    failures.push(format!("{}: {:?}", file.display(), String::from_utf8_lossy(&input)));
                }
            }
        }
    }
    println!("kept inputs and changes of them: {executions}, failures: {}", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
