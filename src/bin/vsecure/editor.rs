//! Editing a value: a file of mode 0600 in a private directory of its own.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus};

use vsecure::crypto::SecretBytes;
use zeroize::Zeroizing;

use crate::scratch::{NOFOLLOW, Places, Scratch};

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
    let private = Scratch::new(places)?;
    if !private.is_in_memory() {
        warn("the value is on a disk while you edit it: there is no directory in memory here");
    }
    let file = private.write(FILE, initial)?;
    let status = run(editor, &file, private.folder())?;
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
        Places { memory: vec![folder.join("none")], fallback: folder.to_owned(), notes: None }
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
