//! *Who can do what*: members against rules. A rule lets a member do the same with each secret that it decides about, so that the table
//! is as large as the policy and not as the store.

use maud::{Markup, html};
use vsecure::model::{MemberName, OnExpired};
use vsecure::policy::Action;
use vsecure::vault::{GrantEntry, Report, RuleReach};

use super::parts::{ROWS, Weight, date, distance, framed, nothing, rest, some, table, tag};

/// How many rules one table has: more don't fit on a sheet of paper.
const COLUMNS: usize = 6;
/// How many rules are shown at most.
const RULES: usize = 60;
/// How many places of a rule are named.
const PLACES: usize = 12;
const SIGNS: [(Action, &str, &str); 4] = [
    (Action::Read, "r", "read"),
    (Action::Write, "w", "write"),
    (Action::Delete, "d", "delete"),
    (Action::Grant, "g", "grant"),
];

pub fn section(report: &Report) -> Markup {
    let rules: Vec<&RuleReach> = report.rules.iter().take(RULES).collect();
    let groups = rules.chunks(COLUMNS);
    html! {
        section #access aria-labelledby="access-title" {
            h2 #access-title { "Who can do what" }
            p {
                "The most specific rule decides about a secret, alone. What no rule lets them, not even admins may do. Who may read is who \
                 a value is encrypted to."
            }
            ul.legend {
                @for (_, class, word) in SIGNS { li { span.may aria-hidden="true" { (sign(class)) } (word) } }
                li { "(grant: let others read for a time)" }
            }
            @for (number, group) in groups.enumerate() { (members(report, group, number)) }
            (rest(report.rules.len(), rules.len(), "vsecure policy:show"))
            (rest(report.members.len(), ROWS, "vsecure members:list"))
            h3 { "What the rules decide about" }
            (reaches(&rules))
            h3 { "Read for a time" }
            (grants(report))
        }
    }
}

fn members(report: &Report, group: &[&RuleReach], number: usize) -> Markup {
    let (from, to) = (number * COLUMNS + 1, number * COLUMNS + group.len());
    let caption = format!("Members, and what rules {from} to {to} of {} let them do", report.rules.len());
    let head = html! {
        tr {
            th scope="col" { "Member" }
            @for reach in group { th scope="col" { (title(reach)) span.count { (some(reach.secrets(), "secret", "secrets")) } } }
        }
    };
    let row = |(name, member): (&MemberName, &vsecure::model::Member)| {
        html! {
            tr {
                th scope="row" {
                    (name)
                    span.who { (member.email) }
                    @if !member.roles.is_empty() { span.who { "as " (list(&member.roles)) } }
                }
                @for reach in group { td { (may(reach.people.get(name).map_or(&[][..], Vec::as_slice))) } }
            }
        }
    };
    let rows: Vec<Markup> = report.members.iter().take(ROWS).map(row).collect();
    framed(&caption, "matrix", &head, &rows)
}

fn title(reach: &RuleReach) -> Markup {
    match &reach.rule {
        Some((pattern, _)) => html! { code { (pattern) } },
        None => html! { "no rule" },
    }
}

/// Four places, one an action, filled where it is allowed: the letters for the eye, words for ears.
fn may(allowed: &[Action]) -> Markup {
    let words: Vec<&str> = SIGNS.iter().filter(|sign| allowed.contains(&sign.0)).map(|sign| sign.2).collect();
    html! {
        span.hidden { @if words.is_empty() { "nothing" } @else { (words.join(", ")) } }
        span.may aria-hidden="true" {
            @for (action, class, _) in SIGNS {
                @if allowed.contains(&action) { (sign(class)) } @else { span {} }
            }
        }
    }
}

fn sign(class: &str) -> Markup {
    html! { span.on.(class) { (class.to_uppercase()) } }
}

fn reaches(rules: &[&RuleReach]) -> Markup {
    let row = |reach: &&RuleReach| {
        let more = reach.places.len().saturating_sub(PLACES);
        html! {
            tr {
                th scope="row" { (title(reach)) }
                td { (reach.secrets()) }
                td {
                    @if reach.places.is_empty() { "nothing yet" }
                    @for (number, (place, count)) in reach.places.iter().take(PLACES).enumerate() {
                        @if number > 0 { ", " }
                        code.short { (place) } " " (count)
                    }
                    @if more > 0 { " and " (some(more, "other place", "other places")) }
                }
                td { (terms(reach)) }
            }
        }
    };
    let rows: Vec<Markup> = rules.iter().map(row).collect();
    table(
        "Rules, and how many secrets each decides about, by environment and folder",
        "reach",
        &["Rule", "Secrets", "Where", "Terms"],
        &rows,
    )
}

fn terms(reach: &RuleReach) -> String {
    let Some((_, rule)) = &reach.rule else { return "nobody may do anything with them".to_owned() };
    let refuses = (rule.on_expired == Some(OnExpired::Refuse)).then(|| "expired values are refused".to_owned());
    let longest = rule.max_grant.map(|longest| format!("grants of at most {longest}"));
    refuses.into_iter().chain(longest).collect::<Vec<_>>().join("; ")
}

fn grants(report: &Report) -> Markup {
    if report.grants.is_empty() {
        return nothing("Nobody reads by a grant, and no grant that ended left a key behind.");
    }
    let row = |entry: &GrantEntry| {
        let grant = &entry.grant;
        let (weight, word) = match (entry.in_force, entry.holds_key) {
            (true, true) => (Weight::Look, "reads"),
            (true, false) => (Weight::Plain, "waits for a key"),
            (false, _) => (Weight::Act, "overdue"),
        };
        html! {
            tr {
                th scope="row" { code { (grant.path) } }
                td { (grant.grantee) }
                td.day { (date(grant.expires_at)) span.who { (distance(report.at, grant.expires_at)) } }
                td { (tag(weight, word)) }
                td { (grant.author) }
                td { @if let Some(reason) = &grant.reason { (reason) } }
            }
        }
    };
    let rows: Vec<Markup> = report.grants.iter().take(ROWS).map(row).collect();
    html! {
        (table("Grants, the first to end first", "grants", &["Secret", "Who", "Until", "State", "Granted by", "Reason"], &rows))
        (rest(report.grants.len(), rows.len(), "vsecure access:grants"))
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
