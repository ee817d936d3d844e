//! The elements of a command set: group 0000, implicit VR little endian (PS3.7 section 6.3.1).
//!
//! ```text
//! 00 00 | element u16 | length u32 | value
//! ```

use super::malformed::Malformed;

/// Element numbers of group 0000 (PS3.7 Annex E.1).
pub(super) mod tag {
    pub(crate) const GROUP_LENGTH: u16 = 0x0000;
    pub(crate) const AFFECTED_SOP_CLASS: u16 = 0x0002;
    pub(crate) const REQUESTED_SOP_CLASS: u16 = 0x0003;
    pub(crate) const COMMAND_FIELD: u16 = 0x0100;
    pub(crate) const MESSAGE_ID: u16 = 0x0110;
    pub(crate) const RESPONDED_TO: u16 = 0x0120;
    pub(crate) const MOVE_DESTINATION: u16 = 0x0600;
    pub(crate) const PRIORITY: u16 = 0x0700;
    pub(crate) const DATA_SET_TYPE: u16 = 0x0800;
    pub(crate) const STATUS: u16 = 0x0900;
    pub(crate) const ERROR_COMMENT: u16 = 0x0902;
    pub(crate) const AFFECTED_SOP_INSTANCE: u16 = 0x1000;
    pub(crate) const REMAINING: u16 = 0x1020;
    pub(crate) const COMPLETED: u16 = 0x1021;
    pub(crate) const FAILED: u16 = 0x1022;
    pub(crate) const WARNING: u16 = 0x1023;
    pub(crate) const ORIGINATOR_TITLE: u16 = 0x1030;
    pub(crate) const ORIGINATOR_MESSAGE: u16 = 0x1031;
}

/// The most elements of a command set. The standard defines 25, and a peer may add its own.
const MAX_ELEMENTS: usize = 64;

/// The elements of a command set, in the order of its bytes.
#[derive(Default)]
pub(super) struct Elements<'b> {
    found: Vec<(u16, &'b [u8])>,
}

impl<'b> Elements<'b> {
    /// Decodes a command set. Ignores the order of elements and the group length.
    pub(super) fn parse(mut bytes: &'b [u8]) -> Result<Self, Malformed> {
        let mut elements = Self::default();
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed::Truncated)?;
            let [g0, g1, e0, e1, l0, l1, l2, l3] = *header;
            if u16::from_le_bytes([g0, g1]) != 0 {
                return Err(Malformed::WrongGroup);
            }
            let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3]))
                .map_err(|_| Malformed::Truncated)?;
            let (value, rest) = rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
            elements.add(u16::from_le_bytes([e0, e1]), value)?;
            bytes = rest;
        }
        Ok(elements)
    }

    fn add(&mut self, element: u16, value: &'b [u8]) -> Result<(), Malformed> {
        if self.found.len() == MAX_ELEMENTS {
            return Err(Malformed::TooMany);
        }
        if self.value(element).is_some() {
            return Err(Malformed::Duplicate { element });
        }
        self.found.push((element, value));
        Ok(())
    }

    fn value(&self, element: u16) -> Option<&'b [u8]> {
        let found = self.found.iter().find(|(e, _)| *e == element);
        found.map(|(_, value)| *value)
    }

    /// Returns an unsigned short (VR US). `None` if the element is missing or empty.
    pub(super) fn number(&self, element: u16) -> Result<Option<u16>, Malformed> {
        match self.value(element) {
            None | Some([]) => Ok(None),
            Some([low, high]) => Ok(Some(u16::from_le_bytes([*low, *high]))),
            Some(_) => Err(Malformed::InvalidValue { element }),
        }
    }

    /// Returns a text without padding. `None` if the element is missing or empty.
    pub(super) fn text(&self, element: u16) -> Result<Option<&'b str>, Malformed> {
        let Some(value) = self.value(element) else {
            return Ok(None);
        };
        let text = str::from_utf8(value).map_err(|_| Malformed::InvalidValue { element })?;
        let text = text.trim_matches(['\0', ' ']);
        Ok((!text.is_empty()).then_some(text))
    }

    /// Parses a text. `None` if the element is missing or empty.
    pub(super) fn parsed<T: std::str::FromStr>(
        &self,
        element: u16,
    ) -> Result<Option<T>, Malformed> {
        let text = self.text(element)?;
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| Malformed::InvalidValue { element })
        };
        text.map(parse).transpose()
    }

    /// Returns the Error Comment, with invalid UTF-8 replaced and cut to 64 characters (VR LO).
    pub(super) fn comment(&self, element: u16) -> Option<String> {
        let text = String::from_utf8_lossy(self.value(element)?);
        let text: String = text.trim_matches(['\0', ' ']).chars().take(64).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// Converts a text to VR LO in the default repertoire (PS3.5 section 6.2): other characters become
/// `?`, and a text of more than 64 characters ends with its last word that fits.
pub(super) fn long_string(text: &str) -> String {
    const MAX: usize = 64;
    let allowed = |c: char| matches!(c, ' '..='~') && c != '\\';
    let ascii = text.chars().map(|c| if allowed(c) { c } else { '?' });
    // One character more shows whether a word ends at the limit.
    let mut line: String = ascii.take(MAX + 1).collect();
    if line.len() > MAX {
        let end = line.rfind(' ').filter(|end| *end > 0);
        line.truncate(end.unwrap_or(MAX));
    }
    line.trim().to_owned()
}

/// Encodes a command set. Elements must be added in ascending order. The group length is filled in
/// last.
pub(super) struct CommandWriter(Vec<u8>);

impl CommandWriter {
    /// The length of the group length element in bytes.
    const GROUP_LENGTH_BYTES: usize = 12;

    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(192);
        bytes.resize(Self::GROUP_LENGTH_BYTES, 0);
        Self(bytes)
    }

    fn element(&mut self, element: u16, value: &[u8], padding: u8) {
        let odd = value.len() % 2;
        // Our values are UIDs, titles and numbers, so they fit the length field.
        let length = u32::try_from(value.len() + odd).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&element.to_le_bytes());
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(value);
        self.0.extend(std::iter::repeat_n(padding, odd));
    }

    pub(super) fn number(&mut self, element: u16, number: u16) {
        self.element(element, &number.to_le_bytes(), 0);
    }

    pub(super) fn number_if(&mut self, element: u16, number: Option<u16>) {
        if let Some(number) = number {
            self.number(element, number);
        }
    }

    /// Adds a UID, padded with NUL (PS3.5 section 9.1).
    pub(super) fn uid(&mut self, element: u16, uid: &str) {
        self.element(element, uid.as_bytes(), 0);
    }

    /// Adds a text, padded with a space (PS3.5 section 6.2).
    pub(super) fn text(&mut self, element: u16, text: &str) {
        self.element(element, text.as_bytes(), b' ');
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let rest = u32::try_from(self.0.len() - Self::GROUP_LENGTH_BYTES).unwrap_or(u32::MAX);
        let mut head = Self(Vec::with_capacity(Self::GROUP_LENGTH_BYTES));
        head.element(tag::GROUP_LENGTH, &rest.to_le_bytes(), 0);
        for (to, from) in self.0.iter_mut().zip(head.0) {
            *to = from;
        }
        self.0
    }
}
