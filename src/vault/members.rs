//! Requests to join a store or to change keys: what a person hands to an admin.

use crate::crypto::{self, Identity, Namespace, VerifyingKey};
use crate::model::{Document as _, Email, MAX_REQUEST_BYTES, MemberKeys, MemberName, Request, StoreId, Timestamp};
use crate::policy::verified;
use crate::store::FileChange;

use super::error::Flaw;
use super::write::Planned;
use super::{Vault, VaultError, Writing, layout};

/// A request whose signature shows that the asker has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// What is asked for.
    pub request: Request,
    /// The fingerprint of its signing key: what to compare with the person, on another way.
    pub fingerprint: String,
}

impl Vault {
    /// A request of somebody to be listed in the store `store`, signed by the key itself.
    ///
    /// # Errors
    /// [`VaultError::Sign`].
    pub fn request(
        store: StoreId,
        name: MemberName,
        email: Email,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Vec<u8>, VaultError> {
        let keys =
            MemberKeys { recipient: identity.recipient().to_string(), signing: identity.verifying_key().to_string() };
        let request = Request { store, name, email, keys, time: now };
        crypto::sign_document(&request.body(), Namespace::Request, identity).map_err(VaultError::Sign)
    }

    /// The name and e-mail address that git's configuration has here.
    ///
    /// # Errors
    /// [`VaultError`] when git's configuration can't be read.
    pub fn git_user_here(&self) -> Result<(Option<String>, Option<String>), VaultError> {
        Ok(self.store.git_user()?)
    }

    /// Verifies a request's file: signed by the key that it names, for this store.
    ///
    /// # Errors
    /// [`VaultError::Request`].
    pub fn read_request(&self, file: &[u8]) -> Result<Asking, VaultError> {
        let (request, signer) =
            verified::<Request>(file, Namespace::Request).map_err(|flaw| VaultError::Request(flaw.into()))?;
        let key: Option<VerifyingKey> = request.keys.signing.parse().ok();
        if key != Some(signer) {
            return Err(VaultError::Request(Flaw::ForeignKey { author: request.name }));
        }
        if request.store != self.id() {
            return Err(VaultError::Request(Flaw::OtherStore));
        }
        Ok(Asking { fingerprint: signer.fingerprint().to_string(), request })
    }

    /// Puts a request into the repository, for a pull request; the file's path within the store, and the commit.
    ///
    /// # Errors
    /// [`VaultError`]: an invalid request, git.
    pub fn put_request(&self, file: &[u8], writing: &Writing) -> Result<(String, Option<String>), VaultError> {
        let Asking { request, .. } = self.read_request(file)?;
        let path = layout::request(&request.name);
        let ((), applied) = self.transact(writing, "request", &|_| {
            let seen = self.store.read(&path, MAX_REQUEST_BYTES as u64)?;
            let change = FileChange { path: path.clone(), seen, content: Some(file.to_vec()) };
            Ok(Planned {
                changes: vec![change],
                subject: format!("Ask for {} to be listed", request.name),
                trailers: vec![("Vsecure-Change", "request".to_owned())],
                result: (),
            })
        })?;
        Ok((path.to_string(), applied.and_then(|applied| applied.commit).map(|commit| commit.to_string())))
    }

    /// The request of `name` that lies in the repository, removed by the change that grants it.
    pub(super) fn request_done(&self, name: &MemberName) -> Result<Option<FileChange>, VaultError> {
        let path = layout::request(name);
        let seen = self.store.read(&path, MAX_REQUEST_BYTES as u64)?;
        Ok(seen.map(|seen| FileChange { path, seen: Some(seen), content: None }))
    }
}
