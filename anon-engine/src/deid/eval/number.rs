//! Rounds ages (AS, PS3.5 section 6.2).

/// Rounds an age to a multiple of `width`, half to even.
///
/// `age` is one to three digits and one of `D W M Y`; spaces around it are ignored. The result is an
/// AS value of four characters in the same unit (PS3.5 section 6.2). A multiple above 999 becomes the
/// largest one that fits. Returns `None` if `age` is not an age, or `width` is not 1 to 999.
///
/// # Examples
/// ```
/// assert_eq!(anon_engine::eval::number::round_age(b"043Y", 5).as_deref(), Some("045Y"));
/// assert_eq!(anon_engine::eval::number::round_age(b"43 years", 5), None);
/// ```
pub fn round_age(age: &[u8], width: u16) -> Option<String> {
    if !(1..=999).contains(&width) {
        return None;
    }
    let (unit, digits) = crate::read::uid::trim(age).split_last()?;
    if !matches!(unit, b'D' | b'W' | b'M' | b'Y') || !(1..=3).contains(&digits.len()) {
        return None;
    }
    let mut number = 0_u16;
    for digit in digits {
        number = number * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    let rounded = half_even(number, width).min(999 / width * width);
    Some(format!("{rounded:03}{}", char::from(*unit)))
}

/// Returns the multiple of `width` nearest to `number`; of two, the one with the even factor.
fn half_even(number: u16, width: u16) -> u16 {
    let (factor, rest) = (number / width, number % width);
    let up = match (rest * 2).cmp(&width) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => factor % 2 == 1,
    };
    (factor + u16::from(up)) * width
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fourth column is what V17 writes, if that differs. The differences are deliberate: an age
    /// of two or six characters is not an AS value.
    #[test]
    fn ages_round_as_in_v17() {
        for (age, width, expect, v17) in [
            ("043Y", 5, Some("045Y"), None),
            ("044Y", 5, Some("045Y"), None),
            ("042Y", 5, Some("040Y"), None),
            ("047Y", 5, Some("045Y"), None),
            ("048Y", 5, Some("050Y"), None),
            ("022Y", 5, Some("020Y"), None),
            ("023Y", 5, Some("025Y"), None),
            ("017Y", 5, Some("015Y"), None),
            ("037Y", 5, Some("035Y"), None),
            ("038Y", 5, Some("040Y"), None),
            ("012Y", 5, Some("010Y"), None),
            ("007Y", 5, Some("005Y"), Some("5Y")),
            ("003Y", 5, Some("005Y"), Some("5Y")),
            ("002Y", 5, Some("000Y"), Some("0Y")),
            ("000Y", 5, Some("000Y"), Some("0Y")),
            ("1Y", 5, Some("000Y"), Some("0Y")),
            ("018M", 5, Some("020M"), None),
            ("006M", 5, Some("005M"), Some("5M")),
            ("002M", 5, Some("000M"), Some("0M")),
            ("010D", 5, Some("010D"), None),
            ("001W", 5, Some("000W"), Some("0W")),
            ("011W", 5, Some("010W"), None),
            ("100Y", 5, Some("100Y"), None),
            ("102Y", 5, Some("100Y"), None),
            ("103Y", 5, Some("105Y"), None),
            ("098Y", 5, Some("100Y"), None),
            ("099Y", 5, Some("100Y"), None),
            ("999Y", 5, Some("995Y"), Some("01000Y")),
            ("998Y", 5, Some("995Y"), Some("01000Y")),
            ("97Y", 5, Some("095Y"), None),
            ("43", 5, None, Some("45")),
            ("5", 5, None, Some("05")),
            ("0", 5, None, Some("00")),
            ("012", 5, None, Some("10")),
            ("0430Y", 5, None, Some("430Y")),
            ("4.5Y", 5, None, Some("045Y")),
            ("-05Y", 5, None, Some("5Y")),
            ("12M6D", 5, None, Some("0125MD")),
            ("Y", 5, None, Some("Y")),
            ("ABC", 5, None, Some("ABC")),
            ("", 5, None, Some("")),
            ("   ", 5, None, Some("")),
            (" 043Y ", 5, Some("045Y"), None),
            ("043Y", 2, Some("044Y"), None),
            ("045Y", 2, Some("044Y"), None),
            ("017Y", 2, Some("016Y"), None),
            ("023Y", 2, Some("024Y"), None),
            ("043Y", 3, Some("042Y"), None),
            ("044Y", 3, Some("045Y"), None),
            ("047Y", 3, Some("048Y"), None),
            ("002Y", 3, Some("003Y"), Some("3Y")),
            ("100Y", 3, Some("099Y"), None),
            ("007Y", 1, Some("007Y"), Some("7Y")),
            ("045Y", 10, Some("040Y"), None),
            ("047Y", 10, Some("050Y"), None),
            ("007Y", 10, Some("010Y"), None),
            ("043Y", 0, None, None),
            ("043Y", 1000, None, None),
            ("999D", 400, Some("800D"), None),
        ] {
            assert_eq!(
                round_age(age.as_bytes(), width).as_deref(),
                expect,
                "{age:?} {width}"
            );
            assert!(
                v17.is_none() || expect != v17,
                "{age:?}: V17 writes the same"
            );
        }
    }
}
