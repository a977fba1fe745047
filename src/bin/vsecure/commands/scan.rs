//! `scan`: the store's own values where they should not be.

use serde_json::{Value, json};
use vsecure::audit::Action;
use vsecure::format::{MIN_NEEDLE_BYTES, escape};
use vsecure::vault::{Haystack, Leak, Release, Scan, Selection};

use crate::app::App;
use crate::args::ScanArgs;
use crate::report::CommandError;

pub fn run(app: &App, args: ScanArgs) -> anyhow::Result<()> {
    let haystack = match (args.staged, args.history) {
        (true, _) => Haystack::Staged,
        (_, true) => Haystack::History,
        _ if args.paths.is_empty() => Haystack::WorkTree,
        _ => Haystack::Paths(args.paths),
    };
    let vault = app.unlock()?;
    let environments = if args.env.is_empty() { vault.environments() } else { args.env };
    let names = args.names;
    let selection = Selection {
        tags: names.tags,
        only: names.only,
        except: names.except,
        under: names.under,
        ..Selection::default()
    };
    let picked = vault.pick(&environments, &selection)?;
    // Whoever looks can look only for what they may know.
    let pending = vault.release_pending(&picked, Action::Accessed)?;
    let mut released = vault.release(picked, Release { action: Action::Accessed, only_readable: true })?;
    // What a rotation is about to make current must not lie about either.
    released.readings.extend(pending);
    let scan = vault.scan(&released.readings, &haystack)?;
    app.tell_notices(&vault);
    for path in &released.skipped {
        app.output.warn(&format!("{path} is not looked for: you can't read it"));
    }
    for path in &scan.too_short {
        app.output.warn(&format!("{path} is not looked for: its value has less than {MIN_NEEDLE_BYTES} bytes"));
    }
    for name in &scan.unread {
        app.output.warn(&format!("{} was not looked into: it is too large or can't be read", escape(name)));
    }
    tell(app, &scan)?;
    if scan.leaks.is_empty() { Ok(()) } else { Err(CommandError::Found.into()) }
}

fn tell(app: &App, scan: &Scan) -> anyhow::Result<()> {
    if app.output.json {
        let leaks: Vec<Value> = scan.leaks.iter().map(leak_json).collect();
        let short: Vec<String> = scan.too_short.iter().map(ToString::to_string).collect();
        let all = json!({
            "format": 1, "findings": leaks, "too_short": short, "unread": scan.unread, "looked_into": scan.looked_into,
        });
        return Ok(app.output.value(&all)?);
    }
    for leak in &scan.leaks {
        let Leak { line, path, version, disguise, .. } = leak;
        app.output.line(&format!("{}:{line}: {path} v{version} ({disguise})", escape(&place(leak))))?;
    }
    app.output.say(&format!("{} findings in {} files", scan.leaks.len(), scan.looked_into));
    Ok(())
}

/// As git names it: a file, an object and the file that it was, or an object.
fn place(leak: &Leak) -> String {
    let object = leak.object.as_ref().map(|id| id.chars().take(10).collect::<String>());
    match (object, &leak.file) {
        (None, file) => file.clone().unwrap_or_default(),
        (Some(object), Some(file)) => format!("{object} {file}"),
        (Some(object), None) => object,
    }
}

fn leak_json(leak: &Leak) -> Value {
    json!({
        "file": leak.file,
        "object": leak.object,
        "line": leak.line,
        "path": leak.path.to_string(),
        "version": leak.version.get(),
        "written": leak.disguise.to_string(),
    })
}
