//! The documents are true: the README's tour runs as it stands.

use std::fs;
use std::path::Path;

use crate::support::World;

#[test]
fn the_tour_of_the_readme_runs() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let tour = readme.split("## A tour of five minutes").nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    let blocks: Vec<&str> = tour.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 4, "the tour has lost its commands");
    let world = World::empty();
    fs::remove_dir_all(world.project.join(".git")).unwrap();
    let script = format!("set -o pipefail\n{}", blocks.join("\n"));
    let out = world.sh(&script);
    assert!(out.contains("sk_live_second"), "{out}");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for document in docs.chain([root.join("README.md"), root.join("CHANGELOG.md")]) {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(document.parent().unwrap().join(target).exists(), "{}: {target}", document.display());
            }
        }
    }
}

#[test]
fn every_command_line_of_the_team_chapter_is_one() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/teams.md")).unwrap();
    let world = World::empty();
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines: Vec<&str> = blocks.flat_map(str::lines).filter(|line| line.starts_with("vsecure ")).collect();
    assert!(lines.len() > 20, "the chapter has lost its commands");
    for line in lines {
        let alone = line.split(['>', '|']).next().unwrap();
        // Parsed as far as the help: a wrong option or value is an error before it.
        world.sh(&format!("{alone} --help >/dev/null"));
    }
}
