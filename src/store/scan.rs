//! Everything that git keeps of a repository, or is about to keep, read out for somebody who looks for something in it.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::Stdio;

use super::{Store, StoreError};

/// Larger objects and files are not read.
pub const MAX_SCANNED_BYTES: u64 = 256 * 1024 * 1024;

/// Something that git keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The object's id.
    pub id: String,
    /// The path that it lies at, or lay at first; none of a commit or tag.
    pub path: Option<String>,
}

impl Store {
    /// The files of the work tree that git keeps or would add: not those that it ignores.
    ///
    /// # Errors
    /// [`StoreError`]: no repository, git's failure.
    pub fn files_to_keep(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut command = self.git_command()?;
        command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]);
        let work_tree = &self.git()?.work_tree;
        let listed = self.run(command, b"")?;
        let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| work_tree.join(String::from_utf8_lossy(name).as_ref())).collect())
    }

    /// The root of the work tree.
    ///
    /// # Errors
    /// [`StoreError::NoRepository`].
    pub fn work_tree(&self) -> Result<&std::path::Path, StoreError> {
        Ok(&self.git()?.work_tree)
    }

    /// What the next commit would bring: files of the index that HEAD has not, or has otherwise.
    ///
    /// # Errors
    /// [`StoreError`]: no repository, git's failure.
    pub fn staged(&self) -> Result<Vec<Kept>, StoreError> {
        let mut command = self.git_command()?;
        command.args(["diff-index", "--cached", "-z", "--no-renames", "--diff-filter=d"]);
        // The empty tree stands in for a HEAD that has no commit yet.
        command.arg(match self.head()? {
            Some(head) => head.to_string(),
            None => "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned(),
        });
        let listed = String::from_utf8_lossy(&self.run(command, b"")?).into_owned();
        let mut fields = listed.split('\0');
        let mut kept = Vec::new();
        // `:100644 100644 <old> <new> M`, then the path.
        while let (Some(states), Some(path)) = (fields.next(), fields.next()) {
            if let Some(id) = states.split(' ').nth(3).filter(|_| !states.contains(" 160000 ")) {
                kept.push(Kept { id: id.to_owned(), path: Some(path.to_owned()) });
            }
        }
        Ok(kept)
    }

    /// Every commit, tag and file that any reference, or HEAD, leads to.
    ///
    /// # Errors
    /// [`StoreError`]: no repository, git's failure.
    pub fn all_kept(&self) -> Result<Vec<Kept>, StoreError> {
        let mut command = self.git_command()?;
        command.args(["rev-list", "--objects", "--all"]);
        if self.head()?.is_some() {
            command.arg("HEAD");
        }
        let listed = self.run(command, b"")?;
        let lines = String::from_utf8_lossy(&listed);
        let kept = lines.lines().map(|line| match line.split_once(' ') {
            Some((id, path)) => Kept { id: id.to_owned(), path: Some(path.to_owned()).filter(|path| !path.is_empty()) },
            None => Kept { id: line.to_owned(), path: None },
        });
        Ok(kept.collect())
    }

    /// Hands the content of each of `kept` to `each`, but for trees; those that were too large are given back.
    ///
    /// # Errors
    /// [`StoreError`]: git's failure, an object that is missing.
    pub fn read_kept(&self, kept: &[Kept], mut each: impl FnMut(&Kept, &[u8])) -> Result<Vec<Kept>, StoreError> {
        let mut command = self.git_command()?;
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let missing = |source| StoreError::NoGitProgram { program: self.options.git_program.clone(), source };
        let failed = |what: &str| StoreError::GitFailed { stderr: format!("git cat-file: {what}") };
        let mut child = command.spawn().map_err(missing)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("no pipe"));
        };
        let ids: String = kept.iter().map(|kept| format!("{}\n", kept.id)).collect();
        let read = std::thread::scope(|scope| {
            // A git that ends early closes its end; what it did not answer is the error.
            scope.spawn(move || drop(input.write_all(ids.as_bytes())));
            let read = answers(BufReader::new(output), kept, &mut each);
            if read.is_err() {
                // Nobody reads on: it must not wait for us, nor the thread for it.
                let _ = child.kill();
            }
            read
        });
        let _ = child.wait();
        read
    }
}

/// What `git cat-file --batch` answers, one object after the other.
fn answers(
    mut output: impl BufRead,
    kept: &[Kept],
    each: &mut dyn FnMut(&Kept, &[u8]),
) -> Result<Vec<Kept>, StoreError> {
    let failed = |what: &str| StoreError::GitFailed { stderr: format!("git cat-file: {what}") };
    let broken = |_| failed("it ended early");
    let mut too_large = Vec::new();
    let mut content = Vec::new();
    for kept in kept {
        let mut header = String::new();
        output.read_line(&mut header).map_err(broken)?;
        let mut words = header.trim_end().split(' ').skip(1);
        let (kind, size) = (words.next().unwrap_or_default(), words.next().and_then(|size| size.parse().ok()));
        let size: u64 = size.ok_or_else(|| failed("an object is missing"))?;
        // A line end follows each.
        let mut body = output.by_ref().take(size + 1);
        if kind != "tree" && size <= MAX_SCANNED_BYTES {
            content.clear();
            body.read_to_end(&mut content).map_err(broken)?;
            content.pop();
            each(kept, &content);
            continue;
        }
        std::io::copy(&mut body, &mut std::io::sink()).map_err(broken)?;
        if kind != "tree" {
            too_large.push(kept.clone());
        }
    }
    Ok(too_large)
}
