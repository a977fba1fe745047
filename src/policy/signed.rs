//! Verifying a signed document and then parsing it, in that order.

use crate::crypto::{Namespace, SignedDocumentError, VerifyingKey, unverified_parts, verify_document};
use crate::model::{Document, DocumentError};

/// What is wrong with a document, whoever signed it.
#[derive(Debug, thiserror::Error)]
pub enum SignedFlaw {
    /// Its signature is missing, malformed or wrong.
    #[error("its signature does not hold")]
    Signature(#[source] SignedDocumentError),
    /// The content is what its author signed, in other bytes.
    #[error("a formatter or an editor changed this file; its content is right, its bytes are not")]
    Reformatted,
    /// Signed right, but not a document of this format.
    #[error("its content is not what this format allows")]
    Document(#[source] DocumentError),
}

impl SignedFlaw {
    /// The kind of refusal, in one word that programs can compare: the innermost reason.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Signature(SignedDocumentError::Trailer(reason)) => reason.into(),
            Self::Signature(reason) => reason.into(),
            Self::Reformatted => "reformatted",
            Self::Document(reason) => reason.into(),
        }
    }
}

/// The document in `file` with the key that signed it. Whether that key may is the caller's to judge.
///
/// # Errors
/// [`SignedFlaw`]; a wrong signature over content whose canonical bytes it does fit is told apart as a formatter's work.
pub fn verified<D: Document>(file: &[u8], namespace: Namespace) -> Result<(D, VerifyingKey), SignedFlaw> {
    let document = verify_document(file, namespace).map_err(|error| {
        if matches!(error, SignedDocumentError::BadSignature) && fits_canonical_form::<D>(file, namespace) {
            return SignedFlaw::Reformatted;
        }
        SignedFlaw::Signature(error)
    })?;
    let parsed = D::parse(document.body()).map_err(SignedFlaw::Document)?;
    Ok((parsed, *document.signer()))
}

fn fits_canonical_form<D: Document>(file: &[u8], namespace: Namespace) -> bool {
    let Some((body, trailer)) = unverified_parts(file) else { return false };
    D::canonical_of(body).is_ok_and(|mut whole| {
        whole.extend_from_slice(trailer);
        verify_document(&whole, namespace).is_ok()
    })
}
