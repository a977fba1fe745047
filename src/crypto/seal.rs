//! Encrypting a value to its readers, bound to its place.

use std::collections::HashSet;
use std::io::Write as _;

use age_core::format::{FileKey, Stanza};

use super::context::{CONTEXT_TAG, Context};
use super::keys::Recipient;
use super::secret::SecretBytes;

/// Why a value can't be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// To nobody.
    #[error("there is nobody to encrypt to")]
    NoRecipients,
    /// To somebody twice.
    #[error("a recipient is listed twice")]
    DuplicateRecipient,
    /// The age library refused a recipient or failed.
    #[error("age could not encrypt to these recipients")]
    Age,
}

/// The first recipient, with our stanza before its own. Alone, our stanza would be a file encrypted to nobody.
struct Bound {
    context: Context,
    first: Box<dyn age::Recipient>,
}

impl age::Recipient for Bound {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let (stanzas, labels) = self.first.wrap_file_key(file_key)?;
        let ours = Stanza { tag: CONTEXT_TAG.to_owned(), args: vec![self.context.argument()], body: Vec::new() };
        Ok(([ours].into_iter().chain(stanzas).collect(), labels))
    }
}

/// Encrypts `value` to `recipients`, in that order, for the place `context`: a binary age file.
///
/// # Errors
/// [`SealError`] for no or doubled recipients.
pub fn seal(value: &SecretBytes, context: &Context, recipients: &[Recipient]) -> Result<Vec<u8>, SealError> {
    let mut seen = HashSet::new();
    if !recipients.iter().all(|recipient| seen.insert(recipient)) {
        return Err(SealError::DuplicateRecipient);
    }
    let mut each = recipients.iter().map(|recipient| recipient.to_age().ok_or(SealError::Age));
    let first = each.next().ok_or(SealError::NoRecipients)??;
    let others = each.collect::<Result<Vec<_>, _>>()?;
    let bound = Bound { context: *context, first };
    let all = [&bound as &dyn age::Recipient].into_iter().chain(others.iter().map(AsRef::as_ref));
    let encryptor = age::Encryptor::with_recipients(all).map_err(|_| SealError::Age)?;
    let mut file = Vec::with_capacity(value.len() + 1024);
    let mut writer = encryptor.wrap_output(&mut file).map_err(|_| SealError::Age)?;
    writer.write_all(value.as_bytes()).map_err(|_| SealError::Age)?;
    writer.finish().map_err(|_| SealError::Age)?;
    Ok(file)
}
