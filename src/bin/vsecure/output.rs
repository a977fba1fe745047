//! What people and programs are shown: data on standard output, everything else on standard error.

use std::io::{self, Write as _};

use serde_json::{Value, json};
use vsecure::format::{escape, escape_json, escape_lines};
use vsecure::model::{Change, Rotation, Sidecar, Timestamp};
use vsecure::vault::Outcome;

/// Where output goes, and in what form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Print data as JSON.
    pub json: bool,
    /// Say nothing but data, warnings and errors.
    pub quiet: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// Colour is welcome on standard output.
    pub color: bool,
}

impl Output {
    /// Prints bytes as they are.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Prints a line of data.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub fn line(self, line: &str) -> io::Result<()> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Prints data as JSON.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub fn value(self, value: &Value) -> io::Result<()> {
        self.line(&escape_json(&format!("{value:#}")))
    }

    /// Says something by the way.
    pub fn say(self, text: &str) {
        if !self.quiet {
            note(text);
        }
    }

    /// Says something that should not be missed.
    pub fn warn(self, text: &str) {
        note(&format!("warning: {text}"));
    }

    /// A heading, underlined by colour on a terminal.
    pub fn heading(self, text: &str) -> String {
        if self.color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Prints rows with columns: aligned under a heading on a terminal, with tabs between them otherwise.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub fn table(self, headings: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        if !self.terminal {
            return rows.iter().try_for_each(|row| self.line(&row.join("\t")));
        }
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(headings.get(column).map(|heading| heading.len())).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        let aligned = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.line(&self.heading(&aligned(&mut headings.iter().copied())))?;
        rows.iter().try_for_each(|row| self.line(&aligned(&mut row.iter().map(String::as_str))))
    }

    /// Tells what a writing command did.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub fn outcome(self, outcome: &Outcome, dry_run: bool) -> io::Result<()> {
        self.told_outcome(outcome, dry_run);
        if self.json { self.value(&outcome_json(outcome, dry_run)) } else { Ok(()) }
    }

    /// As [`Output::outcome`], for people only.
    pub fn told_outcome(self, outcome: &Outcome, dry_run: bool) {
        if let Some(cleared) = outcome.expiry_cleared {
            self.say(&format!("the expiry of {cleared} had passed and is gone; --expires-in sets a new one"));
        }
        if let Some(environment) = &outcome.name_hint {
            let path = &outcome.path;
            self.warn(&format!("{path} lies in {}, though its name speaks of {environment}", path.environment()));
        }
        self.say(&sentence(outcome, dry_run));
    }
}

impl Output {
    /// Tells what one commit did to several secrets.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub fn outcomes(self, outcomes: &[Outcome], dry_run: bool) -> io::Result<()> {
        outcomes.iter().for_each(|outcome| self.say(&sentence(outcome, dry_run)));
        if !self.json {
            return Ok(());
        }
        let secrets: Vec<Value> = outcomes.iter().map(|outcome| outcome_json(outcome, dry_run)).collect();
        self.value(&json!({ "format": 1, "secrets": secrets }))
    }
}

/// A moment's day.
pub fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

fn note(text: &str) {
    // There is nobody left to tell when standard error is gone.
    let _ = writeln!(io::stderr(), "{}", escape_lines(text));
}

fn sentence(outcome: &Outcome, dry_run: bool) -> String {
    let Outcome { path, version, .. } = outcome;
    if !outcome.changed {
        return format!("{path} v{version}: unchanged");
    }
    let source = outcome.source.as_ref().map_or_else(String::new, |source| format!(" from {source}"));
    let from = outcome.from_version.map_or_else(String::new, |from| format!(" with the value of v{from}"));
    let what = match outcome.change {
        Change::Create => "created".to_owned(),
        Change::Import => "imported".to_owned(),
        Change::Metadata => "tags, metadata, expiry or rotation changed".to_owned(),
        Change::Rotate => "rotated".to_owned(),
        Change::Rollback => format!("rolled back{from}"),
        Change::Delete => "deleted".to_owned(),
        Change::Restore => format!("restored{from}"),
        Change::Rename => format!("renamed{source}"),
        Change::Copy => format!("copied{source}"),
        Change::Revert => "put back to what it was".to_owned(),
        Change::Adopt => "adopted: you answer for it".to_owned(),
        Change::Acknowledge => "debt acknowledged".to_owned(),
        _ => "updated".to_owned(),
    };
    let branch =
        outcome.branch.as_ref().map_or_else(|| "detached HEAD".to_owned(), |branch| escape(branch).into_owned());
    let place = match &outcome.commit {
        _ if dry_run => "dry run: nothing was written".to_owned(),
        Some(commit) => format!("commit {commit:.10} on {branch}"),
        None => "staged, not committed".to_owned(),
    };
    format!("{path} v{version}: {what} ({place})")
}

pub fn outcome_json(outcome: &Outcome, dry_run: bool) -> Value {
    json!({
        "format": 1,
        "path": outcome.path.to_string(),
        "environment": outcome.path.environment().to_string(),
        "change": outcome.changed.then(|| outcome.change.to_string()),
        "changed": outcome.changed,
        "version": outcome.version.get(),
        "revision": outcome.revision.get(),
        "commit": outcome.commit,
        "source": outcome.source.as_ref().map(ToString::to_string),
        "from_version": outcome.from_version.map(|version| version.get()),
        "expires_at": outcome.expires_at.map(|time| time.to_string()),
        "dry_run": dry_run,
    })
}

/// What a sidecar says, with its own keys.
pub fn sidecar_json(sidecar: &Sidecar) -> Value {
    let holders = |holder: &vsecure::model::KeyHolder| json!({ "member": holder.member.to_string(), "key": holder.key.to_string() });
    let metadata: serde_json::Map<String, Value> =
        sidecar.metadata.iter().map(|(key, value)| (key.to_string(), value.as_str().into())).collect();
    json!({
        "path": sidecar.path.to_string(),
        "environment": sidecar.path.environment().to_string(),
        "name": sidecar.path.name().to_string(),
        "version": sidecar.version.get(),
        "revision": sidecar.revision.get(),
        "change": sidecar.change.to_string(),
        "author": sidecar.author.to_string(),
        "time": sidecar.time.to_string(),
        "value_author": sidecar.value_author.to_string(),
        "created_at": sidecar.created_at.to_string(),
        "updated_at": sidecar.updated_at.to_string(),
        "expires_at": sidecar.expires_at.map(|time| time.to_string()),
        "tags": sidecar.tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "metadata": metadata,
        "recipients": sidecar.recipients.iter().map(holders).collect::<Vec<_>>(),
        "exposed_to": sidecar.exposed_to.iter().map(holders).collect::<Vec<_>>(),
        "source": sidecar.source.as_ref().map(|source| json!({
            "path": source.path.to_string(), "sha256": source.sha256.to_string(),
        })),
        "rotation": sidecar.rotation.as_ref().map(rotation_json),
        "next": sidecar.next.as_ref().map(|next| json!({
            "version": next.version.get(),
            "token": next.token.to_string(),
            "recipients": next.recipients.iter().map(holders).collect::<Vec<_>>(),
            "exposed_to": next.exposed_to.iter().map(holders).collect::<Vec<_>>(),
            "author": next.author.to_string(),
            "created_at": next.created_at.to_string(),
        })),
    })
}

/// A rotation policy, with the sidecar's keys.
pub fn rotation_json(rotation: &Rotation) -> Value {
    json!({
        "enabled": rotation.enabled,
        "period": rotation.period.to_string(),
        "notify_before": rotation.notify_before.map(|span| span.to_string()),
        "generator": rotation.generator,
        "hook": rotation.hook.as_ref().map(ToString::to_string),
    })
}
