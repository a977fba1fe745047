//! Policies as people write them: the table of rules in a file, and the whole content in an editor. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::edit::{RuleTable, RuleText};
use crate::model::{Environment, Member, MemberName, Pattern, Policy, RoleName, TextError, read_text};

/// What [`Policy::content`] shows, with the lists of a rule left out where they are empty.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    environments: Vec<Environment>,
    roles: Vec<RoleName>,
    members: BTreeMap<MemberName, Member>,
    secrets: BTreeMap<Pattern, RuleText>,
}

/// Reads a table of rules, in JSON or YAML.
///
/// # Errors
/// [`TextError`] for anything else, a pattern that is there twice included.
pub fn parse_rules(text: &str) -> Result<RuleTable, TextError> {
    read_text(text)
}

/// `before` with the environments, roles, members and rules that `text` has.
///
/// # Errors
/// [`TextError`].
pub fn parse_content(text: &str, before: &Policy) -> Result<Policy, TextError> {
    let Content { environments, roles, members, secrets } = read_text(text)?;
    let secrets = secrets.into_iter().map(|(pattern, rule)| (pattern, rule.into())).collect();
    Ok(Policy { environments, roles, members, secrets, ..before.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = r#"{"secrets": {"production/*": {"read": ["engineers", "devops"], "write": ["devops"], "delete": ["admins"]}}}"#;

    #[test]
    fn json_and_yaml_say_the_same() {
        let pretty = GUIDE.replace(", ", ",\n\t").replace('{', "{\n\t");
        let yaml = "# who may what\nsecrets:\n  production/*:\n    read: [engineers, devops]\n    write:\n    - devops\n    delete: [admins]\n";
        let expected = parse_rules(GUIDE).unwrap();
        assert_eq!(expected.secrets.len(), 1);
        assert_eq!(parse_rules(&pretty), Ok(expected.clone()));
        assert_eq!(parse_rules(&format!("{GUIDE}\r\n")), Ok(expected.clone()));
        assert_eq!(parse_rules(yaml), Ok(expected));
    }

    #[test]
    fn what_is_not_a_table_of_rules_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", ""),
            ("{}", "secrets"),
            ("[]", ""),
            (r#"{"secrets": {"a/*": {"raed": ["x"]}}}"#, "raed"),
            (r#"{"secrets": {"a/*": {"read": "x"}}}"#, ""),
            (r#"{"secrets": {"a/*": {}, "a/*": {}}}"#, "a/*"),
            (r#"{"secrets": {"a/**/b": {}}}"#, "line 1"),
            (r#"{"secrets": {"a/*": {"max_grant": "soon"}}}"#, "line 1"),
            (r#"{"secrets": {"a/*": {"read": ["no such/name"]}}}"#, ""),
            ("secrets: &a {}\nx: *a\n", ""),
        ] {
            let error = parse_rules(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
