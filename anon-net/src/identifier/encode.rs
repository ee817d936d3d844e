//! Encodes elements (PS3.5 section 7.1).

use super::{Element, Encoding, IdentifierError};

pub(super) fn element(
    to: &mut Vec<u8>,
    element: &Element,
    encoding: Encoding,
) -> Result<(), IdentifierError> {
    let Element { tag, vr, value } = element;
    let refused = |_| IdentifierError::ValueTooLong { tag: *tag };
    let odd = value.len() % 2;
    to.extend(encoding.u16(tag.group));
    to.extend(encoding.u16(tag.element));
    let length = value.len() + odd;
    if encoding.is_explicit() {
        to.extend(vr.letters());
        if vr.has_long_length() {
            to.extend([0, 0]);
            to.extend(encoding.u32(u32::try_from(length).map_err(refused)?));
        } else {
            to.extend(encoding.u16(u16::try_from(length).map_err(refused)?));
        }
    } else {
        to.extend(encoding.u32(u32::try_from(length).map_err(refused)?));
    }
    to.extend_from_slice(value);
    to.extend(std::iter::repeat_n(vr.padding(), odd));
    Ok(())
}
