//! Compares the elements of two outputs in different uncompressed transfer syntaxes.

use anon_script::object::Insert;

use super::data_set::{AnyInput, DataSet};
use super::long_values::read;
use crate::deid::method;
use crate::limits::Limits;
use crate::read::dictionary::Vr;
use crate::read::scan::{ElementContent, Encoding, Header, Token, Walk};
use crate::refusal::Refusal;

/// Bytes that are compared at once: a multiple of the longest number.
const STEP: u64 = 64 << 10;

/// Returns true if both data sets have the same elements with the same values. The elements that say
/// how an object was de-identified do not count.
pub(super) fn are_equal(
    one: &DataSet<'_>,
    other: &DataSet<'_>,
    (limits, inserts): (&Limits, &[Insert]),
) -> Result<bool, Refusal> {
    let walk = |set: &DataSet<'_>| (set.begin, set.syntax.encoding);
    let ((one_begin, one_encoding), (other_begin, other_encoding)) = (walk(one), walk(other));
    let mut ours = Walk::new(one.input(), one_begin, one_encoding, limits);
    let mut theirs = Walk::new(other.input(), other_begin, other_encoding, limits);
    let (mut our_bytes, mut their_bytes) = (one.input(), other.input());
    let (mut our, mut their) = (Header::NONE, Header::NONE);
    let mut depth = 0_u32;
    loop {
        match (ours.next(&mut our)?, theirs.next(&mut their)?) {
            (Token::End, Token::End) => return Ok(true),
            (Token::Item { .. }, Token::Item { .. }) => depth += 1,
            (Token::ItemEnd { .. }, Token::ItemEnd { .. }) => depth -= 1,
            (Token::SequenceEnd { .. }, Token::SequenceEnd { .. }) => {}
            (Token::Element, Token::Element) if our.number == their.number => {
                match (ours.content(&our)?, theirs.content(&their)?) {
                    (ElementContent::Value, ElementContent::Value) => {
                        let is_ours = depth == 0 && method::is_replaced(inserts, our.tag());
                        if !is_ours
                            && !have_equal_values(
                                (&mut our_bytes, &our),
                                (&mut their_bytes, &their),
                            )?
                        {
                            return Ok(false);
                        }
                        ours.skip_value(&our);
                        theirs.skip_value(&their);
                    }
                    (ElementContent::Sequence(inner), ElementContent::Sequence(their_inner)) => {
                        ours.enter(&our, inner)?;
                        theirs.enter(&their, their_inner)?;
                    }
                    _ => return Ok(false),
                }
            }
            _ => return Ok(false),
        }
    }
}

fn have_equal_values(
    (ours, our): (&mut AnyInput<'_>, &Header),
    (theirs, their): (&mut AnyInput<'_>, &Header),
) -> Result<bool, Refusal> {
    if our.len != their.len {
        return Ok(false);
    }
    let unit = match [our, their].map(|header| header.encoding == Encoding::ExplicitBe) {
        [true, false] => bytes_of_number(our.vr),
        [false, true] => bytes_of_number(their.vr),
        _ => 1,
    };
    let mut done = 0;
    while done < u64::from(our.len) {
        let step = STEP.min(u64::from(our.len) - done);
        let want = usize::try_from(step).unwrap_or(0);
        let one = read(ours, our.value + done, want)?;
        let other = read(theirs, their.value + done, want)?;
        let is_equal = if unit == 1 {
            one == other
        } else {
            let mut numbers = one.chunks(unit).zip(other.chunks(unit));
            numbers.all(|(one, other)| one.iter().eq(other.iter().rev()))
        };
        if !is_equal {
            return Ok(false);
        }
        done += step;
    }
    Ok(true)
}

/// Returns the length of the numbers whose bytes big endian reverses (PS3.5 section 7.3). A tag is two of
/// them. The VR is that of the big endian data set, which always states it.
fn bytes_of_number(vr: Vr) -> usize {
    if vr == Vr::AT { 2 } else { vr.unit() as usize }
}
