//! A report as one page for browsers, screen readers and paper: no script, nothing from elsewhere, no value.
//!
//! What comes from a repository is escaped for HTML by the macro that writes it, and whatever is invisible or turns text around is spelled out
//! in the finished page, so that no section can forget it. Pure: the report has all that is shown, the present moment too.

mod calendar;
mod matrix;
mod palette;
mod parts;
mod state;
mod style;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use vsecure::format::escape_lines;
use vsecure::model::Digest;
use vsecure::vault::{Report, Tally};

pub use calendar::kind_words;
use parts::{Weight, some, tag};
pub use state::pending_words;

const PROGRAM: &str = concat!("vsecure ", env!("CARGO_PKG_VERSION"));
const SECTIONS: [(&str, &str); 7] = [
    ("glance", "At a glance"),
    ("access", "Who can do what"),
    ("calendar", "Calendar"),
    ("debt", "Debt"),
    ("age", "Age of values"),
    ("findings", "Findings"),
    ("pending", "Pending work"),
];

/// The page; `scope` says which secrets it is about, where it is not about all.
pub fn render(report: &Report, scope: &[String]) -> String {
    let style = style::sheet();
    // Only this style sheet: what somebody might smuggle in can't even give itself a colour.
    let hash = STANDARD.encode(Digest::of(style.as_bytes()).as_bytes());
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { "State of the secret store, " (crate::output::day(report.at)) }
                style { (PreEscaped(style)) }
            }
            body {
                (header(report, scope))
                nav aria-label="Sections" { ul { @for (id, name) in SECTIONS { li { a href={ "#" (id) } { (name) } } } } }
                main {
                    (glance(report))
                    (matrix::section(report))
                    (calendar::section(report))
                    (state::debt(report))
                    (state::ages(report))
                    (state::findings(report))
                    (state::pending(report))
                }
                footer {
                    p {
                        "No value is on this page, and nothing that was made of one. It does name secrets and people, and says what is open: give it to \
                         those who may know that. Made by " (PROGRAM) " at " (report.at) "."
                    }
                }
            }
        }
    };
    escape_lines(&page.into_string()).into_owned()
}

fn header(report: &Report, scope: &[String]) -> Markup {
    html! {
        header {
            p.over { "vsecure report" }
            h1 { "State of the secret store" }
            dl.facts {
                dt { "Made" } dd { (report.at) " by " (PROGRAM) }
                @if !scope.is_empty() { dt { "Only" } dd { code { (scope.join(" ")) } " (findings are of the whole store)" } }
                dt { "Commit" }
                dd {
                    @match &report.commit { Some(commit) => code { (commit) }, None => "none" }
                    @if let Some(branch) = &report.branch { " on " code { (branch) } }
                }
                dt { "Policy" } dd { "epoch " (report.epoch) ", signed on " (parts::date(report.epoch_time)) }
                dt { "Store id" } dd { code { (report.store) } }
            }
        }
    }
}

/// One number of the summary.
struct Tile {
    count: usize,
    name: &'static str,
    more: String,
    /// What a number above none means.
    weight: Weight,
    section: &'static str,
}

fn glance(report: &Report) -> Markup {
    html! {
        section #glance aria-labelledby="glance-title" {
            h2 #glance-title { "At a glance" }
            ul.tiles { @for tile in tiles(report) { (tile.markup()) } }
        }
    }
}

fn tiles(report: &Report) -> [Tile; 10] {
    let it = report.tally();
    let Tally { secrets, members, .. } = it;
    let admins = report.members.values().filter(|member| member.is_admin()).count();
    let places = report.environments.iter().filter(|(_, count)| *count > 0).count();
    let tile = |count, name, more: String, weight, section| Tile { count, name, more, weight, section };
    let found = if it.errors > 0 { Weight::Act } else { Weight::Look };
    [
        tile(secrets, "secrets", format!("in {}", some(places, "environment", "environments")), Weight::Plain, "age"),
        tile(members, "members", format!("{} among them", some(admins, "admin", "admins")), Weight::Plain, "access"),
        tile(it.open_debts, "open debt", format!("{} acknowledged", it.acknowledged_debts), Weight::Act, "debt"),
        tile(it.expired, "expired", "credentials past their day".to_owned(), Weight::Act, "calendar"),
        tile(it.expiring, "expire soon", "within 30 days".to_owned(), Weight::Look, "calendar"),
        tile(it.rotation_overdue, "rotation overdue", format!("{} soon", it.rotation_soon), Weight::Act, "calendar"),
        tile(it.overdue_grants, "overdue grants", format!("{} in force", it.grants), Weight::Act, "access"),
        tile(it.errors + it.warnings, "findings", format!("{} of them errors", it.errors), found, "findings"),
        tile(state::pending_count(report), "pending work", pending_words(report), Weight::Act, "pending"),
        tile(it.no_expiry, "without expiry", format!("of {}", some(secrets, "secret", "secrets")), Weight::Look, "age"),
    ]
}

impl Tile {
    fn markup(&self) -> Markup {
        let (weight, word) = match self.weight {
            Weight::Plain => (Weight::Plain, "for information"),
            _ if self.count == 0 => (Weight::Good, "nothing to do"),
            Weight::Act => (Weight::Act, "to be done"),
            weight => (weight, "keep an eye on"),
        };
        html! {
            li.tile.(weight.class()) {
                b { (self.count) }
                a.name href={ "#" (self.section) } { (self.name) }
                span.more { (self.more) }
                (tag(weight, word))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vsecure::model::{Epoch, StoreId, Timestamp, Version};
    use vsecure::vault::{Deadline, DeadlineKind, Nearness, SecretState, Verification};

    use super::*;

    /// A report of one secret whose rotation is due in a week.
    fn report() -> Report {
        let at: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let due: Timestamp = "2026-12-02T12:00:00Z".parse().unwrap();
        let path: vsecure::model::SecretPath = "production/A".parse().unwrap();
        let deadline = Deadline {
            at: due,
            nearness: Nearness::Soon,
            kind: DeadlineKind::Rotation,
            path: path.clone(),
            who: Some("sre\u{202e}\u{7}<b>".to_owned()),
        };
        let secret = SecretState {
            path,
            version: Version::FIRST,
            updated_at: at,
            expires_at: None,
            rotation_due: Some(due),
            owner: None,
        };
        Report {
            at,
            store: StoreId::of_first_epoch(b"epoch 1"),
            epoch: Epoch::FIRST,
            epoch_time: at,
            commit: None,
            branch: None,
            uncommitted: Vec::new(),
            members: BTreeMap::new(),
            environments: Vec::new(),
            rules: Vec::new(),
            secrets: vec![secret],
            deadlines: vec![deadline],
            grants: Vec::new(),
            debts: Vec::new(),
            pending: Vec::new(),
            begun: Vec::new(),
            verification: Verification::default(),
        }
    }

    #[test]
    fn a_rotation_is_in_the_picture_in_words_and_in_the_table() {
        let page = render(&report(), &[]);
        for expected in [
            "<desc id=\"month-2026-12-d\">2: new value due (1)</desc>",
            ">R</text>",
            "<time datetime=\"2026-12-02T12:00:00Z\">2026-12-02</time><span class=\"who\">in 7 days</span>",
            "<span class=\"tag look\">soon</span>",
            "<span class=\"more\">1 soon</span>",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
    }

    #[test]
    fn whatever_is_shown_is_escaped_for_html_and_for_the_eye() {
        let page = render(&report(), &["--only <i>\u{200b}".to_owned()]);
        assert!(page.contains("sre\\u{202e}\\u{7}&lt;b&gt;") && page.contains("--only &lt;i&gt;\\u{200b}"), "{page}");
    }
}
