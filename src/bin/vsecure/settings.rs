//! Settings of this machine: `config.yaml` in the configuration directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use vsecure::model::Span;
use vsecure::private;
use vsecure::vault::LogMode;

const FILE: &str = "config.yaml";
const KEYS: [&str; 5] = ["access_log", "allowed_variables", "commit", "lock_timeout", "max_value_size"];
const DEFAULT_LOCK_SECONDS: u64 = 10;
const DEFAULT_MAX_VALUE: u64 = 1024 * 1024;
/// What a store can hold at all.
const UTMOST_VALUE: u64 = 16 * 1024 * 1024;

/// What is wrong with settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A key that isn't one.
    #[error("there is no setting of that name")]
    UnknownKey,
    /// A value that doesn't fit.
    #[error("that is not a value of `{key}`: {needed} is needed")]
    BadValue {
        /// Which.
        key: &'static str,
        /// What it would have to be.
        needed: &'static str,
    },
    /// The file is damaged.
    #[error("the settings file {} is not valid at line {line}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: u64,
    },
    /// No configuration directory.
    #[error("there is no configuration directory: neither XDG_CONFIG_HOME nor HOME is set")]
    NoDirectory,
    /// The operating system refused.
    #[error("the settings file {} could not be used", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether reads are written down.
    pub access_log: LogMode,
    /// Variables that `exec` may set though they make programs load or run something.
    pub allowed_variables: Vec<String>,
    /// Whether writing commands commit.
    pub commit: bool,
    /// How long to wait for locks.
    pub lock_timeout: Duration,
    /// The largest value, in bytes.
    pub max_value_size: u64,
}

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields)]
struct Stored {
    access_log: Option<String>,
    allowed_variables: Option<String>,
    commit: Option<bool>,
    lock_timeout: Option<String>,
    max_value_size: Option<u64>,
}

/// The settings file, which need not exist.
#[derive(Debug, Clone)]
pub struct SettingsFile {
    directory: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, SettingsError> {
    let needed = "a time such as 10s";
    let span: Span = text.parse().map_err(|_| SettingsError::BadValue { key: "lock_timeout", needed })?;
    Ok(Duration::from_secs(u64::try_from(span.seconds()).unwrap_or_default()))
}

fn log_mode(text: &str) -> Result<LogMode, SettingsError> {
    text.parse().map_err(|_| SettingsError::BadValue { key: "access_log", needed: "off, local or required" })
}

fn names(text: &str) -> Result<Vec<String>, SettingsError> {
    let word = |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let names: Vec<String> = text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.iter().all(|name| word(name)) {
        return Ok(names);
    }
    Err(SettingsError::BadValue { key: "allowed_variables", needed: "names of variables with commas between them" })
}

fn size(number: Option<u64>) -> Result<u64, SettingsError> {
    let needed = "a number of bytes from 1 to 16777216";
    number.filter(|n| (1..=UTMOST_VALUE).contains(n)).ok_or(SettingsError::BadValue { key: "max_value_size", needed })
}

impl Stored {
    fn checked(&self) -> Result<Settings, SettingsError> {
        Ok(Settings {
            access_log: self.access_log.as_deref().map_or(Ok(LogMode::Local), log_mode)?,
            allowed_variables: names(self.allowed_variables.as_deref().unwrap_or_default())?,
            commit: self.commit.unwrap_or(true),
            lock_timeout: match &self.lock_timeout {
                Some(text) => seconds(text)?,
                None => Duration::from_secs(DEFAULT_LOCK_SECONDS),
            },
            max_value_size: size(self.max_value_size.or(Some(DEFAULT_MAX_VALUE)))?,
        })
    }
}

impl SettingsFile {
    /// The file in the configuration directory `directory`.
    pub const fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// The settings in force.
    ///
    /// # Errors
    /// [`SettingsError`] when the file is damaged or can't be read.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        self.stored()?.checked()
    }

    fn stored(&self) -> Result<Stored, SettingsError> {
        let Ok(path) = self.path() else { return Ok(Stored::default()) };
        let text = match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => return Ok(Stored::default()),
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
            Err(source) => return Err(SettingsError::Io { path, source }),
        };
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0, max_depth: 4, max_documents: 1 },
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(&text, options).map_err(|error| {
            let line = error.location().map_or(0, |at| at.line());
            SettingsError::Damaged { path, line }
        })
    }

    /// Every setting with its value in force.
    ///
    /// # Errors
    /// As for [`SettingsFile::load`].
    pub fn list(&self) -> Result<Vec<(&'static str, String)>, SettingsError> {
        let settings = self.load()?;
        let span = Span::from_seconds(i64::try_from(settings.lock_timeout.as_secs()).unwrap_or(i64::MAX));
        let values = [
            settings.access_log.to_string(),
            settings.allowed_variables.join(","),
            settings.commit.to_string(),
            span.map_or_else(String::new, |span| span.to_string()),
            settings.max_value_size.to_string(),
        ];
        Ok(KEYS.into_iter().zip(values).collect())
    }

    /// One setting's value in force.
    ///
    /// # Errors
    /// [`SettingsError::UnknownKey`], and as for [`SettingsFile::load`].
    pub fn get(&self, key: &str) -> Result<String, SettingsError> {
        let found = self.list()?.into_iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value).ok_or(SettingsError::UnknownKey)
    }

    /// Changes one setting.
    ///
    /// # Errors
    /// [`SettingsError`]; nothing was changed then.
    pub fn set(&self, key: &str, value: &str) -> Result<(), SettingsError> {
        let mut stored = self.stored()?;
        match key {
            "access_log" => stored.access_log = Some(value.to_owned()),
            "allowed_variables" => stored.allowed_variables = Some(value.to_owned()),
            "commit" => {
                let needed = "true or false";
                stored.commit = Some(value.parse().map_err(|_| SettingsError::BadValue { key: "commit", needed })?);
            }
            "lock_timeout" => stored.lock_timeout = Some(value.to_owned()),
            "max_value_size" => stored.max_value_size = Some(size(value.parse().ok())?),
            _ => return Err(SettingsError::UnknownKey),
        }
        stored.checked()?;
        let path = self.path()?;
        save(&path, &stored).map_err(|source| SettingsError::Io { path, source })
    }

    fn path(&self) -> Result<PathBuf, SettingsError> {
        self.directory.as_ref().map(|directory| directory.join(FILE)).ok_or(SettingsError::NoDirectory)
    }
}

fn save(path: &Path, stored: &Stored) -> io::Result<()> {
    let mut text = String::new();
    if let Some(mode) = &stored.access_log {
        text += &format!("access_log: {mode}\n");
    }
    if let Some(names) = &stored.allowed_variables {
        // Quoted: an empty list is a text as well, and so is a name such as `on`.
        text += &format!("allowed_variables: \"{names}\"\n");
    }
    if let Some(commit) = stored.commit {
        text += &format!("commit: {commit}\n");
    }
    if let Some(timeout) = &stored.lock_timeout {
        text += &format!("lock_timeout: {timeout}\n");
    }
    if let Some(size) = stored.max_value_size {
        text += &format!("max_value_size: {size}\n");
    }
    private::replace(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = SettingsFile::new(Some(folder.path().join("vsecure")));
        assert_eq!(file.get("commit").unwrap(), "true");
        file.set("commit", "false").unwrap();
        file.set("lock_timeout", "1m").unwrap();
        file.set("max_value_size", "10").unwrap();
        file.set("access_log", "required").unwrap();
        file.set("allowed_variables", "GIT_TOKEN,PATH").unwrap();
        let expected = Settings {
            access_log: LogMode::Required,
            allowed_variables: vec!["GIT_TOKEN".to_owned(), "PATH".to_owned()],
            commit: false,
            lock_timeout: Duration::from_secs(60),
            max_value_size: 10,
        };
        assert_eq!(file.load().unwrap(), expected);
        for (key, value) in [
            ("commit", "yes"),
            ("lock_timeout", "soon"),
            ("max_value_size", "0"),
            ("max_value_size", "99999999"),
            ("access_log", "sometimes"),
            ("allowed_variables", "A=B"),
        ] {
            assert!(matches!(file.set(key, value), Err(SettingsError::BadValue { .. })), "{key} {value}");
        }
        assert!(matches!(file.set("colour", "x"), Err(SettingsError::UnknownKey)));
        assert_eq!(file.load().unwrap(), expected);
        fs::write(folder.path().join("vsecure/config.yaml"), "commit: true\ncolour: red\n").unwrap();
        assert!(matches!(file.load(), Err(SettingsError::Damaged { line: 2, .. })), "{:?}", file.load());
    }
}
