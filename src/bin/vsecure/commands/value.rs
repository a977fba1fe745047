//! Where a value comes from: argument, file, generator, pipe, or a person.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use vsecure::crypto::SecretBytes;
use vsecure::vault::VaultError;
use zeroize::Zeroizing;

use crate::app::App;
use crate::args::ValueArgs;
use crate::report::CommandError;

const PASS: &str = "pass it as an argument, pipe it in, or use --from-file FILE or --generate";

/// The value asked for. Without any word about one it is read from a pipe or asked for, unless `optional`: then there is none.
///
/// # Errors
/// When it can't be read, or nobody can be asked.
pub fn value(app: &App, args: &ValueArgs, what: &str, optional: bool) -> anyhow::Result<Option<SecretBytes>> {
    if let Some(generator) = &args.generate {
        return Ok(Some(generator.generate()?));
    }
    if let Some(path) = &args.from_file {
        return from_file(app, path).map(Some);
    }
    match &args.value {
        Some(argument) if argument.0.as_bytes() == b"-" => return read(app, io::stdin().lock()).map(Some),
        Some(argument) => {
            if app.terminal().present {
                app.output.warn("the value is in your shell's history now; leave it out to be asked for it");
            }
            return Ok(Some(argument.0.clone()));
        }
        None => {}
    }
    if optional {
        return Ok(None);
    }
    if app.context.stdin_is_terminal {
        return Ok(Some(app.terminal().hidden_twice(what, PASS)?));
    }
    let piped = read(app, io::stdin().lock())?;
    // What a pipe ends with is the line end of whoever wrote to it.
    let trimmed = piped.as_bytes().strip_suffix(b"\n").unwrap_or(piped.as_bytes());
    Ok(Some(SecretBytes::new(trimmed.to_vec())))
}

fn from_file(app: &App, path: &Path) -> anyhow::Result<SecretBytes> {
    if path == Path::new("-") {
        return read(app, io::stdin().lock());
    }
    let file = File::open(path).with_context(|| format!("the file {} can't be read", path.display()))?;
    read(app, file)
}

/// Everything in a file, or on standard input for `-`, with values in it.
///
/// # Errors
/// When it can't be read, or is larger than `limit`.
pub fn whole_file(path: &Path, limit: u64) -> anyhow::Result<SecretBytes> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(|| format!("the file {} can't be read", path.display()))?)
    };
    let mut bytes = Zeroizing::new(Vec::new());
    input.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("{} can't be read", path.display()))?;
    if bytes.len() as u64 > limit {
        let what = format!("the file {} is larger than {limit} bytes", path.display());
        return Err(CommandError::usage(what, "import its parts one by one").into());
    }
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

/// Reads at most as much as a value may have, and one byte more to know.
fn read(app: &App, input: impl Read) -> anyhow::Result<SecretBytes> {
    let limit = app.max_value_bytes();
    // Reserved in full, so that the value is never left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit)? + 1));
    input.take(limit + 1).read_to_end(&mut bytes).context("the value can't be read")?;
    if bytes.len() as u64 > limit {
        return Err(VaultError::ValueTooLarge { size: bytes.len() as u64, limit }.into());
    }
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

/// Prints a value that was generated, where that was asked for.
///
/// # Errors
/// When standard output can't be written.
pub fn print_generated(app: &App, args: &ValueArgs, value: Option<&SecretBytes>) -> io::Result<()> {
    match value.filter(|_| args.print) {
        Some(value) => print(app, value),
        None => Ok(()),
    }
}

/// Prints a value's bytes; a line end follows on a terminal only.
///
/// # Errors
/// When standard output can't be written.
pub fn print(app: &App, value: &SecretBytes) -> io::Result<()> {
    app.output.bytes(value.as_bytes())?;
    if app.output.terminal && !value.as_bytes().ends_with(b"\n") { app.output.bytes(b"\n") } else { Ok(()) }
}
