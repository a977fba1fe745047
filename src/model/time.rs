//! Moments in whole seconds of UTC, and spans such as `30d`.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};

/// Why a text is not a time or a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a date or time.
    #[error("not a date: write 2027-01-31 or 2027-01-31T12:00:00Z (RFC 3339)")]
    NotATime,
    /// Not a span.
    #[error("not a duration: write a number with s, m, h, d or w, such as 30d, 12h or 1h30m")]
    NotASpan,
    /// A span of nothing.
    #[error("a duration of zero makes no sense here")]
    ZeroSpan,
    /// Past the year 9999 or before 1970.
    #[error("that is outside the years 1970 to 9999")]
    OutOfRange,
}

/// A moment, in whole seconds of UTC, between the years 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const LAST_SECOND: i64 = 253_402_300_799;

impl Timestamp {
    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside the years 1970 to 9999.
    pub fn from_unix(seconds: i64) -> Result<Self, TimeError> {
        if (0..=LAST_SECOND).contains(&seconds) { Ok(Self(seconds)) } else { Err(TimeError::OutOfRange) }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The moment as chrono knows it.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap_or_default()
    }

    /// The moment after `span`.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] past the year 9999.
    pub fn checked_add(self, span: Span) -> Result<Self, TimeError> {
        Self::from_unix(self.0.saturating_add(span.0))
    }

    /// Parses the one spelling that documents use: `2026-11-24T03:00:00Z`.
    ///
    /// # Errors
    /// [`TimeError::NotATime`] for every other spelling.
    pub fn from_canonical(text: &str) -> Result<Self, TimeError> {
        let time: Self = text.parse()?;
        if time.to_string() == text { Ok(time) } else { Err(TimeError::NotATime) }
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    /// Saturates at the end of the year 9999.
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0).clamp(0, LAST_SECOND))
    }
}

impl Sub for Timestamp {
    type Output = i64;

    /// Seconds from `earlier` to this moment.
    fn sub(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// RFC 3339, or a date alone, which means its first second in UTC. Fractions of a second are dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            let midnight = date.and_hms_opt(0, 0, 0).ok_or(TimeError::NotATime)?;
            return Self::from_unix(midnight.and_utc().timestamp());
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimeError::NotATime)?;
        Self::from_unix(time.timestamp())
    }
}

/// A span of at least one second: `30d`, `12h`, `90m`, `45s`, `2w`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

const UNITS: [(char, i64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// A span of `seconds`, unless that is not positive.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        (seconds > 0).then_some(Self(seconds))
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The same as chrono's type.
    #[must_use]
    pub fn to_delta(self) -> TimeDelta {
        TimeDelta::seconds(self.0)
    }
}

impl fmt::Display for Span {
    /// Days and smaller, without zeros: `14d`, `1h30m`. Weeks are accepted and shown as days.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, size) in UNITS.into_iter().skip(1) {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut total: i64 = 0;
        let mut units = UNITS.into_iter();
        let mut rest = text;
        if rest.is_empty() {
            return Err(TimeError::NotASpan);
        }
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or(TimeError::NotASpan)?;
            let (digits, tail) = rest.split_at(end);
            let mut chars = tail.chars();
            let unit = chars.next().ok_or(TimeError::NotASpan)?;
            // Units come in falling order, each at most once: the iterator is never rewound.
            let (_, size) = units.by_ref().find(|(name, _)| *name == unit).ok_or(TimeError::NotASpan)?;
            let count: i64 = digits.parse().map_err(|_| TimeError::NotASpan)?;
            let part = count.checked_mul(size).ok_or(TimeError::OutOfRange)?;
            total = total.checked_add(part).ok_or(TimeError::OutOfRange)?;
            rest = chars.as_str();
        }
        if total > LAST_SECOND {
            return Err(TimeError::OutOfRange);
        }
        Self::from_seconds(total).ok_or(TimeError::ZeroSpan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_of_the_guide_parse() {
        for (text, seconds) in
            [("30d", 2_592_000), ("12h", 43_200), ("90m", 5_400), ("45s", 45), ("2w", 1_209_600), ("1h30m", 5_400)]
        {
            assert_eq!(text.parse::<Span>().map(Span::seconds), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn malformed_spans_are_refused() {
        for text in
            ["", "30", "d", "3 d", "-3d", "+3d", "3x", "1m1h", "1h1h", "1.5h", "3D", "9999999999999999999d", "1h "]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!("0s".parse::<Span>(), Err(TimeError::ZeroSpan));
        assert_eq!("99999999w".parse::<Span>(), Err(TimeError::OutOfRange));
    }

    #[test]
    fn times_parse_as_rfc_3339_or_a_date() {
        for (text, shown) in [
            ("2026-11-24", "2026-11-24T00:00:00Z"),
            ("2026-11-24T03:00:00Z", "2026-11-24T03:00:00Z"),
            ("2026-11-24T05:00:00.25+02:00", "2026-11-24T03:00:00Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().map(|t| t.to_string()), Ok(shown.to_owned()));
        }
        for text in ["", "tomorrow", "2026-13-01", "2026-11-24T03:00:00", "1969-12-31", "+12026-01-01"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert!(Timestamp::from_canonical("2026-11-24T05:00:00+02:00").is_err());
        assert!(Timestamp::from_canonical("2026-11-24").is_err());
    }

    proptest! {
        #[test]
        fn a_span_round_trips(seconds in 1i64..LAST_SECOND) {
            let span = Span(seconds);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn a_time_round_trips(seconds in 0i64..=LAST_SECOND) {
            let time = Timestamp(seconds);
            prop_assert_eq!(Timestamp::from_canonical(&time.to_string()), Ok(time));
        }

        #[test]
        fn the_span_grammar_is_total(text in ".{0,12}") {
            let _ = text.parse::<Span>();
        }
    }
}
