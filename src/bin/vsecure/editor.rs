//! Editing a value: a file of mode 0600 in a private directory, in memory where there is one, removed whatever happens.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::Cause;
use vsecure::crypto::SecretBytes;
use zeroize::Zeroizing;

const FILE: &str = "value";

/// Why an edit came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum EditorError {
    /// No editor is named.
    #[error("no editor is named")]
    None,
    /// The editor could not be started or failed.
    #[error("the editor failed ({status})")]
    Failed {
        /// How it ended.
        status: ExitStatus,
    },
    /// The edited file is too large.
    #[error("the edited value is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The operating system refused.
    #[error("the file for the editor could not be used")]
    Io(#[from] io::Error),
}

/// Where the file for the editor may lie.
#[derive(Debug, Clone)]
pub struct Places {
    /// Directories in memory, the best first.
    pub memory: Vec<PathBuf>,
    /// The directory for temporary files, on a disk perhaps.
    pub fallback: PathBuf,
}

/// A private directory that is gone when this is dropped, or when a signal ends the process.
struct Private {
    folder: PathBuf,
    signals: Handle,
    in_memory: bool,
}

impl Private {
    fn new(places: &Places) -> io::Result<Self> {
        let tries = places.memory.iter().filter(|folder| is_in_memory(folder)).map(|folder| (folder, true));
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (base, in_memory) in tries.chain([(&places.fallback, false)]) {
            let made = tempfile::Builder::new()
                .prefix("vsecure-")
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(base);
            match made {
                Ok(made) => return Self::guard(made, in_memory),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn guard(made: tempfile::TempDir, in_memory: bool) -> io::Result<Self> {
        let mut signals = SignalsInfo::<WithOrigin>::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
        let handle = signals.handle();
        // From here on the guard removes it.
        let folder = made.keep();
        let doomed = folder.clone();
        std::thread::spawn(move || {
            for origin in signals.forever() {
                // A key typed in the terminal is for the editor (C-g in emacs); it decides what becomes of it.
                let typed = matches!(origin.cause, Cause::Kernel) && matches!(origin.signal, SIGINT | SIGQUIT);
                if !typed {
                    wipe(&doomed);
                    std::process::exit(128 + origin.signal);
                }
            }
        });
        Ok(Self { folder, signals: handle, in_memory })
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        wipe(&self.folder);
        self.signals.close();
    }
}

/// Whether what is written to `folder` stays in memory.
fn is_in_memory(folder: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        const TMPFS: i64 = 0x0102_1994;
        const RAMFS: i64 = 0x8584_58f6;
        rustix::fs::statfs(folder).is_ok_and(|it| matches!(it.f_type, TMPFS | RAMFS))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
}

/// Overwrites and removes everything in `folder`, an editor's leftovers too. Best effort: a copy-on-write disk keeps what it keeps.
fn wipe(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => wipe(&path),
            Ok(kind) if kind.is_file() => drop(overwrite(&path)),
            _ => {}
        }
    }
    let _ = fs::remove_dir_all(folder);
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).custom_flags(NOFOLLOW).open(path)?;
    let metadata = file.metadata()?;
    // A file that has another name elsewhere is not ours alone.
    if metadata.nlink() == 1 {
        io::copy(&mut io::repeat(0).take(metadata.len()), &mut file)?;
        file.sync_all()?;
    }
    Ok(())
}

#[expect(clippy::cast_possible_wrap, reason = "the flag is a bit")]
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Lets the person edit `initial` with `editor`, a shell command as git takes it. None when nothing was changed. `warn` is told when the
/// file had to lie on a disk.
///
/// An editor that adds one final line end to a value that had none is taken to have added it by itself; it is dropped.
///
/// # Errors
/// [`EditorError`]; the file is gone in any case.
pub fn edit(
    initial: &SecretBytes,
    editor: Option<&str>,
    places: &Places,
    limit: u64,
    warn: &dyn Fn(&str),
) -> Result<Option<SecretBytes>, EditorError> {
    let editor = editor.ok_or(EditorError::None)?;
    let private = Private::new(places)?;
    if !private.in_memory {
        warn("the value is on a disk while you edit it: there is no directory in memory here");
    }
    let file = private.folder.join(FILE);
    let mut options = fs::OpenOptions::new();
    io::Write::write_all(&mut options.write(true).create_new(true).mode(0o600).open(&file)?, initial.as_bytes())?;
    let status = run(editor, &file, &private.folder)?;
    if !status.success() {
        return Err(EditorError::Failed { status });
    }
    let edited = fs::OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(&file)?;
    let length = edited.metadata()?.len();
    if length > limit + 1 {
        return Err(EditorError::TooLarge { limit });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    edited.take(limit + 1).read_to_end(&mut bytes)?;
    let mut edited = bytes;
    if !initial.as_bytes().ends_with(b"\n") && edited.ends_with(b"\n") {
        edited.pop();
    }
    let edited = SecretBytes::new(std::mem::take(&mut *edited));
    Ok((!edited.same_as(initial)).then_some(edited))
}

fn run(editor: &str, file: &Path, folder: &Path) -> io::Result<ExitStatus> {
    // Backups and swap files that an editor puts into temporary directories land in ours.
    let cache = folder.join("tmp");
    fs::DirBuilder::new().mode(0o700).create(&cache)?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg("vsecure").arg(file).env("TMPDIR", &cache);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VSECURE_")) {
        command.env_remove(name);
    }
    command.status()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        Places { memory: vec![folder.join("none")], fallback: folder.to_owned() }
    }

    fn edited(editor: &str, initial: &str) -> (Result<Option<String>, EditorError>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let initial = SecretBytes::new(initial.as_bytes().to_vec());
        let result = edit(&initial, Some(editor), &places(folder.path()), 100, &|_| {});
        let text = result.map(|value| value.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap()));
        (text, fs::read_dir(folder.path()).unwrap().count())
    }

    #[test]
    fn an_edited_value_comes_back_and_nothing_is_left() {
        let (value, left) = edited("sed -i s/old/new/", "old");
        assert_eq!((value.unwrap().as_deref(), left), (Some("new"), 0));
        let (value, left) =
            edited("f() { printf 'new\\n' > \"$1\"; cp \"$1\" \"$1~\"; cp \"$1\" \"$TMPDIR\"; }; f", "old");
        assert_eq!((value.unwrap().as_deref(), left), (Some("new"), 0));
        let (value, _) = edited("f() { printf 'a\\n\\n' > \"$1\"; }; f", "old\n");
        assert_eq!(value.unwrap().as_deref(), Some("a\n\n"));
    }

    #[test]
    fn an_unchanged_value_or_a_failing_editor_changes_nothing() {
        let (value, left) = edited("true", "old");
        assert!(matches!((value, left), (Ok(None), 0)));
        let (value, left) = edited("f() { echo new > \"$1\"; exit 3; }; f", "old");
        assert!(matches!((value, left), (Err(EditorError::Failed { .. }), 0)));
        let (value, left) = edited("no-such-editor-anywhere", "old");
        assert!(matches!((value, left), (Err(EditorError::Failed { .. }), 0)));
        let (value, left) = edited("f() { head -c 200 /dev/zero > \"$1\"; }; f", "old");
        assert!(matches!((value, left), (Err(EditorError::TooLarge { .. }), 0)));
    }

    #[test]
    fn the_file_and_its_folder_are_private_while_edited() {
        let (value, _) =
            edited("f() { stat -c %a \"$1\" \"$(dirname \"$1\")\" > \"$1.x\"; cat \"$1.x\" > \"$1\"; }; f", "old");
        assert_eq!(value.unwrap().as_deref(), Some("600\n700"));
    }
}
