//! Completion: a script for each shell, which calls this program back for candidates: commands, options, their values, and the names,
//! environments and tags of the store at hand. It never fails, asks or complains.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::{Command, CommandFactory as _};
use clap_complete::engine::complete as candidates;
use vsecure::vault::Vault;

use crate::app::App;
use crate::args::{Cli, Shell};

const BASH: &str = include_str!("../../../fixtures/completions/vsecure.bash");
const ZSH: &str = include_str!("../../../fixtures/completions/vsecure.zsh");
const FISH: &str = include_str!("../../../fixtures/completions/vsecure.fish");

/// Prints the script of `shell`.
pub fn print_script(app: &App, shell: Shell) -> anyhow::Result<()> {
    let script = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    };
    Ok(app.output.bytes(script.as_bytes())?)
}

/// Prints candidates, a line each with a tab before its description, for the word at the cursor: `INDEX WORD…`, the program's name first.
pub fn complete(app: &App, words: Vec<OsString>) -> anyhow::Result<()> {
    let mut words = words.into_iter();
    let index = words.next().and_then(|index| index.to_str().and_then(|index| index.parse::<usize>().ok()));
    let Some(index) = index else { return Ok(()) };
    let mut words: Vec<OsString> = words.collect();
    words.resize(words.len().max(index + 1), OsString::new());
    for (candidate, help) in all_candidates(app, words, index) {
        app.output.line(&format!("{candidate}\t{help}"))?;
    }
    Ok(())
}

fn all_candidates(app: &App, mut words: Vec<OsString>, mut index: usize) -> BTreeSet<(String, String)> {
    let command = Cli::command();
    join_group(&command, &mut words, &mut index);
    let current = words.get(index).cloned().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = BTreeSet::new();
    let asked = candidates(&mut Cli::command(), words.clone(), index, None).unwrap_or_default();
    for candidate in asked {
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        found.insert((
            candidate.get_value().to_string_lossy().into_owned(),
            help.lines().next().unwrap_or_default().to_owned(),
        ));
    }
    if index <= 1 {
        found.extend(verbs(&command, &current));
    } else {
        found.extend(from_store(app, &command, &words, index, &current));
    }
    found
}

/// `secrets get` and `get` complete like `secrets:get`.
fn join_group(command: &Command, words: &mut Vec<OsString>, index: &mut usize) {
    let known = |name: &str| command.get_subcommands().any(|it| it.get_name() == name);
    let word = |at: usize| words.get(at).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    let (first, second) = (word(1), word(2));
    if *index > 2 && known(&format!("{first}:{second}")) {
        words.drain(1..=2);
        words.insert(1, format!("{first}:{second}").into());
        *index -= 1;
    } else if *index > 1 && !known(&first) && known(&format!("secrets:{first}")) {
        words.splice(1..=1, [OsString::from(format!("secrets:{first}"))]);
    }
}

/// Bare verbs: `get` for `secrets:get`.
fn verbs(command: &Command, current: &str) -> BTreeSet<(String, String)> {
    let commands = command.get_subcommands().filter(|it| !it.is_hide_set());
    let bare = commands.filter_map(|it| Some((it.get_name().strip_prefix("secrets:")?, it.get_about())));
    bare.filter(|(verb, _)| verb.starts_with(current))
        .map(|(verb, about)| (verb.to_owned(), about.map(ToString::to_string).unwrap_or_default()))
        .collect()
}

/// Names, environments and tags, where the word at the cursor is one.
fn from_store(
    app: &App,
    command: &Command,
    words: &[OsString],
    index: usize,
    current: &str,
) -> BTreeSet<(String, String)> {
    let before = index.checked_sub(1).and_then(|at| words.get(at)).and_then(|word| word.to_str()).unwrap_or_default();
    let (option, typed) = current.split_once('=').map_or((before, current), |(option, typed)| (option, typed));
    let name_wanted = !current.starts_with('-') && takes_name(command, words.get(1).map(OsString::as_os_str));
    let Ok(vault) = app.vault_options().and_then(|options| Ok(Vault::inspect(options)?)) else {
        return BTreeSet::new();
    };
    let texts: Vec<String> = match option {
        "--env" | "-e" | "--missing-in" => vault.environments().iter().map(ToString::to_string).collect(),
        _ if option.starts_with("--") && !matches!(option, "--json" | "--quiet" | "--yes") => Vec::new(),
        _ if name_wanted => {
            let paths = vault.paths_unverified();
            let names = paths.iter().map(|path| path.name().to_string());
            names.chain(paths.iter().map(ToString::to_string)).collect()
        }
        _ => Vec::new(),
    };
    let prefix = if option == before { String::new() } else { format!("{option}=") };
    texts
        .into_iter()
        .filter(|text| text.starts_with(typed))
        .map(|text| (format!("{prefix}{text}"), String::new()))
        .collect()
}

fn takes_name(command: &Command, subcommand: Option<&OsStr>) -> bool {
    let chosen = command.get_subcommands().find(|it| Some(OsStr::new(it.get_name())) == subcommand);
    chosen.is_some_and(|it| it.get_positionals().any(|positional| positional.get_id() == "name"))
}
