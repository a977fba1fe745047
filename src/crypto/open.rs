//! Decrypting a value, after its header was scanned and its place compared.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

use age_core::format::{FileKey, Stanza};
use zeroize::Zeroizing;

use super::context::{CONTEXT_TAG, Context};
use super::header::{HeaderError, scan, scan_any, scan_foreign};
use super::identity::Identity;
use super::secret::SecretBytes;
use crate::model::Fingerprint;

/// Why a value can't be opened. age's own texts are not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum OpenError {
    /// The header is not what a value's header is.
    #[error("its header is refused")]
    Header(#[source] HeaderError),
    /// Bound to another place.
    #[error("it was encrypted for another path, version or store")]
    WrongContext,
    /// Not encrypted to this identity.
    #[error("it is not encrypted to this identity")]
    NotARecipient,
    /// Changed after it was encrypted, cut off, or continued.
    #[error("it was changed, cut off or continued after it was encrypted")]
    Tampered,
}

/// The identity, told where its stanza is, so that one key agreement does for any number of readers.
struct Hinted<'a> {
    identity: &'a dyn age::Identity,
    /// Index among the readers' stanzas.
    hint: Option<usize>,
    context: Context,
    /// Set when the header, as age itself parsed it, is for another place. Compared before any key agreement.
    mismatch: &'a Cell<bool>,
}

impl age::Identity for Hinted<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        self.identity.unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, age::DecryptError>> {
        let (first, readers) = stanzas.split_first()?;
        let expected = [self.context.argument()];
        let doubled = readers.iter().any(|stanza| stanza.tag == CONTEXT_TAG);
        if first.tag != CONTEXT_TAG || first.args != expected || !first.body.is_empty() || doubled {
            self.mismatch.set(true);
            return None;
        }
        let hinted = self.hint.and_then(|hint| readers.get(hint));
        let others =
            readers.iter().enumerate().filter(|(index, _)| Some(*index) != self.hint).map(|(_, stanza)| stanza);
        let mut failed = None;
        for stanza in hinted.into_iter().chain(others) {
            match self.unwrap_stanza(stanza) {
                Some(Ok(key)) => return Some(Ok(key)),
                // One bad stanza, made to look like ours, must not lock us out.
                Some(Err(error)) => failed = Some(Err(error)),
                None => {}
            }
        }
        failed
    }
}

/// Checks all of `file` that can be checked without a key: its header, and that it says to be the value of the place `context`. Whether that is true
/// only who can open it can tell.
///
/// # Errors
/// [`OpenError::Header`], [`OpenError::WrongContext`].
pub fn inspect(file: &[u8], context: &Context, holders: &[Fingerprint]) -> Result<(), OpenError> {
    let stated = scan(file, holders).map_err(OpenError::Header)?;
    if stated == context.argument() { Ok(()) } else { Err(OpenError::WrongContext) }
}

/// Opens `file`, which is to be the value of the place `context`, encrypted to `holders` in that order.
///
/// # Errors
/// [`OpenError`]; nothing of the value is given out unless all of the file is authentic.
pub fn open(
    file: &[u8],
    context: &Context,
    holders: &[Fingerprint],
    identity: &Identity,
) -> Result<SecretBytes, OpenError> {
    inspect(file, context, holders)?;
    let mine = identity.recipient().fingerprint();
    let key = identity.to_age().ok_or(OpenError::NotARecipient)?;
    let mismatch = Cell::new(false);
    let hint = holders.iter().position(|holder| *holder == mine);
    let hinted = Hinted { identity: key.as_ref(), hint, context: *context, mismatch: &mismatch };
    let failed = |error| match error {
        _ if mismatch.get() => OpenError::WrongContext,
        age::DecryptError::NoMatchingKeys => OpenError::NotARecipient,
        _ => OpenError::Tampered,
    };
    decrypted(file, &hinted).map_err(failed)
}

/// Opens a file that may have been encrypted by any tool, for no particular place: what is bound to another is opened too. For looking at
/// what does not count.
///
/// # Errors
/// [`OpenError`], as for [`open`].
pub fn open_unbound(file: &[u8], identity: &Identity) -> Result<SecretBytes, OpenError> {
    scan_foreign(file).map_err(OpenError::Header)?;
    let key = identity.to_age().ok_or(OpenError::NotARecipient)?;
    decrypted(file, key.as_ref()).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => OpenError::NotARecipient,
        _ => OpenError::Tampered,
    })
}

/// Opens a file of another program with the first of `identities` that it is encrypted to, whoever else it may be encrypted to. For moving in:
/// nothing is said about who wrote it.
///
/// # Errors
/// [`OpenError`]; [`OpenError::NotARecipient`] where none of them fits.
pub fn open_foreign(file: &[u8], identities: &[Identity]) -> Result<SecretBytes, OpenError> {
    scan_any(file).map_err(OpenError::Header)?;
    for key in identities.iter().filter_map(Identity::to_age) {
        match decrypted(file, key.as_ref()) {
            Err(age::DecryptError::NoMatchingKeys) => {}
            result => return result.map_err(|_| OpenError::Tampered),
        }
    }
    Err(OpenError::NotARecipient)
}

/// Decrypts the whole of a file whose header was scanned.
fn decrypted(file: &[u8], identity: &dyn age::Identity) -> Result<SecretBytes, age::DecryptError> {
    let decryptor = age::Decryptor::new_buffered(HeaderAtOnce(file))?;
    let mut reader = decryptor.decrypt([identity].into_iter())?;
    // Reserved in full, so that the value is never left behind by a growing buffer.
    let mut value = Zeroizing::new(Vec::with_capacity(file.len()));
    reader.read_to_end(&mut value)?;
    Ok(SecretBytes::new(std::mem::take(&mut *value)))
}

/// A file whose first line is all of its header. age asks for the header line by line, and parses from its beginning each time: with twenty
/// readers that is forty times, and a third of what it takes to open a small value.
struct HeaderAtOnce<'a>(&'a [u8]);

/// What the last line of a header begins with, and no other.
const LAST_LINE: &[u8] = b"\n---";

impl Read for HeaderAtOnce<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to)
    }
}

impl BufRead for HeaderAtOnce<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.0)
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }

    fn read_until(&mut self, end: u8, to: &mut Vec<u8>) -> io::Result<usize> {
        let last = self.0.windows(LAST_LINE.len()).position(|window| window == LAST_LINE).map_or(0, |at| at + 1);
        let line = self.0.iter().skip(last).position(|byte| *byte == end).map_or(self.0.len(), |at| last + at + 1);
        let (header, rest) = self.0.split_at(line);
        to.extend_from_slice(header);
        self.0 = rest;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use age::Identity as _;

    use super::*;
    use crate::model::{StoreId, Version};

    #[test]
    fn the_place_is_compared_again_as_age_itself_parsed_it() {
        let store = StoreId::of_first_epoch(b"store");
        let [ours, other] = [1, 2]
            .map(|version| Context::new(&store, &"production/A".parse().unwrap(), Version::new(version).unwrap()));
        let me = Identity::generate();
        let opens = |mut stanzas: Vec<Stanza>| {
            let recipient = me.recipient().to_age().unwrap();
            stanzas.extend(recipient.wrap_file_key(&FileKey::new(Box::new([7; 16]))).unwrap().0);
            let (key, mismatch) = (me.to_age().unwrap(), Cell::new(false));
            let hinted = Hinted { identity: key.as_ref(), hint: Some(0), context: ours, mismatch: &mismatch };
            let opened = hinted.unwrap_stanzas(&stanzas);
            (opened.is_some_and(|key| key.is_ok()), mismatch.get())
        };
        let stanza = |tag: &str, context: &Context, body: &[u8]| Stanza {
            tag: tag.to_owned(),
            args: vec![context.argument()],
            body: body.to_vec(),
        };
        let right = || stanza(CONTEXT_TAG, &ours, b"");
        assert_eq!(opens(vec![right()]), (true, false));
        for (number, wrong) in [
            vec![stanza("another", &ours, b"")],
            vec![stanza(CONTEXT_TAG, &other, b"")],
            vec![stanza(CONTEXT_TAG, &ours, b"x")],
            vec![right(), right()],
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(opens(wrong), (false, true), "{number}");
        }
    }
}
