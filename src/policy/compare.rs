//! What one policy says and another doesn't, for people to read. Pure.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{Member, OnExpired, Policy, Principal, Rule};

/// A part of a policy that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which part: `member bob`, `rule production/*`.
    pub part: String,
    /// What it was; none where it is new.
    pub before: Option<String>,
    /// What it is; none where it is gone.
    pub after: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |says: &str| if says.is_empty() { String::new() } else { format!(": {says}") };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {}: {before} -> {after}", self.part),
            (None, Some(after)) => write!(f, "+ {}{}", self.part, text(after)),
            (Some(before), None) => write!(f, "- {}{}", self.part, text(before)),
            (None, None) => write!(f, "  {}", self.part),
        }
    }
}

/// What differs from `before` to `after`: environments, roles, members, rules.
#[must_use]
pub fn differences(before: &Policy, after: &Policy) -> Vec<Difference> {
    let mut found = Vec::new();
    names(&mut found, "environment", &before.environments, &after.environments);
    names(&mut found, "role", &before.roles, &after.roles);
    parts(&mut found, "member", &before.members, &after.members, member_text);
    parts(&mut found, "rule", &before.secrets, &after.secrets, rule_text);
    found
}

fn names<T: ToString + PartialEq>(found: &mut Vec<Difference>, kind: &str, before: &[T], after: &[T]) {
    let part = |name: &T| format!("{kind} {}", name.to_string());
    let gone = before.iter().filter(|name| !after.contains(name));
    found.extend(gone.map(|name| Difference { part: part(name), before: Some(String::new()), after: None }));
    let new = after.iter().filter(|name| !before.contains(name));
    found.extend(new.map(|name| Difference { part: part(name), before: None, after: Some(String::new()) }));
}

fn parts<K: Ord + fmt::Display, V: PartialEq>(
    found: &mut Vec<Difference>,
    kind: &str,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    text: fn(&V) -> String,
) {
    let mut keys: Vec<&K> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys.into_iter().filter(|key| before.get(key) != after.get(key)) {
        let part = format!("{kind} {key}");
        found.push(Difference { part, before: before.get(key).map(text), after: after.get(key).map(text) });
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "nobody".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn member_text(member: &Member) -> String {
    let roles = if member.roles.is_empty() { "no role".to_owned() } else { list(&member.roles) };
    let keys: Vec<&str> = member.keys.iter().map(|keys| keys.recipient.as_str()).collect();
    let lost = if member.lost.is_empty() { String::new() } else { format!("; {} keys lost", member.lost.len()) };
    format!("{}; {roles}; {}{lost}", member.email, keys.join(", "))
}

fn rule_text(rule: &Rule) -> String {
    let mut text = format!("read {}; write {}; delete {}", list(&rule.read), list(&rule.write), list(&rule.delete));
    if let Some(grant) = &rule.grant {
        text.push_str(&format!("; grant {}", list::<Principal>(grant)));
    }
    if let Some(longest) = rule.max_grant {
        text.push_str(&format!("; max_grant {longest}"));
    }
    match rule.on_expired {
        Some(OnExpired::Refuse) => text.push_str("; on_expired refuse"),
        Some(OnExpired::Warn) => text.push_str("; on_expired warn"),
        None => {}
    }
    text
}
