//! *Calendar*: what falls due in the months ahead, as a picture of each month and as a table that says the same in words.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Months, NaiveDate};
use maud::{Markup, html};
use vsecure::model::Timestamp;
use vsecure::vault::{Deadline, DeadlineKind, Nearness, Report};

use super::parts::{ROWS, Weight, date, distance, nothing, rest, some, table, tag};

/// How many months are drawn at most.
const MONTHS: u32 = 12;
/// Width and height of a day.
const SIDE: u32 = 30;
const WEEK: [&str; 7] = ["M", "T", "W", "T", "F", "S", "S"];
const KINDS: [DeadlineKind; 4] =
    [DeadlineKind::Expiry, DeadlineKind::Rotation, DeadlineKind::Grant, DeadlineKind::Acknowledgement];

/// What falls due, in words.
pub const fn kind_words(kind: DeadlineKind) -> &'static str {
    match kind {
        DeadlineKind::Expiry => "credential expires",
        DeadlineKind::Rotation => "new value due",
        DeadlineKind::Grant => "grant ends",
        DeadlineKind::Acknowledgement => "debt counts as open again",
    }
}

const fn letter(kind: DeadlineKind) -> &'static str {
    match kind {
        DeadlineKind::Expiry => "E",
        DeadlineKind::Rotation => "R",
        DeadlineKind::Grant => "G",
        DeadlineKind::Acknowledgement => "A",
    }
}

const fn class(kind: DeadlineKind) -> &'static str {
    match kind {
        DeadlineKind::Expiry => "e",
        DeadlineKind::Rotation => "r",
        DeadlineKind::Grant => "g",
        DeadlineKind::Acknowledgement => "a",
    }
}

pub fn section(report: &Report) -> Markup {
    html! {
        section #calendar aria-labelledby="calendar-title" {
            h2 #calendar-title { "Calendar" }
            p { "When credentials expire, when values are due to be rotated, and when grants and notes about debts end. Days are in UTC." }
            @if report.deadlines.is_empty() {
                (nothing("No secret has an expiry or a rotation, and no grant is in force."))
            } @else {
                (months(report))
                (days(report))
            }
        }
    }
}

fn day_of(at: Timestamp) -> NaiveDate {
    at.to_utc().date_naive()
}

/// What falls due on each day to come.
type Days = BTreeMap<NaiveDate, BTreeMap<DeadlineKind, usize>>;

fn months(report: &Report) -> Markup {
    let today = day_of(report.at);
    let mut days = Days::new();
    for deadline in report.deadlines.iter().filter(|it| day_of(it.at) >= today) {
        *days.entry(day_of(deadline.at)).or_default().entry(deadline.kind).or_default() += 1;
    }
    let months = firsts(today, &days);
    let beyond = months.last().and_then(|first| first.checked_add_months(Months::new(1)));
    let later: usize = beyond.map_or(0, |end| days.range(end..).flat_map(|(_, kinds)| kinds.values()).sum());
    html! {
        @if !months.is_empty() {
            ul.legend aria-hidden="true" {
                @for kind in KINDS { li { (sample(kind)) (kind_words(kind)) } }
                li { "a number: so many on that day" }
            }
            div.months { @for first in &months { (month(*first, today, &days)) } }
        }
        @if later > 0 { p.note { (some(later, "day falls", "days fall")) " due after these months." } }
    }
}

/// The first days of this month and those after it, as far as something falls due.
fn firsts(today: NaiveDate, days: &Days) -> Vec<NaiveDate> {
    let Some(last) = days.keys().next_back() else { return Vec::new() };
    let Some(first) = today.with_day(1) else { return Vec::new() };
    let all = (0..MONTHS).filter_map(|number| first.checked_add_months(Months::new(number)));
    all.take_while(|month| month <= last).collect()
}

fn sample(kind: DeadlineKind) -> Markup {
    html! {
        svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" {
            g.(class(kind)) {
                rect.cell x="1" y="1" width="18" height="18" rx="4" {}
                text.mark x="10" y="14.5" { (letter(kind)) }
            }
        }
    }
}

fn month(first: NaiveDate, today: NaiveDate, days: &Days) -> Markup {
    let name = first.format("%B %Y").to_string();
    let dates: Vec<NaiveDate> = first.iter_days().take_while(|date| date.month() == first.month()).collect();
    let due: Vec<(&NaiveDate, &BTreeMap<DeadlineKind, usize>)> =
        dates.iter().filter_map(|date| Some((date, days.get(date)?))).collect();
    let count: usize = due.iter().flat_map(|(_, kinds)| kinds.values()).sum();
    let lead = first.weekday().num_days_from_monday();
    let weeks = (lead + u32::try_from(dates.len()).unwrap_or(31)).div_ceil(7);
    let height = weeks * SIDE + 18;
    let id = first.format("month-%Y-%m").to_string();
    let words: Vec<String> = due.iter().map(|(date, kinds)| format!("{}: {}", date.day(), spoken(kinds))).collect();
    html! {
        figure {
            figcaption { (first.format("%b %Y")) span { @if count == 0 { "none due" } @else { (count) " due" } } }
            svg viewBox={ "0 0 " (7 * SIDE) " " (height) } role="img" aria-labelledby={ (id) "-t " (id) "-d" } {
                title id={ (id) "-t" } { (name) }
                desc id={ (id) "-d" } { @if words.is_empty() { "Nothing falls due." } @else { (words.join("; ")) } }
                @for (number, letter) in (0_u32..).zip(WEEK) { text.wd x=(number * SIDE + SIDE / 2) y="11" { (letter) } }
                @for date in &dates { (cell(*date, lead, today, days.get(date))) }
            }
        }
    }
}

/// What falls due on a day, in words.
fn spoken(kinds: &BTreeMap<DeadlineKind, usize>) -> String {
    kinds.iter().map(|(kind, count)| format!("{} ({count})", kind_words(*kind))).collect::<Vec<_>>().join(", ")
}

fn cell(date: NaiveDate, lead: u32, today: NaiveDate, due: Option<&BTreeMap<DeadlineKind, usize>>) -> Markup {
    let place = lead + date.day0();
    let (x, y) = (place % 7 * SIDE, place / 7 * SIDE + 18);
    let group = match due.map(|kinds| kinds.keys().copied().collect::<Vec<_>>()).as_deref() {
        None => "",
        Some([kind]) => class(*kind),
        Some(_) => "m",
    };
    let mark = due.map(mark);
    html! {
        g.(group) {
            rect.cell x=(x + 1) y=(y + 1) width=(SIDE - 2) height=(SIDE - 2) rx="4" {}
            @match &mark {
                Some(mark) => {
                    text.dn x=(x + SIDE / 2) y=(y + 12) { (date.day()) }
                    text.mark x=(x + SIDE / 2) y=(y + 25) { (mark) }
                }
                None => { text.dn x=(x + SIDE / 2) y=(y + 19) { (date.day()) } }
            }
            @if date == today { rect.now x=(x + 1) y=(y + 1) width=(SIDE - 2) height=(SIDE - 2) rx="4" {} }
        }
    }
}

/// The letters of what falls due on a day, or how much it is where they don't fit.
fn mark(kinds: &BTreeMap<DeadlineKind, usize>) -> String {
    let count: usize = kinds.values().sum();
    let letters: String = kinds.keys().map(|kind| letter(*kind)).collect();
    match (kinds.len(), count) {
        (1, 1) | (2, 2) => letters,
        (1, 2..=9) => format!("{letters}{count}"),
        (_, 1000..) => ">999".to_owned(),
        _ => count.to_string(),
    }
}

fn days(report: &Report) -> Markup {
    let row = |deadline: &Deadline| {
        let (weight, word) = match deadline.nearness {
            Nearness::Past if deadline.kind == DeadlineKind::Expiry => (Weight::Act, "expired"),
            Nearness::Past => (Weight::Act, "overdue"),
            Nearness::Soon => (Weight::Look, "soon"),
            Nearness::Later => (Weight::Plain, "later"),
        };
        html! {
            tr {
                td.day { (date(deadline.at)) span.who { (distance(report.at, deadline.at)) } }
                td { (kind_words(deadline.kind)) }
                th scope="row" { code { (deadline.path) } }
                td { @if let Some(who) = &deadline.who { (who) } }
                td { (tag(weight, word)) }
            }
        }
    };
    let rows: Vec<Markup> = report.deadlines.iter().take(ROWS).map(row).collect();
    html! {
        h3 { "Day by day" }
        (table("What falls due, the earliest first", "days", &["Day", "What", "Secret", "Owner or grantee", "State"], &rows))
        (rest(report.deadlines.len(), rows.len(), "vsecure report --json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_says_what_it_is_for_in_three_characters_or_so() {
        let mark = |kinds: &[(DeadlineKind, usize)]| mark(&kinds.iter().copied().collect());
        assert_eq!(mark(&[(DeadlineKind::Expiry, 1)]), "E");
        assert_eq!(mark(&[(DeadlineKind::Rotation, 3)]), "R3");
        assert_eq!(mark(&[(DeadlineKind::Expiry, 1), (DeadlineKind::Grant, 1)]), "EG");
        assert_eq!(mark(&[(DeadlineKind::Expiry, 2), (DeadlineKind::Grant, 1)]), "3");
        assert_eq!(mark(&[(DeadlineKind::Expiry, 12)]), "12");
        assert_eq!(mark(&[(DeadlineKind::Expiry, 10_000)]), ">999");
    }

    #[test]
    fn months_go_from_this_one_to_the_last_with_something_in_it() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let days = |last: &str| Days::from([(date(last), [(DeadlineKind::Expiry, 1)].into())]);
        let today = date("2026-11-30");
        assert_eq!(firsts(today, &days("2027-01-05")), ["2026-11-01", "2026-12-01", "2027-01-01"].map(date));
        assert_eq!(firsts(today, &days("2099-01-05")).len(), 12);
        assert_eq!(firsts(today, &Days::new()), [NaiveDate::MIN; 0]);
    }
}
