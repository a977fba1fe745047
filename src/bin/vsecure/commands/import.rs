//! `import`: secrets of what another program's file or store holds. In one commit; with `--history` in one for each of the source's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use vsecure::audit::Action;
use vsecure::crypto::SecretBytes;
use vsecure::format::{Found, ImportError, Source, escape, import, source_of};
use vsecure::model::{Environment, MetadataKey, MetadataValue, SecretName, SecretPath, Tag, Timestamp};
use vsecure::vault::{Create, Dates, Existing, Imported, Incoming, Release, Selection, Vault, VaultError, Writing};

use super::entries::{self, Opener, Step};
use super::helper;
use super::value::whole_file;
use crate::app::App;
use crate::args::{ImportArgs, ImportFormat};
use crate::report::CommandError;

const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Under which a secret's metadata say up to which of the source's commits its history was imported.
const IMPORTED_FROM: &str = "imported_from";

/// A secret of the source.
struct Item {
    key: String,
    environment: Environment,
    value: SecretBytes,
    tags: Vec<Tag>,
    metadata: Vec<(MetadataKey, MetadataValue)>,
    expires_at: Option<Timestamp>,
    dates: Option<Dates>,
    /// Whether an earlier import of the same history brought it, so that it goes on.
    goes_on: bool,
}

/// What becomes one commit.
struct Batch {
    /// What is said of it, where it is one of several.
    message: Option<String>,
    items: Vec<Item>,
}

/// All that is imported, and what is not.
struct Gathered {
    batches: Vec<Batch>,
    skipped: Vec<(String, String)>,
}

pub fn run(app: &App, args: ImportArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let mut gathered = gather(app, &vault, &args)?;
    let mut requests = Vec::new();
    for batch in gathered.batches {
        requests.push((batch.message, incoming(&args, batch.items, &mut gathered.skipped)?));
    }
    let writing = app.writing(&args.write);
    if args.from.history && writing.no_commit {
        let what = "a version is a commit, and the settings say that none is to be made";
        return Err(CommandError::usage(what, "vsecure config:set commit true").into());
    }
    let imported = match requests.as_slice() {
        [(None, only)] => vault.import(only, &writing)?,
        _ => import_history(&vault, requests, &writing)?,
    };
    app.tell_notices(&vault);
    let mut told = BTreeSet::new();
    gathered.skipped.retain(|skipped| told.insert(skipped.clone()));
    tell(app, &args, &imported, &gathered.skipped)
}

fn gather(app: &App, vault: &Vault, args: &ImportArgs) -> anyhow::Result<Gathered> {
    let format = if args.file.is_dir() { Some(folder_format(args)?) } else { args.format };
    demand_fitting(args, format)?;
    match format {
        Some(ImportFormat::Vsecure) => store_items(app, args),
        Some(ImportFormat::Pass) => entry_items(app, vault, args, &Opener::Pass, "pass"),
        Some(ImportFormat::Passage) => {
            let path = args.from.from_identity.clone().or_else(|| app.context.passage_identities.clone());
            let identities = app.identities_of_file(path.ok_or(VaultError::NoIdentity)?)?;
            entry_items(app, vault, args, &Opener::Passage(identities), "passage")
        }
        _ => file_items(app, vault, args),
    }
}

/// What the folder is: said, or told by what lies in it.
fn folder_format(args: &ImportArgs) -> Result<ImportFormat, CommandError> {
    let unknown = CommandError::Import { path: args.file.clone(), source: ImportError::Unknown };
    if let Some(format) = args.format {
        return Ok(format);
    }
    if args.file.ends_with(".vsecure") || args.file.join(".vsecure").is_dir() {
        return Ok(ImportFormat::Vsecure);
    }
    match Opener::ending_in(&args.file) {
        Some("gpg") => Ok(ImportFormat::Pass),
        Some(_) => Ok(ImportFormat::Passage),
        None => Err(unknown),
    }
}

/// That no option was given that means nothing here.
fn demand_fitting(args: &ImportArgs, format: Option<ImportFormat>) -> Result<(), CommandError> {
    let (ours, from) = (format == Some(ImportFormat::Vsecure), &args.from);
    let entries = matches!(format, Some(ImportFormat::Pass | ImportFormat::Passage));
    let said = [
        ("--history", from.history && !entries),
        ("--first-line", from.first_line && !entries),
        ("--from-identity", from.from_identity.is_some() && !ours && format != Some(ImportFormat::Passage)),
        ("--from-env", !from.from_env.is_empty() && !ours),
        ("--from-store-id", from.from_store_id.is_some() && !ours),
    ];
    match said.into_iter().find(|(_, wrong)| *wrong) {
        Some((option, _)) => {
            let what = format!("{option} means nothing for {}", args.file.display());
            Err(CommandError::usage(what, "vsecure import --help   says what it is for"))
        }
        None => Ok(()),
    }
}

/// The one environment that everything is for.
fn environment(app: &App, vault: &Vault, args: &ImportArgs) -> anyhow::Result<Environment> {
    let Some(environment) = args.env.clone().or(app.environment_variable()?) else {
        let known = vault.environments().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(CommandError::usage("the environment is not said", format!("--env says it: one of {known}")).into());
    };
    vault.known_environment(&environment)?;
    Ok(environment)
}

fn file_items(app: &App, vault: &Vault, args: &ImportArgs) -> anyhow::Result<Gathered> {
    let environment = environment(app, vault, args)?;
    let content = whole_file(&args.file, MAX_FILE_BYTES)?;
    let failed = |source| CommandError::Import { path: args.file.clone(), source };
    let source = match args.format {
        Some(ImportFormat::Dotenv) => Source::Dotenv,
        Some(ImportFormat::Json) => Source::Json,
        Some(ImportFormat::Yaml) => Source::Yaml,
        _ => source_of(&args.file, content.as_bytes()).map_err(failed)?,
    };
    let Found { values, skipped } = match import(source, content.as_bytes()) {
        Err(ImportError::Sops) => {
            let plain = decrypted_by_sops(source, content.as_bytes(), &args.file)?;
            import(Source::Json, plain.as_bytes()).map_err(failed)?
        }
        result => result.map_err(failed)?,
    };
    let item = |(key, value)| Item {
        key,
        environment: environment.clone(),
        value,
        tags: Vec::new(),
        metadata: Vec::new(),
        expires_at: None,
        dates: None,
        goes_on: false,
    };
    let skipped = skipped.into_iter().map(|(key, what)| (key, format!("it holds {what}"))).collect();
    Ok(Gathered { batches: vec![Batch { message: None, items: values.into_iter().map(item).collect() }], skipped })
}

/// What sops makes of what we have read; the file is not read again, so that what was looked at is what is decrypted.
fn decrypted_by_sops(source: Source, content: &[u8], file: &Path) -> anyhow::Result<SecretBytes> {
    let kind = match source {
        Source::Dotenv => "dotenv",
        Source::Json => "json",
        Source::Yaml => "yaml",
    };
    let arguments = ["--decrypt", "--input-type", kind, "--output-type", "json", "/dev/stdin"];
    helper::decrypted("sops", &arguments, content, MAX_FILE_BYTES, &file.display().to_string())
}

fn entry_items(
    app: &App,
    vault: &Vault,
    args: &ImportArgs,
    opener: &Opener,
    program: &str,
) -> anyhow::Result<Gathered> {
    let environment = environment(app, vault, args)?;
    let read = entries::read(app, &args.file, opener, &args.from)?;
    let reached = match args.from.history {
        true => imported_before(vault, args, &environment, program, &read.steps),
        false => BTreeMap::new(),
    };
    let mut batches = Vec::new();
    for (number, Step { commit, entries }) in read.steps.into_iter().enumerate() {
        let mark = commit.as_ref().filter(|_| args.from.history).map(|commit| format!("{program}:{commit}"));
        let mark = mark.map(|mark| Ok::<_, anyhow::Error>((IMPORTED_FROM.parse()?, mark.parse()?))).transpose()?;
        let fresh = entries.into_iter().filter(|entry| reached.get(&entry.key).is_none_or(|last| number > *last));
        let items = fresh.map(|entry| Item {
            goes_on: reached.contains_key(&entry.key),
            key: entry.key,
            environment: environment.clone(),
            value: entry.value,
            tags: Vec::new(),
            metadata: mark.iter().cloned().collect(),
            expires_at: None,
            dates: entry.dates,
        });
        let what = commit.map_or_else(|| "its work tree".to_owned(), |commit| format!("its commit {commit}"));
        let message = args.from.history.then(|| format!("Import from {program}, {what}"));
        batches.push(Batch { message, items: items.collect() });
    }
    batches.retain(|batch| !batch.items.is_empty());
    Ok(Gathered { batches, skipped: read.skipped })
}

/// Up to which step an import with `--history` has brought an entry already, by what the secrets' metadata say.
fn imported_before(
    vault: &Vault,
    args: &ImportArgs,
    environment: &Environment,
    program: &str,
    steps: &[Step],
) -> BTreeMap<String, usize> {
    let reached = |key: &str| {
        let path = SecretPath::new(environment.clone(), name_of(args, key).ok()?).ok()?;
        let sidecar = vault.describe(&path).ok()?;
        let (_, mark) = sidecar.metadata.iter().find(|(key, _)| key.as_str() == IMPORTED_FROM)?;
        let commit = mark.as_str().strip_prefix(program)?.strip_prefix(':')?;
        steps.iter().position(|step| step.commit.as_deref() == Some(commit))
    };
    let keys: BTreeSet<&String> = steps.iter().flat_map(|step| &step.entries).map(|entry| &entry.key).collect();
    keys.into_iter().filter_map(|key| Some((key.clone(), reached(key)?))).collect()
}

fn store_items(app: &App, args: &ImportArgs) -> anyhow::Result<Gathered> {
    let mut options = app.vault_options()?;
    options.store = Some(args.file.clone());
    // What was said of our own store says nothing about another.
    options.claim = args.from.from_store_id;
    let mut source = Vault::open(options).map_err(|error| match error {
        VaultError::Untrusted { id } => {
            anyhow::Error::from(CommandError::ForeignUntrusted { path: args.file.clone(), id })
        }
        error => error.into(),
    })?;
    source.unlock(match &args.from.from_identity {
        Some(path) => app.identities_of_file(path.clone())?,
        None => app.identities()?,
    })?;
    let environments = if args.from.from_env.is_empty() { source.environments() } else { args.from.from_env.clone() };
    let picked = source.pick(&environments, &Selection::default())?;
    let released = source.release(picked, Release { action: Action::Exported, only_readable: false })?;
    app.tell_notices(&source);
    let items = released.readings.into_iter().map(|reading| Item {
        key: reading.sidecar.path.name().to_string(),
        environment: args.env.clone().unwrap_or_else(|| reading.sidecar.path.environment().clone()),
        value: reading.value,
        tags: reading.sidecar.tags.into_iter().collect(),
        metadata: reading.sidecar.metadata.into_iter().collect(),
        expires_at: reading.sidecar.expires_at,
        goes_on: false,
        dates: Some(Dates { created_at: reading.sidecar.created_at, updated_at: reading.sidecar.updated_at }),
    });
    Ok(Gathered { batches: vec![Batch { message: None, items: items.collect() }], skipped: Vec::new() })
}

/// What the vault is asked for. What has no valid name is an error, or left out where that was asked for.
fn incoming(
    args: &ImportArgs,
    items: Vec<Item>,
    skipped: &mut Vec<(String, String)>,
) -> Result<Vec<Incoming>, CommandError> {
    let existing = match (args.update, args.skip) {
        (true, _) => Existing::Update,
        (_, true) => Existing::Skip,
        _ => Existing::Refuse,
    };
    let mut requests = Vec::new();
    for item in items {
        let named = name_of(args, &item.key).and_then(|name| {
            SecretPath::new(item.environment, name)
                .map_err(|source| CommandError::ImportName { key: item.key.clone(), source })
        });
        let path = match named {
            Ok(path) => path,
            Err(CommandError::ImportName { key, source }) if args.skip_invalid => {
                skipped.push((key, source.to_string()));
                continue;
            }
            Err(error) => return Err(error),
        };
        let said = args.metadata.iter().map(|it| (it.0.clone(), it.1.clone()));
        let create = Create {
            path,
            value: item.value,
            allow_empty: true,
            tags: item.tags.into_iter().chain(args.tags.iter().cloned()).collect(),
            metadata: item.metadata.into_iter().chain(said).collect(),
            expires_at: item.expires_at,
            rotation: None,
        };
        let existing = if item.goes_on { Existing::Update } else { existing };
        requests.push(Incoming { create, dates: item.dates, existing });
    }
    let mut paths = BTreeSet::new();
    match requests.iter().find(|request| !paths.insert(&request.create.path)) {
        Some(twice) => {
            let source = ImportError::Collision { name: twice.create.path.to_string() };
            Err(CommandError::Import { path: args.file.clone(), source })
        }
        None => Ok(requests),
    }
}

fn name_of(args: &ImportArgs, key: &str) -> Result<SecretName, CommandError> {
    let name = match &args.under {
        Some(folder) => format!("{folder}/{key}").parse(),
        None => key.parse(),
    };
    name.map_err(|source| CommandError::ImportName { key: key.to_owned(), source })
}

/// One commit for each of the source's, oldest first. Whatever can refuse is tried before the first one is written; what a kill cuts off goes
/// on when the command is run again.
fn import_history(
    vault: &Vault,
    batches: Vec<(Option<String>, Vec<Incoming>)>,
    writing: &Writing,
) -> Result<Imported, VaultError> {
    let mut all = Imported { outcomes: Vec::new(), skipped: Vec::new() };
    let mut begun: BTreeSet<SecretPath> = BTreeSet::new();
    let trial = Writing { dry_run: true, ..writing.clone() };
    // All that there will be, for what can only be seen together.
    let newest: BTreeMap<SecretPath, Incoming> =
        batches.iter().flat_map(|(_, requests)| requests).map(|it| (it.create.path.clone(), it.clone())).collect();
    vault.import(&newest.into_values().collect::<Vec<_>>(), &trial)?;
    let mut steps = Vec::new();
    for (message, mut requests) in batches {
        let tried = vault.import(&requests, &trial)?;
        for path in tried.skipped {
            requests.retain(|request| request.create.path != path);
            if !all.skipped.contains(&path) {
                all.skipped.push(path);
            }
        }
        if writing.dry_run {
            all.outcomes.extend(tried.outcomes.into_iter().filter(|outcome| begun.insert(outcome.path.clone())));
        }
        steps.push((message, requests));
    }
    for (message, mut requests) in steps.into_iter().filter(|(_, requests)| !writing.dry_run && !requests.is_empty()) {
        for request in &mut requests {
            if !begun.insert(request.create.path.clone()) {
                request.existing = Existing::Update;
            }
        }
        let message = writing.message.clone().or(message);
        all.outcomes.extend(vault.import(&requests, &Writing { message, ..writing.clone() })?.outcomes);
    }
    Ok(all)
}

fn tell(app: &App, args: &ImportArgs, imported: &Imported, nothing: &[(String, String)]) -> anyhow::Result<()> {
    for path in &imported.skipped {
        app.output.say(&format!("{path}: exists, left as it is"));
    }
    for (key, reason) in nothing {
        app.output.say(&format!("{}: skipped, {}", escape(key), escape(reason)));
    }
    let secrets: BTreeSet<&SecretPath> = imported.outcomes.iter().map(|outcome| &outcome.path).collect();
    let changed: BTreeSet<&SecretPath> =
        imported.outcomes.iter().filter(|outcome| outcome.changed).map(|outcome| &outcome.path).collect();
    app.output.say(&format!("{} of {} secrets", changed.len(), secrets.len() + imported.skipped.len()));
    if !app.output.json {
        return Ok(app.output.outcomes(&imported.outcomes, args.write.dry_run)?);
    }
    let secrets: Vec<_> =
        imported.outcomes.iter().map(|it| crate::output::outcome_json(it, args.write.dry_run)).collect();
    let existing: Vec<String> = imported.skipped.iter().map(ToString::to_string).collect();
    let nothing: Vec<_> = nothing.iter().map(|(key, reason)| json!({ "key": key, "reason": reason })).collect();
    Ok(app.output.value(&json!({ "format": 1, "secrets": secrets, "existing": existing, "skipped": nothing }))?)
}
