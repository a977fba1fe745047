//! An age X25519 recipient (<https://c2sp.org/age#the-x25519-recipient-type>) to whom very many values are encrypted.
//!
//! The key agreement is the same as the age library's, which multiplies every recipient's point from nothing. For one point and many
//! secrets, multiples that are computed once make that four times as fast.

use std::collections::HashSet;
use std::io;

use age::EncryptError;
use age::secrecy::ExposeSecret as _;
use age_core::format::{FileKey, Stanza};
use age_core::primitives::{aead_encrypt, hkdf};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use curve25519_dalek::edwards::EdwardsBasepointTable;
use curve25519_dalek::traits::BasepointTable as _;
use curve25519_dalek::{EdwardsPoint, MontgomeryPoint};
use zeroize::Zeroizing;

const TAG: &str = "X25519";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// A recipient, with multiples of its point.
pub(super) struct Frequent {
    key: [u8; 32],
    multiples: Box<EdwardsBasepointTable>,
}

impl Frequent {
    /// None for a key that is nobody's: no multiple of the base point, but a point of the curve's twist.
    pub(super) fn new(key: [u8; 32]) -> Option<Self> {
        // Either sign has the same multiples, as X25519 sees them.
        let point = MontgomeryPoint(key).to_edwards(0)?;
        Some(Self { key, multiples: Box::new(EdwardsBasepointTable::create(&point)) })
    }

    /// The share and the shared secret of the ephemeral `secret`.
    fn agree(&self, secret: [u8; 32]) -> (MontgomeryPoint, Zeroizing<MontgomeryPoint>) {
        let share = EdwardsPoint::mul_base_clamped(secret).to_montgomery();
        (share, Zeroizing::new(self.multiples.mul_base_clamped(secret).to_montgomery()))
    }
}

impl age::Recipient for &Frequent {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|_| EncryptError::Io(io::Error::other("no random numbers to be had")))?;
        let (share, shared) = self.agree(*secret);
        if shared.as_bytes() == &[0; 32] {
            return Err(EncryptError::Io(io::Error::other("a recipient's key gives no secret")));
        }
        let salt = [share.as_bytes().as_slice(), &self.key].concat();
        let key = Zeroizing::new(hkdf(&salt, LABEL, shared.as_bytes()));
        let body = aead_encrypt(&key, file_key.expose_secret());
        let args = vec![STANDARD_NO_PAD.encode(share.as_bytes())];
        Ok((vec![Stanza { tag: TAG.to_owned(), args, body }], HashSet::new()))
    }
}

#[cfg(test)]
mod tests {
    use age::{Identity as _, Recipient as _};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_as_x25519_does(key: [u8; 32], secret: [u8; 32]) {
            // Half of all numbers are points of the curve, with and without a part of low order.
            let Some(frequent) = Frequent::new(key) else { return Ok(()) };
            let (share, shared) = frequent.agree(secret);
            prop_assert_eq!(share, MontgomeryPoint::mul_base_clamped(secret));
            prop_assert_eq!(*shared, MontgomeryPoint(key).mul_clamped(secret));
        }
    }

    #[test]
    fn age_unwraps_what_it_wraps() {
        for _ in 0..50 {
            let identity = age::x25519::Identity::generate();
            let text = identity.to_public().to_string();
            let frequent = Frequent::new(super::super::keys::age_point(&text).unwrap()).unwrap();
            let (stanzas, labels) = (&frequent).wrap_file_key(&FileKey::new(Box::new([7; 16]))).unwrap();
            let unwrapped = identity.unwrap_stanzas(&stanzas).unwrap().unwrap();
            assert_eq!((unwrapped.expose_secret(), labels.len()), (&[7; 16], 0));
        }
    }

    #[test]
    fn a_point_without_a_secret_is_refused() {
        // Zero, which is of order two.
        let frequent = Frequent::new([0; 32]).unwrap();
        assert!((&frequent).wrap_file_key(&FileKey::new(Box::new([7; 16]))).is_err());
    }
}
