//! The recovery identity: what it has to be so that a store whose admins have lost their keys is not lost. Pure.
//!
//! It is an admin, since somebody has to list the new people; it reads everything, since a value that nobody can open is gone; and it may
//! write everything, since encrypting a value to new readers takes both. A rule decides alone about its paths, so each one names it.

use super::edit::{Edit, EditError};
use super::rights::Rights;
use crate::model::{ADMINS, Email, MemberKeys, MemberName, Pattern, Policy, Principal, RoleName, Rule};

/// What it is called.
pub const RECOVERY: &str = "recovery";

/// The change that adds a recovery identity called `name` to `policy`.
///
/// # Errors
/// [`EditError`] when the name or address is somebody's.
pub fn with_recovery(policy: &Policy, name: MemberName, email: Email, keys: MemberKeys) -> Result<Edit, EditError> {
    let roles: Vec<RoleName> = policy.roles.iter().filter(|role| role.as_str() == ADMINS).cloned().collect();
    let add = Edit::AddMember { name: name.clone(), email, roles, keys };
    let mut next = add.apply(policy)?;
    let by_role = |list: &[Principal]| list.iter().any(|it| it.as_str() == ADMINS);
    let name_it = |rule: &mut Rule| {
        for list in [&mut rule.read, &mut rule.write] {
            if !by_role(list) {
                list.push(Principal::from(&name));
            }
        }
    };
    next.secrets.values_mut().for_each(name_it);
    Ok(Edit::Whole(Box::new(next)))
}

/// The patterns of `policy` whose rules a recovery identity can't read and write by: none, where there is no such identity.
#[must_use]
pub fn rules_beyond_recovery(policy: &Policy) -> Vec<&Pattern> {
    let mut names = policy.members.keys().filter(|name| name.as_str().starts_with(RECOVERY));
    let Some(name) = names.next() else { return Vec::new() };
    let rights = Rights::of(policy);
    let named = |list: &[Principal]| list.iter().any(|principal| rights.is_meant(name, principal));
    let lacking = policy.secrets.iter().filter(|(_, rule)| !(named(&rule.read) && named(&rule.write)));
    lacking.map(|(pattern, _)| pattern).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Action, parse_content};

    #[test]
    fn a_recovery_identity_reads_and_writes_by_every_rule() {
        let text = "environments: []\nroles: [admins, devops]\nmembers:\n  alice: {email: alice@example.com, roles: [admins], keys: [], lost: []}\n\
                    secrets:\n  '**': {read: [admins], write: [admins]}\n  a/*: {read: [devops], write: [alice]}\n  b/*: {read: [admins]}\n";
        let blank = Policy {
            epoch: crate::model::Epoch::FIRST,
            salt: None,
            previous: None,
            author: "alice".parse().unwrap(),
            time: "2026-11-24".parse().unwrap(),
            environments: vec![],
            roles: vec![],
            members: [].into(),
            secrets: [].into(),
            accepted: None,
        };
        let policy = parse_content(text, &blank).unwrap();
        assert!(rules_beyond_recovery(&policy).is_empty(), "there is none");
        let keys = MemberKeys { recipient: "age1x".into(), signing: "ssh-ed25519 x".into() };
        let name: MemberName = RECOVERY.parse().unwrap();
        let edit = with_recovery(&policy, name.clone(), "r@example.com".parse().unwrap(), keys.clone()).unwrap();
        let mut next = edit.apply(&policy).unwrap();
        assert!(next.members[&name].is_admin() && rules_beyond_recovery(&next).is_empty());
        assert_eq!(next.secrets[&"**".parse::<Pattern>().unwrap()].read.len(), 1, "an admin's rule names it already");
        for path in ["a/X", "b/X", "c/X"] {
            let path = path.parse().unwrap();
            for action in [Action::Read, Action::Write] {
                assert!(Rights::of(&next).allows(&name, action, &path), "{path} {action:?}");
            }
        }
        next.secrets.insert("c/*".parse().unwrap(), next.secrets.values().next().unwrap().clone());
        next.secrets.values_mut().for_each(|rule| rule.write.retain(|it| it.as_str() != RECOVERY));
        let beyond: Vec<String> = rules_beyond_recovery(&next).into_iter().map(ToString::to_string).collect();
        assert_eq!(beyond, ["a/*", "b/*"]);
        assert!(with_recovery(&next, name, "r@example.com".parse().unwrap(), keys).is_err());
    }
}
