//! `secrets:list` and `secrets:describe`.

use serde_json::{Value, json};
use vsecure::format::escape;
use vsecure::model::{Sidecar, Timestamp};
use vsecure::vault::{Entry, Listing, Selection};

use super::rotation::made_by;
use crate::app::App;
use crate::args::{DescribeArgs, ListArgs};
use crate::output::{day, sidecar_json};
use crate::report::{CommandError, told};

pub fn list(app: &App, args: ListArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let selection = Selection {
        environment: args.env.or(app.environment_variable()?),
        pattern: args.pattern,
        tags: args.names.tags,
        metadata: args.metadata.into_iter().map(|it| (it.0, it.1)).collect(),
        expiring: args.expiring,
        no_expiry: args.no_expiry,
        missing_in: args.missing_in,
        only: args.names.only,
        except: args.names.except,
        under: args.names.under,
    };
    let Listing { entries, refused } = vault.list(&selection)?;
    app.tell_notices(&vault);
    if app.output.json {
        let secrets: Vec<Value> = entries.iter().map(|entry| sidecar_json(&entry.sidecar)).collect();
        let refused: Vec<String> = refused.iter().map(|error| told(error)).collect();
        app.output.value(&json!({ "format": 1, "secrets": secrets, "refused": refused }))?;
    } else if app.output.terminal {
        let rows: Vec<Vec<String>> = entries.iter().map(|entry| row(app.context.now, entry)).collect();
        app.output.table(&["SECRET", "VERSION", "SET", "EXPIRES", "TAGS"], &rows)?;
        app.output.say(&format!("{} secrets", rows.len()));
    } else {
        let lines: String = entries.iter().map(|entry| format!("{}\n", entry.sidecar.path)).collect();
        app.output.bytes(lines.as_bytes())?;
    }
    for error in &refused {
        app.output.warn(&told(error));
    }
    if refused.is_empty() { Ok(()) } else { Err(CommandError::Refused { count: refused.len() }.into()) }
}

fn row(now: Timestamp, entry: &Entry) -> Vec<String> {
    let sidecar = &entry.sidecar;
    let expires = match sidecar.expires_at {
        Some(at) if at <= now => format!("{} EXPIRED", day(at)),
        Some(at) => day(at),
        None => "-".to_owned(),
    };
    let tags: Vec<&str> = sidecar.tags.iter().map(AsRef::as_ref).collect();
    vec![sidecar.path.to_string(), format!("v{}", sidecar.version), day(sidecar.updated_at), expires, tags.join(",")]
}

pub fn describe(app: &App, args: &DescribeArgs) -> anyhow::Result<()> {
    let vault = app.open()?;
    let path = vault.find(App::asked(&args.name, app.environment_variable()?.as_ref()))?;
    let sidecar = vault.describe(&path)?;
    app.tell_notices(&vault);
    if app.output.json {
        let mut all = sidecar_json(&sidecar);
        if let Value::Object(map) = &mut all {
            map.insert("format".to_owned(), 1.into());
        }
        return Ok(app.output.value(&all)?);
    }
    for (label, text) in lines(&sidecar) {
        app.output.line(&format!("{label:<12}{}", escape(&text)))?;
    }
    Ok(())
}

fn lines(sidecar: &Sidecar) -> Vec<(String, String)> {
    let line = |label: &str, text: String| (label.to_owned(), text);
    let tags: Vec<&str> = sidecar.tags.iter().map(AsRef::as_ref).collect();
    let mut lines = vec![
        line("secret", sidecar.path.to_string()),
        line("version", format!("{}, set by {} at {}", sidecar.version, sidecar.value_author, sidecar.updated_at)),
        line("revision", format!("{}, {} by {} at {}", sidecar.revision, sidecar.change, sidecar.author, sidecar.time)),
        line("created", sidecar.created_at.to_string()),
        line("expires", sidecar.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string())),
        line("tags", tags.join(", ")),
    ];
    lines.extend(sidecar.metadata.iter().map(|(key, value)| line("metadata", format!("{key}={value}"))));
    lines.extend(sidecar.recipients.iter().map(|it| line("reader", format!("{}  {}", it.member, it.key))));
    lines.extend(sidecar.rotated_by().zip(sidecar.due_at()).map(|(rotation, due)| {
        line("rotation", format!("every {}, by {}, due at {due}", rotation.period, made_by(rotation)))
    }));
    lines.extend(
        sidecar
            .next
            .iter()
            .map(|next| line("pending", format!("{}, made by {} at {}", next.version, next.author, next.created_at))),
    );
    lines.extend(sidecar.source.iter().map(|source| line("source", source.path.to_string())));
    lines
}
