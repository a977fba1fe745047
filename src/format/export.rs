//! Names and values in the forms that other programs read. What a form can't hold is refused by name, never bent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::dotenv::dotenv_value;
use crate::crypto::SecretBytes;

/// A form that other programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `.env`, as Node's `dotenv` package reads it.
    Dotenv,
    /// Commands for a POSIX shell, to be evaluated.
    Shell,
    /// A JSON object.
    Json,
    /// A YAML mapping.
    Yaml,
    /// A manifest of a Kubernetes Secret.
    Kubernetes,
    /// A file for `docker run --env-file`.
    DockerEnv,
    /// What is appended to the file that `GITHUB_ENV` names.
    GithubEnv,
}

impl Form {
    /// What messages call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Shell => "a shell's variable",
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Kubernetes => "a Kubernetes Secret",
            Self::DockerEnv => "docker's --env-file",
            Self::GithubEnv => "GITHUB_ENV",
        }
    }

    /// Whether names become environment variables, which shells and programs must take for names.
    #[must_use]
    pub const fn sets_variables(self) -> bool {
        matches!(self, Self::Dotenv | Self::Shell | Self::DockerEnv | Self::GithubEnv)
    }
}

/// Whose manifest it is.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The name of the Secret.
    pub name: String,
    /// Its namespace; none leaves that to whoever applies it.
    pub namespace: Option<String>,
}

/// What a form can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A value.
    #[error("the value of `{name}` holds {what}, which {} can't hold", form.name())]
    Value {
        /// Under which name.
        name: String,
        /// What is in it.
        what: &'static str,
        /// The form.
        form: Form,
    },
    /// A name.
    #[error("{} can't hold the name `{name}`", form.name())]
    Name {
        /// Which.
        name: String,
        /// The form.
        form: Form,
    },
    /// More than the form takes.
    #[error("a Kubernetes Secret holds at most 1 MiB, and these values are larger together")]
    TooLarge,
}

/// What every assignment of GitHub's form ends with: random, so that no value can end it early.
#[derive(Debug, Clone)]
pub struct Delimiter(pub String);

/// The text of `entries` in `form`.
///
/// # Errors
/// [`ExportError`] of the first entry that the form can't hold; nothing of a value is in it.
pub fn export(
    form: Form,
    entries: &[(&str, &SecretBytes)],
    manifest: &Manifest,
    delimiter: &Delimiter,
) -> Result<SecretBytes, ExportError> {
    let mut out = Vec::new();
    let refused = |name: &str| {
        let name = name.to_owned();
        move |what| ExportError::Value { name, what, form }
    };
    match form {
        Form::Json => {
            let mut map = serde_json::Map::new();
            for (name, value) in entries {
                map.insert((*name).to_owned(), text(value).map_err(refused(name))?.into());
            }
            out.extend(format!("{:#}\n", Value::Object(map)).into_bytes());
        }
        Form::Kubernetes => out.extend(kubernetes(entries, manifest)?.into_bytes()),
        _ => {
            for (name, value) in entries {
                let line = match form {
                    Form::Dotenv => {
                        dotenv_value(value.as_bytes()).map(|value| format!("{name}={value}\n").into_bytes())
                    }
                    Form::Shell => shell(name, value),
                    Form::Yaml => text(value).map(|value| format!("{}: {}\n", yaml(name), yaml(value)).into_bytes()),
                    Form::DockerEnv => docker(name, value),
                    _ => github(name, value, delimiter),
                };
                out.extend(line.map_err(refused(name))?);
            }
        }
    }
    Ok(SecretBytes::new(out))
}

fn text(value: &SecretBytes) -> Result<&str, &'static str> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| "bytes that are no UTF-8 text")
}

fn without_nul(value: &SecretBytes) -> Result<&SecretBytes, &'static str> {
    if value.as_bytes().contains(&0) { Err("a NUL byte") } else { Ok(value) }
}

/// Single quotes keep every byte but themselves and NUL, in every shell and locale.
fn shell(name: &str, value: &SecretBytes) -> Result<Vec<u8>, &'static str> {
    let mut line = format!("export {name}='").into_bytes();
    for byte in without_nul(value)?.as_bytes() {
        match byte {
            b'\'' => line.extend(b"'\\''"),
            byte => line.push(*byte),
        }
    }
    line.extend(b"'\n");
    Ok(line)
}

/// A string that YAML 1.1 and 1.2 read as that string: JSON's, with what YAML doesn't print escaped as well.
fn yaml(text: &str) -> String {
    let mut out = String::new();
    for c in Value::from(text).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// Docker takes a line as it is, without any quotes, and drops a carriage return at its end.
fn docker(name: &str, value: &SecretBytes) -> Result<Vec<u8>, &'static str> {
    match text(without_nul(value)?)? {
        text if text.contains(['\n', '\r']) => Err("a line end"),
        text => Ok(format!("{name}={text}\n").into_bytes()),
    }
}

fn github(name: &str, value: &SecretBytes, delimiter: &Delimiter) -> Result<Vec<u8>, &'static str> {
    match text(without_nul(value)?)? {
        text if text.contains('\r') => Err("a carriage return"),
        text => Ok(format!("{name}<<{0}\n{text}\n{0}\n", delimiter.0).into_bytes()),
    }
}

/// The commands by which GitHub's runner hides values in its logs: each value, and each of its lines.
///
/// # Errors
/// [`ExportError`] for a value that is no text.
pub fn github_masks(entries: &[(&str, &SecretBytes)]) -> Result<SecretBytes, ExportError> {
    let mut out = String::new();
    for (name, value) in entries {
        let refused = |what| ExportError::Value { name: (*name).to_owned(), what, form: Form::GithubEnv };
        let value = text(value).map_err(refused)?;
        let lines = std::iter::once(value).chain(value.lines().filter(|_| value.contains('\n')));
        for part in lines.filter(|part| !part.trim().is_empty()) {
            let escaped = part.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            out.push_str(&format!("::add-mask::{escaped}\n"));
        }
    }
    Ok(SecretBytes::new(out.into_bytes()))
}

/// The most that the API server takes.
const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

fn kubernetes(entries: &[(&str, &SecretBytes)], manifest: &Manifest) -> Result<String, ExportError> {
    let form = Form::Kubernetes;
    let label = |name: &str, dots: bool| {
        let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || (dots && c == b'.');
        let end = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = name.as_bytes();
        bytes.iter().copied().all(word) && end(bytes.first()) && end(bytes.last()) && bytes.len() <= 253
    };
    let bad = |name: &str| ExportError::Name { name: name.to_owned(), form };
    if !label(&manifest.name, true) {
        return Err(bad(&manifest.name));
    }
    let mut out = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"{}\"\n", manifest.name);
    if let Some(namespace) = &manifest.namespace {
        if !label(namespace, false) {
            return Err(bad(namespace));
        }
        out.push_str(&format!("  namespace: \"{namespace}\"\n"));
    }
    out.push_str("type: Opaque\ndata:\n");
    for (name, value) in entries {
        let key = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 253 || !name.bytes().all(key) {
            return Err(bad(name));
        }
        out.push_str(&format!("  \"{name}\": \"{}\"\n", STANDARD.encode(value.as_bytes())));
    }
    let size: usize = entries.iter().map(|(_, value)| value.len()).sum();
    if size > MAX_MANIFEST_BYTES { Err(ExportError::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(form: Form, name: &str, value: &[u8]) -> Result<String, ExportError> {
        let value = SecretBytes::new(value.to_vec());
        let manifest = Manifest { name: "app".into(), namespace: Some("prod".into()) };
        let bytes = export(form, &[(name, &value)], &manifest, &Delimiter("END".into()))?;
        Ok(String::from_utf8(bytes.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn each_form_has_its_spelling() {
        for (form, expected) in [
            (Form::Dotenv, "A=\"it's\"\n"),
            (Form::Shell, "export A='it'\\''s'\n"),
            (Form::Json, "{\n  \"A\": \"it's\"\n}\n"),
            (Form::Yaml, "\"A\": \"it's\"\n"),
            (Form::DockerEnv, "A=it's\n"),
            (Form::GithubEnv, "A<<END\nit's\nEND\n"),
        ] {
            assert_eq!(exported(form, "A", b"it's").unwrap(), expected, "{form:?}");
        }
        let manifest = exported(Form::Kubernetes, "tls.key", b"\xff").unwrap();
        assert!(manifest.ends_with("type: Opaque\ndata:\n  \"tls.key\": \"/w==\"\n"), "{manifest}");
        assert_eq!(exported(Form::Yaml, "A", "\u{85}\u{7f}".as_bytes()).unwrap(), "\"A\": \"\\u0085\\u007f\"\n");
    }

    #[test]
    fn what_a_form_cannot_hold_is_refused_without_the_value() {
        for (form, value) in [
            (Form::Dotenv, &b"a\0"[..]),
            (Form::Dotenv, b"\xff"),
            (Form::Dotenv, b"'\"`\\"),
            (Form::Shell, b"\0"),
            (Form::Json, b"\xff"),
            (Form::Yaml, b"\xff"),
            (Form::DockerEnv, b"a\nb"),
            (Form::DockerEnv, b"a\r"),
            (Form::GithubEnv, b"a\rb"),
        ] {
            let error = exported(form, "A", value).unwrap_err();
            assert!(matches!(&error, ExportError::Value { name, .. } if name == "A"), "{form:?} {error:?}");
        }
        assert!(matches!(exported(Form::Kubernetes, "a b", b""), Err(ExportError::Name { .. })));
        assert_eq!(exported(Form::Kubernetes, "a", &vec![0; 1 << 21]), Err(ExportError::TooLarge));
    }
}
