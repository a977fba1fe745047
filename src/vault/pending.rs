//! A rotation's pending value: the age file that a sidecar states as its `next`, bound to the next version. It is verified like the present
//! value before it is used, and encrypted anew together with it.

use crate::crypto::{Context, Recipient, Sealer, SecretBytes};
use crate::model::{Ciphertext, KeyHolder, Pending, Sidecar};

use super::files::Files;
use super::revision::{Bound, Signed, stated_file};
use super::{Vault, VaultError, layout};

impl Vault {
    /// The age file of the pending value of `signed`: its size and hash are as signed. None where there is no such value.
    pub(super) fn pending_file(&self, files: &dyn Files, signed: &Signed) -> Result<Option<Vec<u8>>, VaultError> {
        let stated = signed.sidecar.next.as_ref().map(|next| &next.ciphertext);
        stated_file(files, &layout::pending_value(&signed.sidecar.path), stated)
    }

    /// Opens the pending value of `signed`, where there is one; its file, too.
    pub(super) fn open_pending(
        &self,
        files: &dyn Files,
        signed: &Signed,
    ) -> Result<Option<(Vec<u8>, SecretBytes)>, VaultError> {
        let Some((file, next)) = self.pending_file(files, signed)?.zip(signed.sidecar.next.as_ref()) else {
            return Ok(None);
        };
        let value = Bound::pending(&signed.sidecar, next).unseal(&file, self.me()?)?;
        Ok(Some((file, value)))
    }
}

/// Encrypts the pending value that `sidecar` has already to other readers: whoever could read it until now and is none of them is exposed.
pub(super) fn seal_pending_to(
    sealer: &Sealer,
    sidecar: &mut Sidecar,
    value: &SecretBytes,
    recipients: &[Recipient],
    holders: &[KeyHolder],
) -> Result<Option<Vec<u8>>, VaultError> {
    let Some(next) = &mut sidecar.next else { return Ok(None) };
    let context = Context::new(&sidecar.store, &sidecar.path, next.version);
    let file = sealer.seal(value, &context, recipients).map_err(VaultError::Seal)?;
    next.exposed_to = knew_pending(next, holders);
    next.ciphertext = Ciphertext::of(&file);
    next.recipients = holders.to_vec();
    Ok(Some(file))
}

/// Who could read the pending value, and is not among `now`.
pub(super) fn knew_pending(next: &Pending, now: &[KeyHolder]) -> std::collections::BTreeSet<KeyHolder> {
    let knew = next.recipients.iter().chain(&next.exposed_to);
    knew.filter(|holder| !now.contains(holder)).cloned().collect()
}
