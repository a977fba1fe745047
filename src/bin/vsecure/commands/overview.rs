//! The bare `vsecure`: what there is, where one is and as whom, and the likely next step.

use clap::CommandFactory as _;
use vsecure::format::escape;
use vsecure::vault::{Trust, Vault, VaultError};

use super::status::trust_word;
use crate::app::App;
use crate::args::Cli;
use crate::report::told;

pub fn run(app: &App) -> anyhow::Result<()> {
    let mut lines = vec![String::from("vsecure keeps a team's secrets in the git repository they belong to.")];
    let cli = Cli::command();
    let commands: Vec<&clap::Command> = cli.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let mut groups: Vec<&str> = Vec::new();
    for group in commands.iter().map(|command| group_of(command)) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    // The store's own commands, which have no group, come first, and the others in the order they are declared in.
    groups.sort_by_key(|group| !group.is_empty());
    for group in groups {
        lines.push(String::new());
        lines.push(app.output.heading(if group.is_empty() { "store" } else { group }));
        for command in commands.iter().filter(|command| group_of(command) == group) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            lines.push(format!("  {:<18}  {about}", command.get_name()));
        }
    }
    lines.push(String::new());
    let here = whereabouts(app).unwrap_or_else(|error| vec![format!("Here: {}", told(error.as_ref()))]);
    lines.extend(here);
    Ok(app.output.line(&lines.join("\n"))?)
}

fn group_of(command: &clap::Command) -> &str {
    command.get_name().split_once(':').map_or("", |(group, _)| group)
}

fn whereabouts(app: &App) -> anyhow::Result<Vec<String>> {
    let here = |text: String, next: &str| vec![format!("Here: {text}"), format!("Next: {next}")];
    let mut vault = match Vault::inspect(app.vault_options()?) {
        Ok(vault) => vault,
        Err(error @ VaultError::Store(vsecure::store::StoreError::NoStore { .. })) => {
            return Ok(here(told(&error), "vsecure init   (or vsecure demo, to look on)"));
        }
        Err(error) => return Ok(here(told(&error), "vsecure status")),
    };
    let place = vault.root().display().to_string();
    let store = format!("{} ({})", escape(&place), trust_word(vault.trust()));
    if vault.trust() == Trust::Unknown {
        return Ok(here(store, "vsecure trust"));
    }
    let unlocked = app.identities().and_then(|identities| Ok(vault.unlock(identities)?.to_string()));
    Ok(match unlocked {
        Ok(member) if vault.paths_unverified().is_empty() => {
            here(format!("{store}, as {member}"), "vsecure create API_KEY --tags production")
        }
        Ok(member) => here(format!("{store}, as {member}"), "vsecure list"),
        Err(error) => here(format!("{store}; {}", told(error.as_ref())), "vsecure keys:show"),
    })
}
