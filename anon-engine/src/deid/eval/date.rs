//! Moves dates and date-times by whole days (DA and DT, PS3.5 section 6.2).

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;
use time::{Date, Month};

use crate::deid::policy::Dates;
use crate::read::uid::trim;

/// The date that replaces a hidden one.
pub const UNKNOWN_DATE: &str = "20000101";

/// Days in ten years, the span of V17's shift.
const SPAN: u128 = 3652;
const FIRST_YEAR_OF_V17: i32 = 1900;

/// Returns the number of days by which every date of a patient moves.
///
/// [`Dates::V17`] takes the MD5 digest of the key's UTF-8 bytes as one number, modulo 3652 (0 to
/// 3651). [`Dates::Keyed`] takes HMAC-SHA-256 under the secret and gives 1 to 3652, so that every date
/// moves. An empty key gives 0.
///
/// # Examples
/// ```
/// use anon_engine::eval::date::offset;
/// use anon_engine::policy::Dates;
/// assert_eq!(offset(&Dates::V17, "12345"), 263);
/// ```
#[expect(clippy::missing_panics_doc, reason = "HMAC accepts a key of 32 bytes")]
pub fn offset(dates: &Dates, patient_key: &str) -> i32 {
    if patient_key.is_empty() {
        return 0;
    }
    let days = match dates {
        Dates::V17 => u128::from_be_bytes(Md5::digest(patient_key.as_bytes()).into()) % SPAN,
        Dates::Keyed(secret) => {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret)
                .expect("HMAC accepts a key of any length (RFC 2104)");
            mac.update(b"anon date offset v1\0");
            mac.update(patient_key.as_bytes());
            let digest = mac.finalize().into_bytes();
            let head = digest.first_chunk::<16>().copied().unwrap_or_default();
            u128::from_be_bytes(head) % SPAN + 1
        }
    };
    i32::try_from(days).expect("a number modulo 3652 is an i32")
}

/// How the dates of one patient move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    days: i32,
    /// True if dates before 1900 become [`UNKNOWN_DATE`], as in V17.
    floor: bool,
    /// True if every date becomes [`UNKNOWN_DATE`], because the patient is unknown.
    hidden: bool,
}

impl Shift {
    /// Returns the shift of the patient with this key. An empty key hides every date.
    pub fn of(dates: &Dates, patient_key: &str) -> Self {
        Self {
            days: offset(dates, patient_key),
            floor: matches!(dates, Dates::V17),
            hidden: patient_key.is_empty(),
        }
    }

    /// Returns a shift by a given number of days, for a patient whose dates another program has moved.
    /// Hides the same dates as [`Shift::of`].
    pub fn by(dates: &Dates, patient_key: &str, days: i32) -> Self {
        let hidden = patient_key.is_empty();
        Self {
            days: if hidden { 0 } else { days },
            floor: matches!(dates, Dates::V17),
            hidden,
        }
    }

    /// Returns the number of days by which dates move.
    pub fn days(self) -> i32 {
        self.days
    }

    /// Returns a shift that moves no date, and succeeds for the values that are dates.
    pub(crate) fn unmoved(self) -> Self {
        Self { days: 0, ..self }
    }

    /// Moves a DA value: 8 digits; SPACE and NUL around them are ignored (PS3.5 section 6.2). Also reads
    /// `YYYY.MM.DD`, the form of ACR-NEMA, which a note there mentions. The result has 8 digits.
    ///
    /// Returns [`UNKNOWN_DATE`] for a patient without an id, and under V17's scheme for a date before
    /// 1900. Returns `None` if the value is not a calendar date or would move outside the years 1 to
    /// 9999; the caller then writes an empty value.
    pub fn date(self, value: &[u8]) -> Option<String> {
        let digits = self.digits(value)?;
        Some(digits.map(char::from).iter().collect())
    }

    /// As [`date`](Self::date), in digits and without an allocation.
    pub(crate) fn digits(self, value: &[u8]) -> Option<[u8; 8]> {
        let date = parse(without_dots(trim(value))?)?;
        if self.hidden || (self.floor && date.year() < FIRST_YEAR_OF_V17) {
            return UNKNOWN_DATE.as_bytes().try_into().ok();
        }
        plus(date, self.days).map(digits)
    }

    /// Moves the date of a DT value (PS3.5 section 6.2) and keeps the time, the fraction and the UTC
    /// offset. Returns `None` without a full date, or if the date would move outside the years 1 to
    /// 9999.
    pub fn date_time(self, value: &[u8]) -> Option<String> {
        let value = trim(value);
        let (date, rest) = value.split_at_checked(8)?;
        if !is_time_part(rest) {
            return None;
        }
        let mut moved = self.date(date)?;
        moved.push_str(std::str::from_utf8(rest).ok()?);
        Some(moved)
    }
}

/// Returns true for the part of a DT value after its date (PS3.5 section 6.2):
/// `[HH[MM[SS[.F to .FFFFFF]]]][+ZZXX or -ZZXX]`.
fn is_time_part(rest: &[u8]) -> bool {
    let sign = rest.iter().position(|b| matches!(b, b'+' | b'-'));
    let (time, zone) = rest.split_at(sign.unwrap_or(rest.len()));
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let zone_is_valid = zone
        .split_first()
        .is_none_or(|(_, zone)| zone.len() == 4 && digits(zone));
    let dot = time.iter().position(|b| *b == b'.');
    let (clock, fraction) = time.split_at(dot.unwrap_or(time.len()));
    let fraction_is_valid = fraction.split_first().is_none_or(|(_, fraction)| {
        clock.len() == 6 && (1..=6).contains(&fraction.len()) && digits(fraction)
    });
    matches!(clock.len(), 0 | 2 | 4 | 6) && digits(clock) && fraction_is_valid && zone_is_valid
}

/// Returns true for a date in the form of ACR-NEMA, `YYYY.MM.DD`.
pub(crate) fn is_old(value: &[u8]) -> bool {
    let value = trim(value);
    value.contains(&b'.') && without_dots(value).and_then(parse).is_some()
}

/// Returns the characters of `YYYYMMDD` or `YYYY.MM.DD` without dots. They need not be digits.
fn without_dots(text: &[u8]) -> Option<[u8; 8]> {
    match text {
        [year @ .., b'.', m1, m2, b'.', d1, d2] => match *year {
            [y1, y2, y3, y4] => Some([y1, y2, y3, y4, *m1, *m2, *d1, *d2]),
            _ => None,
        },
        _ => text.try_into().ok(),
    }
}

/// Reads `YYYYMMDD`. Returns `None` if it is not a day of the Gregorian calendar in the years 1 to
/// 9999.
fn parse(text: [u8; 8]) -> Option<Date> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u16, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + u16::from(digit - b'0'))
        })
    };
    let [year @ .., m1, m2, d1, d2] = &text;
    let month = u8::try_from(number(&[*m1, *m2])?).ok()?;
    let day = u8::try_from(number(&[*d1, *d2])?).ok()?;
    let month = Month::try_from(month).ok()?;
    let date = Date::from_calendar_date(number(year)?.into(), month, day).ok()?;
    (date.year() >= 1).then_some(date)
}

/// Moves a date. Returns `None` if the result is outside the years 1 to 9999.
fn plus(date: Date, days: i32) -> Option<Date> {
    let moved = date.to_julian_day().checked_add(days)?;
    let moved = Date::from_julian_day(moved).ok()?;
    (1..=9999).contains(&moved.year()).then_some(moved)
}

/// Writes `YYYYMMDD`.
fn digits(date: Date) -> [u8; 8] {
    let (year, month, day) = date.to_calendar_date();
    let mut rest = year.unsigned_abs() * 10_000 + u32::from(u8::from(month)) * 100 + u32::from(day);
    let mut digits = [b'0'; 8];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fifth column is what V17 writes, if that differs. The differences are deliberate: a value
    /// that is not a DA value becomes empty, originals are trimmed first, and the form of ACR-NEMA is a
    /// date.
    #[test]
    fn dates_move_as_in_v17() {
        let unknown = Some("20000101");
        for (date, patient, days, expect, v17) in [
            ("20220101", "12345", 263, Some("20220921"), None),
            ("20220101", "67890", 1322, Some("20250815"), None),
            ("19000101", "123456789", 3147, Some("19080814"), None),
            ("19000101", "1234567890", 3023, Some("19080412"), None),
            ("20200229", "12345", 263, Some("20201118"), None),
            ("20240229", "77654033", 1309, Some("20270930"), None),
            ("19000101", "77654033", 1309, Some("19030803"), None),
            ("18991231", "12345", 263, unknown, None),
            ("00010101", "12345", 263, unknown, None),
            ("20220230", "12345", 263, None, unknown),
            ("20230229", "12345", 263, None, unknown),
            ("19001301", "12345", 263, None, unknown),
            ("20220101", "", 0, unknown, None),
            ("", "12345", 263, None, unknown),
            ("20040119", "1CT1", 1892, Some("20090325"), None),
            ("20040826", "4MR1", 2807, Some("20120503"), None),
            ("19970424", "77654033", 1309, Some("20001123"), None),
            ("20030505", "98890234", 1423, Some("20070328"), None),
            ("99900101", "98890234", 1423, Some("99931124"), None),
            ("99991231", "12345", 263, None, Some("throws")),
            ("20191231", "0", 1686, Some("20240812"), None),
            ("19991231", "PAT^1", 3032, Some("20080419"), None),
            ("20220101", "a b", 3160, Some("20300827"), None),
            ("20220101", "Müller", 2079, Some("20270911"), None),
            ("20220101", "A", 1545, Some("20260326"), None),
            ("20220101", " ", 3171, Some("20300907"), None),
            ("20220101", " 12345", 2243, Some("20280222"), None),
            ("20220101", "12345 ", 2737, Some("20290630"), None),
            ("2020011", "12345", 263, None, Some("20200920")),
            ("202011", "12345", 263, None, Some("20200920")),
            ("202001 5", "12345", 263, None, Some("20200924")),
            ("20200105 ", "12345", 263, Some("20200924"), unknown),
            (" 20200105", "12345", 263, Some("20200924"), unknown),
            ("2020.01.05", "12345", 263, Some("20200924"), unknown),
            (" 2020.01.05\0", "12345", 263, Some("20200924"), unknown),
            ("1899.12.31", "12345", 263, unknown, None),
            ("9999.12.31", "12345", 263, None, unknown),
            ("2020.01.05", "", 0, unknown, None),
            ("0000.00.00", "12345", 263, None, unknown),
            ("2020.02.30", "12345", 263, None, unknown),
            ("2020.1.5", "12345", 263, None, unknown),
            ("20.20.01.05", "12345", 263, None, unknown),
            ("2020.0105", "12345", 263, None, unknown),
            ("20200105.", "12345", 263, None, unknown),
            ("2020/01/05", "12345", 263, None, unknown),
            ("2020-01-05", "12345", 263, None, unknown),
            ("2020:01:05", "12345", 263, None, unknown),
            ("05.01.2020", "12345", 263, None, unknown),
            ("Amadeus.01", "12345", 263, None, unknown),
            ("ABCD.EF.GH", "12345", 263, None, unknown),
            ("20200105120000", "12345", 263, None, unknown),
            ("20200105-20200106", "12345", 263, None, unknown),
            ("٢٠٢٠٠١٠٥", "12345", 263, None, unknown),
        ] {
            let shift = Shift::of(&Dates::V17, patient);
            assert_eq!(shift.days(), days, "{date:?} of {patient:?}");
            let moved = shift.date(date.as_bytes());
            assert_eq!(moved.as_deref(), expect, "{date:?} of {patient:?}");
            assert!(
                v17.is_none() || expect != v17,
                "{date:?}: V17 writes the same"
            );
        }
    }

    #[test]
    fn date_times_keep_their_time() {
        let shift = Shift::of(&Dates::V17, "12345");
        for (value, expect) in [
            ("20220101", Some("20220921")),
            ("2022010112", Some("2022092112")),
            ("202201011230", Some("202209211230")),
            (
                "20220101123059.123456+0100",
                Some("20220921123059.123456+0100"),
            ),
            ("20220101-0500", Some("20220921-0500")),
            ("20220101123059.123456 ", Some("20220921123059.123456")),
            ("18500101123059", Some("20000101123059")),
            ("99991231120000", None),
            ("202201", None),
            ("2022", None),
            ("2022.01.01", None),
            ("2022.01.01123059", None),
            ("20220101123", None),
            ("2022010112.5", None),
            ("20220101123059.1234567", None),
            ("20220101123059 JOHN DOE", None),
            ("20220101123059+01", None),
            ("20220132", None),
        ] {
            assert_eq!(
                shift.date_time(value.as_bytes()).as_deref(),
                expect,
                "{value:?}"
            );
        }
        let nameless = Shift::of(&Dates::V17, "");
        assert_eq!(
            nameless.date_time(b"202201011230").as_deref(),
            Some("200001011230")
        );
    }

    #[test]
    fn a_given_number_of_days_moves_dates_forward_or_back() {
        for (days, date, expect) in [
            (-1892, "20090325", Some("20040119")),
            (-1, "20240301", Some("20240229")),
            (0, "20240301", Some("20240301")),
            (263, "20220101", Some("20220921")),
            (-3649, "18991231", Some("20000101")),
            (i32::MIN, "20240301", None),
            (i32::MAX, "20240301", None),
        ] {
            let shift = Shift::by(&Dates::V17, "999", days);
            assert_eq!(shift.days(), days);
            let moved = shift.date(date.as_bytes());
            assert_eq!(moved.as_deref(), expect, "{date} by {days}");
        }
        let nameless = Shift::by(&Dates::V17, "", -5);
        assert_eq!(
            (nameless.days(), nameless.date(b"20240301").as_deref()),
            (0, Some("20000101"))
        );
        let back = Shift::by(&Dates::Keyed([1; 32]), "999", -1);
        for (date, expect) in [
            ("18000101", Some("17991231")),
            ("00010102", Some("00010101")),
            ("00010101", None),
        ] {
            assert_eq!(back.date(date.as_bytes()).as_deref(), expect, "{date}");
        }
    }

    /// 10.1 #7: V17's shift depends on the patient id alone, so anyone can undo it.
    #[test]
    fn f07_keyed_dates_always_move_and_depend_on_the_key() {
        let (one, two) = (Dates::Keyed([1; 32]), Dates::Keyed([2; 32]));
        for n in 0..5_000 {
            let days = offset(&one, &n.to_string());
            assert!((1..=3652).contains(&days), "{n}: {days}");
        }
        assert_ne!(offset(&one, "12345"), offset(&two, "12345"));
        let early = Shift::of(&one, "12345").date(b"18000101").unwrap();
        assert!(
            early.starts_with("180") || early.starts_with("181"),
            "{early}"
        );
    }

    #[test]
    fn every_day_of_the_calendar_is_read_back_as_written() {
        let first = parse(*b"00010101").unwrap();
        let (mut date, mut days) = (first, 0);
        while let Some(next) = plus(date, 1) {
            assert_eq!(parse(digits(next)), Some(next));
            (date, days) = (next, days + 1);
            assert_eq!(plus(first, days), Some(next));
        }
        assert_eq!((digits(date), days), (*b"99991231", 3_652_058));
    }
}
