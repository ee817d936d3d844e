//! Dates as CTP reads and writes them.
//!
//! ```text
//! 20040119                 +1 ─► 20040120
//! 20040119072730.5         +1 ─► 20040120072730.5     what follows the date stays
//! 2004-01-19               +1 ─► 2004-01-20           a hyphen anywhere means this form
//! 20041332                 +0 ─► 20050201             months and days roll over
//! ```
//!
//! The calendar is the Gregorian one, and the Julian one before 1582-10-15.

/// The Julian day number of 1582-10-15.
const FIRST_GREGORIAN: i64 = 2_299_161;

const SECONDS_OF_DAY: f64 = 86_400.0;

/// A day: a Julian day number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day(i64);

impl Day {
    /// Returns the day of a date. Months and days beyond their ends roll over.
    pub(super) fn of(year: i64, month: i64, day: i64) -> Option<Self> {
        let in_range = |value: i64| (-100_000..=100_000).contains(&value);
        if ![year, month, day].into_iter().all(in_range) {
            return None;
        }
        let year = year + (month - 1).div_euclid(12);
        let month = (month - 1).rem_euclid(12) + 1;
        // The year begins in March, so that a leap day is its last.
        let before_march = i64::from(month < 3);
        let years = year + 4800 - before_march;
        let months = month + 12 * before_march - 3;
        let julian = day + (153 * months + 2) / 5 + 365 * years + years.div_euclid(4);
        let gregorian = julian - years.div_euclid(100) + years.div_euclid(400) - 32_045;
        if gregorian >= FIRST_GREGORIAN {
            Some(Self(gregorian))
        } else {
            Some(Self(julian - 32_083))
        }
    }

    /// Returns year, month and day.
    pub(super) fn date(self) -> (i64, i64, i64) {
        let correction = if self.0 >= FIRST_GREGORIAN {
            (((4 * self.0 + 274_277) / 146_097) * 3) / 4 - 38
        } else {
            0
        };
        let e = 4 * (self.0 + 1401 + correction) + 3;
        let h = 5 * (e.rem_euclid(1461) / 4) + 2;
        let day = h.rem_euclid(153) / 5 + 1;
        let month = (h / 153 + 2).rem_euclid(12) + 1;
        let year = e.div_euclid(1461) - 4716 + (14 - month) / 12;
        (year, month, day)
    }

    pub(super) fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Returns the days from another day to this one.
    pub(super) fn since(self, other: Self) -> i64 {
        self.0 - other.0
    }

    /// Returns `YYYYMMDD`. `None` if the year does not have four digits.
    pub(super) fn digits(self) -> Option<String> {
        let (year, month, day) = self.date();
        (0..=9999)
            .contains(&year)
            .then(|| format!("{year:04}{month:02}{day:02}"))
    }
}

/// Parses `YYYYMMDD` at the start of a text.
pub(super) fn day(text: &str) -> Option<Day> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<i64>().ok()).flatten()
    };
    Day::of(number(0, 4)?, number(4, 6)?, number(6, 8)?)
}

/// Parses `M/d/yyyy`.
pub(super) fn american_day(text: &str) -> Option<Day> {
    let mut parts = text.trim().split('/').map(|part| part.parse::<i64>().ok());
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    Day::of(year, month, day)
}

/// Moves each value of a date by some days. `None` if a value is no date.
pub(super) fn shift(text: &str, days: i64) -> Option<String> {
    change(text, |day| Some(day.plus(days)))
}

/// Replaces year, month and day of each value. `None` if a value is no date.
pub(super) fn modify(text: &str, fields: [Option<i64>; 3]) -> Option<String> {
    change(text, |day| {
        let (year, month, day) = day.date();
        let [new_year, new_month, new_day] = fields;
        Day::of(
            new_year.unwrap_or(year),
            new_month.unwrap_or(month),
            new_day.unwrap_or(day),
        )
    })
}

fn change(text: &str, to: impl Fn(Day) -> Option<Day>) -> Option<String> {
    if text.len() < 8 {
        return None;
    }
    let values: Option<Vec<String>> = text
        .split('\\')
        .map(|value| {
            let digits = to(parse(value)?)?.digits()?;
            let (year, rest) = digits.split_at_checked(4)?;
            let (month, day) = rest.split_at_checked(2)?;
            Some(if value.contains('-') {
                let rest = value.get(10..).unwrap_or("");
                format!("{year}-{month}-{day}{rest}")
            } else {
                format!("{digits}{}", value.get(8..).unwrap_or(""))
            })
        })
        .collect();
    values.map(|values| values.join("\\"))
}

/// Parses a value as CTP does: separators do not count, and a time may follow the date.
fn parse(value: &str) -> Option<Day> {
    let ignored = |char: char| matches!(char, '@' | ':' | 'T' | '-') || char.is_whitespace();
    let mut digits: String = value.chars().filter(|char| !ignored(*char)).collect();
    if let Some(rest) = digits.strip_prefix("00") {
        digits = format!("19{rest}");
    }
    let first = day(&digits)?;
    let time = digits.get(8..)?;
    let (time, _) = time.split_once('&').unwrap_or((time, ""));
    if time.is_empty() {
        return Some(first);
    }
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u32>().ok();
    let (hours, minutes) = (number(0, 2)?, number(2, 4)?);
    let seconds = match time.get(4..)? {
        "" => 0.0,
        text => text.parse::<f64>().ok().filter(|value| value.is_finite())?,
    };
    let all = f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + seconds;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float is cut off at its ends"
    )]
    let days = (all / SECONDS_OF_DAY).floor() as i64;
    Some(first.plus(days.clamp(-100_000, 100_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_moved_as_ctp_moves_them() {
        let table = [
            ("20040119", -3210, Some("19950406")),
            ("20040229", 365, Some("20050228")),
            ("20040230", 0, Some("20040301")),
            ("20041332", 0, Some("20050201")),
            ("00040119", 1, Some("19040120")),
            ("2004-01-19", 1, Some("2004-01-20")),
            ("2004.01.19", 1, None),
            ("2004011907", 1, None),
            ("200401190727", 1, Some("200401200727")),
            ("20040119072730.123+0500", 1, None),
            (
                "20040119072730.123000-0500",
                1,
                Some("2004-01-202730.123000-0500"),
            ),
            (r"20040119\20050220", 1, Some(r"20040120\20050221")),
            ("2004011", 0, None),
            ("99991231", 1, None),
            ("20040119\u{e4}", 1, None),
            ("15821015", -1, Some("15821004")),
        ];
        for (text, days, expected) in table {
            assert_eq!(shift(text, days).as_deref(), expected, "{text} {days}");
        }
    }

    #[test]
    fn fields_of_a_date_are_replaced() {
        let table = [
            ([None, Some(0), Some(0)], "20031130"),
            ([None, Some(13), None], "20050119"),
            ([Some(99), None, None], "00990119"),
            ([None, Some(1), Some(1)], "20040101"),
        ];
        for (fields, expected) in table {
            assert_eq!(modify("20040119", fields).as_deref(), Some(expected));
        }
    }

    #[test]
    fn every_day_of_three_thousand_years_goes_there_and_back() {
        for number in 2_000_000..3_100_000 {
            let (year, month, day) = Day(number).date();
            assert_eq!(Day::of(year, month, day), Some(Day(number)));
        }
    }
}
