//! Which environment variable a secret becomes, and which names must not be set by a repository.

use std::collections::BTreeMap;

use crate::model::SecretPath;

/// How secrets are named as variables. Without any of it a variable is the last segment of a secret's name.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// Variables that were named, with the name or path of the secret that each holds. That secret has no other variable then.
    pub map: Vec<(String, String)>,
    /// What every other variable loses at its front, where it has it.
    pub strip_prefix: String,
    /// What every other variable gets at its front, afterwards.
    pub add_prefix: String,
}

/// A variable, and where its value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The secret that it holds.
    pub path: SecretPath,
    /// Secrets of earlier layers in whose place that one is, the latest first.
    pub over: Vec<SecretPath>,
}

/// Why secrets can't be named as variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// Two secrets of one layer would be the same variable.
    #[error("{first} and {second} would both be the variable `{variable}`")]
    Collision {
        /// The variable.
        variable: String,
        /// One of them.
        first: SecretPath,
        /// The other.
        second: SecretPath,
    },
    /// A variable was asked for of a secret that is not among those selected.
    #[error("the variable `{variable}` is to hold `{name}`, which is not among the secrets selected")]
    NotSelected {
        /// The variable.
        variable: String,
        /// The secret, as it was said.
        name: String,
    },
    /// Nothing is left of a name, or something that no variable can be called.
    #[error("{path} would be the variable `{variable}`: letters, digits and `_` are needed, and no digit first")]
    BadName {
        /// The variable.
        variable: String,
        /// The secret.
        path: SecretPath,
    },
}

/// The variables that the secrets of `layers` become, by name. Of two layers the later one wins; within a layer no two secrets may be the
/// same variable.
///
/// # Errors
/// [`NamingError`] for a collision, and a mapping of what is not there.
pub fn variables(naming: &Naming, layers: &[Vec<SecretPath>]) -> Result<Vec<Variable>, NamingError> {
    let mut found: BTreeMap<String, Variable> = BTreeMap::new();
    for paths in layers {
        for (name, path) in layer(naming, paths)? {
            let earlier = found.remove(&name).map(|it| std::iter::once(it.path).chain(it.over).collect());
            let variable = Variable { name: name.clone(), path: path.clone(), over: earlier.unwrap_or_default() };
            found.insert(name, variable);
        }
    }
    let lost = naming.map.iter().find(|(variable, _)| !found.contains_key(variable));
    match lost {
        Some((variable, name)) => Err(NamingError::NotSelected { variable: variable.clone(), name: name.clone() }),
        None => Ok(found.into_values().collect()),
    }
}

fn layer<'a>(naming: &Naming, paths: &'a [SecretPath]) -> Result<BTreeMap<String, &'a SecretPath>, NamingError> {
    let mut names: BTreeMap<String, &SecretPath> = BTreeMap::new();
    for path in paths {
        for variable in names_of(naming, path) {
            if let Some(first) = names.insert(variable.clone(), path) {
                return Err(NamingError::Collision { variable, first: first.clone(), second: path.clone() });
            }
        }
    }
    Ok(names)
}

fn names_of(naming: &Naming, path: &SecretPath) -> Vec<String> {
    let name = path.name().as_str();
    let said = naming.map.iter().filter(|(_, said)| said == name || *said == path.to_string());
    let said: Vec<String> = said.map(|(variable, _)| variable.clone()).collect();
    if !said.is_empty() {
        return said;
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    let rest = last.strip_prefix(&naming.strip_prefix).unwrap_or(last);
    vec![format!("{}{rest}", naming.add_prefix)]
}

/// That shells and programs take each name for a variable.
///
/// # Errors
/// [`NamingError::BadName`] of the first that they don't.
pub fn demand_shell_names(variables: &[Variable]) -> Result<(), NamingError> {
    match variables.iter().find(|variable| !is_shell_name(&variable.name)) {
        Some(Variable { name, path, .. }) => Err(NamingError::BadName { variable: name.clone(), path: path.clone() }),
        None => Ok(()),
    }
}

fn is_shell_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Beginnings of names that steer a loader, an interpreter or a tool.
const STEERING_BEGINNINGS: [&str; 15] = [
    "LD_",
    "DYLD_",
    "GIT_",
    "PYTHON",
    "PERL5",
    "RUBY",
    "BASH_FUNC_",
    "XDG_",
    "NPM_CONFIG_",
    "CORECLR_",
    "COR_",
    "DOTNET_",
    "VSECURE_",
    "LUA_",
    "CARGO_",
];
/// Whole names that do.
const STEERING: [&str; 48] = [
    "BASHOPTS",
    "BASH_ENV",
    "BASH_LOADABLES_PATH",
    "BROWSER",
    "CDPATH",
    "CLASSPATH",
    "EDITOR",
    "ENV",
    "FPATH",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GLIBC_TUNABLES",
    "GOFLAGS",
    "HGRCPATH",
    "HISTFILE",
    "HOME",
    "IFS",
    "JAVA_OPTS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCPATH",
    "MAKEFLAGS",
    "MANPAGER",
    "NLSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "RUSTC_WRAPPER",
    "R_PROFILE",
    "SHELL",
    "SHELLOPTS",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// Whether a variable of that name makes programs load code, look for it elsewhere, or run something. Case does not matter: tools differ.
#[must_use]
pub fn steers_programs(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    STEERING_BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning)) || STEERING.contains(&upper.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(texts: &[&str]) -> Vec<SecretPath> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn named(naming: &Naming, layers: &[&[&str]]) -> Result<Vec<String>, NamingError> {
        let layers: Vec<Vec<SecretPath>> = layers.iter().map(|layer| paths(layer)).collect();
        let variables = variables(naming, &layers)?;
        Ok(variables.iter().map(|it| format!("{}={}", it.name, it.path)).collect())
    }

    #[test]
    fn a_variable_is_the_last_segment_or_what_was_said() {
        let plain = Naming::default();
        assert_eq!(
            named(&plain, &[&["production/user-api/DATABASE_URL", "production/A"]]).unwrap(),
            ["A=production/A", "DATABASE_URL=production/user-api/DATABASE_URL"]
        );
        let naming = Naming {
            map: vec![
                ("PGURL".into(), "user-api/DATABASE_URL".into()),
                ("URL".into(), "production/user-api/DATABASE_URL".into()),
            ],
            strip_prefix: "APP_".into(),
            add_prefix: "X_".into(),
        };
        assert_eq!(
            named(&naming, &[&["production/user-api/DATABASE_URL", "production/APP_KEY", "production/KEY2"]]).unwrap(),
            [
                "PGURL=production/user-api/DATABASE_URL",
                "URL=production/user-api/DATABASE_URL",
                "X_KEY=production/APP_KEY",
                "X_KEY2=production/KEY2"
            ]
        );
        let missing = named(&naming, &[&["production/APP_KEY"]]);
        assert!(matches!(missing, Err(NamingError::NotSelected { .. })), "{missing:?}");
    }

    #[test]
    fn later_layers_win_and_one_layer_must_not_collide() {
        let plain = Naming::default();
        let layers = [paths(&["base/A", "base/B"]), paths(&["staging/A"]), paths(&["production/A"])];
        let found = variables(&plain, &layers).unwrap();
        assert_eq!(found[0].path.to_string(), "production/A");
        assert_eq!(found[0].over, paths(&["staging/A", "base/A"]));
        assert_eq!((found[1].path.to_string().as_str(), found[1].over.len()), ("base/B", 0));
        let twice = named(&plain, &[&["base/x/A", "base/y/A"]]);
        assert!(matches!(twice, Err(NamingError::Collision { .. })), "{twice:?}");
        let naming = Naming { map: vec![("B".into(), "A".into())], ..Naming::default() };
        assert!(matches!(named(&naming, &[&["base/A", "base/B"]]), Err(NamingError::Collision { .. })));
    }

    #[test]
    fn names_are_checked_for_shells() {
        for (name, good) in [("A_1", true), ("_", true), ("1A", false), ("a-b", false), ("a.b", false), ("", false)] {
            assert_eq!(is_shell_name(name), good, "{name}");
        }
    }

    #[test]
    fn names_that_load_code_are_known() {
        for name in [
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "BASH_ENV",
            "PATH",
            "GIT_SSH",
            "PYTHONPATH",
            "npm_config_x",
        ] {
            assert!(steers_programs(name), "{name}");
        }
        for name in ["API_KEY", "GITHUB_TOKEN", "DATABASE_URL", "LDAP_PASSWORD", "PATHS", "NODE_AUTH_TOKEN", "HOMEPAGE"]
        {
            assert!(!steers_programs(name), "{name}");
        }
    }
}
