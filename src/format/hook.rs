//! What a rotation's hook gets on its standard input, and what it answers. No error repeats what a hook printed: it may be a value.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::SecretBytes;
use crate::model::{Digest, SecretPath, Version};

/// What a hook is asked to do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::IntoStaticStr, Serialize, Deserialize,
)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Answer with a new value.
    Create,
    /// Make the target take the pending value.
    Set,
    /// Try that the target takes the pending value.
    Test,
    /// The pending value is current now: withdraw the former one.
    Finish,
}

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not the JSON object expected.
    #[error("its answer is not {{\"value\": \"…\"}} or {{\"value_base64\": \"…\"}}")]
    Malformed,
    /// Not base64.
    #[error("the value in its answer is not base64")]
    NotBase64,
}

/// One call of a hook.
#[derive(Debug, Clone, Copy)]
pub struct HookRequest<'a> {
    /// What to do.
    pub step: Step,
    /// The secret.
    pub path: &'a SecretPath,
    /// The version that the new value gets.
    pub version: Version,
    /// The same for every call of one rotation.
    pub token: Digest,
    /// The value that is to be replaced; none where it can't be read any more.
    pub current: Option<&'a SecretBytes>,
    /// The new value, once there is one.
    pub pending: Option<&'a SecretBytes>,
}

#[derive(Serialize)]
struct Wire<'a> {
    format: u32,
    step: Step,
    path: String,
    environment: &'a str,
    name: &'a str,
    version: u64,
    token: String,
    current: Option<WireValue<'a>>,
    pending: Option<WireValue<'a>>,
}

#[derive(Serialize)]
struct WireValue<'a> {
    /// Where it is text.
    value: Option<&'a str>,
    value_base64: &'a str,
}

/// A value with its base64, which is wiped as it is.
struct WireText<'a> {
    value: &'a SecretBytes,
    encoded: Zeroizing<String>,
}

impl<'a> WireText<'a> {
    fn of(value: &'a SecretBytes) -> Self {
        Self { value, encoded: Zeroizing::new(STANDARD.encode(value.as_bytes())) }
    }

    fn value(&self) -> WireValue<'_> {
        WireValue { value: std::str::from_utf8(self.value.as_bytes()).ok(), value_base64: &self.encoded }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    value: Option<String>,
    value_base64: Option<String>,
}

/// More than everything in a request but values.
const FRAME_BYTES: usize = 4096;
/// JSON makes six characters of one at most, and base64 adds a third.
const SWELL: usize = 8;

impl HookRequest<'_> {
    /// The request as JSON, with a line end.
    ///
    /// # Errors
    /// None that is known: writing to memory.
    pub fn to_json(&self) -> io::Result<SecretBytes> {
        let [current, pending] = [self.current, self.pending].map(|it| it.map(WireText::of));
        let wire = Wire {
            format: 1,
            step: self.step,
            path: self.path.to_string(),
            environment: self.path.environment().as_str(),
            name: self.path.name().as_str(),
            version: self.version.get(),
            token: self.token.to_string(),
            current: current.as_ref().map(WireText::value),
            pending: pending.as_ref().map(WireText::value),
        };
        let values: usize = [self.current, self.pending].into_iter().flatten().map(SecretBytes::len).sum();
        // Reserved in full, so that no value is left behind by a growing buffer.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FRAME_BYTES + SWELL * values));
        serde_json::to_writer(&mut *bytes, &wire)?;
        bytes.push(b'\n');
        Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
    }
}

/// The value in what a hook printed at [`Step::Create`].
///
/// # Errors
/// [`AnswerError`].
pub fn hook_answer(printed: &SecretBytes) -> Result<SecretBytes, AnswerError> {
    let answer: Answer = serde_json::from_slice(printed.as_bytes()).map_err(|_| AnswerError::Malformed)?;
    match (answer.value, answer.value_base64) {
        (Some(value), None) => Ok(SecretBytes::new(value.into_bytes())),
        (None, Some(value)) => {
            STANDARD.decode(&*Zeroizing::new(value)).map(SecretBytes::new).map_err(|_| AnswerError::NotBase64)
        }
        _ => Err(AnswerError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Vec<u8>, AnswerError> {
        hook_answer(&SecretBytes::new(text.into())).map(|value| value.as_bytes().to_vec())
    }

    #[test]
    fn a_request_is_json_with_values_in_both_forms() {
        let path = "production/api/KEY".parse().unwrap();
        let [current, pending] = [b"old \xff".as_slice(), b"n\xc3\xa9w\n"].map(|it| SecretBytes::new(it.to_vec()));
        let request = HookRequest {
            step: Step::Set,
            path: &path,
            version: Version::new(3).unwrap(),
            token: Digest::of(b"token"),
            current: Some(&current),
            pending: Some(&pending),
        };
        let bytes = request.to_json().unwrap();
        let json: serde_json::Value = serde_json::from_slice(bytes.as_bytes()).unwrap();
        let expected = serde_json::json!({
            "format": 1, "step": "set", "path": "production/api/KEY", "environment": "production", "name": "api/KEY",
            "version": 3, "token": Digest::of(b"token").to_string(),
            "current": { "value": null, "value_base64": "b2xkIP8=" },
            "pending": { "value": "néw\n", "value_base64": "bsOpdwo=" },
        });
        assert_eq!(json, expected);
        assert!(bytes.as_bytes().ends_with(b"}\n"));
        let create = HookRequest { step: Step::Create, current: None, pending: None, ..request }.to_json().unwrap();
        let json: serde_json::Value = serde_json::from_slice(create.as_bytes()).unwrap();
        assert_eq!((&json["step"], json["pending"].is_null()), (&"create".into(), true));
    }

    #[test]
    fn an_answer_is_one_value_in_one_form() {
        assert_eq!(answer(r#"{"value": "new"}"#), Ok(b"new".to_vec()));
        assert_eq!(answer(" {\"value_base64\": \"/wA=\"}\n"), Ok(vec![255, 0]));
        assert_eq!(answer(r#"{"value_base64": "/w A="}"#), Err(AnswerError::NotBase64));
        for garbage in [
            "",
            "new",
            "{}",
            "[]",
            r#""new""#,
            r#"{"value": 1}"#,
            r#"{"value": "a", "value_base64": "YQ=="}"#,
            "{\"value\":\"a\"} x",
            r#"{"value":"a","b":1}"#,
        ] {
            assert_eq!(answer(garbage), Err(AnswerError::Malformed), "{garbage}");
        }
    }
}
