//! What every command works with: surroundings, settings, options, and the vault.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use vsecure::crypto::{Identity, IdentityFileError, SecretBytes, parse_identities, read_identity_file};
use vsecure::model::{Environment, Sidecar};
use vsecure::policy::{Pins, StoreClaimError};
use vsecure::store::Recovered;
use vsecure::vault::{AccessLog, Asked, Notice, Progress, Vault, VaultError, VaultOptions, Writing};

use crate::args::{Global, NameArgs, WriteArgs};
use crate::context::Context;
use crate::output::Output;
use crate::progress::Bar;
use crate::prompt::Terminal;
use crate::report::CommandError;
use crate::scratch;
use crate::settings::{Settings, SettingsFile};

/// What every command works with.
#[derive(Debug)]
pub struct App {
    pub context: Context,
    pub global: Global,
    pub output: Output,
    settings: Settings,
}

impl App {
    /// Puts together surroundings, options and settings.
    ///
    /// # Errors
    /// When the settings are damaged.
    pub fn new(context: Context, global: Global) -> anyhow::Result<Self> {
        let output = Output {
            json: global.json,
            quiet: global.quiet,
            terminal: context.stdout_is_terminal,
            color: context.color,
        };
        let settings = SettingsFile::new(context.config_dir.clone()).load()?;
        Ok(Self { context, global, output, settings })
    }

    /// The settings file.
    pub fn settings_file(&self) -> SettingsFile {
        SettingsFile::new(self.context.config_dir.clone())
    }

    /// The largest value, in bytes.
    pub const fn max_value_bytes(&self) -> u64 {
        self.settings.max_value_size
    }

    /// Variables that may be set though they make programs load or run something.
    pub fn allowed_variables(&self) -> &[String] {
        &self.settings.allowed_variables
    }

    /// The terminal, for questions.
    pub const fn terminal(&self) -> Terminal {
        Terminal { present: self.context.stdin_is_terminal && self.context.stderr_is_terminal }
    }

    /// Removes values in the clear that a killed command left.
    pub fn remove_left_values(&self) {
        let removed = self.context.scratch.notes.as_deref().map_or(0, scratch::remove_left);
        if removed > 0 {
            self.output.warn("removed a value in the clear that a killed command had left");
        }
    }

    /// How to find and use the store.
    ///
    /// # Errors
    /// When `VSECURE_STORE_ID` is no store id.
    pub fn vault_options(&self) -> anyhow::Result<VaultOptions> {
        let bad_id = |error: StoreClaimError| CommandError::usage("VSECURE_STORE_ID is not valid", error.to_string());
        let said = self.context.store_id.as_deref().map(|text| text.parse().map_err(bad_id)).transpose()?;
        Ok(VaultOptions {
            start: self.context.cwd.clone(),
            store: self.global.store.clone().or_else(|| self.context.store.clone()),
            claim: self.global.store_id.or(said),
            pins: self.context.state_dir.clone().map(Pins::in_directory),
            now: self.context.now,
            max_value_bytes: self.settings.max_value_size,
            lock_timeout: self.settings.lock_timeout,
            author: Some(self.context.author.clone()),
            committer: Some(self.context.committer.clone()),
            progress: if self.context.stderr_is_terminal && !self.global.quiet && !self.global.json {
                Progress::to(Arc::new(Bar::default()))
            } else {
                Progress::default()
            },
            look: true,
            access_log: AccessLog {
                mode: self.settings.access_log,
                command: self.global.invoked.parse().context("a command without a name")?,
                client: concat!("vsecure ", env!("CARGO_PKG_VERSION")).parse()?,
                ci: self.context.ci.clone(),
            },
            recover: true,
        })
    }

    /// The store that is meant, which must be trusted.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open(&self) -> anyhow::Result<Vault> {
        Ok(Vault::open(self.vault_options()?)?)
    }

    /// The store that is meant, to be worked with as the member whose key is at hand.
    ///
    /// # Errors
    /// As [`Vault::open`] and [`Vault::unlock`], and when there is no identity.
    pub fn unlock(&self) -> anyhow::Result<Vault> {
        let mut vault = self.open()?;
        vault.unlock(self.identities()?)?;
        Ok(vault)
    }

    /// The private keys at hand: by option, variable or the usual file.
    ///
    /// # Errors
    /// [`VaultError::NoIdentity`] when there are none, or why they can't be used.
    pub fn identities(&self) -> anyhow::Result<Vec<Identity>> {
        if let Some(path) = &self.global.identity {
            return self.identities_of_file(path.clone());
        }
        if let Some(key) = &self.context.identity_key {
            return self.parse("VSECURE_IDENTITY_KEY", key);
        }
        if let Some(path) = &self.context.identity {
            return self.identities_of_file(path.clone());
        }
        if let Some(command) = &self.context.identity_command {
            return self.parse("VSECURE_IDENTITY_COMMAND", &output_of(command)?);
        }
        let usual = self.usual_identity_file().ok_or(VaultError::NoIdentity)?;
        match self.identities_of_file(usual) {
            Err(error) if matches!(error.downcast_ref(), Some(IdentityFileError::NotFound { .. })) => {
                Err(VaultError::NoIdentity.into())
            }
            result => result,
        }
    }

    /// Where an identity lies that nobody names.
    pub fn usual_identity_file(&self) -> Option<PathBuf> {
        self.context.config_dir.as_ref().map(|folder| folder.join("identity.txt"))
    }

    /// The private keys in `path`.
    ///
    /// # Errors
    /// Why they can't be used.
    pub fn identities_of_file(&self, path: PathBuf) -> anyhow::Result<Vec<Identity>> {
        let (bytes, warning) = read_identity_file(&path)?;
        if warning.is_some() {
            self.output.warn(&format!("others may read the identity file {}", path.display()));
        }
        self.parse(&path.display().to_string(), &bytes)
    }

    fn parse(&self, source_name: &str, bytes: &SecretBytes) -> anyhow::Result<Vec<Identity>> {
        let source_name = source_name.to_owned();
        let parsed = parse_identities(bytes, &source_name, &mut self.terminal());
        Ok(parsed.map_err(|source| CommandError::Identity { source_name, source })?)
    }

    /// `VSECURE_ENV`, parsed.
    ///
    /// # Errors
    /// When it is no environment's name.
    pub fn environment_variable(&self) -> anyhow::Result<Option<Environment>> {
        let text = self.context.environment.as_deref();
        let parsed = text.map(str::parse).transpose();
        Ok(parsed.map_err(|source| VaultError::Name { what: "environment in VSECURE_ENV", source })?)
    }

    /// Which secret is meant, by arguments and variable.
    pub const fn asked<'a>(name: &'a NameArgs, variable: Option<&'a Environment>) -> Asked<'a> {
        Asked { name: name.name.as_str(), option: name.env.as_ref(), variable }
    }

    /// How a change is to be written, by options and settings.
    pub fn writing(&self, write: &WriteArgs) -> Writing {
        Writing {
            message: write.message.clone(),
            no_commit: write.no_commit || !self.settings.commit,
            dry_run: write.dry_run,
        }
    }

    /// Says that a credential that is handed out has expired.
    pub fn warn_if_expired(&self, sidecar: &Sidecar) {
        if let Some(at) = sidecar.expires_at.filter(|at| *at <= self.context.now) {
            self.output.warn(&format!("{} expired at {at}", sidecar.path));
        }
    }

    /// Tells what happened by the way.
    pub fn tell_notices(&self, vault: &Vault) {
        for notice in vault.take_notices() {
            match notice {
                Notice::Recovered(Recovered::Completed(files)) => {
                    self.output.warn(&format!("completed what a killed command had begun: {}", files.join(", ")));
                }
                Notice::Recovered(Recovered::Undone(files)) => {
                    self.output.warn(&format!("undid what a killed command had begun: {}", files.join(", ")));
                }
                Notice::PolicyForked => {
                    self.output
                        .warn("the policy here and that of the trusted branch went separate ways: the latter is used");
                }
                Notice::TrustUnclear { reference } => {
                    self.output
                        .warn(&format!("whether {reference} goes on from where it was verified can't be told here"));
                }
                Notice::NotLogged { path, reason } => {
                    self.output.warn(&format!("the read of {path} could not be written down ({reason})"));
                }
                Notice::InvalidRevisions { path, count } => {
                    self.output
                        .warn(&format!("{count} revisions of {path} in the history are not valid and don't count"));
                }
            }
        }
    }
}

/// What the person's command prints: a key. Our standard input is not its: there may be a value in it.
fn output_of(command: &str) -> Result<SecretBytes, CommandError> {
    let run = Command::new("sh").arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    match run {
        Ok(output) if output.status.success() => Ok(SecretBytes::new(output.stdout)),
        _ => Err(CommandError::IdentityCommand),
    }
}
