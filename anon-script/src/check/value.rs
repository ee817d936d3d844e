//! Checks whether an element can hold a constant (PS3.5 section 6.2).

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);

/// Returns the VR of a standard element. `None` if PS3.6 does not list it. Where PS3.6 allows
/// several VRs, all of them are numbers or bytes, and one of them is returned.
pub(crate) fn vr(tag: Tag) -> Option<VR> {
    Some(StandardDataDictionary.by_tag(tag)?.vr().relaxed())
}

/// Returns why a text cannot be the value of an element. `None` if it can.
pub(super) fn problem(tag: Tag, text: &str) -> Option<&'static str> {
    let Some(vr) = vr(tag) else {
        return Some("this element's VR is not known: use @keep, @empty or @remove");
    };
    if tag == SPECIFIC_CHARACTER_SET {
        return Some("it names the character set of the whole object: use @keep");
    }
    if !text.is_ascii() {
        return Some("a constant must be ASCII, which every character set includes");
    }
    if text.bytes().any(|byte| byte < 0x20) {
        return Some("a constant must not have control characters");
    }
    if text.trim() != text {
        return Some("a constant must not begin or end with a space");
    }
    let is_one_value = matches!(vr, VR::LT | VR::ST | VR::UT | VR::UR);
    if is_one_value {
        return one(vr, text);
    }
    text.split('\\')
        .find_map(|value| one(vr, value.trim_end_matches(' ')))
}

fn one(vr: VR, value: &str) -> Option<&'static str> {
    let longest = match vr {
        VR::AE | VR::CS | VR::SH | VR::DS => 16,
        VR::IS => 12,
        VR::LO | VR::PN | VR::UI => 64,
        VR::ST => 1_024,
        VR::LT => 10_240,
        VR::AS | VR::DA | VR::TM | VR::DT => 26,
        VR::UC | VR::UT | VR::UR => 65_534,
        _ => return Some("this element holds no text: use @keep, @empty or @remove"),
    };
    if value.len() > longest {
        return Some("the constant is longer than the element's VR allows");
    }
    let all = |allowed: fn(u8) -> bool| value.bytes().all(allowed);
    let fits = match vr {
        VR::CS => all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b' ' | b'_')),
        VR::UI => value.is_empty() || is_uid(value),
        VR::DA => value.is_empty() || value.len() == 8 && is_date(value),
        VR::TM => value.is_empty() || is_time(value),
        VR::DT => value.is_empty() || is_date_time(value),
        VR::IS => value.is_empty() || value.trim().parse::<i32>().is_ok(),
        VR::DS => value.is_empty() || value.trim().parse::<f64>().is_ok_and(f64::is_finite),
        VR::AS => value.is_empty() || is_age(value),
        _ => true,
    };
    (!fits).then_some("the constant has characters or a form that the element's VR does not allow")
}

/// Returns true for components of digits without leading zeros (PS3.5 section 9.1).
fn is_uid(value: &str) -> bool {
    value.split('.').all(|component| {
        let is_number = component.bytes().all(|byte| byte.is_ascii_digit());
        is_number && !component.is_empty() && (component == "0" || !component.starts_with('0'))
    })
}

/// Returns the number that two digits at an offset form. `None` if there are no two digits.
fn two(value: &str, at: usize) -> Option<u8> {
    let digits = value.get(at..at + 2)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Returns true for `YYYYMMDD`, or its first four or six characters, if the calendar has the day.
fn is_date(value: &str) -> bool {
    let (Some(century), Some(year)) = (two(value, 0), two(value, 2)) else {
        return false;
    };
    let year = u16::from(century) * 100 + u16::from(year);
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match (value.len(), two(value, 4), two(value, 6)) {
        (4, ..) => true,
        (6, Some(month), _) => (1..=12).contains(&month),
        (8, Some(month @ 1..=12), Some(day)) => {
            let days = match month {
                2 if is_leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (1..=days).contains(&day)
        }
        _ => false,
    }
}

/// Returns true for `HHMMSS.FFFFFF`, `HHMMSS`, `HHMM` or `HH`. The fraction has one to six digits.
fn is_time(value: &str) -> bool {
    let (clock, fraction) = match value.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (value, None),
    };
    let is_fraction = |digits: &str| {
        (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let within = |at, most| at >= clock.len() || two(clock, at).is_some_and(|pair| pair <= most);
    matches!(clock.len(), 2 | 4 | 6)
        && within(0, 23)
        && within(2, 59)
        && within(4, 60)
        && fraction.is_none_or(|digits| clock.len() == 6 && is_fraction(digits))
}

/// Returns true for a date, a time if the date is complete, and an offset from UTC (PS3.5 section
/// 6.2).
fn is_date_time(value: &str) -> bool {
    let (moment, offset) = match value.find(['+', '-']) {
        Some(at) => value.split_at(at),
        None => (value, ""),
    };
    let is_offset = offset.is_empty()
        || offset.len() == 5
            && two(offset, 1).is_some_and(|hours| hours <= 14)
            && two(offset, 3).is_some_and(|minutes| minutes <= 59);
    let (date, time) = moment.split_at_checked(8).unwrap_or((moment, ""));
    is_offset && is_date(date) && (time.is_empty() || is_time(time))
}

fn is_age(value: &str) -> bool {
    match value.as_bytes() {
        [digits @ .., b'D' | b'W' | b'M' | b'Y'] => {
            digits.len() == 3 && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_must_have_the_form_of_their_vr() {
        for (tag, text, fits) in [
            (Tag(0x0012, 0x0062), "YES", true),
            (Tag(0x0012, 0x0062), "Yes", false),
            (Tag(0x0008, 0x0080), "Removed", true),
            (Tag(0x0008, 0x0080), "Städtisches", false),
            (Tag(0x0008, 0x0050), "12345678901234567", false),
            (Tag(0x0008, 0x0020), "20000101", true),
            (Tag(0x0008, 0x0020), "Removed", false),
            (Tag(0x0010, 0x1010), "045Y", true),
            (Tag(0x0010, 0x1010), "45", false),
            (Tag(0x0028, 0x0010), "512", false),
            (Tag(0x0008, 0x1140), "x", false),
            (Tag(0x0010, 0x1030), "70.5", true),
            (Tag(0x0010, 0x1030), "NaN", false),
            (Tag(0x0008, 0x0008), "DERIVED\\SECONDARY", true),
            (Tag(0x0019, 0x1001), "x", false),
            (Tag(0x0008, 0x0005), "ISO_IR 192", false),
            (Tag(0x7FE0, 0x0010), "x", false),
            (Tag(0x0028, 0x0106), "0", false),
            (Tag(0x0008, 0x1030), " x", false),
            (Tag(0x0008, 0x1030), "x ", false),
            (Tag(0x0020, 0x0052), "1.2.0.3", true),
            (Tag(0x0020, 0x0052), "1..2", false),
            (Tag(0x0020, 0x0052), "1.02", false),
            (Tag(0x0020, 0x0052), "1.2.", false),
            (Tag(0x0008, 0x0020), "20000229", true),
            (Tag(0x0008, 0x0020), "19000229", false),
            (Tag(0x0008, 0x0020), "20009999", false),
            (Tag(0x0008, 0x0020), "200001", false),
            (Tag(0x0008, 0x0030), "12", true),
            (Tag(0x0008, 0x0030), "235960.123456", true),
            (Tag(0x0008, 0x0030), "2460", false),
            (Tag(0x0008, 0x0030), "12.5", false),
            (Tag(0x0008, 0x0030), "123", false),
            (Tag(0x0008, 0x002A), "2000", true),
            (Tag(0x0008, 0x002A), "20000101120000.5+0100", true),
            (Tag(0x0008, 0x002A), "20000101-9900", false),
            (Tag(0x0008, 0x002A), "20000101120000Z", false),
            (Tag(0x0008, 0x002A), "200001011", false),
        ] {
            assert_eq!(problem(tag, text).is_none(), fits, "{tag} {text}");
        }
    }
}
