//! `secrets:get`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vsecure::crypto::SecretBytes;
use vsecure::format::pick;
use vsecure::vault::Reading;

use super::value;
use crate::app::App;
use crate::args::GetArgs;
use crate::output::sidecar_json;

pub fn run(app: &App, args: &GetArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let variable = app.environment_variable()?;
    let asked = App::asked(&args.name, variable.as_ref());
    let reading = match (&args.at, &args.version) {
        (Some(rev), _) => vault.get_at(rev, asked)?,
        (None, Some(version)) => vault.get_version(&vault.find(asked)?, version)?,
        (None, None) => vault.get(&vault.find(asked)?)?,
    };
    app.tell_notices(&vault);
    let Reading { sidecar, value } = reading;
    app.warn_if_expired(&sidecar);
    let value = match &args.field {
        Some(field) => pick(&value, field)?,
        None => value,
    };
    if app.output.json {
        let mut all = sidecar_json(&sidecar);
        if let Value::Object(map) = &mut all {
            map.insert("format".to_owned(), 1.into());
            let (key, text) = value_json(&value);
            map.insert(key.to_owned(), text);
        }
        return Ok(app.output.value(&all)?);
    }
    Ok(value::print(app, &value)?)
}

/// `value` for text, `value_base64` for anything else.
fn value_json(value: &SecretBytes) -> (&'static str, Value) {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => ("value", text.into()),
        Err(_) => ("value_base64", STANDARD.encode(value.as_bytes()).into()),
    }
}
