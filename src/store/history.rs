//! Which commits brought which files: a walk of HEAD's history that looks only at the store, cached and extended.
//!
//! A commit brings a file when it differs there from every parent; a shallow boundary brings nothing. The walk is git's own, because it
//! reads commit-graphs and Bloom filters. The cache is a set of (commit, file): after a merge, rebase or amended commit, those of
//! commits no longer reachable are taken out and those newly reachable put in.
//!
//! A few objects can spell more paths than can be listed, and stay in history for ever; git lists a commit's before it prints the first. Where it
//! falls silent, or prints too much, the files that are asked for or are there now are walked for by their names.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use git2::Oid;
use sha2::{Digest as _, Sha256};

use super::lock;
use super::tree::{BlobId, CommitId, MOST_ENTRIES};
use super::{Store, StoreError, StorePath};
use crate::private;

const FORMAT: &str = "vsecure-history/1";
const SECRETS: &str = "secrets";
/// The mode of a submodule, as git prints it.
const SUBMODULE: &str = "160000";
/// What of a store's files history is asked for: signed documents.
const DOCUMENT: &str = ".yaml";
/// How many files one commit can change in a store: all that were there go, and others come.
const MOST_CHANGED: usize = 2 * MOST_ENTRIES;
/// How much git may print: a hundred times all of ten thousand secrets is less than half of that.
const MOST_PRINTED: usize = 1 << 30;

/// One file brought by one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The commit.
    pub commit: CommitId,
    /// The committer's time, in seconds since 1970.
    pub time: i64,
    /// The file's content; none when the commit removed it.
    pub blob: Option<BlobId>,
}

/// The history of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathHistory {
    /// In the order of git's walk, newest first.
    pub entries: Vec<HistoryEntry>,
    /// Whether history reaches back to its beginning here; a shallow clone's does not.
    pub complete: bool,
}

/// How long git may be silent over a walk of all files: about a million commits that change none.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a walk came to.
struct Walked {
    lines: String,
    /// Whether it is about everything that was asked for, or only about the files that are there now.
    whole: bool,
}

/// The lines of the cache, `<commit> <time> <blob or -> <path>`, newest first, for one HEAD.
struct Cached {
    head: Oid,
    shallow: String,
    lines: String,
}

/// What is walked, and where its lines are cached.
struct Scope {
    file: PathBuf,
    /// A folder or a file of the store.
    what: String,
    /// Caches that this one holds the lines of.
    superseded: Vec<PathBuf>,
}

impl Store {
    /// The commits of HEAD's history that brought `path`, a file below `secrets/`.
    ///
    /// # Errors
    /// [`StoreError`] when the history can't be read. A cache that can't be written is done without.
    pub fn history(&self, path: &StorePath) -> Result<PathHistory, StoreError> {
        let scope = self.scope(Some(path))?;
        let mut walked = self.history_lines(&scope)?;
        if !walked.whole {
            walked = self.history_lines(&self.single_scope(path)?)?;
        }
        Ok(PathHistory { entries: entries_of(&walked.lines, path.as_str()), complete: !self.is_shallow()? })
    }

    /// The histories of all files below `secrets/` that HEAD's history knows, by path.
    ///
    /// # Errors
    /// As for [`Store::history`].
    pub fn histories(&self) -> Result<BTreeMap<StorePath, PathHistory>, StoreError> {
        Ok(by_path(&self.history_lines(&self.scope(None)?)?.lines, !self.is_shallow()?))
    }

    /// The histories of all files below `folder`, which is not `secrets/`: walked each time.
    ///
    /// # Errors
    /// As for [`Store::history`].
    pub fn histories_below(&self, folder: &StorePath) -> Result<BTreeMap<StorePath, PathHistory>, StoreError> {
        let Some(head) = self.head()? else { return Ok(BTreeMap::new()) };
        Ok(by_path(&self.walk(&[head.to_string()], folder.as_str())?.lines, !self.is_shallow()?))
    }

    /// The cache's lines, brought to HEAD.
    fn history_lines(&self, scope: &Scope) -> Result<Walked, StoreError> {
        let Some(CommitId(head)) = self.head()? else { return Ok(Walked { lines: String::new(), whole: true }) };
        let shallow = self.shallow_digest()?;
        let cached = load(&scope.file).filter(|cached| cached.shallow == shallow);
        match cached {
            Some(cached) if cached.head == head => Ok(Walked { lines: cached.lines, whole: true }),
            cached => {
                let walked = self.extended(&scope.what, cached, head)?;
                if walked.whole {
                    // Without a place to write, the next command walks again; that is all.
                    let _ = self.save(scope, head, &shallow, &walked.lines);
                }
                Ok(walked)
            }
        }
    }

    /// The histories of all files below `secrets/` in what `tip` has in its history and HEAD has not: walked each time.
    ///
    /// # Errors
    /// As for [`Store::history`].
    pub fn histories_beyond(&self, tip: &CommitId) -> Result<BTreeMap<StorePath, PathHistory>, StoreError> {
        let mut range = vec![tip.to_string()];
        range.extend(self.head()?.map(|head| format!("^{head}")));
        Ok(by_path(&self.walk(&range, SECRETS)?.lines, !self.is_shallow()?))
    }

    /// What is walked to answer for `path`, or for all. Whoever asks for one file only gets its walk, which a commit-graph makes many times
    /// shorter than that of all; as soon as another is asked for, all are walked at once.
    fn scope(&self, path: Option<&StorePath>) -> Result<Scope, StoreError> {
        let folder = self.git()?.shared_state();
        let whole = self.cache_name()?;
        let names = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let cached = names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with(&whole));
        let cached: Vec<PathBuf> = cached.map(|name| folder.join(name)).collect();
        let single = path.map(|path| self.single_scope(path)).transpose()?;
        let alone = |single: &Scope| cached.is_empty() || cached.contains(&single.file);
        Ok(single.filter(alone).unwrap_or_else(|| {
            let file = folder.join(whole);
            let superseded = cached.iter().filter(|name| **name != file).cloned().collect();
            Scope { file, what: SECRETS.to_owned(), superseded }
        }))
    }

    fn single_scope(&self, path: &StorePath) -> Result<Scope, StoreError> {
        let file = format!("{}-{}", self.cache_name()?, hex_start(path.as_str().as_bytes()));
        let file = self.git()?.shared_state().join(file);
        Ok(Scope { file, what: path.as_str().to_owned(), superseded: Vec::new() })
    }

    fn cache_name(&self) -> Result<String, StoreError> {
        Ok(format!("history-{}", hex_start(self.git()?.prefix.as_bytes())))
    }

    /// The cache's lines brought from the head they were made for to `head`.
    fn extended(&self, what: &str, cached: Option<Cached>, head: Oid) -> Result<Walked, StoreError> {
        let repository = self.repository()?;
        let Some(Cached { head: old, lines, .. }) = cached.filter(|cached| repository.find_commit(cached.head).is_ok())
        else {
            return self.walk(&[head.to_string()], what);
        };
        let Walked { lines: new_lines, whole } = self.walk(&[head.to_string(), format!("^{old}")], what)?;
        if repository.graph_descendant_of(head, old)? {
            return Ok(Walked { lines: new_lines + &lines, whole });
        }
        let gone: HashSet<String> = self.unreachable(what, old, head)?;
        let kept =
            lines.split_inclusive('\n').filter(|line| !gone.contains(line.split(' ').next().unwrap_or_default()));
        Ok(Walked { lines: new_lines + &kept.collect::<String>(), whole })
    }

    /// The commits that touch what is walked and are reachable from `old` only.
    fn unreachable(&self, what: &str, old: Oid, head: Oid) -> Result<HashSet<String>, StoreError> {
        let mut command = self.git_command()?;
        command.args([
            "--literal-pathspecs",
            "rev-list",
            "--full-history",
            &old.to_string(),
            &format!("^{head}"),
            "--",
        ]);
        command.arg(self.literal(what)?);
        let printed = self.run(command, b"")?;
        Ok(String::from_utf8_lossy(&printed).lines().map(ToOwned::to_owned).collect())
    }

    /// A folder or file of the store as git is told of it, with `--literal-pathspecs`: magic within it would turn git's Bloom filters off.
    fn literal(&self, what: &str) -> Result<String, StoreError> {
        Ok(format!("{}/{what}", self.git()?.prefix))
    }

    /// Walks the commits that `range` names for `what`: lines as the cache has them.
    fn walk(&self, range: &[String], what: &str) -> Result<Walked, StoreError> {
        let literal = |file: &str| self.literal(file);
        // Magic within it would turn git's Bloom filters off.
        if let Some(lines) = self.listed(Some("--literal-pathspecs"), range, &literal(what)?, PATIENCE)? {
            return Ok(Walked { lines, whole: true });
        }
        let folder: StorePath = what.parse().map_err(|_| StoreError::BadPath)?;
        let asked = what.ends_with(DOCUMENT);
        let files = if asked { vec![folder] } else { self.list(&folder)?.files };
        let mut paths = String::new();
        for file in files.iter().filter(|file| file.as_str().ends_with(DOCUMENT)) {
            let file = literal(file.as_str())?;
            // A folder of this name, and all below it, would be meant as well.
            paths.push_str(&format!(":(literal){file}\n:(exclude,literal){file}/\n"));
        }
        if paths.is_empty() {
            return Ok(Walked { lines: String::new(), whole: false });
        }
        let lines = self.listed(None, range, &paths, Duration::MAX)?;
        let too_many = || StoreError::TooMany { folder: what.to_owned(), most: MOST_CHANGED };
        Ok(Walked { lines: lines.ok_or_else(too_many)?, whole: asked })
    }

    /// What git tells of the commits that `range` names and of `paths`, one a line, as lines of the cache; none where it is more than can be.
    fn listed(
        &self,
        pathspecs: Option<&str>,
        range: &[String],
        paths: &str,
        patience: Duration,
    ) -> Result<Option<String>, StoreError> {
        let mut command = self.git_command()?;
        command.args(pathspecs).args([
            "-c",
            "log.showSignature=false",
            "-c",
            "log.showRoot=true",
            "-c",
            "log.follow=false",
        ]);
        command.args(["log", "--format=%x01%H %ct", "-z", "--raw", "--no-abbrev"]);
        command.args(["--no-renames", "--full-history", "--diff-merges=combined", "--no-ext-diff", "--no-textconv"]);
        command.args(["--no-color", "--no-notes", "--no-decorate", "--no-mailmap"]);
        command.args(range).arg("--stdin");
        let prefix = format!("{}/", self.git()?.prefix);
        let mut lines = Lines { prefix, boundary: self.shallow_commits()?, ..Lines::default() };
        let all =
            self.run_fields(command, format!("--\n{paths}").as_bytes(), patience, &mut |field| lines.take(field))?;
        Ok(all.then_some(lines.lines))
    }

    fn shallow_commits(&self) -> Result<HashSet<String>, StoreError> {
        let text = fs::read_to_string(self.git()?.common_dir.join("shallow")).unwrap_or_default();
        Ok(text.lines().map(ToOwned::to_owned).collect())
    }

    fn shallow_digest(&self) -> Result<String, StoreError> {
        let bytes = fs::read(self.git()?.common_dir.join("shallow")).unwrap_or_default();
        Ok(hex_start(&bytes))
    }

    fn save(&self, scope: &Scope, head: Oid, shallow: &str, lines: &str) -> Result<(), StoreError> {
        let folder = self.git()?.shared_state();
        lock::private_folder(&folder)?;
        let write = || {
            let mut aside = private::aside(&folder)?;
            let first = format!("{FORMAT} {head} {shallow} {}\n", lines.len());
            aside.write_all((first + lines).as_bytes())?;
            aside.persist(&scope.file).map_err(|error| error.error)?;
            scope.superseded.iter().try_for_each(|other| match fs::remove_file(other) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
        };
        write().map_err(|error| StoreError::io(&scope.file, error))
    }
}

fn by_path(lines: &str, complete: bool) -> BTreeMap<StorePath, PathHistory> {
    let mut histories: BTreeMap<StorePath, PathHistory> = BTreeMap::new();
    for line in lines.lines() {
        // Names that no file of a store has are no history of ours.
        let Some(path) = line.splitn(4, ' ').nth(3).and_then(|path| path.parse::<StorePath>().ok()) else { continue };
        let Some(entry) = parse_line(line, path.as_str()) else { continue };
        let blank = || PathHistory { entries: Vec::new(), complete };
        histories.entry(path).or_insert_with(blank).entries.push(entry);
    }
    histories
}

/// Enough of a hash to tell contents apart by accident, not by malice: both are our own.
pub(super) fn hex_start(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn load(file: &PathBuf) -> Option<Cached> {
    let mut reader = BufReader::new(File::open(file).ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.trim_end().split(' ');
    let (format, head, shallow, length) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut lines = String::new();
    reader.read_to_string(&mut lines).ok()?;
    // A cache that was cut off, by a full disk say, is none.
    let whole = format == FORMAT && length.parse() == Ok(lines.len());
    let head = Oid::from_str(head).ok()?;
    whole.then(|| Cached { head, shallow: shallow.to_owned(), lines })
}

/// The entries of `path` among `lines`. They are sought, not read line by line: there may be megabytes of them.
fn entries_of(lines: &str, path: &str) -> Vec<HistoryEntry> {
    let ending = format!(" {path}\n");
    let found = lines.match_indices(&ending).filter_map(|(at, _)| {
        let before = lines.get(..at)?;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        parse_line(lines.get(start..at + ending.len() - 1)?, path)
    });
    found.collect()
}

fn parse_line(line: &str, path: &str) -> Option<HistoryEntry> {
    let rest = line.strip_suffix(path)?.strip_suffix(' ')?;
    let mut words = rest.split(' ');
    let commit = CommitId(Oid::from_str(words.next()?).ok()?);
    let time = words.next()?.parse().ok()?;
    let blob = words.next()?;
    let blob = if blob == "-" { None } else { Some(BlobId(Oid::from_str(blob).ok()?)) };
    words.next().is_none().then_some(HistoryEntry { commit, time, blob })
}

/// Reads what `git log -z --raw` prints: a field `\x01<commit> <time>` a commit; then, for each file, a field of modes and ids (`:` once for each
/// parent), and a field with its path.
#[derive(Default)]
struct Lines {
    prefix: String,
    boundary: HashSet<String>,
    lines: String,
    commit: String,
    /// The field of modes and ids, until its path comes.
    change: Option<String>,
    /// How many files the commit changed, and how many bytes there were.
    changed: usize,
    printed: usize,
}

impl Lines {
    /// Takes the next field; whether there can be more.
    fn take(&mut self, field: &[u8]) -> bool {
        self.printed += field.len();
        let text = String::from_utf8_lossy(field);
        let text = text.trim_start_matches('\n');
        if let Some(change) = self.change.take() {
            self.add(&change, text);
        } else if let Some(header) = text.strip_prefix('\u{1}') {
            header.trim_end().clone_into(&mut self.commit);
            self.changed = 0;
        } else if text.starts_with(':') {
            self.changed += 1;
            self.change = Some(text.to_owned());
        }
        self.changed <= MOST_CHANGED && self.printed <= MOST_PRINTED
    }

    fn add(&mut self, change: &str, path: &str) {
        let Some(path) = path.strip_prefix(&self.prefix) else { return };
        let skipped = self.commit.split(' ').next().is_none_or(|id| self.boundary.contains(id));
        if skipped || path.contains('\n') {
            return;
        }
        let parents = change.chars().take_while(|c| *c == ':').count();
        // `::<mode of each parent> <mode> <id in each parent> <id> <status>`
        let blob = change.split(' ').nth(2 * parents + 1).unwrap_or_default();
        // A submodule's commit is no content, and not here.
        let submodule = change.split(' ').nth(parents).is_some_and(|mode| mode.trim_start_matches(':') == SUBMODULE);
        let blob = if submodule || blob.bytes().all(|c| c == b'0') { "-" } else { blob };
        self.lines.push_str(&format!("{} {blob} {path}\n", self.commit));
    }
}
