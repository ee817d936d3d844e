//! [`pixels`]: where the pixel data of a data set stands of which only the beginning has come.

use dicom_core::Tag;

use super::{Encoding, Fault, Header, PIXEL_DATA, Token, Walk};
use crate::input::{Failed, Input};
use crate::limits::Limits;

const SOP_INSTANCE: Tag = Tag(0x0008, 0x0018);
const SERIES_INSTANCE: Tag = Tag(0x0020, 0x000E);

/// The beginning of a data set whose length nobody knows yet.
#[derive(Debug, Clone, Copy)]
struct Beginning<'a>(&'a [u8]);

impl Input for Beginning<'_> {
    fn len(&self) -> u64 {
        u64::MAX
    }

    fn window(&mut self, at: u64, want: usize) -> Result<&[u8], Failed> {
        // Never fewer than were asked for: that would say that the data set ends here.
        usize::try_from(at)
            .ok()
            .and_then(|at| self.0.get(at..))
            .filter(|held| held.len() >= want)
            .ok_or(Failed::Ends)
    }
}

/// What the beginning of a data set says of its pixel data. UIDs are as they stand there, and empty
/// if they are missing.
pub(crate) struct Pixels<'a> {
    pub(crate) series: &'a [u8],
    pub(crate) instance: &'a [u8],
    /// Where the value begins and ends.
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// Finds native pixel data. None if there is none before the bytes end.
pub(crate) fn pixels<'a>(
    beginning: &'a [u8],
    encoding: Encoding,
    limits: &Limits,
) -> Result<Option<Pixels<'a>>, Fault> {
    let mut found = Pixels {
        series: &[],
        instance: &[],
        begin: 0,
        end: 0,
    };
    let mut walk = Walk::new(Beginning(beginning), 0, encoding, limits);
    walk.settle()?;
    // Elements stand in ascending order (PS3.5 section 7.1).
    let mut header = Header::NONE;
    while walk.next(&mut header)? == Token::Element {
        let value = || {
            let begin = usize::try_from(header.value).ok()?;
            let end = usize::try_from(header.end()).ok()?;
            beginning.get(begin..end)
        };
        match header.tag() {
            _ if header.is_undefined() => {}
            SOP_INSTANCE => found.instance = value().unwrap_or_default(),
            SERIES_INSTANCE => found.series = value().unwrap_or_default(),
            PIXEL_DATA => {
                (found.begin, found.end) = (header.value, header.end());
                return Ok(Some(found));
            }
            _ => {}
        }
        if header.tag() >= PIXEL_DATA {
            break;
        }
        walk.pass(&header)?;
    }
    Ok(None)
}
