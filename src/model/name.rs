//! Names: of secrets, environments, members, roles; tags and metadata. One validator of path segments, used everywhere.

use std::fmt;
use std::str::FromStr;

/// The longest a segment of a path may be, in bytes.
pub const MAX_SEGMENT_BYTES: usize = 128;
/// The longest a whole path may be, in bytes.
pub const MAX_PATH_BYTES: usize = 512;
/// The environment that every store has, also where its policy lists none.
pub const DEFAULT_ENVIRONMENT: &str = "default";

const MAX_TAG_BYTES: usize = 64;
const MAX_METADATA_VALUE_BYTES: usize = 4096;
const MAX_EMAIL_BYTES: usize = 254;
const RESERVED_ENDINGS: [&str; 4] = [".lock", ".age", ".yaml", ".next"];

/// Why a text is not a valid name. The text itself is not repeated here: it may be a value in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or an empty segment (`a//b`, `/a`, `a/`).
    #[error("a name, and each part of it between slashes, must not be empty")]
    Empty,
    /// A segment over [`MAX_SEGMENT_BYTES`], or a path over [`MAX_PATH_BYTES`].
    #[error("a name may have at most 128 bytes between slashes and 512 in all")]
    TooLong,
    /// Begins with something else than a letter, a digit or `_`.
    #[error("a name, and each part of it between slashes, must begin with a letter, a digit or `_`")]
    BadStart,
    /// Holds something else than letters, digits, `_`, `.`, `-`.
    #[error("a name may hold letters, digits, `_`, `.`, `-`, and `/` between its parts")]
    BadCharacter,
    /// Ends in a dot.
    #[error("a name must not end in a dot")]
    TrailingDot,
    /// Ends in `.lock`, `.age`, `.yaml` or `.next`.
    #[error("a name must not end in .lock, .age, .yaml or .next: these endings are the store's own")]
    ReservedEnding,
    /// A name that Windows keeps for a device, such as `NUL` or `com1.txt`.
    #[error("that name belongs to a device on Windows, where the repository could not be checked out")]
    DeviceName,
    /// An environment or member with a `/`.
    #[error("a slash is not allowed here")]
    Slash,
    /// A path without an environment and a name.
    #[error("a path needs an environment and a name, such as production/API_KEY")]
    NotAPath,
    /// Not a tag.
    #[error("a tag has 1 to 64 letters, digits or `_ . : / @ + -`, and begins with a letter, a digit or `_`")]
    BadTag,
    /// Not a metadata value.
    #[error("a metadata value has at most 4096 bytes, and no control characters but tabs and line feeds")]
    BadMetadataValue,
    /// Not a program's place.
    #[error(
        "a program is named by its path from the work tree's root: letters, digits, `_`, `.`, `-`, `+`, `@` and `/`, no `..`, nothing in .git"
    )]
    BadProgram,
    /// Not an e-mail address.
    #[error("that is not an e-mail address: one `@`, no blanks, at most 254 bytes")]
    BadEmail,
}

fn is_device_name(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or_default().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    numbered.is_some_and(|digit| digit.len() == 1 && digit.chars().all(|c| c.is_ascii_digit()))
}

/// The one validator: a segment matches `[A-Za-z0-9_][A-Za-z0-9_.-]*`, has at most 128 bytes, no ending of ours, no device's
/// name and no trailing dot.
fn check_segment(segment: &str) -> Result<(), NameError> {
    let first = segment.bytes().next().ok_or(NameError::Empty)?;
    let is_word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    if segment.len() > MAX_SEGMENT_BYTES {
        return Err(NameError::TooLong);
    }
    if !segment.bytes().all(|c| is_word(c) || c == b'.' || c == b'-') {
        return Err(NameError::BadCharacter);
    }
    if !is_word(first) {
        return Err(NameError::BadStart);
    }
    if segment.ends_with('.') {
        return Err(NameError::TrailingDot);
    }
    let lower = segment.to_ascii_lowercase();
    if RESERVED_ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        return Err(NameError::ReservedEnding);
    }
    if is_device_name(segment) {
        return Err(NameError::DeviceName);
    }
    Ok(())
}

fn check_segments(text: &str) -> Result<(), NameError> {
    if text.len() > MAX_PATH_BYTES {
        return Err(NameError::TooLong);
    }
    text.split('/').try_for_each(check_segment)
}

fn check_single(text: &str) -> Result<(), NameError> {
    if text.contains('/') {
        return Err(NameError::Slash);
    }
    check_segment(text)
}

fn check_tag(text: &str) -> Result<(), NameError> {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let fits = (1..=MAX_TAG_BYTES).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|c| word(c) || b".:/@+-".contains(&c));
    if fits { Ok(()) } else { Err(NameError::BadTag) }
}

fn check_metadata_value(text: &str) -> Result<(), NameError> {
    let fits =
        text.len() <= MAX_METADATA_VALUE_BYTES && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    if fits { Ok(()) } else { Err(NameError::BadMetadataValue) }
}

fn check_email(text: &str) -> Result<(), NameError> {
    let parts = text.split_once('@');
    let fits = text.len() <= MAX_EMAIL_BYTES
        && parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if fits { Ok(()) } else { Err(NameError::BadEmail) }
}

/// A path from a work tree's root, that leads out of it nowhere.
fn check_program(text: &str) -> Result<(), NameError> {
    let fits = |segment: &str| {
        let first = segment.bytes().next();
        first.is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'.')
            && segment.len() <= MAX_SEGMENT_BYTES
            && segment.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.-+@".contains(&c))
            && !matches!(segment, "." | "..")
            && !segment.eq_ignore_ascii_case(".git")
    };
    if text.len() <= MAX_PATH_BYTES && text.split('/').all(fits) { Ok(()) } else { Err(NameError::BadProgram) }
}

fn check_principal(text: &str) -> Result<(), NameError> {
    if text.contains('@') { check_email(text) } else { check_single(text) }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }
    };
}

text_type! {
    /// A secret's name within an environment: one or more segments with `/` between them (`user-api/DATABASE_URL`).
    SecretName, check_segments
}
text_type! {
    /// An environment: the first segment of a path.
    Environment, check_single
}
text_type! {
    /// A member's name: one segment.
    MemberName, check_single
}
text_type! {
    /// A role's name: one segment.
    RoleName, check_single
}
text_type! {
    /// The key of a metadata entry: one segment.
    MetadataKey, check_single
}
text_type! {
    /// A tag: 1 to 64 of letters, digits and `_ . : / @ + -`.
    Tag, check_tag
}
text_type! {
    /// A metadata value: at most 4096 bytes of text.
    MetadataValue, check_metadata_value
}
text_type! {
    /// Whom a rule names: a role, a member or an e-mail address.
    Principal, check_principal
}
text_type! {
    /// A program in a repository, by its path from the work tree's root (`ops/rotate.sh`).
    HookPath, check_program
}
text_type! {
    /// An e-mail address, as far as a store needs to know one.
    Email, check_email
}

impl From<&MemberName> for Principal {
    fn from(member: &MemberName) -> Self {
        Self(member.0.clone())
    }
}

impl From<&RoleName> for Principal {
    fn from(role: &RoleName) -> Self {
        Self(role.0.clone())
    }
}

impl SecretName {
    /// The last segment: what an environment variable would be called.
    #[must_use]
    pub fn last_segment(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl Environment {
    /// The environment `default`, which every store has.
    #[must_use]
    pub fn default_one() -> Self {
        Self(DEFAULT_ENVIRONMENT.to_owned())
    }

    /// Whether this is `default`.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT_ENVIRONMENT
    }
}

/// A secret's identity in a store: `<environment>/<NAME>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath {
    environment: Environment,
    name: SecretName,
}

impl SecretPath {
    /// The path of `name` in `environment`.
    ///
    /// # Errors
    /// [`NameError::TooLong`] when both together exceed [`MAX_PATH_BYTES`].
    pub fn new(environment: Environment, name: SecretName) -> Result<Self, NameError> {
        if environment.0.len() + 1 + name.0.len() > MAX_PATH_BYTES {
            return Err(NameError::TooLong);
        }
        Ok(Self { environment, name })
    }

    /// Its environment.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Its name within the environment.
    #[must_use]
    pub const fn name(&self) -> &SecretName {
        &self.name
    }

    /// What two paths must not have in common on a file system that folds case.
    #[must_use]
    pub fn case_folded(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.environment, self.name)
    }
}

impl FromStr for SecretPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (environment, name) = text.split_once('/').ok_or(NameError::NotAPath)?;
        Self::new(environment.parse()?, name.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_the_guide_are_valid() {
        for name in
            ["API_KEY", "USER_API_PRODUCTION_DATABASE_URL", "user-api/DATABASE_URL", "a.b", "_x", "9", "COM10", "lock"]
        {
            assert!(name.parse::<SecretName>().is_ok(), "{name}");
        }
        let path: SecretPath = "production/user-api/DATABASE_URL".parse().expect("a path");
        assert_eq!(path.environment().as_str(), "production");
        assert_eq!(path.name().last_segment(), "DATABASE_URL");
        assert_eq!(path.to_string(), "production/user-api/DATABASE_URL");
    }

    #[test]
    fn hostile_names_are_refused_each_for_its_reason() {
        let long = "a".repeat(129);
        let deep = format!("{}a", "abcdefg/".repeat(64));
        for (name, error) in [
            ("", NameError::Empty),
            ("/abs", NameError::Empty),
            ("a//b", NameError::Empty),
            ("a/", NameError::Empty),
            ("../x", NameError::BadStart),
            ("a/../b", NameError::BadStart),
            (".git/config", NameError::BadStart),
            ("-rf", NameError::BadStart),
            ("a b", NameError::BadCharacter),
            ("a\u{1b}[31m", NameError::BadCharacter),
            ("a\\b", NameError::BadCharacter),
            ("é", NameError::BadCharacter),
            ("a.", NameError::TrailingDot),
            ("x.lock", NameError::ReservedEnding),
            ("x.AGE", NameError::ReservedEnding),
            ("x.next", NameError::ReservedEnding),
            ("x.yaml/y", NameError::ReservedEnding),
            ("NUL", NameError::DeviceName),
            ("aux.txt", NameError::DeviceName),
            ("a/com1", NameError::DeviceName),
            (&long, NameError::TooLong),
            (&deep, NameError::TooLong),
        ] {
            assert_eq!(name.parse::<SecretName>(), Err(error), "{name}");
        }
        assert_eq!("a/b".parse::<Environment>(), Err(NameError::Slash));
        assert_eq!("a".parse::<SecretPath>(), Err(NameError::NotAPath));
    }

    #[test]
    fn metadata_values_of_the_guide_are_valid() {
        for value in ["john@example.com", "Payment processing", "https://wiki.company.com/api", "", "a\nb"] {
            assert!(value.parse::<MetadataValue>().is_ok(), "{value}");
        }
        assert!("\u{1b}[31m".parse::<MetadataValue>().is_err());
        assert!("a b".parse::<Tag>().is_err());
        assert!("".parse::<Tag>().is_err());
        assert!("john@example.com".parse::<Email>().is_ok());
        for wrong in ["john", "@x", "a@b@c", "a @b", ""] {
            assert_eq!(wrong.parse::<Email>(), Err(NameError::BadEmail), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_name_never_leaves_its_folder(name in ".{0,40}") {
            if let Ok(name) = name.parse::<SecretName>() {
                prop_assert!(name.as_str().split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
                prop_assert!(name.as_str().is_ascii());
            }
        }

        #[test]
        fn a_path_round_trips(env in "[a-z][a-z0-9_]{0,9}q", name in "[A-Z_][A-Z0-9_]{0,9}Q(/[a-z]{1,5}q){0,3}") {
            let path: SecretPath = format!("{env}/{name}").parse().expect("valid");
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }
}
