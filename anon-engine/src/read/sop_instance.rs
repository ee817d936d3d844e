//! [`sop_instance`]: finds the SOP Instance UID, even of an object that cannot be planned.

use anon_model::Phi;
use dicom_core::Tag;

use crate::limits::Limits;
use crate::read::file_meta::{self, DataSetStart, TransferSyntax};
use crate::read::inflate::{self, Inflated};
use crate::read::input::{BytesInput, FileInput, Input};
use crate::read::scan::{Header, Token, Walk};
use crate::read::source::{Source, SourceBytes, SourceFormat};
use crate::read::uid;
use crate::refusal::Refusal;

const SOP_INSTANCE: Tag = Tag(0x0008, 0x0018);

/// Returns the SOP Instance UID (0008,0018) without padding; `None` if it cannot be found. Does not
/// read the groups after it, unless the data set is deflated.
pub(crate) fn sop_instance(source: Source<'_>, limits: &Limits) -> Option<Phi<String>> {
    // An error is dropped here: planning the object reports it.
    let found = match source.data {
        SourceBytes::Memory(bytes) => find(BytesInput(bytes), source, limits),
        SourceBytes::File { file, len } => find(FileInput::new(file, len), source, limits),
    };
    found.ok().flatten()
}

fn find<I: Input>(
    mut input: I,
    source: Source<'_>,
    limits: &Limits,
) -> Result<Option<Phi<String>>, Refusal> {
    let DataSetStart { begin, syntax, .. } = match source.format {
        SourceFormat::Part10 => file_meta::find(&mut input, limits)?,
        SourceFormat::DataSet { transfer_syntax } => {
            DataSetStart::bare(TransferSyntax::from_uid(transfer_syntax)?)
        }
    };
    if !syntax.deflated {
        return find_in_data_set(input, begin, &syntax, limits);
    }
    match inflate::inflate(input, begin, limits, source.scratch)? {
        Inflated::Memory(bytes) => find_in_data_set(BytesInput(&bytes), 0, &syntax, limits),
        Inflated::Scratch(scratch) => {
            let input = FileInput::new(scratch.file(), scratch.len());
            find_in_data_set(input, 0, &syntax, limits)
        }
    }
}

fn find_in_data_set<I: Input>(
    input: I,
    begin: u64,
    syntax: &TransferSyntax,
    limits: &Limits,
) -> Result<Option<Phi<String>>, Refusal> {
    let mut walk = Walk::new(input, begin, syntax.encoding, limits);
    walk.detect_encoding()?;
    // Tags ascend (PS3.5 section 7.1), or nearly: the first of a higher group ends the search.
    let mut header = Header::NONE;
    while walk.next(&mut header)? == Token::Element {
        if header.tag() == SOP_INSTANCE && !header.is_undefined() {
            let text = uid::text(walk.value(&header)?);
            return Ok((!text.is_empty()).then(|| Phi::new(text)));
        }
        if header.tag().0 > SOP_INSTANCE.0 {
            break;
        }
        walk.skip(&header)?;
    }
    Ok(None)
}
