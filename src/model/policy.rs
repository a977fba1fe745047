//! A policy epoch: members, roles and access rules (`vsecure: policy/1`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::grant::GUEST;
use super::yaml::{Document, DocumentError, Node, emit};
use super::{
    Digest, Email, Environment, Epoch, Fingerprint, MemberName, Pattern, Principal, RoleName, Span, Timestamp,
};

/// The largest policy file, in bytes, its signature included.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;
const SALT_DIGITS: usize = 32;

/// What an expired credential does to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExpired {
    /// It comes, with a warning.
    Warn,
    /// It is refused.
    Refuse,
}

/// One pair of a member's public keys, as texts: crypto parses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberKeys {
    /// `age1…` or `ssh-ed25519 AAAA…`.
    pub recipient: String,
    /// `ssh-ed25519 AAAA…`.
    pub signing: String,
}

/// A person or machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The e-mail address.
    pub email: Email,
    /// Roles, in the order given.
    pub roles: Vec<RoleName>,
    /// Keys; at least one.
    pub keys: Vec<MemberKeys>,
    /// Fingerprints of former recipients that may be in others' hands; sorted.
    pub lost: BTreeSet<Fingerprint>,
}

/// The role whose members sign policies.
pub const ADMINS: &str = "admins";

impl Member {
    /// Whether the member may change the policy. That gives no right to read or write.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role.as_str() == ADMINS)
    }
}

/// What a rule grants for the paths of its pattern.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Who may read.
    pub read: Vec<Principal>,
    /// Who may write.
    pub write: Vec<Principal>,
    /// Who may delete.
    pub delete: Vec<Principal>,
    /// Who may grant; none said means whoever may both read and write.
    pub grant: Option<Vec<Principal>>,
    /// What an expired credential does; none said means a warning.
    pub on_expired: Option<OnExpired>,
    /// The longest grant allowed.
    pub max_grant: Option<Span>,
}

/// The fields as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    #[serde(rename = "vsecure")]
    _format: String,
    epoch: Epoch,
    salt: Option<String>,
    previous: Option<Digest>,
    author: MemberName,
    time: Timestamp,
    environments: Vec<Environment>,
    roles: Vec<RoleName>,
    members: BTreeMap<MemberName, Member>,
    secrets: BTreeMap<Pattern, Rule>,
    accepted: Option<Digest>,
}

/// One epoch of a store's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its number.
    pub epoch: Epoch,
    /// 16 random bytes in hex, in epoch 1 only: they make the store's id unique.
    pub salt: Option<String>,
    /// SHA-256 of the previous epoch's file; none in epoch 1.
    pub previous: Option<Digest>,
    /// Who signed.
    pub author: MemberName,
    /// When, by the author's clock.
    pub time: Timestamp,
    /// Environments besides `default`, in the order given.
    pub environments: Vec<Environment>,
    /// Roles, in the order given.
    pub roles: Vec<RoleName>,
    /// Members by name.
    pub members: BTreeMap<MemberName, Member>,
    /// Rules by pattern.
    pub secrets: BTreeMap<Pattern, Rule>,
    /// SHA-256 of the acceptance list, where there is one.
    pub accepted: Option<Digest>,
}

impl Policy {
    /// The member that `text` names: by name or e-mail address.
    #[must_use]
    pub fn member_named(&self, text: &str) -> Option<(&MemberName, &Member)> {
        self.members.iter().find(|(name, member)| name.as_str() == text || member.email.as_str() == text)
    }

    /// Whether `environment` is one of the store's: `default` always is.
    #[must_use]
    pub fn has_environment(&self, environment: &Environment) -> bool {
        environment.is_default() || self.environments.contains(environment)
    }

    /// All environments: the policy's in its order, and `default`.
    pub fn all_environments(&self) -> impl Iterator<Item = Environment> + '_ {
        let default = (!self.environments.iter().any(Environment::is_default)).then(Environment::default_one);
        self.environments.iter().cloned().chain(default)
    }

    /// An environment whose name another one has already, without regard to case: they would share a folder on some file systems.
    #[must_use]
    pub fn twin_environment(&self) -> Option<&Environment> {
        let mut seen = BTreeSet::new();
        self.environments.iter().find(|environment| !seen.insert(environment.as_str().to_ascii_lowercase()))
    }

    /// What people change of it, as YAML: environments, roles, members and rules.
    #[must_use]
    pub fn content(&self) -> String {
        emit(self.content_fields())
    }

    fn content_fields(&self) -> Vec<(&'static str, Node)> {
        let members = self.members.iter().map(|(name, member)| (name.to_string(), member_node(member))).collect();
        let rules = self.secrets.iter().map(|(pattern, rule)| (pattern.to_string(), rule_node(rule))).collect();
        vec![
            ("environments", Node::list(&self.environments, Node::text)),
            ("roles", Node::list(&self.roles, Node::text)),
            ("members", Node::Map(members)),
            ("secrets", Node::Map(rules)),
        ]
    }

    /// Members' names, e-mail addresses and roles are one namespace, without regard to case.
    fn names_collide(&self) -> bool {
        let members = self.members.iter().flat_map(|(name, member)| [name.as_str(), member.email.as_str()]);
        let mut names: Vec<String> =
            members.chain(self.roles.iter().map(RoleName::as_str)).map(str::to_ascii_lowercase).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
    }

    /// Whether a rule may name `principal`: a role, a member, or a member's e-mail address.
    #[must_use]
    pub fn knows(&self, principal: &Principal) -> bool {
        let text = principal.as_str();
        self.roles.iter().any(|role| role.as_str() == text)
            || self.members.iter().any(|(name, member)| name.as_str() == text || member.email.as_str() == text)
    }
}

impl Document for Policy {
    type Wire = Wire;
    const FORMAT: &'static str = "policy/1";
    const MAX_BYTES: usize = MAX_POLICY_BYTES;

    fn from_wire(wire: Wire) -> Self {
        Self {
            epoch: wire.epoch,
            salt: wire.salt,
            previous: wire.previous,
            author: wire.author,
            time: wire.time,
            environments: wire.environments,
            roles: wire.roles,
            members: wire.members,
            secrets: wire.secrets,
            accepted: wire.accepted,
        }
    }

    fn check(&self) -> Result<(), DocumentError> {
        let wrong = |what| Err(DocumentError::Inconsistent(what));
        let first = self.epoch == Epoch::FIRST;
        if first != self.previous.is_none() {
            return wrong("epoch 1, and only that, has no previous epoch");
        }
        let hex =
            |text: &str| text.len() == SALT_DIGITS && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if first != self.salt.as_deref().is_some_and(hex) {
            return wrong("epoch 1, and only that, has a salt of 32 hexadecimal digits");
        }
        if self.members.values().any(|member| member.keys.is_empty()) {
            return wrong("a member without keys");
        }
        if !self.members.values().any(Member::is_admin) {
            return wrong("nobody is in the role admins");
        }
        if self.members.values().flat_map(|member| &member.roles).any(|role| !self.roles.contains(role)) {
            return wrong("a member has a role that is not declared");
        }
        if self.members.keys().any(|name| name.as_str().starts_with(GUEST)) {
            return wrong("a member is called as guests are");
        }
        if self.twin_environment().is_some() {
            return wrong("two environments have one name");
        }
        if self.names_collide() {
            return wrong("two members, roles or e-mail addresses have one name");
        }
        if self
            .secrets
            .values()
            .flat_map(|rule| [&rule.read, &rule.write, &rule.delete].into_iter().chain(&rule.grant))
            .flatten()
            .any(|p| !self.knows(p))
        {
            return wrong("a rule names nobody that there is");
        }
        Ok(())
    }

    fn fields(&self) -> Vec<(&'static str, Node)> {
        let mut fields = vec![
            ("epoch", Node::Number(self.epoch.get())),
            ("salt", Node::option(self.salt.as_ref(), Node::text)),
            ("previous", Node::option(self.previous.as_ref(), Node::text)),
            ("author", Node::text(&self.author)),
            ("time", Node::word(self.time)),
        ];
        fields.extend(self.content_fields());
        fields.push(("accepted", Node::option(self.accepted.as_ref(), Node::text)));
        fields
    }
}

impl MemberKeys {
    pub(super) fn node(&self) -> Node {
        Node::Fields(vec![("recipient", Node::text(&self.recipient)), ("signing", Node::text(&self.signing))])
    }
}

fn member_node(member: &Member) -> Node {
    Node::Fields(vec![
        ("email", Node::text(&member.email)),
        ("roles", Node::list(&member.roles, Node::text)),
        ("keys", Node::list(&member.keys, MemberKeys::node)),
        ("lost", Node::list(&member.lost, Node::text)),
    ])
}

fn rule_node(rule: &Rule) -> Node {
    let on_expired = |it: &OnExpired| match it {
        OnExpired::Warn => Node::word("warn"),
        OnExpired::Refuse => Node::word("refuse"),
    };
    Node::Fields(vec![
        ("read", Node::list(&rule.read, Node::text)),
        ("write", Node::list(&rule.write, Node::text)),
        ("delete", Node::list(&rule.delete, Node::text)),
        ("grant", Node::option(rule.grant.as_ref(), |grant| Node::list(grant, Node::text))),
        ("on_expired", Node::option(rule.on_expired.as_ref(), on_expired)),
        ("max_grant", Node::option(rule.max_grant.as_ref(), Node::text)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Policy {
        let admins: RoleName = "admins".parse().unwrap();
        let list = vec![Principal::from(&admins)];
        let keys = MemberKeys { recipient: "age1xyz".into(), signing: "ssh-ed25519 AAAA".into() };
        let alice = Member {
            email: "alice@example.com".parse().unwrap(),
            roles: vec![admins.clone()],
            keys: vec![keys],
            lost: BTreeSet::new(),
        };
        let rule = Rule {
            read: list.clone(),
            write: list.clone(),
            delete: list,
            grant: None,
            on_expired: None,
            max_grant: None,
        };
        Policy {
            epoch: Epoch::FIRST,
            salt: Some("00112233445566778899aabbccddeeff".into()),
            previous: None,
            author: "alice".parse().unwrap(),
            time: "2026-11-24T03:00:00Z".parse().unwrap(),
            environments: ["development", "staging", "production"].map(|e| e.parse().unwrap()).into(),
            roles: vec![admins],
            members: [("alice".parse().unwrap(), alice)].into(),
            secrets: [(Pattern::everything(), rule)].into(),
            accepted: None,
        }
    }

    #[test]
    fn a_policy_has_one_spelling() {
        let policy = example();
        let body = String::from_utf8(policy.body()).unwrap();
        insta::assert_snapshot!(body);
        assert!(crate::model::canonical::read::<Wire>(body.as_bytes()).is_some(), "the quick reader knows it");
        assert_eq!(Policy::parse(body.as_bytes()), Ok(policy));
        let other = body.replace("\"alice\"", "alice");
        assert_eq!(Policy::parse(other.as_bytes()), Err(DocumentError::NotCanonical));
    }

    #[test]
    fn a_contradicting_policy_is_refused() {
        let refuse = |change: fn(&mut Policy)| {
            let mut policy = example();
            change(&mut policy);
            assert!(matches!(Policy::parse(&policy.body()), Err(DocumentError::Inconsistent(_))));
        };
        refuse(|p| p.salt = None);
        refuse(|p| p.salt = Some("xx".into()));
        refuse(|p| p.previous = Some(Digest::of(b"x")));
        refuse(|p| p.epoch = Epoch::FIRST.next());
        refuse(|p| p.roles.push("Alice".parse().unwrap()));
        refuse(|p| p.roles.clear());
        refuse(|p| p.environments.push("Staging".parse().unwrap()));
        refuse(|p| p.members.values_mut().for_each(|m| m.roles.clear()));
        refuse(|p| {
            p.secrets.values_mut().for_each(|rule| rule.grant = Some(vec!["nobody".parse().unwrap()]));
        });
        refuse(|p| p.members.values_mut().for_each(|m| m.roles.push("undeclared".parse().unwrap())));
        refuse(|p| p.members.values_mut().for_each(|m| m.keys.clear()));
        refuse(|p| {
            let mut guest = p.members.values().next().unwrap().clone();
            guest.email = "guest@example.com".parse().unwrap();
            p.members.insert("guest-7".parse().unwrap(), guest);
        });
    }

    #[test]
    fn default_is_always_an_environment() {
        let policy = example();
        let names: Vec<_> = policy.all_environments().map(|e| e.to_string()).collect();
        assert_eq!(names, ["development", "staging", "production", "default"]);
        assert!(policy.has_environment(&Environment::default_one()));
        assert!(!policy.has_environment(&"prod".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_policy_round_trips(
            names in prop::collection::btree_set("[a-z][a-z0-9]{0,12}q", 1..6),
            envs in prop::collection::btree_set("[a-z][a-z0-9]{0,12}q", 0..4),
            patterns in prop::collection::btree_set("[a-z]{1,5}/[a-z*]{1,5}x", 1..5),
            grant in any::<bool>(),
        ) {
            let mut policy = example();
            for name in names {
                let mut member = policy.members.values().next().unwrap().clone();
                member.email = format!("{name}@example.org").parse().unwrap();
                policy.members.insert(name.parse().unwrap(), member);
            }
            policy.environments = envs.iter().map(|e| e.parse().unwrap()).collect();
            for text in patterns {
                if let Ok(pattern) = text.parse() {
                    let mut rule = example().secrets.values().next().unwrap().clone();
                    rule.grant = grant.then(|| rule.read.clone());
                    rule.on_expired = grant.then_some(OnExpired::Refuse);
                    policy.secrets.insert(pattern, rule);
                }
            }
            prop_assert_eq!(Policy::parse(&policy.body()), Ok(policy));
        }
    }
}
