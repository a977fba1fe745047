//! `inject`: a template with the values of secrets in the place of its references.

use std::collections::BTreeMap;

use vsecure::audit::Action;
use vsecure::crypto::SecretBytes;
use vsecure::format::{Piece, filled, pieces};
use vsecure::model::SecretPath;
use vsecure::vault::{Asked, Release, Vault};

use super::export::{demand_new, write_file};
use super::value::whole_file;
use crate::app::App;
use crate::args::InjectArgs;
use crate::report::CommandError;

const MAX_TEMPLATE_BYTES: u64 = 16 * 1024 * 1024;

pub fn run(app: &App, args: &InjectArgs) -> anyhow::Result<()> {
    demand_new(args.output.as_deref(), args.force)?;
    let vault = app.unlock()?;
    let template = whole_file(&args.template, MAX_TEMPLATE_BYTES)?;
    let failed = |source| CommandError::Template { path: args.template.clone(), source };
    let pieces = pieces(template.as_bytes()).map_err(failed)?;
    let paths = resolved(app, &vault, args, &pieces)?;
    let mut wanted: Vec<SecretPath> = paths.values().cloned().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let release = Release { action: Action::Exported, only_readable: false };
    let readings = vault.release(vault.pick_paths(&wanted)?, release)?.readings;
    app.tell_notices(&vault);
    readings.iter().for_each(|reading| app.warn_if_expired(&reading.sidecar));
    let value = |name: &str| -> anyhow::Result<SecretBytes> {
        let path = paths.get(name);
        let reading = readings.iter().find(|reading| Some(&reading.sidecar.path) == path);
        Ok(reading.ok_or(CommandError::NothingSelected)?.value.clone())
    };
    let text = filled(&pieces, value)?;
    match &args.output {
        Some(path) => write_file(path, text.as_bytes(), args.force),
        None => Ok(app.output.bytes(text.as_bytes())?),
    }
}

/// Which secret each reference means. `--env` is for names without an environment.
fn resolved(
    app: &App,
    vault: &Vault,
    args: &InjectArgs,
    pieces: &[Piece],
) -> anyhow::Result<BTreeMap<String, SecretPath>> {
    let environment = args.env.clone().or(app.environment_variable()?);
    let mut paths = BTreeMap::new();
    for piece in pieces {
        if let Piece::Reference { name, line } = piece {
            let asked = Asked { name, option: None, variable: environment.as_ref() };
            let found = vault.find(asked).map_err(|error| {
                let place = format!("{}, line {line}", args.template.display());
                anyhow::Error::from(error).context(place)
            });
            paths.insert(name.clone(), found?);
        }
    }
    Ok(paths)
}
