//! `config:get`, `config:set`, `config:list`.

use serde_json::{Value, json};

use crate::app::App;
use crate::args::{ConfigGetArgs, ConfigSetArgs};

pub fn get(app: &App, args: &ConfigGetArgs) -> anyhow::Result<()> {
    let value = app.settings_file().get(&args.key)?;
    if app.output.json {
        return Ok(app.output.value(&json!({ "format": 1, args.key.as_str(): value }))?);
    }
    Ok(app.output.line(&value)?)
}

pub fn set(app: &App, args: &ConfigSetArgs) -> anyhow::Result<()> {
    app.settings_file().set(&args.key, &args.value)?;
    app.output.say(&format!("{} is {} from now on", args.key, app.settings_file().get(&args.key)?));
    Ok(())
}

pub fn list(app: &App) -> anyhow::Result<()> {
    let settings = app.settings_file().list()?;
    if app.output.json {
        let values: serde_json::Map<String, Value> =
            settings.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        return Ok(app.output.value(&json!({ "format": 1, "settings": values }))?);
    }
    let rows: Vec<Vec<String>> = settings.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
    Ok(app.output.table(&["SETTING", "VALUE"], &rows)?)
}
