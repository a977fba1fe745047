//! `secrets:edit`.

use vsecure::vault::Update;

use crate::app::App;
use crate::args::EditArgs;
use crate::editor;
use crate::report::CommandError;

pub fn run(app: &App, args: &EditArgs) -> anyhow::Result<()> {
    let vault = app.unlock()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    let reading = vault.get(&path)?;
    let editor = app.context.editor.as_deref();
    if editor.is_none() {
        return Err(CommandError::usage(
            "no editor is named",
            "VISUAL or EDITOR names one: EDITOR=nano vsecure edit …",
        )
        .into());
    }
    let edited = editor::edit(&reading.value, editor, &app.context.scratch, app.max_value_bytes(), &|text| {
        app.output.warn(text)
    })?;
    let Some(value) = edited else {
        app.output.say(&format!("{path} v{}: unchanged", reading.sidecar.version));
        return Ok(());
    };
    // What was edited is the version that was read: another one in between is a conflict.
    let request = Update { value: Some(value), if_version: Some(reading.sidecar.version), ..Update::of(path) };
    let outcome = vault.update(&request, &app.writing(&args.write))?;
    app.tell_notices(&vault);
    Ok(app.output.outcome(&outcome, args.write.dry_run)?)
}
