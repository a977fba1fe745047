//! `import`: secrets of what another program's file holds, in one commit.

use serde_json::json;
use vsecure::format::{Found, Source, escape, import, source_of};
use vsecure::model::{SecretName, SecretPath};
use vsecure::vault::{Create, Existing, Imported};

use super::value::whole_file;
use crate::app::App;
use crate::args::{ImportArgs, ImportFormat};
use crate::report::CommandError;

const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

pub fn run(app: &App, args: ImportArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let Some(environment) = args.env.clone().or(app.environment_variable()?) else {
        let help = format!("--env says it: one of {}", environments(&vault));
        return Err(CommandError::usage("the environment is not said", help).into());
    };
    vault.known_environment(&environment)?;
    let content = whole_file(&args.file, MAX_FILE_BYTES)?;
    let failed = |source| CommandError::Import { path: args.file.clone(), source };
    let source = match args.format {
        Some(ImportFormat::Dotenv) => Source::Dotenv,
        Some(ImportFormat::Json) => Source::Json,
        Some(ImportFormat::Yaml) => Source::Yaml,
        None => source_of(&args.file, content.as_bytes()).map_err(failed)?,
    };
    let Found { values, skipped } = import(source, content.as_bytes()).map_err(failed)?;
    let mut requests = Vec::new();
    for (key, value) in values {
        let name = name_of(&args, &key)?;
        let path = SecretPath::new(environment.clone(), name)
            .map_err(|source| CommandError::ImportName { key: key.clone(), source })?;
        requests.push(Create {
            path,
            value,
            allow_empty: true,
            tags: args.tags.clone(),
            metadata: args.metadata.iter().map(|it| (it.0.clone(), it.1.clone())).collect(),
            expires_at: None,
        });
    }
    let existing = match (args.update, args.skip) {
        (true, _) => Existing::Update,
        (_, true) => Existing::Skip,
        _ => Existing::Refuse,
    };
    let imported = vault.import(&requests, existing, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    tell(app, &args, &imported, &skipped)
}

fn environments(vault: &vsecure::vault::Vault) -> String {
    vault.environments().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn name_of(args: &ImportArgs, key: &str) -> Result<SecretName, CommandError> {
    let name = match &args.under {
        Some(folder) => format!("{folder}/{key}").parse(),
        None => key.parse(),
    };
    name.map_err(|source| CommandError::ImportName { key: key.to_owned(), source })
}

fn tell(app: &App, args: &ImportArgs, imported: &Imported, nothing: &[(String, &str)]) -> anyhow::Result<()> {
    for path in &imported.skipped {
        app.output.say(&format!("{path}: exists, left as it is"));
    }
    for (key, what) in nothing {
        app.output.say(&format!("{}: skipped, it holds {what}", escape(key)));
    }
    let changed = imported.outcomes.iter().filter(|outcome| outcome.changed).count();
    app.output.say(&format!("{changed} of {} secrets", imported.outcomes.len() + imported.skipped.len()));
    if !app.output.json {
        return Ok(app.output.outcomes(&imported.outcomes, args.write.dry_run)?);
    }
    let secrets: Vec<_> =
        imported.outcomes.iter().map(|it| crate::output::outcome_json(it, args.write.dry_run)).collect();
    let existing: Vec<String> = imported.skipped.iter().map(ToString::to_string).collect();
    let nothing: Vec<_> = nothing.iter().map(|(key, what)| json!({ "key": key, "reason": what })).collect();
    Ok(app.output.value(&json!({ "format": 1, "secrets": secrets, "existing": existing, "skipped": nothing }))?)
}
