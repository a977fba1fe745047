//! The only reader of environment, working directory, terminal and clock.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use vsecure::audit::{CiRun, Word};
use vsecure::crypto::SecretBytes;
use vsecure::model::Timestamp;
use vsecure::store::Person;

use crate::scratch::Places;

/// What surrounds the process.
#[derive(Debug, Clone)]
pub struct Context {
    /// The working directory.
    pub cwd: PathBuf,
    /// `VSECURE_STORE`.
    pub store: Option<PathBuf>,
    /// `VSECURE_STORE_ID`.
    pub store_id: Option<String>,
    /// `VSECURE_ENV`.
    pub environment: Option<String>,
    /// `VSECURE_IDENTITY_KEY`: the key itself.
    pub identity_key: Option<SecretBytes>,
    /// `VSECURE_IDENTITY`: a file.
    pub identity: Option<PathBuf>,
    /// `VSECURE_IDENTITY_COMMAND`: prints the key.
    pub identity_command: Option<String>,
    /// `vsecure` under the configuration directory.
    pub config_dir: Option<PathBuf>,
    /// `vsecure` under the state directory.
    pub state_dir: Option<PathBuf>,
    /// `PASSAGE_IDENTITIES_FILE`, else `~/.passage/identities`: where passage keeps its keys.
    pub passage_identities: Option<PathBuf>,
    /// `GITHUB_ENV`: the file by which a step of GitHub Actions sets variables.
    pub github_env: Option<PathBuf>,
    /// `VISUAL`, else `EDITOR`.
    pub editor: Option<String>,
    /// Where values may lie in the clear, for what an editor must see.
    pub scratch: Places,
    /// `GIT_AUTHOR_*`.
    pub author: Person,
    /// `GIT_COMMITTER_*`.
    pub committer: Person,
    /// Whether standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Whether colour is welcome.
    pub color: bool,
    /// The run of a continuous integration around us.
    pub ci: Option<CiRun>,
    /// The present moment.
    pub now: Timestamp,
}

impl Context {
    /// Reads it all.
    ///
    /// # Errors
    /// A variable that is not text, no working directory, a clock outside the years known.
    pub fn from_process() -> anyhow::Result<Self> {
        let home = path("HOME");
        let base = |variable, fallback: &str| {
            let absolute = path(variable).filter(|path| path.is_absolute());
            absolute.or_else(|| home.as_ref().map(|home| home.join(fallback))).map(|base| base.join("vsecure"))
        };
        let stdout_is_terminal = stdout().is_terminal();
        let state_dir = base("XDG_STATE_HOME", ".local/state");
        Ok(Self {
            cwd: env::current_dir().context("the working directory is not there any more")?,
            store: path("VSECURE_STORE"),
            store_id: text("VSECURE_STORE_ID")?,
            environment: text("VSECURE_ENV")?,
            identity_key: text("VSECURE_IDENTITY_KEY")?.map(|key| SecretBytes::new(key.into_bytes())),
            identity: path("VSECURE_IDENTITY"),
            identity_command: text("VSECURE_IDENTITY_COMMAND")?,
            config_dir: base("XDG_CONFIG_HOME", ".config"),
            scratch: Places {
                memory: path("XDG_RUNTIME_DIR").into_iter().chain([PathBuf::from("/dev/shm")]).collect(),
                fallback: env::temp_dir(),
                notes: state_dir.as_ref().map(|state| state.join("scratch")),
            },
            state_dir,
            passage_identities: path("PASSAGE_IDENTITIES_FILE")
                .or_else(|| home.as_ref().map(|home| home.join(".passage/identities"))),
            github_env: path("GITHUB_ENV"),
            editor: text("VISUAL")?.or(text("EDITOR")?),
            author: person("AUTHOR")?,
            committer: person("COMMITTER")?,
            stdin_is_terminal: stdin().is_terminal(),
            stdout_is_terminal,
            stderr_is_terminal: stderr().is_terminal(),
            color: stdout_is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            ci: ci(),
            now: now()?,
        })
    }
}

/// What a program that we start inherits: every variable, as it is.
pub fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os()
}

/// What a program sees of ours only when it is said so.
const IDENTITY: [&str; 3] = ["VSECURE_IDENTITY", "VSECURE_IDENTITY_KEY", "VSECURE_IDENTITY_COMMAND"];

/// Whether the variable `name` holds an identity, or leads to one.
pub fn is_identity(name: &OsStr) -> bool {
    IDENTITY.iter().any(|it| name == *it)
}

fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Timestamp::from_unix(i64::try_from(since.as_secs())?).context("the clock is wrong")
}

/// Services by the variable that says that one runs in them, and the one that numbers the run.
const CI_SERVICES: [(&str, &str, &str); 10] = [
    ("GITHUB_ACTIONS", "github-actions", "GITHUB_RUN_ID"),
    ("GITLAB_CI", "gitlab-ci", "CI_PIPELINE_ID"),
    ("CIRCLECI", "circleci", "CIRCLE_WORKFLOW_ID"),
    ("BUILDKITE", "buildkite", "BUILDKITE_BUILD_ID"),
    ("TF_BUILD", "azure-pipelines", "BUILD_BUILDID"),
    ("BITBUCKET_BUILD_NUMBER", "bitbucket-pipelines", "BITBUCKET_BUILD_NUMBER"),
    ("DRONE", "drone", "DRONE_BUILD_NUMBER"),
    ("TRAVIS", "travis-ci", "TRAVIS_BUILD_ID"),
    ("JENKINS_URL", "jenkins", "BUILD_TAG"),
    ("CI", "unknown", "CI_RUN_ID"),
];

/// The run that we are a part of. What a variable holds that fits in no line of a log is left out.
fn ci() -> Option<CiRun> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let (_, provider, number) = CI_SERVICES.into_iter().find(|(sign, ..)| set(sign).is_some_and(|it| it != "false"))?;
    let run: Option<Word> = set(number).and_then(|number| number.to_str()?.parse().ok());
    Some(CiRun { provider: provider.parse().ok()?, run })
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(name: &str) -> anyhow::Result<Option<String>> {
    let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    // The value is not repeated: it may be a key.
    value.into_string().map(Some).map_err(|_| anyhow!("the variable {name} is not UTF-8 text"))
}

fn person(role: &str) -> anyhow::Result<Person> {
    Ok(Person {
        name: text(&format!("GIT_{role}_NAME"))?,
        email: text(&format!("GIT_{role}_EMAIL"))?,
        time: text(&format!("GIT_{role}_DATE"))?.as_deref().and_then(git_date),
    })
}

/// Git's own form, `@1700000000 +0100`, or RFC 3339: seconds, and minutes east of UTC. Git knows more; those mean the present.
fn git_date(text: &str) -> Option<(i64, i32)> {
    if let Ok(date) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some((date.timestamp(), date.offset().local_minus_utc() / 60));
    }
    let (seconds, zone) = text.trim_start_matches('@').split_once(' ')?;
    let (sign, digits) = zone.split_at_checked(1)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?;
    let minutes = match sign {
        "+" => minutes,
        "-" => -minutes,
        _ => return None,
    };
    Some((seconds.parse().ok()?, minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_git_are_read() {
        assert_eq!(git_date("@1700000000 +0130"), Some((1_700_000_000, 90)));
        assert_eq!(git_date("1700000000 -0500"), Some((1_700_000_000, -300)));
        assert_eq!(git_date("2026-11-24T03:00:00+01:00"), Some((1_795_485_600, 60)));
        assert_eq!(git_date("yesterday"), None);
    }
}
