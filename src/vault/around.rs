//! What a pull request changes around the store and could lead its users astray by: another store, attributes by which git would change the
//! store's bytes.

use crate::format::added_rules;
use crate::store::{CommitId, Store, StoreError};

use super::VaultError;
use super::files::Files;
use super::layout;
use super::verify::{Finding, Level, finding};

/// How a place within the work tree is named from within the store at `prefix`.
fn seen_from(prefix: &str, place: &str) -> String {
    format!("{}{place}", "../".repeat(prefix.split('/').count()))
}

/// What `head`, whose store's files are `files`, has around the store and `from` had not.
pub(super) fn around(
    store: &Store,
    files: &dyn Files,
    from: &CommitId,
    head: &CommitId,
) -> Result<Vec<Finding>, VaultError> {
    let prefix = store.prefix().unwrap_or_default();
    let outside = match store.outside(from, head) {
        Ok(outside) => outside,
        Err(StoreError::TooMany { most, .. }) => {
            let message =
                format!("more than {most} files and folders differ: whether there is another store was not looked at");
            return Ok(vec![finding("too-many", Level::Error, &seen_from(prefix, ""), message)]);
        }
        Err(error) => return Err(error.into()),
    };
    let others = outside.stores.iter().map(|place| {
        let message =
            "another store, or something with a store's name: whoever works below that folder uses it instead";
        finding("other-store", Level::Error, &seen_from(prefix, place), message)
    });
    let mut findings: Vec<Finding> = others.collect();
    if outside.attributes.is_empty() {
        return Ok(findings);
    }
    let listed = files.list_all()?.files;
    for attributes in outside.attributes {
        let folder = attributes.folder;
        let below = prefix.strip_prefix(&folder).unwrap_or(prefix).trim_start_matches('/');
        let names: Vec<String> = listed.iter().map(|file| format!("{below}/{file}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rules = attributes.now.as_deref().map(|now| added_rules(&attributes.before, now, &names));
        let message = match rules.flatten() {
            Some(rules) if rules.is_empty() => continue,
            Some(rules) => format!("it says what git does to the store's bytes: {}", rules.join(" · ")),
            None => {
                "what it says of the store's files can't be told: too much was added, or it is no plain file".to_owned()
            }
        };
        let place = if folder.is_empty() {
            layout::GITATTRIBUTES.to_owned()
        } else {
            format!("{folder}/{}", layout::GITATTRIBUTES)
        };
        findings.push(finding("attributes-above", Level::Warning, &seen_from(prefix, &place), message));
    }
    Ok(findings)
}
