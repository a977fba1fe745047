//! A repository with a store and a history, by `git fast-import`.

use std::fs::{self, DirBuilder};
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use vsecure::crypto::write_new_identity_file;
use vsecure::model::{Acceptance, Digest, SecretPath, Timestamp};
use vsecure::policy::Pins;
use vsecure::vault::Vault;

use crate::Build;
use crate::documents::{Documents, Household, vault_options};

const START: u64 = 1_700_000_000;
const SERVICES: [&str; 5] = ["api", "database", "cache", "queue", "mail"];
/// Files of other work that later commits change.
const BUSY_FILES: usize = 1000;

/// Builds what `build` says.
pub fn build(build: &Build) -> anyhow::Result<()> {
    let (home, project) = (build.dir.join("home"), build.dir.join("project"));
    fs::create_dir(&build.dir).with_context(|| format!("{} can't be made", build.dir.display()))?;
    fs::create_dir(&home)?;
    fs::create_dir(&project)?;
    let config = "[user]\n\tname = Bench\n\temail = bench@example.com\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n";
    fs::write(home.join(".gitconfig"), config)?;
    let now = Timestamp::from_unix(i64::try_from(START)?).context("a time")?;
    let household = Household::new(build.readers, build.newcomers, now)?;
    DirBuilder::new().recursive(true).mode(0o700).create(home.join(".config/vsecure"))?;
    write_new_identity_file(&home.join(".config/vsecure/identity.txt"), &household.identity, now)?;

    git(build, &["init", "-q"])?;
    let mut child = command(build, &["fast-import", "--quiet", "--done"]).stdin(Stdio::piped()).spawn()?;
    let stream = BufWriter::new(child.stdin.take().context("a pipe")?);
    write_history(&mut Import { stream, commits: 0 }, build, &household)?;
    ensure!(child.wait()?.success(), "git fast-import failed");
    git(build, &["reset", "-q", "--hard"])?;
    git(build, &["repack", "-q", "-a", "-d"])?;
    let mut options = vault_options(&project, now)?;
    options.pins = Some(Pins::in_directory(home.join(".local/state/vsecure")));
    Ok(Vault::inspect(options)?.pin()?)
}

/// The path of the `number`th secret.
pub fn path_of(number: usize, folders: usize) -> anyhow::Result<SecretPath> {
    let text = match folders {
        0 => format!("production/SECRET_{number}"),
        folders => format!("production/folder{}/SECRET_{number}", number % folders),
    };
    Ok(text.parse()?)
}

fn write_history(import: &mut Import<impl Write>, build: &Build, household: &Household) -> anyhow::Result<()> {
    let numbers: Vec<usize> = (0..build.secrets).collect();
    let made = numbers.into_par_iter().map(|number| {
        let service = SERVICES.get(number % SERVICES.len()).copied().unwrap_or_default();
        household.secret(&path_of(number, build.folders)?, &["production", service], None)
    });
    let made = made.collect::<anyhow::Result<Vec<_>>>()?;

    import.commit("Begin")?;
    import.file(".vsecure/.gitattributes", &household.gitattributes)?;
    import.file(".vsecure/policy/000001.yaml", &household.policy_file)?;
    for number in 0..build.files {
        import.file(&busy_file(number), format!("{number}\n").as_bytes())?;
    }
    let batches: Vec<&[Documents]> = made.chunks(build.batch.max(1)).collect();
    let steps = batches.len() + build.versions - 1;
    // Other commits lie evenly between those of the store, as in a project that has secrets for as long as it exists.
    let between = build.commits.saturating_sub(steps) / steps.max(1);
    let mut newest: Option<Documents> = None;
    for (step, batch) in batches.iter().enumerate() {
        let first = batch.first().map_or_else(String::new, |it| it.path.to_string());
        import.commit(&format!("Create {first} v1\n\nVsecure-Change: create\nVsecure-Path: {first}\n"))?;
        batch.iter().try_for_each(|documents| import.documents(documents))?;
        (0..between).try_for_each(|_| import.other_work(build.files))?;
        // Versions of the first secret too.
        let due = (step + 1) * (build.versions - 1) / batches.len();
        while newest.as_ref().map_or(0, |it| it.version.get() - 1) < u64::try_from(due)? {
            let previous = newest.as_ref().or_else(|| made.first()).context("there is a secret")?;
            let next = household.secret(&previous.path, &["production", "api"], Some(previous))?;
            let (path, version) = (&next.path, next.version);
            import.commit(&format!("Update {path} to v{version}\n\nVsecure-Change: set\nVsecure-Path: {path}\n"))?;
            import.documents(&next)?;
            (0..between).try_for_each(|_| import.other_work(build.files))?;
            newest = Some(next);
        }
    }
    if build.epochs > 1 {
        let sidecars = made.iter().map(|documents| Digest::of(&documents.sidecar));
        let others = (0..build.accepted).map(|number| Digest::of(&number.to_le_bytes()));
        let accepted = Acceptance::default().with(sidecars.chain(others).take(build.accepted));
        import.commit("Change the policy")?;
        for (name, file) in household.later_epochs(build.epochs, &accepted)? {
            import.file(&format!(".vsecure/policy/{name}"), &file)?;
        }
    }
    while import.commits < build.commits {
        import.other_work(build.files)?;
    }
    Ok(import.stream.write_all(b"done\n")?)
}

fn busy_file(number: usize) -> String {
    format!("code/module{}/file{number}.txt", number / 200)
}

/// A stream for `git fast-import`.
struct Import<W> {
    stream: W,
    commits: usize,
}

impl<W: Write> Import<W> {
    fn commit(&mut self, message: &str) -> anyhow::Result<()> {
        let time = START + 60 * u64::try_from(self.commits)?;
        writeln!(self.stream, "commit refs/heads/main\ncommitter Bench <bench@example.com> {time} +0000")?;
        writeln!(self.stream, "data {}\n{message}", message.len())?;
        self.commits += 1;
        Ok(())
    }

    fn file(&mut self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        write!(self.stream, "M 100644 inline {path}\ndata {}\n", content.len())?;
        self.stream.write_all(content)?;
        Ok(writeln!(self.stream)?)
    }

    fn documents(&mut self, documents: &Documents) -> anyhow::Result<()> {
        self.file(&format!(".vsecure/secrets/{}.yaml", documents.path), &documents.sidecar)?;
        self.file(&format!(".vsecure/secrets/{}.age", documents.path), &documents.age)
    }

    fn other_work(&mut self, files: usize) -> anyhow::Result<()> {
        let number = self.commits;
        self.commit(&format!("Other work {number}"))?;
        self.file(&busy_file(number % files.clamp(1, BUSY_FILES)), format!("{number} again\n").as_bytes())
    }
}

fn command(build: &Build, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(build.dir.join("project")).env("HOME", absolute(&build.dir.join("home")));
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

fn absolute(path: &Path) -> std::path::PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn git(build: &Build, arguments: &[&str]) -> anyhow::Result<()> {
    ensure!(command(build, arguments).status()?.success(), "git {arguments:?} failed");
    Ok(())
}
