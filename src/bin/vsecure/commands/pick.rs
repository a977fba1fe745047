//! From options to the variables that a program gets: which secrets, called what, and their values.

use vsecure::audit::Action;
use vsecure::crypto::SecretBytes;
use vsecure::format::{Naming, Variable, demand_shell_names, steers_programs, variables};
use vsecure::model::{Environment, SecretPath};
use vsecure::vault::{Picked, Release, Released, Selection, Vault};

use super::rotation;
use crate::app::App;
use crate::args::{NamingArgs, PickArgs};
use crate::report::CommandError;

/// Variables, and the secrets that they come from: verified, not opened.
pub struct Chosen {
    pub variables: Vec<Variable>,
    pub picked: Picked,
}

/// A variable with its value.
pub struct Filled {
    pub name: String,
    pub value: SecretBytes,
    pub path: SecretPath,
}

/// The secrets that options are about, named as variables.
///
/// # Errors
/// Something is refused or missing, nothing is selected, or two secrets would be one variable.
pub fn choose(app: &App, vault: &Vault, pick: &PickArgs, naming: &NamingArgs) -> anyhow::Result<Chosen> {
    let environments = environments(app, vault, &pick.env)?;
    let names = pick.names.clone();
    let selection = Selection {
        tags: names.tags,
        only: names.only,
        except: names.except,
        under: names.under,
        ..Selection::default()
    };
    let mut picked = vault.pick(&environments, &selection)?;
    let of = |environment: &Environment| {
        let paths = picked.sidecars().map(|sidecar| &sidecar.path).filter(|path| path.environment() == environment);
        paths.cloned().collect()
    };
    let layers: Vec<Vec<SecretPath>> = environments.iter().map(of).collect();
    let naming = Naming {
        map: naming.map.iter().map(|mapping| (mapping.0.clone(), mapping.1.clone())).collect(),
        strip_prefix: naming.strip_prefix.clone(),
        add_prefix: naming.add_prefix.clone(),
    };
    let variables = variables(&naming, &layers)?;
    if variables.is_empty() {
        return Err(CommandError::NothingSelected.into());
    }
    // What a later layer replaces is not read at all.
    picked.retain(|path| variables.iter().any(|variable| variable.path == *path));
    Ok(Chosen { variables, picked })
}

/// That every name is a variable's, and that none makes programs load or run something, but where this machine's owner allows it.
///
/// # Errors
/// The first that is not, or does.
pub fn demand_harmless(app: &App, chosen: &Chosen) -> anyhow::Result<()> {
    demand_shell_names(&chosen.variables)?;
    let steering = |name: &String| steers_programs(name) && !app.allowed_variables().contains(name);
    match chosen.variables.iter().find(|variable| steering(&variable.name)) {
        Some(found) => Err(CommandError::Steering { variable: found.name.clone(), path: found.path.clone() }.into()),
        None => Ok(()),
    }
}

/// The values of `chosen`: all of them, but for those left out because the member can't read them.
///
/// # Errors
/// One is refused, or can't be read.
pub fn fill(
    app: &App,
    vault: &Vault,
    chosen: Chosen,
    action: Action,
    only_readable: bool,
) -> anyhow::Result<Vec<Filled>> {
    let Released { readings, skipped } = vault.release(chosen.picked, Release { action, only_readable })?;
    app.tell_notices(vault);
    for path in skipped {
        app.output.warn(&format!("{path} is left out: you can't read it"));
    }
    for sidecar in readings.iter().map(|reading| &reading.sidecar) {
        app.warn_if_expired(sidecar);
        if let Some(line) = rotation::notice(sidecar, app.context.now) {
            app.output.warn(&line);
        }
    }
    let filled = chosen.variables.into_iter().filter_map(|Variable { name, path, .. }| {
        let reading = readings.iter().find(|reading| reading.sidecar.path == path)?;
        Some(Filled { name, value: reading.value.clone(), path })
    });
    Ok(filled.collect())
}

/// The environments said, by option or variable; else the only one that has secrets.
fn environments(app: &App, vault: &Vault, said: &[Environment]) -> anyhow::Result<Vec<Environment>> {
    if !said.is_empty() {
        return Ok(said.to_vec());
    }
    if let Some(environment) = app.environment_variable()? {
        return Ok(vec![environment]);
    }
    let paths = vault.paths_unverified();
    let mut used: Vec<Environment> = paths.iter().map(|path| path.environment().clone()).collect();
    used.sort_unstable();
    used.dedup();
    match used.len() {
        0 => Err(CommandError::NothingSelected.into()),
        1 => Ok(used),
        _ => {
            let names = used.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let help = format!("--env or VSECURE_ENV says which of {names}; of several, the later ones win");
            Err(CommandError::usage("the environment is not said, and several have secrets", help).into())
        }
    }
}
