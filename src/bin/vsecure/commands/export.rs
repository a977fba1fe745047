//! `export`: secrets in a form that other programs read.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use vsecure::audit::Action;
use vsecure::crypto::SecretBytes;
use vsecure::format::{Delimiter, Form, Generator, Manifest, export, github_masks};
use vsecure::private;

use super::pick;
use crate::app::App;
use crate::args::{ExportArgs, ExportFormat};
use crate::report::CommandError;

pub fn run(app: &App, args: ExportArgs) -> anyhow::Result<()> {
    let form = form_of(args.format);
    demand_new(args.output.as_deref(), args.force)?;
    let vault = app.unlock()?;
    let chosen = pick::choose(app, &vault, &args.pick, &args.naming)?;
    if form.sets_variables() {
        pick::demand_harmless(app, &chosen)?;
    }
    let filled = pick::fill(app, &vault, chosen, Action::Exported, args.pick.readable)?;
    let entries: Vec<(&str, &SecretBytes)> = filled.iter().map(|it| (it.name.as_str(), &it.value)).collect();
    let manifest = Manifest { name: args.name.unwrap_or_default(), namespace: args.namespace };
    let text = export(form, &entries, &manifest, &delimiter()?)?;
    let masks = if form == Form::GithubEnv { Some(github_masks(&entries)?) } else { None };
    match (&args.output, &masks) {
        (Some(path), _) => write_file(path, text.as_bytes(), args.force)?,
        (None, Some(_)) => append_to_github(app, &text)?,
        (None, None) => app.output.bytes(text.as_bytes())?,
    }
    // The runner reads these from the log: before any step that could print a value.
    masks.iter().try_for_each(|masks| app.output.bytes(masks.as_bytes()))?;
    Ok(())
}

const fn form_of(format: ExportFormat) -> Form {
    match format {
        ExportFormat::Dotenv => Form::Dotenv,
        ExportFormat::Shell => Form::Shell,
        ExportFormat::Json => Form::Json,
        ExportFormat::Yaml => Form::Yaml,
        ExportFormat::Kubernetes => Form::Kubernetes,
        ExportFormat::DockerEnv => Form::DockerEnv,
        ExportFormat::GithubEnv => Form::GithubEnv,
    }
}

fn delimiter() -> anyhow::Result<Delimiter> {
    let random = "hex=16".parse::<Generator>()?.generate()?;
    Ok(Delimiter(format!("vsecure_{}", String::from_utf8_lossy(random.as_bytes()))))
}

/// That no output file is there, unless it may be written over: to be known before anything is read and written down.
///
/// # Errors
/// [`CommandError::OutputExists`].
pub fn demand_new(output: Option<&Path>, force: bool) -> Result<(), CommandError> {
    match output.filter(|path| !force && path.symlink_metadata().is_ok()) {
        Some(path) => Err(CommandError::OutputExists { path: path.to_owned() }),
        None => Ok(()),
    }
}

/// Writes an output file, with mode 0600, whole or not at all.
///
/// # Errors
/// When it exists, or can't be written.
pub fn write_file(path: &Path, text: &[u8], force: bool) -> anyhow::Result<()> {
    let written = if force { private::replace(path, text) } else { private::create(path, text) };
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.symlink_metadata().is_ok() => {
            Err(CommandError::OutputExists { path: path.to_owned() }.into())
        }
        // So the system says of a file where a folder should be.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(anyhow!("the file {} could not be written: there is a file in the place of its folder", path.display()))
        }
        written => written.with_context(|| format!("the file {} could not be written", path.display())),
    }
}

fn append_to_github(app: &App, text: &SecretBytes) -> anyhow::Result<()> {
    let Some(path) = &app.context.github_env else {
        let help = "it is set in a step of GitHub Actions; elsewhere --output FILE writes a file";
        return Err(CommandError::usage("the variable GITHUB_ENV is not set", help).into());
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    let appended = file.and_then(|mut file| file.write_all(text.as_bytes()));
    appended.with_context(|| format!("the file {} that GITHUB_ENV names could not be written", path.display()))
}
