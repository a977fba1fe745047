//! What the sections of a page are made of: tables in regions that scroll by themselves, days, tags, and words for what is left out.

use maud::{Markup, html};
use vsecure::model::Timestamp;

use crate::output::day;

/// How many rows a table has at most: a page has an end, however large a store is.
pub const ROWS: usize = 100;
const DAY: i64 = 24 * 3600;

/// How much something matters: a word that people read, and a class that gives it a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Good,
    Look,
    Act,
    Plain,
}

impl Weight {
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Look => "look",
            Self::Act => "act",
            Self::Plain => "plain",
        }
    }
}

/// A word in a coloured frame.
pub fn tag(weight: Weight, word: &str) -> Markup {
    html! { span.tag.(weight.class()) { (word) } }
}

/// A table with a caption, in a region of its own that scrolls where it is too wide for the page.
pub fn table(caption: &str, class: &str, headings: &[&str], rows: &[Markup]) -> Markup {
    let head = html! { tr { @for heading in headings { th scope="col" { (heading) } } } };
    framed(caption, class, &head, rows)
}

/// As [`table`], with a head of one's own.
pub fn framed(caption: &str, class: &str, head: &Markup, rows: &[Markup]) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table.(class) {
                caption { span { (caption) } }
                thead { (head) }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

/// That there is nothing of a kind.
pub fn nothing(text: &str) -> Markup {
    html! { p.none { (tag(Weight::Good, "none")) span { (text) } } }
}

/// How many rows a page does not show, and where they are.
pub fn rest(total: usize, shown: usize, command: &str) -> Markup {
    html! {
        @if total > shown {
            p.note { (total - shown) " more are not shown here: " code { (command) } " lists them." }
        }
    }
}

/// A day, with the moment for programs.
pub fn date(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (day(at)) } }
}

/// How far `at` is from `now`, in words.
pub fn distance(now: Timestamp, at: Timestamp) -> String {
    let seconds = at - now;
    let length = match (seconds.abs() / DAY, seconds.abs() / 3600) {
        (0, 0) => "less than an hour".to_owned(),
        (0, hours) => some(usize::try_from(hours).unwrap_or_default(), "hour", "hours"),
        (days, _) => some(usize::try_from(days).unwrap_or_default(), "day", "days"),
    };
    if seconds > 0 { format!("in {length}") } else { format!("{length} ago") }
}

/// A number with its noun.
pub fn some(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// How old a value is, in words.
pub fn age(now: Timestamp, since: Timestamp) -> String {
    let days = usize::try_from((now - since).max(0) / DAY).unwrap_or_default();
    if days < 730 { some(days, "day", "days") } else { some(days / 365, "year", "years") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_ages_are_words() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-25T12:00:00Z");
        assert_eq!(distance(now, at("2026-11-26T13:00:00Z")), "in 1 day");
        assert_eq!(distance(now, at("2026-11-25T15:00:00Z")), "in 3 hours");
        assert_eq!(distance(now, now), "less than an hour ago");
        assert_eq!(distance(now, at("2026-11-01T12:00:00Z")), "24 days ago");
        assert_eq!(age(now, at("2026-11-01T12:00:00Z")), "24 days");
        assert_eq!(age(now, at("2023-11-01T12:00:00Z")), "3 years");
        assert_eq!(age(now, at("2027-11-01T12:00:00Z")), "0 days", "by a clock that is ahead");
    }
}
