//! The user's own programs that decrypt for us: bytes in by a pipe, values out by a pipe, nothing on a disk or in an argument.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use vsecure::crypto::SecretBytes;
use vsecure::vault::VaultError;
use zeroize::Zeroizing;

use crate::context::inherited;
use crate::report::CommandError;

/// What a helper prints that is given `input`, at most `limit` bytes; `what` names that in an error. What it says to people goes to them.
///
/// # Errors
/// [`CommandError::NoHelper`], [`CommandError::HelperFailed`], [`VaultError::ValueTooLarge`].
pub fn decrypted(
    program: &'static str,
    arguments: &[&str],
    input: &[u8],
    limit: u64,
    what: &str,
) -> anyhow::Result<SecretBytes> {
    let mut command = Command::new(program);
    // Our identity is none of its business.
    for (name, _) in inherited().filter(|(name, _)| name.to_string_lossy().starts_with("VSECURE_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|source| CommandError::NoHelper { program, source })?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    // Reserved for what is usual, so that a value is rarely left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_BYTES));
    let read = thread::scope(|scope| {
        // One that refuses early closes its end; its exit code tells.
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input)));
        stdout.map(|stdout| stdout.take(limit + 1).read_to_end(&mut bytes))
    });
    let ended = child.wait().is_ok_and(|status| status.success());
    if bytes.len() as u64 > limit {
        return Err(VaultError::ValueTooLarge { size: bytes.len() as u64, limit }.into());
    }
    if !ended || !matches!(read, Some(Ok(_))) {
        return Err(CommandError::HelperFailed { program, what: what.to_owned() }.into());
    }
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

const USUAL_BYTES: usize = 64 * 1024;
