//! *Debt*, *Age of values*, *Findings* and *Pending work*: what is to be done, by whom, and with which command.

use std::collections::BTreeMap;

use maud::{Markup, html};
use vsecure::model::{KeyHolder, Timestamp};
use vsecure::vault::{BegunRotation, Debt, Debtor, Finding, Level, Pending, Report, SecretState};

use super::parts::{ROWS, Weight, age, date, distance, nothing, rest, some, table, tag};
use crate::report::remedy;

/// How many of the oldest values are named, and of the secrets without expiry.
const OLDEST: usize = 10;
const NAMED: usize = 30;
const DAY: i64 = 24 * 3600;
/// Ages below so many days, and what they are called.
const AGES: [(i64, &str); 6] = [
    (30, "less than 30 days"),
    (90, "30 to 89 days"),
    (180, "90 to 179 days"),
    (365, "180 days to a year"),
    (730, "one to two years"),
    (i64::MAX, "two years or more"),
];

pub fn debt(report: &Report) -> Markup {
    html! {
        section #debt aria-labelledby="debt-title" {
            h2 #debt-title { "Debt" }
            p {
                "Live values that somebody knows, or could have read, who has no right to them any more. A debt ends when the value has changed to \
                 one that nobody of them has seen: taking note of it quiets it for a time."
            }
            @if report.debts.is_empty() {
                (nothing("Nobody knows a live value without a right to it."))
            } @else {
                (debtors(report))
                (values(report))
            }
        }
    }
}

/// What one key is exposed to.
#[derive(Default)]
struct Exposure {
    since: Option<Timestamp>,
    values: usize,
    open: usize,
    still: usize,
}

fn debtors(report: &Report) -> Markup {
    let mut all: BTreeMap<&KeyHolder, Exposure> = BTreeMap::new();
    for (debt, debtor) in report.debts.iter().flat_map(|debt| debt.debtors.iter().map(move |debtor| (debt, debtor))) {
        let exposure = all.entry(&debtor.holder).or_default();
        exposure.since = exposure.since.into_iter().chain(debtor.since).min();
        exposure.values += 1;
        exposure.open += usize::from(!debt.acknowledged);
        exposure.still += usize::from(debtor.still_recipient);
    }
    let row = |(holder, exposure): (&&KeyHolder, &Exposure)| {
        html! {
            tr {
                th scope="row" { (holder.member) }
                td { code.key { (holder.key) } }
                td.day { @if let Some(since) = exposure.since { (date(since)) } @else { "by a grant" } }
                td { (exposure.values) }
                td { (exposure.open) }
                td { (exposure.still) }
            }
        }
    };
    let rows: Vec<Markup> = all.iter().take(ROWS).map(row).collect();
    let headings = ["Who", "By which key", "Without a right since", "Values", "Open", "Still encrypted to it"];
    html! {
        (table("Who knows values without a right to them", "debtors", &headings, &rows))
        (rest(all.len(), rows.len(), "vsecure access:debt"))
    }
}

fn values(report: &Report) -> Markup {
    let mut debts: Vec<&Debt> = report.debts.iter().collect();
    debts.sort_by_key(|debt| debt.acknowledged);
    let row = |debt: &&Debt| {
        let who = |debtor: &Debtor| {
            html! {
                (debtor.holder.member) @if debtor.still_recipient { " (holds a key still)" }
            }
        };
        html! {
            tr {
                th scope="row" { code { (debt.sidecar.path) } }
                td { "v" (debt.sidecar.version) }
                td { @for (number, debtor) in debt.debtors.iter().enumerate() { @if number > 0 { ", " } (who(debtor)) } }
                td { @if debt.acknowledged { (tag(Weight::Look, "acknowledged")) } @else { (tag(Weight::Act, "open")) } }
                td {
                    @if let Some(note) = &debt.sidecar.acknowledged {
                        @if debt.acknowledged { "until " } @else { "no longer, since " }
                        (date(note.until)) " by " (note.author) ": " (note.reason)
                    }
                }
            }
        }
    };
    let rows: Vec<Markup> = debts.iter().take(ROWS).map(row).collect();
    html! {
        h3 { "Values to rotate" }
        (table("Values in debt, open ones first", "values", &["Secret", "Version", "Known to", "State", "Acknowledged"], &rows))
        (rest(debts.len(), rows.len(), "vsecure access:debt"))
    }
}

pub fn ages(report: &Report) -> Markup {
    let mut by_age: Vec<&SecretState> = report.secrets.iter().collect();
    by_age.sort_by_key(|secret| secret.updated_at);
    let unending: Vec<&SecretState> = by_age.iter().copied().filter(|secret| secret.expires_at.is_none()).collect();
    html! {
        section #age aria-labelledby="age-title" {
            h2 #age-title { "Age of values" }
            p { "How long ago the present values were set. Re-encryption and edits of tags don't make a value younger." }
            @if by_age.is_empty() {
                (nothing("There are no secrets."))
            } @else {
                (histogram(report))
                h3 { "The oldest" }
                (secrets("The oldest values", report.at, by_age.iter().take(OLDEST)))
                h3 { "Without an expiry" }
                @if unending.is_empty() {
                    (nothing("Every secret has a day on which its credential expires."))
                } @else {
                    p { (some(unending.len(), "secret has", "secrets have")) " none: nothing says when a credential ends that nobody replaces." }
                    (secrets("Secrets without an expiry, the oldest values first", report.at, unending.iter().take(NAMED)))
                    (rest(unending.len(), NAMED, "vsecure list --no-expiry"))
                }
            }
        }
    }
}

fn histogram(report: &Report) -> Markup {
    let bucket = |secret: &SecretState| AGES.iter().position(|(days, _)| (report.at - secret.updated_at) / DAY < *days);
    let buckets: Vec<Option<usize>> = report.secrets.iter().map(bucket).collect();
    let counts: Vec<usize> =
        (0..AGES.len()).map(|at| buckets.iter().filter(|bucket| **bucket == Some(at)).count()).collect();
    let most = counts.iter().copied().max().unwrap_or_default().max(1);
    let rows: Vec<Markup> = AGES
        .iter()
        .zip(counts)
        .map(|((_, name), count)| {
            html! {
                tr {
                    th scope="row" { (name) }
                    td { (count) }
                    td {
                        svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true" {
                            @if count > 0 { rect.bar x="0" y="3" width=((count * 1000 / most).max(6)) height="14" {} }
                        }
                        span.hidden { (count * 100 / report.secrets.len().max(1)) " percent of all" }
                    }
                }
            }
        })
        .collect();
    table("Secrets by the age of their values", "bars", &["Age", "Secrets", "Share"], &rows)
}

fn secrets<'a>(caption: &str, now: Timestamp, some: impl Iterator<Item = &'a &'a SecretState>) -> Markup {
    let row = |secret: &&SecretState| {
        html! {
            tr {
                th scope="row" { code { (secret.path) } }
                td { "v" (secret.version) }
                td.day { (date(secret.updated_at)) span.who { (age(now, secret.updated_at)) } }
                td.day { @if let Some(at) = secret.expires_at { (date(at)) } @else { "never" } }
                td.day { @if let Some(at) = secret.rotation_due { (date(at)) } @else { "not planned" } }
                td { @if let Some(owner) = &secret.owner { (owner) } }
            }
        }
    };
    let rows: Vec<Markup> = some.map(row).collect();
    table(caption, "secrets", &["Secret", "Version", "Set on", "Expires", "Rotation due", "Owner"], &rows)
}

pub fn findings(report: &Report) -> Markup {
    let found = &report.verification;
    let mut findings: Vec<&Finding> = found.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let row = |finding: &&Finding| {
        let (weight, word) = match finding.level {
            Level::Error => (Weight::Act, "error"),
            Level::Warning => (Weight::Look, "warning"),
        };
        html! {
            tr {
                td { (tag(weight, word)) }
                th scope="row" { code { (finding.file) } }
                td { (finding.message) span.who { (finding.rule) } }
                td { (helps(finding)) }
            }
        }
    };
    let rows: Vec<Markup> = findings.iter().take(ROWS).map(row).collect();
    html! {
        section #findings aria-labelledby="findings-title" {
            h2 #findings-title { "Findings" }
            p {
                "What " code { "vsecure verify" } " found in the whole store, without a private key: "
                (some(usize::try_from(found.epochs).unwrap_or(usize::MAX), "policy epoch", "policy epochs")) ", "
                (some(found.secrets, "secret", "secrets")) " (deleted ones too) and " (some(found.grants, "grant", "grants")) " were checked."
            }
            @if rows.is_empty() {
                (nothing("Signatures, hashes, recipients and the history hold."))
            } @else {
                (table("Findings, errors first", "findings", &["Level", "File", "What was found", "What helps"], &rows))
                (rest(findings.len(), rows.len(), "vsecure verify"))
            }
            @if !found.unchecked.is_empty() {
                h3 { "Not checked" }
                ul { @for what in &found.unchecked { li { (what) } } }
            }
        }
    }
}

/// What helps: the command first, where there is one, and then what it does.
fn helps(finding: &Finding) -> Markup {
    let text = remedy(&finding.rule, &finding.file);
    match text.split_once("   ") {
        Some((command, what)) => html! { code.short { (command) } " " (what) },
        None => html! { (text) },
    }
}

/// How much waits for somebody, of all kinds.
pub const fn pending_count(report: &Report) -> usize {
    report.pending.len() + report.begun.len() + report.uncommitted.len()
}

/// What waits for somebody, in words.
pub fn pending_words(report: &Report) -> String {
    let begun = some(report.begun.len(), "rotation", "rotations");
    format!("{} to encrypt anew, {begun} begun, {} not committed", report.pending.len(), report.uncommitted.len())
}

pub fn pending(report: &Report) -> Markup {
    let row = |it: &Pending| {
        let who: Vec<&str> = it.who.iter().map(AsRef::as_ref).collect();
        html! {
            tr {
                th scope="row" { code { (it.path) } }
                td { @if who.is_empty() { "nobody" } @else { (who.join(" or ")) } }
                td { @if who.is_empty() { "a writer has to set a new value" } @else { code.short { "vsecure rekey" } } }
            }
        }
    };
    let rows: Vec<Markup> = report.pending.iter().take(ROWS).map(row).collect();
    let uncommitted: Vec<String> = report.uncommitted.iter().take(NAMED).map(ToString::to_string).collect();
    html! {
        section #pending aria-labelledby="pending-title" {
            h2 #pending-title { "Pending work" }
            p {
                "Values that are encrypted to others than may read them now, rotations that were begun and are to be finished or given up, and \
                 changes that no commit has."
            }
            @if rows.is_empty() {
                (nothing("Every value is encrypted to those who may read it."))
            } @else {
                (table("Values that wait for re-encryption", "pending", &["Secret", "Who can", "How"], &rows))
                (rest(report.pending.len(), rows.len(), "vsecure access:check"))
            }
            @if !report.begun.is_empty() {
                h3 { "Rotations that were begun" }
                (begun(report))
            }
            @if !uncommitted.is_empty() {
                h3 { "Not committed" }
                ul { @for path in &uncommitted { li { code { (path) } } } }
                (rest(report.uncommitted.len(), uncommitted.len(), "git status"))
            }
        }
    }
}

fn begun(report: &Report) -> Markup {
    let row = |it: &BegunRotation| {
        let who: Vec<&str> = it.who.iter().map(AsRef::as_ref).collect();
        html! {
            tr {
                th scope="row" { code { (it.path) } }
                td { "v" (it.version) }
                td.day { (date(it.since)) span.who { (distance(report.at, it.since)) ", by " (it.author) } }
                td { @if who.is_empty() { "nobody" } @else { (who.join(" or ")) } }
                td { code.short { "vsecure rotation:run " (it.path) } " goes on; " code.short { "rotation:cancel" } " gives up" }
            }
        }
    };
    let rows: Vec<Markup> = report.begun.iter().take(ROWS).map(row).collect();
    html! {
        (table(
            "Rotations between the old value and the new one",
            "begun",
            &["Secret", "Version", "Begun on", "Who can go on", "How"],
            &rows,
        ))
        (rest(report.begun.len(), rows.len(), "vsecure rotation:status"))
    }
}
