//! Which secret is meant by what somebody typed.

use crate::model::{Environment, NameError, SecretName, SecretPath, Tag};

use super::files::Files;
use super::{Vault, VaultError, layout};

/// What somebody typed: a name or path, and the environments said beside it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// `API_KEY`, `user-api/KEY` or `production/API_KEY`.
    pub name: &'a str,
    /// By option.
    pub option: Option<&'a Environment>,
    /// By variable.
    pub variable: Option<&'a Environment>,
}

/// Environments by the short names people give them.
const SHORT: [(&str, &str); 7] = [
    ("prod", "production"),
    ("prd", "production"),
    ("stg", "staging"),
    ("stage", "staging"),
    ("dev", "development"),
    ("devel", "development"),
    ("develop", "development"),
];

fn bad_name(source: NameError) -> VaultError {
    VaultError::Name { what: "name of a secret", source }
}

impl Vault {
    /// The path of a secret that exists in the work tree: deleted ones don't count.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Ambiguous`], and what is wrong with the name or environment.
    pub fn find(&self, asked: Asked<'_>) -> Result<SecretPath, VaultError> {
        self.find_in(&self.store, asked, false)
    }

    /// The path that `text` says, whether there is such a secret or not, and whether its state counts; a bare name is one that is found.
    ///
    /// # Errors
    /// As for [`Vault::find`], where `text` is no path.
    pub fn path_said(&self, text: &str) -> Result<SecretPath, VaultError> {
        let asked = Asked { name: text, option: None, variable: None };
        match self.said_path(asked)? {
            Some(path) => Ok(path),
            None => self.find(asked),
        }
    }

    /// As [`Vault::find`], but deleted secrets count and living ones don't.
    ///
    /// # Errors
    /// As for [`Vault::find`]; [`VaultError::NotDeleted`] for one that lives.
    pub fn find_deleted(&self, asked: Asked<'_>) -> Result<SecretPath, VaultError> {
        self.find_in(&self.store, asked, true)
    }

    pub(super) fn find_in(&self, files: &dyn Files, asked: Asked<'_>, deleted: bool) -> Result<SecretPath, VaultError> {
        if let Some(path) = self.said_path(asked)? {
            return match self.revision(files, &path)? {
                Some(signed) if signed.sidecar.is_tombstone() == deleted => Ok(path),
                Some(_) if deleted => Err(VaultError::NotDeleted { path }),
                Some(_) => Err(VaultError::Deleted { path }),
                None => Err(self.not_found(files, &path.to_string(), path.name())),
            };
        }
        let name: SecretName = asked.name.parse().map_err(bad_name)?;
        self.find_anywhere(files, &name, deleted)
    }

    /// The only environment that has the name.
    fn find_anywhere(&self, files: &dyn Files, name: &SecretName, deleted: bool) -> Result<SecretPath, VaultError> {
        let mut candidates = Vec::new();
        let mut otherwise = None;
        for environment in self.environments() {
            let Ok(path) = SecretPath::new(environment, name.clone()) else { continue };
            match self.revision(files, &path)? {
                Some(signed) if signed.sidecar.is_tombstone() == deleted => candidates.push(path),
                Some(_) => otherwise = Some(path),
                None => {}
            }
        }
        match (candidates.len(), otherwise) {
            (0, Some(path)) if deleted => Err(VaultError::NotDeleted { path }),
            (0, Some(path)) => Err(VaultError::Deleted { path }),
            (0, None) => Err(self.not_found(files, name.as_str(), name)),
            (1, _) => candidates.pop().ok_or_else(|| self.not_found(files, name.as_str(), name)),
            _ => Err(VaultError::Ambiguous { candidates }),
        }
    }

    /// The path of a secret to be made: the environment is that of the path, the option, the one tag that names one, the
    /// variable, or `default`.
    ///
    /// # Errors
    /// [`VaultError`] for contradicting, nearly right or unknown environments.
    pub fn path_to_create(&self, asked: Asked<'_>, tags: &[Tag]) -> Result<SecretPath, VaultError> {
        let said = self.said_path(Asked { variable: None, ..asked })?;
        if let Some(path) = said {
            return Ok(path);
        }
        let environment = match self.environment_of_tags(tags)? {
            Some(environment) => environment,
            None => asked.variable.cloned().unwrap_or_else(Environment::default_one),
        };
        self.in_environment(environment, asked.name)
    }

    /// The target of a rename or copy: a path, or a name in the source's environment.
    ///
    /// # Errors
    /// [`VaultError`] for an invalid name or an unknown environment.
    pub fn target_beside(&self, source: &SecretPath, name: &str) -> Result<SecretPath, VaultError> {
        match self.said_path(Asked { name, option: None, variable: None })? {
            Some(path) => Ok(path),
            None => self.in_environment(source.environment().clone(), name),
        }
    }

    /// The path, where the environment was said: by the path itself, the option or the variable.
    fn said_path(&self, asked: Asked<'_>) -> Result<Option<SecretPath>, VaultError> {
        if let Some(path) = self.as_path(asked.name)? {
            return match asked.option {
                Some(option) if option != path.environment() => Err(VaultError::ContradictingEnvironment {
                    path: path.environment().clone(),
                    environment: option.clone(),
                }),
                _ => Ok(Some(path)),
            };
        }
        let Some(environment) = asked.option.or(asked.variable) else { return Ok(None) };
        self.in_environment(environment.clone(), asked.name).map(Some)
    }

    /// `text` as a path, when its first segment is an environment of this store. `Prodution/X` is told apart from a name with a slash
    /// by being nearly one.
    fn as_path(&self, text: &str) -> Result<Option<SecretPath>, VaultError> {
        let Some((first, rest)) = text.split_once('/') else { return Ok(None) };
        let Ok(environment) = first.parse::<Environment>() else { return Ok(None) };
        if self.authority.policy().has_environment(&environment) {
            return self.in_environment(environment, rest).map(Some);
        }
        if self.nearest_environment(first).is_some() {
            return Err(self.unknown_environment(environment));
        }
        Ok(None)
    }

    fn in_environment(&self, environment: Environment, name: &str) -> Result<SecretPath, VaultError> {
        if !self.authority.policy().has_environment(&environment) {
            return Err(self.unknown_environment(environment));
        }
        let name: SecretName = name.parse().map_err(bad_name)?;
        SecretPath::new(environment, name).map_err(bad_name)
    }

    /// `environment`, if the store has it.
    ///
    /// # Errors
    /// [`VaultError::UnknownEnvironment`] with the one that was probably meant.
    pub fn known_environment(&self, environment: &Environment) -> Result<(), VaultError> {
        if self.authority.policy().has_environment(environment) {
            return Ok(());
        }
        Err(self.unknown_environment(environment.clone()))
    }

    fn unknown_environment(&self, environment: Environment) -> VaultError {
        let nearest = self.nearest_environment(environment.as_str());
        VaultError::UnknownEnvironment { environment, nearest, known: self.environments() }
    }

    fn environment_of_tags(&self, tags: &[Tag]) -> Result<Option<Environment>, VaultError> {
        let mut named: Vec<Environment> = Vec::new();
        for tag in tags {
            match tag.as_str().parse::<Environment>() {
                Ok(environment) if self.authority.policy().has_environment(&environment) => {
                    if !named.contains(&environment) {
                        named.push(environment);
                    }
                }
                _ => {
                    if let Some(environment) = self.nearest_environment(tag.as_str()) {
                        return Err(VaultError::NearEnvironmentTag { tag: tag.to_string(), environment });
                    }
                }
            }
        }
        if named.len() > 1 {
            return Err(VaultError::SeveralEnvironmentTags { environments: named });
        }
        Ok(named.pop())
    }

    /// The environment that `text` nearly names: by a short form, other case, or a slip of the fingers.
    pub(super) fn nearest_environment(&self, text: &str) -> Option<Environment> {
        let lower = text.to_ascii_lowercase();
        let known = self.environments();
        let short = SHORT.iter().find(|(short, _)| *short == lower).map(|(_, long)| *long);
        let near = |name: &str| strsim::damerau_levenshtein(&lower, &name.to_ascii_lowercase()) <= slips_allowed(name);
        known.into_iter().find(|name| short == Some(name.as_str()) || near(name.as_str()))
    }

    /// An environment other than the path's whose word the name holds: `…_PRODUCTION_…` in `default`.
    #[must_use]
    pub fn other_environment_in_name(&self, path: &SecretPath) -> Option<Environment> {
        let upper = path.name().as_str().to_ascii_uppercase();
        let words: Vec<&str> = upper.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let held = |environment: &Environment| words.contains(&environment.as_str().to_ascii_uppercase().as_str());
        let mut others = self.authority.policy().environments.iter().filter(|e| *e != path.environment());
        others.find(|environment| held(environment)).cloned()
    }

    fn not_found(&self, files: &dyn Files, name: &str, wanted: &SecretName) -> VaultError {
        VaultError::NotFound { name: name.to_owned(), nearest: self.nearest_secret(files, wanted) }
    }

    fn nearest_secret(&self, files: &dyn Files, wanted: &SecretName) -> Option<SecretPath> {
        let wanted = wanted.as_str().to_ascii_lowercase();
        let listed = files.list(&layout::place(layout::SECRETS)).ok()?;
        let paths = listed.files.iter().filter_map(|file| match layout::classify(file) {
            Ok(layout::Entry::Sidecar(path)) => Some(path),
            _ => None,
        });
        let distance =
            |path: &SecretPath| strsim::damerau_levenshtein(&wanted, &path.name().as_str().to_ascii_lowercase());
        let (distance, path) = paths.map(|path| (distance(&path), path)).min()?;
        (distance <= slips_allowed(&wanted)).then_some(path)
    }
}

/// How many slips of the fingers still mean the same: two, but fewer in short words.
const fn slips_allowed(word: &str) -> usize {
    match word.len() {
        0..=3 => 0,
        4..=5 => 1,
        _ => 2,
    }
}
