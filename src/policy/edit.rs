//! Changes of a policy: from one epoch's policy to the next one's. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{
    ADMINS, Email, Environment, Fingerprint, GUEST, Member, MemberKeys, MemberName, OnExpired, Pattern, Policy,
    Principal, RoleName, Rule, Span,
};

/// Why a change of a policy is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum EditError {
    /// No member has this name or e-mail address.
    #[error("there is no member `{name}`")]
    NoSuchMember {
        /// Whom somebody named.
        name: String,
    },
    /// A name, role or e-mail address that is somebody's already.
    #[error("`{name}` is a member, a role or an e-mail address of this store already")]
    NameTaken {
        /// Which.
        name: String,
    },
    /// A name that begins as those of guests do.
    #[error("no member's name may begin with `{GUEST}`: guests are listed so")]
    ReservedName,
    /// The store would have nobody who may change the policy.
    #[error("the store would have no admin any more")]
    LastAdmin,
    /// The key is there already.
    #[error("`{name}` has this key already")]
    KeyExists {
        /// The member.
        name: MemberName,
    },
    /// The environment is there already.
    #[error("there is an environment `{environment}` already")]
    EnvironmentExists {
        /// Which.
        environment: Environment,
    },
    /// No such environment.
    #[error("there is no environment `{environment}`")]
    NoSuchEnvironment {
        /// Which.
        environment: Environment,
    },
    /// Two rules would decide alike about one path.
    #[error("the patterns `{first}` and `{second}` are equally specific and have paths in common")]
    Tie {
        /// A pattern.
        first: Pattern,
        /// Another.
        second: Pattern,
    },
    /// A rule names an e-mail address that no member has.
    #[error("a rule names `{principal}`, and no member has that address")]
    UnknownAddress {
        /// The address.
        principal: Principal,
    },
    /// Two changes of the same part, which only a person can bring together.
    #[error("both changed {what}")]
    BothChanged {
        /// What.
        what: String,
    },
}

/// What a rule says, as people write it: lists that are left out are empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    #[serde(default)]
    read: Vec<Principal>,
    #[serde(default)]
    write: Vec<Principal>,
    #[serde(default)]
    delete: Vec<Principal>,
    grant: Option<Vec<Principal>>,
    on_expired: Option<OnExpired>,
    max_grant: Option<Span>,
}

impl From<RuleText> for Rule {
    fn from(text: RuleText) -> Self {
        let RuleText { read, write, delete, grant, on_expired, max_grant } = text;
        Self { read, write, delete, grant, on_expired, max_grant }
    }
}

/// A table of rules, as people write it: `{"secrets": {"production/*": {"read": ["engineers"]}}}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    /// Rules by pattern.
    pub secrets: BTreeMap<Pattern, RuleText>,
}

/// One change of a policy.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A new person or machine.
    AddMember {
        /// Its name.
        name: MemberName,
        /// Its e-mail address.
        email: Email,
        /// Its roles; one that no policy had is declared.
        roles: Vec<RoleName>,
        /// Its keys.
        keys: MemberKeys,
    },
    /// Somebody leaves; by name or e-mail address.
    RemoveMember {
        /// Who.
        who: String,
    },
    /// Other roles.
    SetRoles {
        /// Whose.
        who: String,
        /// All of them.
        roles: Vec<RoleName>,
    },
    /// One more key pair.
    AddKey {
        /// Whose.
        who: String,
        /// The key pair.
        keys: MemberKeys,
    },
    /// One key pair instead of all that a member had.
    ReplaceKeys {
        /// Whose.
        who: String,
        /// The key pair.
        keys: MemberKeys,
        /// Whether others may have the old ones.
        lost: bool,
    },
    /// A new environment.
    AddEnvironment(Environment),
    /// One environment less.
    RemoveEnvironment(Environment),
    /// Rules, merged by pattern or instead of all there are.
    Rules {
        /// Them.
        table: RuleTable,
        /// Whether they replace all.
        replace: bool,
    },
    /// Another document altogether: environments, roles, members and rules of it.
    Whole(Box<Policy>),
    /// Nothing but what is accepted.
    Nothing,
}

impl Edit {
    /// The policy that follows `policy`, but for its header.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn apply(&self, policy: &Policy) -> Result<Policy, EditError> {
        let mut next = policy.clone();
        match self {
            Self::AddMember { name, email, roles, keys } => add_member(&mut next, name, email, roles, keys)?,
            Self::RemoveMember { who } => {
                let name = name_of(&next, who)?;
                forget(&mut next, &name);
            }
            Self::SetRoles { who, roles } => {
                declare(&mut next, roles)?;
                member(&mut next, who)?.1.roles.clone_from(roles);
            }
            Self::AddKey { who, keys } => {
                let (name, member) = member(&mut next, who)?;
                if member.keys.contains(keys) {
                    return Err(EditError::KeyExists { name });
                }
                member.keys.push(keys.clone());
            }
            Self::ReplaceKeys { who, keys, lost } => replace_keys(&mut next, who, keys, *lost)?,
            Self::AddEnvironment(environment) => {
                if next.has_environment(environment) {
                    return Err(EditError::EnvironmentExists { environment: environment.clone() });
                }
                next.environments.push(environment.clone());
            }
            Self::RemoveEnvironment(environment) => {
                if !next.environments.contains(environment) {
                    return Err(EditError::NoSuchEnvironment { environment: environment.clone() });
                }
                next.environments.retain(|known| known != environment);
            }
            Self::Rules { table, replace } => set_rules(&mut next, table, *replace)?,
            Self::Whole(wanted) => {
                next.environments.clone_from(&wanted.environments);
                next.roles.clone_from(&wanted.roles);
                next.members.clone_from(&wanted.members);
                next.secrets.clone_from(&wanted.secrets);
            }
            Self::Nothing => {}
        }
        check(&next)?;
        Ok(next)
    }
}

/// What only a whole policy can show.
fn check(policy: &Policy) -> Result<(), EditError> {
    if !policy.members.values().any(Member::is_admin) {
        return Err(EditError::LastAdmin);
    }
    if let Some(environment) = policy.twin_environment() {
        return Err(EditError::EnvironmentExists { environment: environment.clone() });
    }
    policy.members.keys().try_for_each(demand_free_name)?;
    let patterns: Vec<&Pattern> = policy.secrets.keys().collect();
    for (at, first) in patterns.iter().enumerate() {
        if let Some(second) = patterns.iter().skip(at + 1).find(|second| first.ties_with(second)) {
            return Err(EditError::Tie { first: (*first).clone(), second: (*second).clone() });
        }
    }
    Ok(())
}

fn name_of(policy: &Policy, who: &str) -> Result<MemberName, EditError> {
    let found = policy.member_named(who).map(|(name, _)| name.clone());
    found.ok_or_else(|| EditError::NoSuchMember { name: who.to_owned() })
}

fn member<'p>(policy: &'p mut Policy, who: &str) -> Result<(MemberName, &'p mut Member), EditError> {
    let name = name_of(policy, who)?;
    let missing = || EditError::NoSuchMember { name: who.to_owned() };
    policy.members.get_mut(&name).map(|member| (name, member)).ok_or_else(missing)
}

fn add_member(
    policy: &mut Policy,
    name: &MemberName,
    email: &Email,
    roles: &[RoleName],
    keys: &MemberKeys,
) -> Result<(), EditError> {
    for text in [name.as_str(), email.as_str()] {
        if is_taken(policy, text) {
            return Err(EditError::NameTaken { name: text.to_owned() });
        }
    }
    let member = Member {
        email: email.clone(),
        roles: roles.to_vec(),
        keys: vec![keys.clone()],
        lost: std::collections::BTreeSet::new(),
    };
    policy.members.insert(name.clone(), member);
    declare(policy, roles)
}

/// That a member may be called `name`.
///
/// # Errors
/// [`EditError::ReservedName`].
pub fn demand_free_name(name: &MemberName) -> Result<(), EditError> {
    if name.as_str().starts_with(GUEST) { Err(EditError::ReservedName) } else { Ok(()) }
}

/// Whether a member, a role or an address is called so, in whatever case.
fn is_taken(policy: &Policy, text: &str) -> bool {
    let members = policy.members.iter().flat_map(|(name, member)| [name.as_str(), member.email.as_str()]);
    members.chain(policy.roles.iter().map(AsRef::as_ref)).any(|known| known.eq_ignore_ascii_case(text))
}

/// Declares the roles that there are not yet.
fn declare(policy: &mut Policy, roles: &[RoleName]) -> Result<(), EditError> {
    for role in roles {
        if policy.roles.contains(role) {
            continue;
        }
        if is_taken(policy, role.as_str()) {
            return Err(EditError::NameTaken { name: role.to_string() });
        }
        policy.roles.push(role.clone());
    }
    Ok(())
}

/// Takes a member out, and out of every rule that names it.
fn forget(policy: &mut Policy, name: &MemberName) {
    let Some(member) = policy.members.remove(name) else { return };
    let others = |list: &mut Vec<Principal>| {
        list.retain(|principal| principal.as_str() != name.as_str() && principal.as_str() != member.email.as_str());
    };
    for rule in policy.secrets.values_mut() {
        [&mut rule.read, &mut rule.write, &mut rule.delete].into_iter().chain(&mut rule.grant).for_each(others);
    }
}

fn replace_keys(policy: &mut Policy, who: &str, keys: &MemberKeys, lost: bool) -> Result<(), EditError> {
    let (name, member) = member(policy, who)?;
    if member.keys.contains(keys) {
        return Err(EditError::KeyExists { name });
    }
    let old = std::mem::replace(&mut member.keys, vec![keys.clone()]);
    if lost {
        let fingerprint = |keys: &MemberKeys| -> Option<Fingerprint> {
            keys.recipient.parse::<crate::crypto::Recipient>().ok().map(|recipient| recipient.fingerprint())
        };
        member.lost.extend(old.iter().filter_map(fingerprint));
    }
    Ok(())
}

fn set_rules(policy: &mut Policy, table: &RuleTable, replace: bool) -> Result<(), EditError> {
    if replace {
        policy.secrets.clear();
    }
    policy.secrets.extend(table.secrets.iter().map(|(pattern, text)| (pattern.clone(), Rule::from(text.clone()))));
    let rules = policy.secrets.values();
    let named = rules.flat_map(|rule| [&rule.read, &rule.write, &rule.delete].into_iter().chain(&rule.grant)).flatten();
    let unknown: Vec<Principal> = named.filter(|principal| !policy.knows(principal)).cloned().collect();
    for principal in unknown {
        // Naming a role declares it; an address names nobody but a member.
        match principal.as_str().parse::<RoleName>() {
            Ok(role) => declare(policy, &[role])?,
            Err(_) => return Err(EditError::UnknownAddress { principal }),
        }
    }
    Ok(())
}

/// The changes that led from `base` to `ours`, made to `theirs`.
///
/// # Errors
/// [`EditError::BothChanged`] where `theirs` changed the same part in another way; else as [`Edit::apply`].
pub fn rebase(base: &Policy, ours: &Policy, theirs: &Policy) -> Result<Policy, EditError> {
    let mut next = theirs.clone();
    next.members = merged(&base.members, &ours.members, &theirs.members, "the member")?;
    next.secrets = merged(&base.secrets, &ours.secrets, &theirs.secrets, "the rule for")?;
    next.environments = merged_list(&base.environments, &ours.environments, &theirs.environments);
    next.roles = merged_list(&base.roles, &ours.roles, &theirs.roles);
    // Whoever one side removed is named by no rule of the other.
    let gone: Vec<MemberName> = base.members.keys().filter(|name| !next.members.contains_key(*name)).cloned().collect();
    for name in gone {
        if let Some(member) = base.members.get(&name) {
            next.members.insert(name.clone(), member.clone());
        }
        forget(&mut next, &name);
    }
    if !next.roles.iter().any(|role| role.as_str() == ADMINS) {
        return Err(EditError::LastAdmin);
    }
    check(&next)?;
    Ok(next)
}

fn merged<K: Ord + Clone + ToString, V: Clone + PartialEq>(
    base: &BTreeMap<K, V>,
    ours: &BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
    what: &str,
) -> Result<BTreeMap<K, V>, EditError> {
    let mut result = theirs.clone();
    for key in base.keys().chain(ours.keys()) {
        let (before, mine, other) = (base.get(key), ours.get(key), theirs.get(key));
        if mine == before || mine == other {
            continue;
        }
        if other != before {
            return Err(EditError::BothChanged { what: format!("{what} {}", key.to_string()) });
        }
        match mine {
            Some(value) => drop(result.insert(key.clone(), value.clone())),
            None => drop(result.remove(key)),
        }
    }
    Ok(result)
}

fn merged_list<T: Clone + PartialEq>(base: &[T], ours: &[T], theirs: &[T]) -> Vec<T> {
    let kept = theirs.iter().filter(|item| ours.contains(item) || !base.contains(item));
    let added = ours.iter().filter(|item| !base.contains(item) && !theirs.contains(item));
    kept.chain(added).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Epoch;

    fn keys(text: &str) -> MemberKeys {
        MemberKeys { recipient: format!("age1{text}"), signing: format!("ssh-ed25519 {text}") }
    }

    fn add(name: &str, roles: &[&str]) -> Edit {
        Edit::AddMember {
            name: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            keys: keys(name),
        }
    }

    fn rules(json: &str, replace: bool) -> Edit {
        Edit::Rules { table: serde_json::from_str(json).unwrap(), replace }
    }

    fn base() -> Policy {
        let empty = Policy {
            epoch: Epoch::FIRST,
            salt: Some("0".repeat(32)),
            previous: None,
            author: "alice".parse().unwrap(),
            time: "2026-11-24".parse().unwrap(),
            environments: vec!["production".parse().unwrap()],
            roles: vec!["admins".parse().unwrap()],
            members: BTreeMap::new(),
            secrets: BTreeMap::new(),
            accepted: None,
        };
        let with_alice = add("alice", &["admins"]).apply(&empty).unwrap();
        rules(r#"{"secrets": {"**": {"read": ["admins"], "write": ["admins"], "delete": ["admins"]}}}"#, false)
            .apply(&with_alice)
            .unwrap()
    }

    #[test]
    fn members_come_and_go_with_their_names_in_rules() {
        let policy = add("bob", &["devops"]).apply(&base()).unwrap();
        assert!(policy.roles.contains(&"devops".parse().unwrap()), "naming a role declares it");
        let policy = rules(r#"{"secrets": {"production/*": {"read": ["bob", "bob@example.com", "devops"]}}}"#, false)
            .apply(&policy);
        let policy = policy.unwrap();
        for taken in ["bob", "BOB", "devops", "Admins"] {
            assert_eq!(add(taken, &[]).apply(&policy), Err(EditError::NameTaken { name: taken.to_owned() }));
        }
        let gone = Edit::RemoveMember { who: "bob@example.com".into() }.apply(&policy).unwrap();
        let rule = &gone.secrets[&"production/*".parse::<Pattern>().unwrap()];
        assert_eq!(rule.read, ["devops".parse().unwrap()], "no rule names him any more");
        assert_eq!(Edit::RemoveMember { who: "alice".into() }.apply(&policy), Err(EditError::LastAdmin));
        let demoted = Edit::SetRoles { who: "alice".into(), roles: vec![] }.apply(&policy);
        assert_eq!(demoted, Err(EditError::LastAdmin));
        let nobody = Edit::RemoveMember { who: "eve".into() }.apply(&policy);
        assert_eq!(nobody, Err(EditError::NoSuchMember { name: "eve".into() }));
    }

    #[test]
    fn rules_merge_by_pattern_and_declare_roles() {
        let guide = r#"{"secrets": {"production/*": {"read": ["engineers", "devops"], "write": ["devops"], "delete": ["admins"]}}}"#;
        let policy = rules(guide, false).apply(&base()).unwrap();
        assert_eq!(policy.secrets.len(), 2, "the first rule stays");
        assert_eq!(rules(guide, true).apply(&base()).unwrap().secrets.len(), 1);
        let names: Vec<_> = policy.roles.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["admins", "engineers", "devops"]);
        let stranger = rules(r#"{"secrets": {"a/*": {"read": ["x@example.com"]}}}"#, false).apply(&policy);
        assert!(matches!(stranger, Err(EditError::UnknownAddress { .. })));
        let tie = rules(r#"{"secrets": {"production/A*": {}, "production/*A": {}}}"#, false).apply(&policy);
        assert!(matches!(tie, Err(EditError::Tie { .. })));
    }

    #[test]
    fn keys_are_added_and_replaced() {
        let policy = base();
        let second = Edit::AddKey { who: "alice".into(), keys: keys("two") }.apply(&policy).unwrap();
        let alice = |policy: &Policy| policy.members[&"alice".parse::<MemberName>().unwrap()].clone();
        assert_eq!(alice(&second).keys, [keys("alice"), keys("two")]);
        let again = Edit::AddKey { who: "alice".into(), keys: keys("two") }.apply(&second);
        assert!(matches!(again, Err(EditError::KeyExists { .. })));
        let one = Edit::ReplaceKeys { who: "alice".into(), keys: keys("three"), lost: false }.apply(&second).unwrap();
        assert_eq!(alice(&one).keys, [keys("three")]);
    }

    #[test]
    fn a_change_is_made_again_upon_anothers() {
        let base = base();
        let ours = add("bob", &["devops"]).apply(&base).unwrap();
        let theirs = add("carol", &["qa"]).apply(&base).unwrap();
        let both = rebase(&base, &ours, &theirs).unwrap();
        assert_eq!(both, add("bob", &["devops"]).apply(&theirs).unwrap());
        let theirs = add("bob", &["qa"]).apply(&base).unwrap();
        assert!(matches!(rebase(&base, &ours, &theirs), Err(EditError::BothChanged { .. })));
        let removed = Edit::RemoveMember { who: "bob".into() }.apply(&ours).unwrap();
        let names_him = rules(r#"{"secrets": {"a/*": {"read": ["bob"]}}}"#, false).apply(&ours).unwrap();
        let both = rebase(&ours, &names_him, &removed).unwrap();
        assert!(
            both.secrets[&"a/*".parse::<Pattern>().unwrap()].read.is_empty(),
            "a removed member is named by no rule"
        );
    }
}
