//! Published access logs that must be refused: a head that signs for something else, lines that nobody signed. Written from docs/format.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::base::{Base, changed, sha256};
use super::sign::{Person, Signature, document};
use super::vector::{files_below, write_files};
use super::{folder, run, world};
use crate::report::{Row, settle};

const DEVICE: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

/// The file `vector.json`: beside it, `tree/` is what the commit holds that the reference of rita's key names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    /// What it is, and who could have made it.
    about: String,
    /// A part of what is found, for people; empty where nothing is.
    finding: String,
}

type Published = (String, Vector, BTreeMap<String, Vec<u8>>);

fn place() -> PathBuf {
    folder().join("logs")
}

/// The lines of so many reads of rita's.
fn lines(base: &Base, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for number in 1..=count {
        let previous = lines.last().map_or("null".to_owned(), |line| format!("\"{}\"", sha256(line.as_bytes())));
        lines.push(format!(
            "{{\"format\":1,\"sequence\":{number},\"previous\":{previous},\"id\":\"{number:032x}\",\"time\":\"2026-11-24T03:00:0{number}Z\",\"device\":\"{DEVICE}\",\
             \"actor\":{{\"member\":\"rita\",\"key\":\"{}\"}},\"action\":\"accessed\",\"resource\":{{\"type\":\"secret\",\"path\":\"production/A\",\"version\":1,\"revision\":1}},\
             \"result\":\"ok\",\"reason\":null,\"grant\":null,\"command\":\"secrets:get\",\"client\":\"vector 1\",\"ci\":null}}\n",
            base.rita.key_fingerprint()
        ));
    }
    lines
}

fn head(base: &Base, lines: &[String]) -> String {
    format!(
        "vsecure: audit/1\nstore: \"{}\"\ndevice: \"{DEVICE}\"\nauthor: \"rita\"\ntime: 2026-11-24T03:00:0{count}Z\nevents: {count}\nlast: \"{}\"\n",
        base.id,
        sha256(lines.last().unwrap().as_bytes()),
        count = lines.len()
    )
}

fn signed(head: &str, person: &Person, namespace: &str) -> Vec<u8> {
    document(head.as_bytes(), &Signature { namespace, ..Signature::default() }.of(head.as_bytes(), person))
}

fn published(base: &Base) -> Vec<Published> {
    let all = lines(base, 3);
    let good = head(base, &all);
    let at = |store: &str, device: &str, head: Vec<u8>, lines: &[String]| {
        let folder = format!("{store}/{device}");
        BTreeMap::from([
            (format!("{folder}/head.yaml"), head),
            (format!("{folder}/000001.jsonl"), lines.concat().into_bytes()),
        ])
    };
    let vector = |name: &str, finding: &str, about: &str, files| {
        (name.to_owned(), Vector { about: about.to_owned(), finding: finding.to_owned() }, files)
    };
    let audit = |head: &str| signed(head, &base.rita, "vsecure-audit-v1");
    let headed = |name: &str, finding: &str, about: &str, head: Vec<u8>| {
        vector(name, finding, about, at(&base.id, DEVICE, head, &all))
    };
    let lined = |name: &str, finding: &str, about: &str, lines: &[String]| {
        vector(name, finding, about, at(&base.id, DEVICE, audit(&good), lines))
    };
    let said = |from: &str, to: &str| audit(&changed(&good, from, to));
    let altered = |line: usize, from: &str, to: &str| {
        let mut lines = all.clone();
        lines[line] = changed(&lines[line], from, to);
        lines
    };
    let other_member = altered(2, "\"member\":\"rita\"", "\"member\":\"alice\"");
    vec![
        headed("log-good", "", "A good log: nothing is found.", audit(&good)),
        headed(
            "log-by-another-key",
            "signed by another key",
            "A head that alice signed for rita's log.",
            signed(&good, &base.alice, "vsecure-audit-v1"),
        ),
        headed(
            "log-signed-as-a-sidecar",
            "its signature does not hold",
            "A head signed for another purpose.",
            signed(&good, &base.rita, "vsecure-secret-v1"),
        ),
        headed("log-flipped", "its signature does not hold", "A head that was changed after it was signed.", {
            changed(&String::from_utf8(audit(&good)).unwrap(), "events: 3", "events: 2").into_bytes()
        }),
        headed(
            "log-unquoted",
            "not what this format allows",
            "A head in another spelling, signed so.",
            said("\"rita\"", "rita"),
        ),
        headed(
            "log-of-a-newer-format",
            "not what this format allows",
            "A head of a format that comes later.",
            said("audit/1", "audit/2"),
        ),
        headed(
            "log-of-no-events",
            "not what this format allows",
            "A head of no events.",
            said("events: 3", "events: 0"),
        ),
        headed("log-of-another-store", "moved here", "A head for another store.", said(&base.id, &"0".repeat(64))),
        headed("log-of-another-clone", "moved here", "A head for another clone.", said(DEVICE, &"1".repeat(32))),
        vector(
            "log-moved",
            "moved here",
            "A good log in another clone's place.",
            at(&base.id, &"1".repeat(32), audit(&good), &all),
        ),
        headed(
            "log-in-anothers-name",
            "speaks for `alice`",
            "A head in which rita says that she is alice.",
            said("\"rita\"", "\"alice\""),
        ),
        headed(
            "log-of-fewer-events",
            "not those that were signed",
            "A head that counts fewer lines than there are.",
            said("events: 3", "events: 2"),
        ),
        headed("log-of-another-last-line", "not those that were signed", "A head with another last line.", {
            said(&sha256(all[2].as_bytes()), &sha256(all[1].as_bytes()))
        }),
        lined("log-cut", "not those that were signed", "A log without its last line.", &all[..2]),
        lined(
            "log-continued",
            "not those that were signed",
            "A log with a line more than was signed.",
            &lines(base, 4),
        ),
        lined("log-without-its-first-line", "lines are not what was signed", "A log that begins later.", &all[1..]),
        lined(
            "log-exchanged",
            "lines are not what was signed",
            "A log with two lines exchanged.",
            &[all[1].clone(), all[0].clone(), all[2].clone()],
        ),
        lined(
            "log-altered",
            "lines are not what was signed",
            "A log in which another secret was read.",
            &altered(1, "production/A", "production/B"),
        ),
        lined(
            "log-spelled-otherwise",
            "lines are not what was signed",
            "A line with a blank in it.",
            &altered(2, "\"ci\":null", "\"ci\": null"),
        ),
        lined(
            "log-with-a-field-more",
            "lines are not what was signed",
            "A line with an unknown field.",
            &altered(2, "\"ci\":null", "\"ci\":null,\"x\":1"),
        ),
        vector("log-of-anothers-read", "speaks for `alice`", "A line in which alice reads, signed by rita.", {
            at(&base.id, DEVICE, audit(&head(base, &other_member)), &other_member)
        }),
    ]
}

/// Compares what is stored with what is made here, or writes it.
pub fn compare(base: &Base, write: bool) {
    let all = published(base);
    if write {
        let _ = fs::remove_dir_all(place());
        for (name, vector, files) in &all {
            let text = serde_json::to_string_pretty(vector).unwrap() + "\n";
            write_files(&place().join(name), &BTreeMap::from([("vector.json".to_owned(), text.into_bytes())]));
            write_files(&place().join(name).join("tree"), files);
        }
    }
    let mut made: Vec<Published> = all;
    made.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    assert_eq!(stored(), made);
}

fn stored() -> Vec<Published> {
    let mut names: Vec<String> =
        fs::read_dir(place()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let each = names.into_iter().map(|name| {
        let place = place().join(&name);
        let vector = serde_json::from_slice(&fs::read(place.join("vector.json")).unwrap()).unwrap();
        (name, vector, files_below(&place.join("tree")))
    });
    each.collect()
}

#[test]
fn every_published_log_is_refused_for_its_reason() {
    let base = Base::load();
    let world = world(&base);
    world.git(&["remote", "add", "origin", "."]);
    let reference = format!("refs/vsecure/audit/{}", base.rita.key_hex());
    let (mut count, mut failures) = (0, Vec::new());
    for (name, vector, files) in stored() {
        write_files(&world.home.join(&name), &files);
        world.sh(&format!(
            "export GIT_INDEX_FILE=$HOME/{name}.index; git --work-tree $HOME/{name} add -A $HOME/{name}
             commit=$(git commit-tree -m Log $(git write-tree)); git for-each-ref --format='delete %(refname)' refs/vsecure | git update-ref --stdin
             git update-ref {reference} $commit"
        ));
        let found = run(&world, &base, &["audit:fetch", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&found.out).unwrap_or_default();
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        let told = |it: &serde_json::Value| it.as_str().is_some_and(|it| it.contains(&vector.finding));
        let right = match vector.finding.as_str() {
            "" => found.code == 0 && findings.is_empty(),
            _ => found.code == 8 && findings.iter().any(told),
        };
        if right { count += 1 } else { failures.push(format!("{name}: {} {}{}", found.code, found.out, found.err)) }
    }
    settle([Row { name: "published logs refused", count, failures }]);
}
