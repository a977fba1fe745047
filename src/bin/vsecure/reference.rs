//! Manual pages and the command reference, both made of the definition of the command line.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};

use crate::app::App;
use crate::args::Cli;

/// Writes a manual page for the program and one for each command into `directory`.
///
/// # Errors
/// When a file can't be written.
pub fn write_man_pages(app: &App, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("{} can't be made", directory.display()))?;
    let command = Cli::command();
    let mut count = 1;
    // Pages are files, and a colon in a file's name is not welcome everywhere.
    let page_name = |sub: &Command| sub.get_name().replace(':', "-");
    write_page(
        directory,
        "vsecure",
        command.clone().mut_subcommands(|sub| {
            let name = page_name(&sub);
            sub.name(name)
        }),
    )?;
    let mut built = command;
    built.build();
    for sub in visible(&built) {
        let name = format!("vsecure-{}", page_name(sub));
        let bin_name = format!("vsecure {}", sub.get_name());
        write_page(
            directory,
            &name,
            sub.clone().name(name.clone()).bin_name(bin_name).version(env!("CARGO_PKG_VERSION")),
        )?;
        count += 1;
    }
    app.output.say(&format!("wrote {count} manual pages to {}", directory.display()));
    Ok(())
}

fn write_page(directory: &Path, name: &str, command: Command) -> anyhow::Result<()> {
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    fs::write(&path, page).with_context(|| format!("{} can't be written", path.display()))
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of docs/cli.md.
    fn markdown() -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut text = String::from(
            "# Command reference\n\nGenerated from the program's own help; a test keeps it true. `vsecure GROUP VERB`\nis the same as `vsecure GROUP:VERB`, and `secrets:` may be left out.\n\nExit codes: 0 ok · 1 other failure · 2 usage, also an ambiguous name · 3 not found ·\n4 access denied or no identity · 5 conflict, lock, existing · 6 integrity or trust · 7 expired ·\n8 a check found something · 70 a bug of ours.\n",
        );
        for sub in visible(&command) {
            let help = sub.clone().bin_name(format!("vsecure {}", sub.get_name())).term_width(100).render_long_help();
            let help: Vec<String> = help.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
            text.push_str(&format!("\n## {}\n\n```text\n{}\n```\n", sub.get_name(), help.join("\n").trim_end()));
        }
        text
    }

    #[test]
    fn the_command_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, markdown()).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == markdown(), "docs/cli.md is stale: UPDATE_DOCS=1 cargo test --bin vsecure reference");
    }
}
