//! What a planner does about the length of pixel data, and about bytes behind it.

use anon_model::RemarkReason;

use super::{BULK, FLOAT_PIXELS, PIXELS, Planner};
use crate::deid::plan::image_size::{ImageSize, MAX_VALUE};
use crate::read::input::Input;
use crate::read::scan::{Header, ScanError, Token};

impl<I: Input> Planner<'_, I> {
    /// Ends the data set if the bytes behind the pixel data are no element. The pixel data is complete,
    /// and the bytes are not written. Otherwise returns the error.
    #[cold]
    pub(super) fn end_behind_pixels(&mut self, error: ScanError) -> Result<Token, ScanError> {
        let is_behind_pixels = match &*self.levels {
            [root] => (u64::from(FLOAT_PIXELS)..=u64::from(PIXELS))
                .contains(&(root.least.saturating_sub(1))),
            _ => false,
        };
        if !is_behind_pixels || self.walk.may_be_dicom(PIXELS)? {
            return Err(error);
        }
        self.walk
            .mended
            .add(RemarkReason::TrailingBytes, 0, error.at);
        Ok(self.walk.end())
    }

    /// Reads an attribute that determines the length of the pixel data.
    pub(super) fn note_image_size(&mut self, header: &Header) -> Result<(), ScanError> {
        if !ImageSize::reads(header.tag().1) {
            return Ok(());
        }
        if header.len > MAX_VALUE {
            self.image_size.add_unknown();
            return Ok(());
        }
        let value = self.walk.value(header)?;
        self.image_size.add(header.tag().1, value);
        Ok(())
    }

    /// Keeps native pixel data, without the bytes behind the last pixel.
    pub(super) fn keep_pixels(&mut self, header: &Header) {
        let len = u64::from(header.len);
        let Some(bytes) = self.image_size.bytes(header.encoding) else {
            return self.keep_value(header);
        };
        if len < *bytes.start() {
            self.remarks
                .add(RemarkReason::PixelsTooShort, header.number);
        }
        match u32::try_from(*bytes.end()) {
            Ok(most) if len > u64::from(most) + u64::from(most % 2) => {
                self.keep_part(header, most);
            }
            _ => self.keep_value(header),
        }
    }

    /// True if the value begins with all pixels of the image.
    pub(super) fn has_whole_pixels(&self, header: &Header) -> bool {
        let bytes = self.image_size.bytes(header.encoding);
        let most = bytes.map(|bytes| *bytes.end());
        self.depth == 0 && self.is_native && most.is_some_and(|most| u64::from(header.len) >= most)
    }

    /// Keeps the first bytes of the pixel data.
    #[cold]
    fn keep_part(&mut self, header: &Header, len: u32) {
        self.remarks.add(RemarkReason::PixelsTooLong, header.number);
        let (target, vr) = (self.target(), header.vr);
        if len >= BULK {
            // The last byte may be followed by padding in the output, so it is hashed.
            let end = header.value + u64::from(len + len % 2) - 1;
            self.copied.push((header.value, end));
        }
        self.template
            .bytes(|arena| target.put_header(arena, header.tag(), vr, len + len % 2));
        self.template
            .source(header.value, header.value + u64::from(len));
        if len % 2 == 1 {
            self.template.bytes(|arena| arena.push(0));
        }
    }
}
