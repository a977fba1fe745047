//! A published log: its lines, and a head signed by its owner.

use crate::crypto::{self, Identity, Namespace, SignedDocumentError};
use crate::model::{AuditHead, Document as _, MemberName, RandomId, StoreId};
use crate::policy::{SignedFlaw, verified};

use super::log::{Log, LogError, Owner};

/// Why a published log is refused.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// The head's signature doesn't hold, or it is no head.
    #[error("its head is refused")]
    Head(#[from] SignedFlaw),
    /// Signed by another key than the one whose log it is to be.
    #[error("it is signed by another key")]
    ForeignKey,
    /// Of another store or clone.
    #[error("it belongs to another store or clone, and was moved here")]
    Moved,
    /// By a member that the key does not belong to.
    #[error("it speaks for `{author}`, to whom its key does not belong")]
    NotTheirs {
        /// The member it names.
        author: MemberName,
    },
    /// The lines are no log.
    #[error("its lines are not what was signed")]
    Log(#[from] LogError),
    /// A log, but not the one that was signed.
    #[error("its lines are not those that were signed")]
    OtherLines,
}

/// Signs the head of `log`, which holds at least one event; none for an empty one.
///
/// # Errors
/// [`SignedDocumentError`], which a head never gives.
pub fn sign_head(
    log: &Log,
    store: StoreId,
    device: &RandomId,
    author: &MemberName,
    identity: &Identity,
) -> Result<Option<Vec<u8>>, SignedDocumentError> {
    let (Some(last), Some(newest)) = (log.last(), log.events().last()) else { return Ok(None) };
    // The newest event's time, so that publishing the same log again gives the same bytes.
    let (device, author, time) = (device.clone(), author.clone(), newest.deed.time);
    let head = AuditHead { store, device, author, time, events: log.len(), last };
    crypto::sign_document(&head.body(), Namespace::Audit, identity).map(Some)
}

/// Verifies a published log: the signature first, by the key whose log it is to be, which belongs to `member`; then that the head speaks
/// for this store, clone and member; then every line.
///
/// # Errors
/// [`PublishedError`].
pub fn check_published(
    head: &[u8],
    files: &[Vec<u8>],
    store: StoreId,
    owner: &Owner,
    member: &MemberName,
) -> Result<Log, PublishedError> {
    let (head, signer) = verified::<AuditHead>(head, Namespace::Audit)?;
    if signer.fingerprint() != owner.key {
        return Err(PublishedError::ForeignKey);
    }
    if head.store != store || head.device != owner.device {
        return Err(PublishedError::Moved);
    }
    if head.author != *member {
        return Err(PublishedError::NotTheirs { author: head.author });
    }
    let log = Log::read(files, Some(owner))?;
    if log.len() != head.events || log.last() != Some(head.last) {
        return Err(PublishedError::OtherLines);
    }
    match log.events().iter().find(|event| event.deed.actor.member != *member) {
        Some(event) => Err(PublishedError::NotTheirs { author: event.deed.actor.member.clone() }),
        None => Ok(log),
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Event;
    use super::super::log::tests::lines;
    use super::*;

    /// A log of `count` events by `identity`, and its signed head.
    fn published(identity: &Identity, count: u8) -> (Vec<u8>, Vec<u8>, Owner) {
        let owner = Owner { key: identity.verifying_key().fingerprint(), device: RandomId::of([1; 16]) };
        let mut file = Vec::new();
        let mut last: Option<Event> = None;
        for line in lines(count) {
            let mut event = Event::parse(&line).unwrap();
            event.deed.actor.key = owner.key;
            event = last.map_or_else(|| event.clone(), |last: Event| last.next(event.id.clone(), event.deed.clone()));
            file.extend(event.to_line());
            last = Some(event);
        }
        let log = Log::read(&[file.clone()], None).unwrap();
        let head = sign_head(&log, store(), &owner.device, &"alice".parse().unwrap(), identity).unwrap().unwrap();
        (head, file, owner)
    }

    fn store() -> StoreId {
        StoreId::of_first_epoch(b"x")
    }

    #[test]
    fn a_published_log_holds_for_its_key_store_clone_and_member_only() {
        let identity = Identity::generate();
        let (head, file, owner) = published(&identity, 3);
        let files = [file];
        let alice: MemberName = "alice".parse().unwrap();
        assert_eq!(check_published(&head, &files, store(), &owner, &alice).unwrap().len(), 3);
        let other = Owner { key: Identity::generate().verifying_key().fingerprint(), ..owner.clone() };
        assert!(matches!(check_published(&head, &files, store(), &other, &alice), Err(PublishedError::ForeignKey)));
        let other = Owner { device: RandomId::of([2; 16]), ..owner.clone() };
        assert!(matches!(check_published(&head, &files, store(), &other, &alice), Err(PublishedError::Moved)));
        let elsewhere = StoreId::of_first_epoch(b"y");
        assert!(matches!(check_published(&head, &files, elsewhere, &owner, &alice), Err(PublishedError::Moved)));
        let bob = "bob".parse().unwrap();
        let refused = check_published(&head, &files, store(), &owner, &bob);
        assert!(matches!(refused, Err(PublishedError::NotTheirs { author }) if author == alice));
    }

    #[test]
    fn lines_that_were_not_signed_are_refused() {
        let identity = Identity::generate();
        let (head, _, owner) = published(&identity, 2);
        let (longer_head, longer, _) = published(&identity, 3);
        let alice: MemberName = "alice".parse().unwrap();
        let check = |head: &[u8], file: &[u8]| check_published(head, &[file.to_vec()], store(), &owner, &alice);
        assert!(matches!(check(&head, &longer), Err(PublishedError::OtherLines)));
        assert!(matches!(check(&longer_head, &longer[..longer.len() - 1]), Err(PublishedError::Log(_))));
        assert!(matches!(check(&head, b""), Err(PublishedError::OtherLines)));
        let text = String::from_utf8(longer_head).unwrap();
        let forged = text.replace("events: 3", "events: 2");
        assert!(matches!(check(forged.as_bytes(), &longer), Err(PublishedError::Head(SignedFlaw::Signature(_)))));
        // Somebody's signature over something else says nothing of a log.
        let body = text.split("signature: |").next().unwrap();
        let other = crypto::sign_document(body.as_bytes(), Namespace::Secret, &identity).unwrap();
        assert!(matches!(check(&other, &longer), Err(PublishedError::Head(SignedFlaw::Signature(_)))));
        // A line that speaks for another member.
        let log = String::from_utf8(longer).unwrap().lines().next().unwrap().replace("alice", "bob") + "\n";
        let log = Log::read(&[log.into_bytes()], None).unwrap();
        let head = sign_head(&log, store(), &owner.device, &alice, &identity).unwrap().unwrap();
        let line = log.events()[0].to_line();
        assert!(matches!(check(&head, &line), Err(PublishedError::NotTheirs { author }) if author.as_str() == "bob"));
    }
}
