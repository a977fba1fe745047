//! The scan of an age header before any cryptography: linear in its length, and stricter than age.
//!
//! The age crate's own parser takes time quadratic in the number of lines, so nothing may reach it that was not counted here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::model::Fingerprint;

use super::context::{CONTEXT_TAG, Context};

const INTRO: &[u8] = b"age-encryption.org/v1\n";
const ARMOUR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_STANZAS: usize = 256;
const COLUMNS: usize = 64;
const GREASE_ENDING: &str = "-grease";
/// The age crate makes at most 100; anything long would cost its parser time.
const MAX_GREASE_BYTES: usize = 512;

/// Why a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum HeaderError {
    /// Not an age file.
    #[error("it is not an age file")]
    NotAge,
    /// An armoured file.
    #[error("it is armoured, and values are stored as binary age files")]
    Armoured,
    /// No end within 64 KiB.
    #[error("its header is larger than 64 KiB")]
    TooLarge,
    /// Over 256 stanzas.
    #[error("its header has more than 256 stanzas")]
    TooManyStanzas,
    /// The file ends within its header.
    #[error("it is cut off within its header")]
    Truncated,
    /// Not age's grammar.
    #[error("its header is malformed")]
    Malformed,
    /// No context stanza: another tool encrypted it.
    #[error("it was encrypted by another tool, for no particular secret")]
    NoContext,
    /// The context stanza is not the first, is doubled or malformed.
    #[error("its context is doubled, misplaced or malformed")]
    BadContext,
    /// A passphrase, an RSA key, or something unknown.
    #[error("it is encrypted in a way that values never are")]
    ForbiddenStanza,
    /// Not one stanza for each listed key.
    #[error("it is encrypted to other keys than its sidecar lists")]
    OtherRecipients,
}

struct Stanza<'a> {
    tag: &'a str,
    args: Vec<&'a str>,
    body_bytes: usize,
}

/// Scans the header of `file`, whose readers ought to be `holders`, and gives the argument of its context.
///
/// # Errors
/// [`HeaderError`] for everything but exactly one context stanza, one stanza for each of `holders`, and at most one grease stanza.
pub fn scan<'a>(file: &'a [u8], holders: &[Fingerprint]) -> Result<&'a str, HeaderError> {
    let stanzas = stanzas(file)?;
    let (first, rest) = stanzas.split_first().ok_or(HeaderError::NoContext)?;
    let contexts = stanzas.iter().filter(|stanza| stanza.tag == CONTEXT_TAG).count();
    if contexts == 0 {
        // What is wrong with a foreign file is said first: it may be one that nothing could adopt.
        rest.iter().chain([first]).try_for_each(|stanza| check_kind(stanza).map(drop))?;
        return Err(HeaderError::NoContext);
    }
    let stated = match first.args.as_slice() {
        [argument] if first.tag == CONTEXT_TAG && first.body_bytes == 0 => Some(*argument),
        _ => None,
    };
    let stated = stated.filter(|argument| contexts == 1 && Context::is_argument(argument));
    let stated = stated.ok_or(HeaderError::BadContext)?;
    let mut readers = 0;
    let mut grease = 0;
    for stanza in rest {
        match check_kind(stanza)? {
            Kind::X25519 => readers += 1,
            Kind::Ssh if is_tag_of(stanza, holders) => readers += 1,
            Kind::Ssh => return Err(HeaderError::OtherRecipients),
            Kind::Grease => grease += 1,
        }
    }
    if grease > 1 {
        return Err(HeaderError::ForbiddenStanza);
    }
    if readers != holders.len() {
        return Err(HeaderError::OtherRecipients);
    }
    Ok(stated)
}

/// Scans the header of `file`, which another tool may have made.
///
/// # Errors
/// [`HeaderError`] for anything but stanzas of the kinds that values have.
pub fn scan_foreign(file: &[u8]) -> Result<(), HeaderError> {
    stanzas(file)?.iter().try_for_each(|stanza| match stanza.tag {
        // Whatever it is bound to. A body is in none, and a long one would cost the age crate's parser its time.
        CONTEXT_TAG if stanza.body_bytes == 0 => Ok(()),
        CONTEXT_TAG => Err(HeaderError::BadContext),
        _ => check_kind(stanza).map(drop),
    })
}

enum Kind {
    X25519,
    Ssh,
    Grease,
}

/// Scans the header of `file`, made by any tool for anybody: only what bounds the work of reading it.
///
/// # Errors
/// [`HeaderError`] for what is no header, or a larger one than is read.
pub fn scan_any(file: &[u8]) -> Result<(), HeaderError> {
    stanzas(file).map(drop)
}

fn check_kind(stanza: &Stanza<'_>) -> Result<Kind, HeaderError> {
    match (stanza.tag, stanza.args.len()) {
        ("X25519", 1) if stanza.body_bytes == 32 => Ok(Kind::X25519),
        ("ssh-ed25519", 2) if stanza.body_bytes == 32 => Ok(Kind::Ssh),
        (tag, _) if tag.ends_with(GREASE_ENDING) && stanza.body_bytes <= MAX_GREASE_BYTES => Ok(Kind::Grease),
        _ => Err(HeaderError::ForbiddenStanza),
    }
}

/// Whether the first argument of an ssh stanza, 4 bytes of its key's hash, belongs to one of `holders`.
fn is_tag_of(stanza: &Stanza<'_>, holders: &[Fingerprint]) -> bool {
    let tag = stanza.args.first().copied().unwrap_or_default();
    // 4 bytes in base64 are 5 full characters and one that depends on what follows.
    let start = tag.get(..5);
    tag.len() == 6 && start.is_some_and(|start| holders.iter().any(|it| it.to_string().get(7..12) == Some(start)))
}

fn stanzas(file: &[u8]) -> Result<Vec<Stanza<'_>>, HeaderError> {
    if file.starts_with(ARMOUR) {
        return Err(HeaderError::Armoured);
    }
    let mut rest = match file.strip_prefix(INTRO) {
        Some(rest) => rest.get(..MAX_HEADER_BYTES - INTRO.len()).unwrap_or(rest),
        None if INTRO.starts_with(file) => return Err(HeaderError::Truncated),
        None => return Err(HeaderError::NotAge),
    };
    let cut = if file.len() > MAX_HEADER_BYTES { HeaderError::TooLarge } else { HeaderError::Truncated };
    let mut stanzas = Vec::new();
    loop {
        let line = take_line(&mut rest, cut)?;
        if let Some(mac) = line.strip_prefix(b"--- ") {
            return if mac.len() == 43 && is_base64(mac) { Ok(stanzas) } else { Err(HeaderError::Malformed) };
        }
        if stanzas.len() == MAX_STANZAS {
            return Err(HeaderError::TooManyStanzas);
        }
        let words = line.strip_prefix(b"-> ").and_then(|words| std::str::from_utf8(words).ok());
        let words = words.filter(|words| words.split(' ').all(is_word)).ok_or(HeaderError::Malformed)?;
        let mut words = words.split(' ');
        let tag = words.next().ok_or(HeaderError::Malformed)?;
        stanzas.push(Stanza { tag, args: words.collect(), body_bytes: take_body(&mut rest, cut)? });
    }
}

fn take_line<'a>(rest: &mut &'a [u8], cut: HeaderError) -> Result<&'a [u8], HeaderError> {
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(cut)?;
    let (line, tail) = rest.split_at(end);
    *rest = tail.get(1..).unwrap_or_default();
    Ok(line)
}

/// Takes a stanza's body, whole lines of 64 characters and one shorter, and gives its length in bytes.
fn take_body(rest: &mut &[u8], cut: HeaderError) -> Result<usize, HeaderError> {
    let mut characters = 0;
    loop {
        let line = take_line(rest, cut)?;
        if line.len() > COLUMNS || !is_base64(line) {
            return Err(HeaderError::Malformed);
        }
        characters += line.len();
        if line.len() < COLUMNS {
            return Ok(characters * 3 / 4);
        }
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|c| (33..=126).contains(&c))
}

/// Whether a line is base64 in its one spelling, as age demands: no padding, no bits left over.
fn is_base64(line: &[u8]) -> bool {
    STANDARD_NO_PAD.decode_slice(line, &mut [0; COLUMNS / 4 * 3]).is_ok()
}
