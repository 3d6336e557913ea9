//! Dates as numbers: what has passed since 1970-01-01T00:00:00, or one part of the date.
//!
//! A cell is `2026-03-31`, or that with a time behind `T` or a space: `14:05`, `14:05:59`, `14:05:59.25`, and `Z` behind it. Times are
//! taken as they stand: another zone is refused, since a column that mixes zones has no order that can be told here.

use serde::{Deserialize, Serialize};

/// What of a date is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateUnit {
    /// days since 1970, with a fraction for the time
    #[default]
    Days,
    Hours,
    Seconds,
    Year,
    /// from 1
    Month,
    /// of the month, from 1
    Day,
    /// from 0, which is Monday
    Weekday,
    /// of the year, from 1
    YearDay,
    /// of the day, from 0, with a fraction for the minutes
    Hour,
}

impl DateUnit {
    /// The names by which configs know them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("days", Self::Days),
        ("hours", Self::Hours),
        ("seconds", Self::Seconds),
        ("year", Self::Year),
        ("month", Self::Month),
        ("day", Self::Day),
        ("weekday", Self::Weekday),
        ("year-day", Self::YearDay),
        ("hour", Self::Hour),
    ];

    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, unit)| *unit == self).map_or("days", |(name, _)| name)
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `days_from_civil`: years begin in March, so that the leap day is the last of a year, in eras of 400 years.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next.0, next.1, 1) - days_from_civil(year, month, 1)
}

/// Two or four digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// The number of a cell, or none where it is no date.
pub(super) fn read(cell: &str, unit: DateUnit) -> Option<f64> {
    let (day_text, time) = match cell.split_once(['T', ' ']) {
        Some((day, time)) => (day, Some(time)),
        None => (cell, None),
    };
    let mut parts = day_text.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let is_day = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day) && parts.next().is_none();
    if !is_day {
        return None;
    }
    let seconds = time.map_or(Some(0.0), seconds_of)?;
    let days = days_from_civil(year, month, day);
    Some(match unit {
        DateUnit::Days => days as f64 + seconds / 86_400.0,
        DateUnit::Hours => days as f64 * 24.0 + seconds / 3600.0,
        DateUnit::Seconds => days as f64 * 86_400.0 + seconds,
        DateUnit::Year => year as f64,
        DateUnit::Month => month as f64,
        DateUnit::Day => day as f64,
        // 1970-01-01 was a Thursday.
        DateUnit::Weekday => (days + 3).rem_euclid(7) as f64,
        DateUnit::YearDay => (days - days_from_civil(year, 1, 1) + 1) as f64,
        DateUnit::Hour => seconds / 3600.0,
    })
}

/// The seconds of a day that a time of it is.
fn seconds_of(time: &str) -> Option<f64> {
    let time = time.strip_suffix('Z').unwrap_or(time);
    let mut parts = time.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = match parts.next() {
        None => 0.0,
        Some(text) => {
            let whole = text.split('.').next().and_then(|whole| digits(whole, 2))?;
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            text.parse::<f64>().ok().filter(|_| is_plain && whole < 60)?
        }
    };
    let is_time = hour < 24 && minute < 60 && parts.next().is_none();
    is_time.then_some((hour * 3600 + minute * 60) as f64 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        let days = |cell| read(cell, DateUnit::Days);
        assert_eq!(days("1970-01-01"), Some(0.0));
        assert_eq!(days("1969-12-31"), Some(-1.0));
        // From Python's datetime.
        assert_eq!(days("2026-03-31"), Some(20_543.0));
        assert_eq!(days("2000-02-29T12:00"), Some(11_016.5));
        assert_eq!(read("2026-03-31 14:05:59.5", DateUnit::Seconds), Some(1_774_965_959.5));
        for no_date in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-01-01",
            "2026-1-1",
            "2026-01-01T24:00",
            "x",
            "2026-01-01T10:00+02:00",
            "2026-01-01-01",
        ] {
            assert_eq!(days(no_date), None, "{no_date}");
        }
    }

    #[test]
    fn parts_of_a_date() {
        let parts: Vec<f64> =
            DateUnit::NAMES.iter().skip(3).filter_map(|(_, unit)| read("2024-12-31T06:30Z", *unit)).collect();
        assert_eq!(parts, [2024.0, 12.0, 31.0, 1.0, 366.0, 6.5]);
    }
}
