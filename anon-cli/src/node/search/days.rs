//! The days of a range of dates, for `--split days`.

use crate::clock;

/// The most days of a range: no archive is older than DICOM's predecessors by far.
const MAX_DAYS: usize = 100_000;

/// Returns each day of a date `YYYYMMDD` or a range `YYYYMMDD-YYYYMMDD`. A range without an end ends
/// today.
///
/// # Errors
/// What is wrong with the range.
pub(super) fn of_range(range: &str) -> Result<Vec<String>, &'static str> {
    let today = || {
        let now = clock::now();
        let digits = now.chars().filter(char::is_ascii_digit);
        digits.take(8).collect::<String>()
    };
    let (first, last) = match range.trim().split_once('-') {
        Some(("", _)) => return Err("--split days needs a first date: --study-date FROM-TO"),
        Some((first, "")) => (first, today()),
        Some((first, last)) => (first, last.to_owned()),
        None => (range.trim(), range.trim().to_owned()),
    };
    let (Some(mut day), Some(last)) = (Date::of(first), Date::of(&last)) else {
        return Err("--split days needs dates of the calendar: --study-date YYYYMMDD-YYYYMMDD");
    };
    let mut days = Vec::new();
    while day <= last {
        if days.len() == MAX_DAYS {
            return Err("--split days allows 100,000 days: choose a later first date");
        }
        days.push(day.text());
        day = day.next();
    }
    Ok(days)
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    fn of(text: &str) -> Option<Self> {
        let day = Self {
            year: text.get(..4)?.parse().ok()?,
            month: text.get(4..6)?.parse().ok()?,
            day: text.get(6..)?.parse().ok()?,
        };
        let is_real = (1..=12).contains(&day.month) && (1..=day.month_length()).contains(&day.day);
        is_real.then_some(day)
    }

    fn month_length(self) -> u8 {
        let is_leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn next(self) -> Self {
        if self.day < self.month_length() {
            let day = self.day + 1;
            Self { day, ..self }
        } else if self.month < 12 {
            let month = self.month + 1;
            Self {
                month,
                day: 1,
                ..self
            }
        } else {
            let year = self.year + 1;
            Self {
                year,
                month: 1,
                day: 1,
            }
        }
    }

    fn text(self) -> String {
        let Self { year, month, day } = self;
        format!("{year:04}{month:02}{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_a_range_is_listed() {
        for (range, days) in [
            ("20240229", &["20240229"][..]),
            (
                "20240227-20240302",
                &["20240227", "20240228", "20240229", "20240301", "20240302"],
            ),
            ("19001231-19010101", &["19001231", "19010101"]),
            ("19000228-19000301", &["19000228", "19000301"]),
        ] {
            assert_eq!(of_range(range).unwrap(), days, "{range}");
        }
        let until_today = of_range("20240101-").unwrap();
        assert_eq!(until_today.first().map(String::as_str), Some("20240101"));
        assert!(until_today.len() > 366);
        for range in ["-20240101", "20230229-20230301", "yesterday", "00010101-"] {
            assert!(of_range(range).is_err(), "{range}");
        }
    }
}
