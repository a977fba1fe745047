//! Signed documents: a body, then the line `signature: |` and an indented SSHSIG.

use super::identity::Identity;
use super::keys::VerifyingKey;
use super::signature::{self, Namespace, SignatureError};

const MARKER: &[u8] = b"signature: |";
const INDENT: &str = "  ";

/// Why a signed document is refused, or can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum SignedDocumentError {
    /// No line `signature: |`.
    #[error("it has no signature")]
    Unsigned,
    /// More than one line `signature: |`.
    #[error("it has more than one signature")]
    SeveralSignatures,
    /// Lines end in CR LF.
    #[error("its line endings were converted")]
    LineEndings,
    /// What follows that line is not an indented signature.
    #[error("its signature is malformed")]
    Trailer(#[source] SignatureError),
    /// The signature doesn't fit.
    #[error("its signature does not fit its content")]
    BadSignature,
    /// A body that can't be signed: it lacks its last line end, or holds a line `signature: |`.
    #[error("the text cannot be signed")]
    UnsignableBody,
}

/// A document whose signature is right. Whose key it is, and what they may do, is for others to say.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedDocument<'a> {
    body: &'a [u8],
    signer: VerifyingKey,
}

impl<'a> VerifiedDocument<'a> {
    /// The signed bytes.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The key that signed them.
    #[must_use]
    pub const fn signer(&self) -> &VerifyingKey {
        &self.signer
    }
}

/// Signs `body`, which ends in LF, and gives the whole document.
///
/// # Errors
/// [`SignedDocumentError::UnsignableBody`].
pub fn sign_document(body: &[u8], namespace: Namespace, identity: &Identity) -> Result<Vec<u8>, SignedDocumentError> {
    if body.last() != Some(&b'\n') || body.contains(&b'\r') || lines(body).any(|(_, line)| line == MARKER) {
        return Err(SignedDocumentError::UnsignableBody);
    }
    let armour = signature::sign(body, namespace, identity.signing_key());
    let mut document = body.to_vec();
    document.extend_from_slice(MARKER);
    document.push(b'\n');
    document.extend_from_slice(indented(&armour).as_bytes());
    Ok(document)
}

/// Verifies a document, strictly, before anything in it is parsed. Linear in its length.
///
/// # Errors
/// [`SignedDocumentError`], which says how it is wrong.
pub fn verify_document(file: &[u8], namespace: Namespace) -> Result<VerifiedDocument<'_>, SignedDocumentError> {
    let mut marked = lines(file).filter(|(_, line)| *line == MARKER).map(|(start, _)| start);
    let Some(start) = marked.next() else {
        let converted = lines(file).any(|(_, line)| line.strip_suffix(b"\r") == Some(MARKER));
        return Err(if converted { SignedDocumentError::LineEndings } else { SignedDocumentError::Unsigned });
    };
    if marked.next().is_some() {
        return Err(SignedDocumentError::SeveralSignatures);
    }
    let (body, rest) = file.split_at(start);
    if file.contains(&b'\r') {
        return Err(SignedDocumentError::LineEndings);
    }
    let malformed = SignedDocumentError::Trailer(SignatureError::Malformed);
    let trailer = rest.get(MARKER.len() + 1..).and_then(|rest| std::str::from_utf8(rest).ok()).ok_or(malformed)?;
    let armour: String = trailer.split_inclusive('\n').map(|line| line.strip_prefix(INDENT).unwrap_or(line)).collect();
    if indented(&armour) != trailer {
        return Err(SignedDocumentError::Trailer(SignatureError::NotCanonical));
    }
    match signature::verify(body, namespace, &armour) {
        Ok(signer) => Ok(VerifiedDocument { body, signer }),
        Err(SignatureError::Bad) => Err(SignedDocumentError::BadSignature),
        Err(error) => Err(SignedDocumentError::Trailer(error)),
    }
}

/// Body and trailer of a file whose signature is not looked at; none without a trailer.
#[must_use]
pub fn unverified_parts(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = lines(file).find(|(_, line)| *line == MARKER).map(|(start, _)| start)?;
    Some(file.split_at(start))
}

/// The lines of `file` without their LF, each with the offset of its start.
fn lines(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    file.split_inclusive(|byte| *byte == b'\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line.strip_suffix(b"\n").unwrap_or(line)))
    })
}

fn indented(armour: &str) -> String {
    armour.split_inclusive('\n').flat_map(|line| [INDENT, line]).collect()
}
