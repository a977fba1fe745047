//! Encrypting a value to its readers, bound to its place.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;

use age_core::format::{FileKey, Stanza};
use rayon::prelude::*;

use super::context::{CONTEXT_TAG, Context};
use super::frequent::Frequent;
use super::keys::Recipient;
use super::secret::SecretBytes;

/// For how many values it is worth while to make ready for a recipient, which takes as long as fifty key agreements.
const FREQUENT: usize = 128;

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
struct Bound<'a> {
    context: Context,
    first: &'a dyn age::Recipient,
}

impl age::Recipient for Bound<'_> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let (stanzas, labels) = self.first.wrap_file_key(file_key)?;
        let ours = Stanza { tag: CONTEXT_TAG.to_owned(), args: vec![self.context.argument()], body: Vec::new() };
        Ok(([ours].into_iter().chain(stanzas).collect(), labels))
    }
}

/// Encrypts values, and has made ready for those to whom very many are encrypted.
#[derive(Default)]
pub struct Sealer {
    frequent: HashMap<Recipient, Frequent>,
}

impl Sealer {
    /// For values whose recipients are, one value's after the other's, these.
    pub fn for_many<'a>(recipients: impl IntoIterator<Item = &'a Recipient>) -> Self {
        let mut uses: HashMap<&Recipient, usize> = HashMap::new();
        recipients.into_iter().for_each(|recipient| *uses.entry(recipient).or_default() += 1);
        let many = uses.into_par_iter().filter(|(_, uses)| *uses >= FREQUENT);
        Self { frequent: many.filter_map(|(it, _)| Some((it.clone(), it.to_frequent()?))).collect() }
    }

    /// Encrypts `value` to `recipients`, in that order, for the place `context`: a binary age file.
    ///
    /// # Errors
    /// [`SealError`] for no or doubled recipients.
    pub fn seal(&self, value: &SecretBytes, context: &Context, recipients: &[Recipient]) -> Result<Vec<u8>, SealError> {
        let mut seen = HashSet::new();
        if !recipients.iter().all(|recipient| seen.insert(recipient)) {
            return Err(SealError::DuplicateRecipient);
        }
        let of_age = |recipient: &Recipient| match self.frequent.get(recipient) {
            Some(frequent) => Ok(Box::new(frequent) as Box<dyn age::Recipient + '_>),
            None => recipient.to_age().map(|it| it as _).ok_or(SealError::Age),
        };
        let of_age = recipients.iter().map(of_age).collect::<Result<Vec<_>, _>>()?;
        let (first, rest) = of_age.split_first().ok_or(SealError::NoRecipients)?;
        let bound = Bound { context: *context, first: first.as_ref() };
        let all = [&bound as &dyn age::Recipient].into_iter().chain(rest.iter().map(AsRef::as_ref));
        let encryptor = age::Encryptor::with_recipients(all).map_err(|_| SealError::Age)?;
        let mut file = Vec::with_capacity(value.len() + 1024);
        let mut writer = encryptor.wrap_output(&mut file).map_err(|_| SealError::Age)?;
        writer.write_all(value.as_bytes()).map_err(|_| SealError::Age)?;
        writer.finish().map_err(|_| SealError::Age)?;
        Ok(file)
    }
}

/// As [`Sealer::seal`], of one value.
///
/// # Errors
/// As for [`Sealer::seal`].
pub fn seal(value: &SecretBytes, context: &Context, recipients: &[Recipient]) -> Result<Vec<u8>, SealError> {
    Sealer::default().seal(value, context, recipients)
}
