//! Access rules applied to a path. Pure.

use std::cmp::Ordering;

use crate::model::{MemberName, OnExpired, Pattern, Policy, Principal, Rule, SecretPath};

/// What a member may be allowed to do with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read values: be a recipient.
    Read,
    /// Set values, tags and metadata.
    Write,
    /// Delete, and rename away.
    Delete,
    /// Let others read for a time.
    Grant,
}

/// The rules of one policy.
#[derive(Debug, Clone, Copy)]
pub struct Rights<'a> {
    policy: &'a Policy,
}

impl<'a> Rights<'a> {
    /// The rights that `policy` gives.
    #[must_use]
    pub const fn of(policy: &'a Policy) -> Self {
        Self { policy }
    }

    /// The rule that decides about `path`, alone: the most specific pattern that matches. None means that everything is denied.
    #[must_use]
    pub fn deciding_rule(&self, path: &SecretPath) -> Option<(&'a Pattern, &'a Rule)> {
        let text = path.to_string();
        let matching = self.policy.secrets.iter().filter(|(pattern, _)| pattern.matches(&text));
        matching.reduce(|best, other| if other.0.specificity(best.0) == Ordering::Greater { other } else { best })
    }

    /// Whether `member` may do `action` with `path`. Denied by default; being an admin gives no right by itself.
    #[must_use]
    pub fn allows(&self, member: &MemberName, action: Action, path: &SecretPath) -> bool {
        self.by_name(member, action, path).is_some()
    }

    /// The name in the deciding rule that lets `member` do `action` with `path`: theirs, their address or a role.
    #[must_use]
    pub fn by_name(&self, member: &MemberName, action: Action, path: &SecretPath) -> Option<&'a Principal> {
        let (_, rule) = self.deciding_rule(path)?;
        self.by_name_in(rule, member, action)
    }

    /// The name in `rule` that lets `member` do `action`, where it is the rule that decides.
    #[must_use]
    pub fn by_name_in<'r>(&self, rule: &'r Rule, member: &MemberName, action: Action) -> Option<&'r Principal> {
        let among = |list: &'r [Principal]| list.iter().find(|principal| self.is_meant(member, principal));
        match action {
            Action::Read => among(&rule.read),
            Action::Write => among(&rule.write),
            Action::Delete => among(&rule.delete),
            Action::Grant => match &rule.grant {
                Some(list) => among(list),
                None => among(&rule.read).and_then(|_| among(&rule.write)),
            },
        }
    }

    /// The members who may do `action` with `path`, by name.
    pub fn who<'p>(&self, action: Action, path: &'p SecretPath) -> impl Iterator<Item = &'a MemberName> + use<'a, 'p> {
        let rights = *self;
        self.policy.members.keys().filter(move |member| rights.allows(member, action, path))
    }

    /// Whether an expired credential at `path` is to be refused.
    #[must_use]
    pub fn refuses_expired(&self, path: &SecretPath) -> bool {
        self.deciding_rule(path).is_some_and(|(_, rule)| rule.on_expired == Some(OnExpired::Refuse))
    }

    /// Whether `principal` names `name`, their address or a role of theirs.
    pub(super) fn is_meant(&self, name: &MemberName, principal: &Principal) -> bool {
        let text = principal.as_str();
        let member = self.policy.members.get(name);
        member.is_some_and(|member| {
            name.as_str() == text
                || member.email.as_str() == text
                || member.roles.iter().any(|role| role.as_str() == text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Member, MemberKeys};

    fn policy() -> Policy {
        let member = |email: &str, roles: &[&str]| Member {
            email: email.parse().unwrap(),
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            keys: vec![MemberKeys { recipient: "r".into(), signing: "s".into() }],
            lost: std::collections::BTreeSet::new(),
        };
        let rule = |read: &[&str], write: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
            Rule {
                read: list(read),
                write: list(write),
                delete: vec![],
                grant: None,
                on_expired: None,
                max_grant: None,
            }
        };
        Policy {
            epoch: Epoch::FIRST,
            salt: None,
            previous: None,
            author: "alice".parse().unwrap(),
            time: "2026-11-24".parse().unwrap(),
            environments: vec![],
            roles: ["admins", "devops"].map(|role| role.parse().unwrap()).into(),
            members: [
                ("alice".parse().unwrap(), member("alice@example.com", &["admins"])),
                ("bob".parse().unwrap(), member("bob@example.com", &["devops"])),
            ]
            .into(),
            secrets: [
                ("**".parse().unwrap(), rule(&["admins"], &["admins"])),
                ("production/*".parse().unwrap(), rule(&["devops", "alice@example.com"], &["bob"])),
            ]
            .into(),
            accepted: None,
        }
    }

    #[test]
    fn the_most_specific_rule_decides_alone() {
        let policy = policy();
        let rights = Rights::of(&policy);
        let [alice, bob]: [MemberName; 2] = ["alice", "bob"].map(|name| name.parse().unwrap());
        let production: SecretPath = "production/A".parse().unwrap();
        let staging: SecretPath = "staging/A".parse().unwrap();
        assert!(rights.allows(&alice, Action::Read, &production), "by e-mail address");
        assert!(!rights.allows(&alice, Action::Write, &production), "an admin has no right by that");
        assert!(rights.allows(&bob, Action::Write, &production), "by name");
        assert!(rights.allows(&bob, Action::Read, &production), "by role");
        assert!(!rights.allows(&bob, Action::Read, &staging));
        assert!(!rights.allows(&bob, Action::Delete, &production), "denied by default");
        assert!(!rights.allows(&"mallory".parse().unwrap(), Action::Read, &production));
        assert_eq!(rights.who(Action::Read, &production).collect::<Vec<_>>(), [&alice, &bob]);
    }

    #[test]
    fn the_order_in_which_rules_are_written_decides_nothing() {
        let mut policy = policy();
        let rule =
            |name: &str| Rule { read: vec![name.parse().unwrap()], ..policy.secrets.values().next().unwrap().clone() };
        let rules = [("a/*", "alice"), ("a/**", "bob"), ("a/b/**", "alice"), ("a/b/*c", "bob")];
        policy.secrets = rules.map(|(pattern, name)| (pattern.parse().unwrap(), rule(name))).into();
        for (path, decides) in [("a/X", "a/*"), ("a/b/X", "a/b/**"), ("a/b/Xc", "a/b/*c")] {
            let path: SecretPath = path.parse().unwrap();
            let (pattern, _) = Rights::of(&policy).deciding_rule(&path).unwrap();
            assert_eq!(pattern.as_str(), decides, "{path}");
        }
    }

    #[test]
    fn whoever_reads_and_writes_may_grant_unless_the_rule_says_who() {
        let mut policy = policy();
        let production: SecretPath = "production/A".parse().unwrap();
        let grants = |policy: &Policy| {
            Rights::of(policy).who(Action::Grant, &production).map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(grants(&policy), ["bob"], "alice reads and does not write");
        policy.secrets.values_mut().for_each(|rule| rule.grant = Some(vec!["alice".parse().unwrap()]));
        assert_eq!(grants(&policy), ["alice"]);
        policy.secrets.values_mut().for_each(|rule| rule.grant = Some(vec![]));
        assert_eq!(grants(&policy), [""; 0]);
    }

    #[test]
    fn no_rule_means_no_right() {
        let mut policy = policy();
        policy.secrets.clear();
        let rights = Rights::of(&policy);
        assert!(!rights.allows(&"alice".parse().unwrap(), Action::Read, &"staging/A".parse().unwrap()));
    }
}
