//! Completion: a script for each shell, which calls this program back for candidates: commands, options, their values, and the names
//! and environments of the store at hand. It never fails, asks, complains or writes; what was typed comes through a pipe, since one
//! of the words may be a value.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read as _, stdin};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use clap::{Command, CommandFactory as _};
use clap_complete::engine::complete as candidates;
use vsecure::vault::{Vault, VaultOptions};

use crate::app::App;
use crate::args::{Cli, Shell};
use crate::invocation::{first_positional, normalised};

const BASH: &str = include_str!("../../../fixtures/completions/vsecure.bash");
const ZSH: &str = include_str!("../../../fixtures/completions/vsecure.zsh");
const FISH: &str = include_str!("../../../fixtures/completions/vsecure.fish");
/// No command line is longer.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

type Candidates = BTreeSet<(String, String)>;

/// Prints the script of `shell`.
pub fn print_script(app: &App, shell: Shell) -> anyhow::Result<()> {
    let script = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    };
    Ok(app.output.bytes(script.as_bytes())?)
}

/// Prints candidates for the word at `index`, a line each with a tab before its description.
pub fn complete(app: &App, index: usize) -> anyhow::Result<()> {
    let mut typed = Vec::new();
    stdin().lock().take(MAX_BYTES).read_to_end(&mut typed)?;
    let mut words: Vec<OsString> =
        typed.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
    words.pop();
    if index > words.len() {
        return Ok(());
    }
    // What is behind the cursor has no say.
    words.truncate(index + 1);
    words.resize(index + 1, OsString::new());
    for (candidate, help) in all_candidates(app, words, index) {
        app.output.line(&format!("{candidate}\t{help}"))?;
    }
    Ok(())
}

fn all_candidates(app: &App, words: Vec<OsString>, index: usize) -> Candidates {
    let command = Cli::command();
    let current = words.get(index).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let first = first_positional(&command, &words, 1);
    if first.is_none_or(|at| at >= index) && !current.starts_with('-') {
        return commands(&command, &current, "");
    }
    let group = first.and_then(|at| words.get(at)).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    let verbs = commands(&command, &format!("{group}:{current}"), &format!("{group}:"));
    if first_positional(&command, &words, first.unwrap_or(index) + 1).is_none_or(|at| at >= index) && !verbs.is_empty()
    {
        return verbs;
    }
    // `secrets get` and `get` complete like `secrets:get`.
    let Ok(words) = normalised(&command, words) else { return Candidates::new() };
    let index = words.len() - 1;
    let asked = candidates(&mut Cli::command(), words.clone(), index, None).unwrap_or_default();
    let mut found: Candidates = asked
        .into_iter()
        .map(|it| {
            let help = it.get_help().map(ToString::to_string).unwrap_or_default();
            (it.get_value().to_string_lossy().into_owned(), help.lines().next().unwrap_or_default().to_owned())
        })
        .collect();
    found.extend(from_store(app, &command, &words, &current));
    found
}

/// Commands that begin with `start`, without `drop` at their front; bare verbs too, where no group was typed.
fn commands(command: &Command, start: &str, drop: &str) -> Candidates {
    let visible = command.get_subcommands().filter(|it| !it.is_hide_set());
    let named = visible.flat_map(|it| {
        let name = it.get_name();
        let bare = name.strip_prefix("secrets:").filter(|_| drop.is_empty());
        let about = it.get_about().map(ToString::to_string).unwrap_or_default();
        [Some(name), bare].into_iter().flatten().map(move |name| (name.to_owned(), about.clone()))
    });
    let matching = named.filter(|(name, _)| name.starts_with(start));
    matching.map(|(name, about)| (name.strip_prefix(drop).unwrap_or(&name).to_owned(), about)).collect()
}

/// Names, members and environments, where the word at the cursor, the last one, is one.
fn from_store(app: &App, command: &Command, words: &[OsString], current: &str) -> Candidates {
    let at = first_positional(command, words, 1).unwrap_or_default();
    let chosen = words.get(at).and_then(|word| word.to_str()).and_then(|name| command.find_subcommand(name));
    let Some(chosen) = chosen else { return Candidates::new() };
    let before = words.iter().rev().nth(1).and_then(|word| word.to_str()).unwrap_or_default();
    let (option, typed, prefix) = match current.split_once('=') {
        Some((option, typed)) if option.starts_with("--") => (option, typed, format!("{option}=")),
        _ => (before, current, String::new()),
    };
    let takes_value = |name: &str| {
        let long = |it: &&clap::Arg| it.get_long().is_some_and(|long| name.strip_prefix("--") == Some(long));
        let short = |it: &&clap::Arg| it.get_short().is_some_and(|short| name == format!("-{short}"));
        let mut all = chosen.get_arguments().chain(command.get_arguments());
        all.any(|it| (long(&it) || short(&it)) && it.get_action().takes_values())
    };
    let Some(vault) = vault(app, words) else { return Candidates::new() };
    let texts: Vec<String> = match option {
        "--env" | "-e" | "--missing-in" => environments(&vault),
        "--user" | "--member" => members(&vault),
        "--roles" => vault.policy().roles.iter().map(ToString::to_string).collect(),
        _ if takes_value(option) || typed.starts_with('-') => Vec::new(),
        _ => match positional(command, chosen, words, at) {
            Some("name") => names(&vault),
            Some("path") => vault.paths_unverified().iter().map(ToString::to_string).collect(),
            Some("member") => members(&vault),
            Some("environment") => environments(&vault),
            _ => Vec::new(),
        },
    };
    texts
        .into_iter()
        .filter(|text| text.starts_with(typed))
        .map(|text| (format!("{prefix}{text}"), String::new()))
        .collect()
}

fn environments(vault: &Vault) -> Vec<String> {
    vault.environments().iter().map(ToString::to_string).collect()
}

fn members(vault: &Vault) -> Vec<String> {
    let members = vault.policy().members.iter();
    members.flat_map(|(name, member)| [name.to_string(), member.email.to_string()]).collect()
}

fn names(vault: &Vault) -> Vec<String> {
    let paths = vault.paths_unverified();
    paths.iter().map(|path| path.name().to_string()).chain(paths.iter().map(ToString::to_string)).collect()
}

/// Which argument of the command at `at` the last word is; the last one may be repeated.
fn positional<'c>(command: &Command, chosen: &'c Command, words: &[OsString], at: usize) -> Option<&'c str> {
    let mut before = 0;
    let mut from = at + 1;
    // What options take is told apart with the command's own options beside those it shares.
    let known = Command::new("").args(chosen.get_arguments().chain(command.get_arguments()).cloned());
    while let Some(next) = first_positional(&known, words, from).filter(|next| next + 1 < words.len()) {
        before += 1;
        from = next + 1;
    }
    let all: Vec<&clap::Arg> = chosen.get_positionals().collect();
    let found = all.get(before).or_else(|| all.last().filter(|it| it.get_action().takes_values()))?;
    Some(found.get_id().as_str())
}

/// The store at hand, or the one that was typed; only looked at.
fn vault(app: &App, words: &[OsString]) -> Option<Vault> {
    let options = app.vault_options().ok()?;
    let typed =
        words.windows(2).find(|pair| pair.first().is_some_and(|word| word == "--store")).and_then(|pair| pair.get(1));
    let store = typed.map(PathBuf::from).or(options.store.clone());
    Vault::inspect(VaultOptions { store, recover: false, ..options }).ok()
}
