//! The entries of pass and passage: a folder of encrypted files, with a history in git or without.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use vsecure::crypto::{Identity, SecretBytes, open_foreign};
use vsecure::format::escape;
use vsecure::model::Timestamp;
use vsecure::store::{BlobId, Past, PastCommit};
use vsecure::vault::Dates;

use super::helper;
use crate::app::App;
use crate::args::FromArgs;
use crate::report::CommandError;

/// Ciphertexts larger than that are no entries of ours: values have at most 16 MiB.
const MAX_FILE_BYTES: u64 = 17 * 1024 * 1024;

/// What decrypts the entries.
pub enum Opener {
    /// The user's gpg.
    Pass,
    /// The keys of passage.
    Passage(Vec<Identity>),
}

/// A value that an entry has or had.
pub struct Entry {
    /// Its name, without the file's ending.
    pub key: String,
    /// The value.
    pub value: SecretBytes,
    /// Its age, as far as commits tell.
    pub dates: Option<Dates>,
}

/// What the store held at one time, as far as it differs from before.
pub struct Step {
    /// The commit; none for what the folder holds now.
    pub commit: Option<String>,
    /// The entries that changed.
    pub entries: Vec<Entry>,
}

/// What a store of pass or passage came to.
#[derive(Default)]
pub struct Entries {
    /// Oldest first; the last one is the present.
    pub steps: Vec<Step>,
    /// What was left out, and why.
    pub skipped: Vec<(String, String)>,
}

impl Opener {
    /// How the names of the entries in `folder` end; none if there are none, or of both kinds.
    pub fn ending_in(folder: &Path) -> Option<&'static str> {
        let is_there = |ending: &&str| {
            let mut found = Found::default();
            // A folder that can't be read is told of when it is read in earnest.
            let _ = collect(folder, folder, ending, &mut found);
            !found.files.is_empty()
        };
        let mut there = ["gpg", "age"].into_iter().filter(is_there);
        there.next().filter(|_| there.next().is_none())
    }

    const fn ending(&self) -> &'static str {
        match self {
            Self::Pass => "gpg",
            Self::Passage(_) => "age",
        }
    }

    fn open(&self, app: &App, file: &[u8], entry: &str) -> anyhow::Result<SecretBytes> {
        match self {
            Self::Pass => {
                let arguments = ["--quiet", "--batch", "--use-agent", "--decrypt"];
                helper::decrypted("gpg", &arguments, file, app.max_value_bytes(), entry)
            }
            Self::Passage(identities) => open_foreign(file, identities)
                .map_err(|source| CommandError::Undecryptable { entry: entry.to_owned(), source }.into()),
        }
    }
}

/// Every value in `folder`: those that entries have, and with `--history` those that they had.
///
/// # Errors
/// When the folder can't be read, or one of the present values can't be decrypted.
pub fn read(app: &App, folder: &Path, opener: &Opener, from: &FromArgs) -> anyhow::Result<Entries> {
    let mut found = Found::default();
    collect(folder, folder, opener.ending(), &mut found)?;
    let mut entries = Entries { steps: Vec::new(), skipped: found.skipped };
    let past = Past::of(folder)?;
    let commits = past.as_ref().map(Past::commits).transpose()?.unwrap_or_default();
    let mut now = Vec::new();
    for (key, path) in &found.files {
        let file = read_file(path)?;
        let value = opener.open(app, &file, &escape(&path.display().to_string()))?;
        let dates = past.as_ref().and_then(|past| dates_of(past, &commits, &file_name(key, opener), &file));
        now.push(Entry { key: key.clone(), value: trimmed(value, from.first_line, key, &mut entries.skipped), dates });
    }
    if let Some(past) = past.as_ref().filter(|_| from.history) {
        entries.steps = steps(app, past, &commits, opener, from, &now, &mut entries.skipped);
    }
    entries.steps.push(Step { commit: None, entries: now });
    without_repeats(&mut entries.steps);
    Ok(entries)
}

fn file_name(key: &str, opener: &Opener) -> String {
    format!("{key}.{}", opener.ending())
}

#[derive(Default)]
struct Found {
    files: BTreeMap<String, PathBuf>,
    skipped: Vec<(String, String)>,
}

/// The files with `ending` below `folder`. Hidden folders are those of programs; a link could lead anywhere.
fn collect(root: &Path, folder: &Path, ending: &str, found: &mut Found) -> anyhow::Result<()> {
    let unreadable = || format!("the folder {} can't be read", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(unreadable)?);
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, ending, found)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let Some(key) = name.strip_suffix(&format!(".{ending}")) else { continue };
        if kind.is_file() {
            found.files.insert(key.to_owned(), path);
        } else {
            found.skipped.push((key.to_owned(), "it is no plain file".to_owned()));
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("the file {} can't be read", path.display());
    let mut bytes = Vec::new();
    fs::File::open(path).with_context(unreadable)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let what = format!("the file {} is larger than {MAX_FILE_BYTES} bytes", path.display());
        return Err(CommandError::usage(what, "move it away, or import the others one by one").into());
    }
    Ok(bytes)
}

/// An entry of one line loses that line's end, which pass and passage write themselves; one of several lines stays as it is.
fn trimmed(value: SecretBytes, first_line: bool, key: &str, skipped: &mut Vec<(String, String)>) -> SecretBytes {
    let bytes = value.as_bytes();
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if first_line || end + 1 == bytes.len() => {
            if end + 1 < bytes.len() && !skipped.iter().any(|(there, _)| there == key) {
                skipped.push((key.to_owned(), "the lines behind the first one".to_owned()));
            }
            SecretBytes::new(bytes.get(..end).unwrap_or_default().to_vec())
        }
        _ => value,
    }
}

/// When the entry in the file `name` was made, and when its present content came; none where no commit has that.
fn dates_of(past: &Past, commits: &[PastCommit], name: &str, content: &[u8]) -> Option<Dates> {
    let gone = commits.iter().rposition(|commit| blob_of(commit, name) == Some(None));
    let mut of_file = commits
        .iter()
        .skip(gone.map_or(0, |at| at + 1))
        .filter_map(|commit| Some((commit.time, blob_of(commit, name)?)));
    let (first, last) = (of_file.clone().next()?, of_file.next_back()?);
    let same = past.content(last.1?, MAX_FILE_BYTES).is_ok_and(|committed| committed == content);
    same.then(|| dates(first.0, last.0)).flatten()
}

fn blob_of(commit: &PastCommit, name: &str) -> Option<Option<BlobId>> {
    let at = commit.files.binary_search_by(|(file, _)| file.as_str().cmp(name)).ok()?;
    commit.files.get(at).map(|(_, blob)| *blob)
}

fn dates(first: i64, last: i64) -> Option<Dates> {
    let time = |seconds: i64| Timestamp::from_unix(seconds).ok();
    Some(Dates { created_at: time(first.min(last))?, updated_at: time(last)? })
}

/// What each commit brought of the entries that are there `now`. What can't be decrypted any more is told, and left out.
fn steps(
    app: &App,
    past: &Past,
    commits: &[PastCommit],
    opener: &Opener,
    from: &FromArgs,
    now: &[Entry],
    skipped: &mut Vec<(String, String)>,
) -> Vec<Step> {
    let mut first: BTreeMap<&str, i64> = BTreeMap::new();
    let mut steps = Vec::new();
    for commit in commits {
        let mut step = Step { commit: Some(commit.id.to_string()), entries: Vec::new() };
        for Entry { key, .. } in now {
            let blob = match blob_of(commit, &file_name(key, opener)) {
                Some(Some(blob)) => blob,
                Some(None) => {
                    first.remove(key.as_str());
                    continue;
                }
                None => continue,
            };
            let since = *first.entry(key).or_insert(commit.time);
            let entry = format!("{} at {}", escape(key), commit.id);
            let file = past.content(blob, MAX_FILE_BYTES).map_err(anyhow::Error::from);
            match file.and_then(|file| opener.open(app, &file, &entry)) {
                Ok(value) => {
                    let value = trimmed(value, from.first_line, key, skipped);
                    step.entries.push(Entry { key: key.clone(), value, dates: dates(since, commit.time) });
                }
                Err(error) => skipped.push((key.clone(), format!("its value of commit {}: {error}", commit.id))),
            }
        }
        steps.push(step);
    }
    steps
}

/// Drops values that are those of before: what was only encrypted anew is no version.
fn without_repeats(steps: &mut Vec<Step>) {
    let mut last: BTreeMap<String, SecretBytes> = BTreeMap::new();
    for step in &mut *steps {
        step.entries.retain(|entry| {
            let known = last.insert(entry.key.clone(), entry.value.clone());
            known.is_none_or(|known| !known.same_as(&entry.value))
        });
    }
    steps.retain(|step| !step.entries.is_empty());
}
