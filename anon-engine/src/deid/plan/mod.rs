//! [`plan`]: decides what each element becomes, and collects the originals that need a pseudonym.
//!
//! ```text
//! bytes ─► file meta ─► walk over headers ─► rules ─► template: kept ranges, new bytes, edits
//!                            │                                       │
//!                            └─ root values ──► checks, index        └─► Wanted ─► names ─► apply
//! ```

mod element;
pub(crate) mod fingerprint;
mod identify;
mod image_size;
mod look;
mod root_values;
mod value_check;

use std::fmt;

use anon_model::{
    DigestVersion, Fingerprint, PatientPhi, Phi, RemarkReason, Remarks, SeriesPhi, StudyPhi, Wanted,
};
use anon_script::object::{Look, ObjectHeader, Refused};

pub(crate) use self::element::BULK;
use self::element::{PixelData, Planner};
use crate::deid::body::Body;
use crate::deid::method;
use crate::deid::policy::{Policy, Strictness};
use crate::deid::template::Template;
use crate::limits::Limits;
use crate::read::file_meta::{self, DataSetStart, TransferSyntax};
use crate::read::inflate;
use crate::read::input::{BytesInput, FileInput, Input};
use crate::read::mended::Mended;
use crate::read::scan::{Encoding, PIXEL_DATA, ScanError, Walk};
use crate::read::source::SourceBytes;
pub use crate::read::source::{Source, SourceFormat};
use crate::refusal::{Category, Refusal};

/// The values of an object that the PHI index keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Captured {
    /// Values of the patient.
    pub patient: PatientPhi,
    /// Values of the study. The caller sets `source` and `date_offset`.
    pub study: StudyPhi,
    /// The values of Accession Number (0008,0050), each once and as [`Wanted::accessions`] has
    /// them.
    pub accessions: Vec<Phi<String>>,
    /// Values of the series.
    pub series: SeriesPhi,
}

/// Why a person should check an accepted object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warnings {
    /// It is secondary capture or ultrasound, and does not say whether its pixels show identifying
    /// text (PS3.3 section C.7.6.1).
    pub burned_in_unknown: bool,
    /// It has no Patient ID, and is filed under the shared patient.
    pub shared_patient: bool,
    /// It is a duplicate of an object that is stored in another transfer syntax.
    pub other_transfer_syntax: bool,
}

/// The UID that replaces an original in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UidReplacement {
    Study,
    Series,
    Instance,
    /// A UID of [`Names::uids`](anon_model::Names::uids), by its index.
    Other(u32),
}

/// What each element of one object becomes, before the pseudonyms are known.
///
/// Holds original values, so its `Debug` shows none of them.
pub struct Plan<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) scratch: Option<&'a std::path::Path>,
    pub(crate) body: Body<'a>,
    pub(crate) template: Template,
    pub(crate) uid_replacements: Vec<UidReplacement>,
    pub(crate) syntax: TransferSyntax,
    /// Offset of the data set in the body.
    pub(crate) begin: u64,
    /// The ranges that a fingerprint of version 1 leaves out.
    pub(crate) bulk: Vec<(u64, u64)>,
    /// The ranges that a fingerprint of version 2 leaves out: long values that the output holds unchanged.
    pub(crate) copied: Vec<(u64, u64)>,
    wanted: Wanted,
    captured: Captured,
    sop_class: String,
    /// SOP Instance UID of the output, if it is not the pseudonym.
    pub(crate) instance: Option<String>,
    warnings: Warnings,
    remarks: Remarks,
}

/// Memory for each original of a plan: its text, and its pseudonym.
const PLANNED_ORIGINAL: u64 = 256;

/// Memory of the lookup store for each original of an object that is not committed.
const STAGED_ORIGINAL: u64 = 320;

/// Memory of an object that is not committed, without its originals.
const STAGED_OBJECT: u64 = 4 << 10;

/// How much memory an object takes until it is stored, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryNeed {
    /// The plan, until the object is staged.
    pub(crate) planned: u64,
    /// What waits for the commit.
    pub(crate) staged: u64,
}

/// Reads an object's headers and decides what each element becomes.
///
/// Study, Series and SOP Instance UID of the root always become pseudonyms, and SOP Class UID is
/// always kept: an output must agree with its path and its file meta information (PS3.10 section 7.1).
/// The rules decide about every other element.
///
/// The object is refused if an element of the output stands twice with different values, if bytes
/// other than zeros follow the last element and there is no pixel data before them, if a VR could be
/// read in two ways, if a length extends beyond the enclosing sequence or item, if a kept value holds
/// other elements, or if characters are found where PS3.6 says binary. A kept value that does not fit
/// its VR and VM in PS3.6, such as a name in Study Time, is emptied. Group lengths, trailing padding
/// and stray delimiters are dropped, and odd lengths are made even (PS3.5 sections 7.1 and 7.2).
///
/// Bytes behind the last pixel of an uncompressed image are left out; so are bytes behind the pixel
/// data that are no element. The remarks count both.
///
/// What DCMTK and GDCM read is mended where nothing can hide in it, unless the policy is
/// [strict](Strictness::Strict): elements out of order or repeated byte by byte, letters that name no
/// VR, a missing delimiter behind the last fragment, misspelled character sets, old forms of dates.
///
/// # Errors
/// [`Refusal`] if the object cannot be de-identified with certainty.
pub fn plan<'a>(policy: &'a Policy, source: Source<'a>) -> Result<Plan<'a>, Refusal> {
    method::check(policy)?;
    match source.data {
        SourceBytes::Memory(bytes) => {
            let start = find_data_set(&mut BytesInput(bytes), policy, source)?;
            if start.syntax.deflated {
                return inflated(policy, source, BytesInput(bytes), start);
            }
            plan_data_set(policy, source, BytesInput(bytes), start, Body::Bytes(bytes))
        }
        SourceBytes::File { file, len } => {
            let mut input = FileInput::new(file, len);
            let start = find_data_set(&mut input, policy, source)?;
            if start.syntax.deflated {
                return inflated(policy, source, input, start);
            }
            plan_data_set(policy, source, input, start, Body::File(file, len))
        }
    }
}

fn find_data_set<I: Input>(
    input: &mut I,
    policy: &Policy,
    source: Source<'_>,
) -> Result<DataSetStart, Refusal> {
    match source.format {
        SourceFormat::Part10 => file_meta::find(input, &policy.limits),
        SourceFormat::DataSet { transfer_syntax } => {
            let syntax = TransferSyntax::from_uid(transfer_syntax)?;
            Ok(DataSetStart::bare(syntax))
        }
    }
}

fn inflated<'a, I: Input>(
    policy: &'a Policy,
    source: Source<'a>,
    input: I,
    start: DataSetStart,
) -> Result<Plan<'a>, Refusal> {
    let begin = start.begin;
    let inner = DataSetStart { begin: 0, ..start };
    match inflate::inflate(input, begin, &policy.limits, source.scratch)? {
        inflate::Inflated::Memory(bytes) => {
            let mut plan =
                plan_data_set(policy, source, BytesInput(&bytes), inner, Body::Bytes(&[]))?;
            plan.body = Body::Inflated(bytes);
            Ok(plan)
        }
        inflate::Inflated::Scratch(scratch) => {
            let input = FileInput::new(scratch.file(), scratch.len());
            let mut plan = plan_data_set(policy, source, input, inner, Body::Bytes(&[]))?;
            plan.body = Body::Scratch(scratch);
            Ok(plan)
        }
    }
}

fn plan_data_set<'a, I: Input>(
    policy: &'a Policy,
    source: Source<'a>,
    input: I,
    start: DataSetStart,
    body: Body<'a>,
) -> Result<Plan<'a>, Refusal> {
    let (begin, declared) = (start.begin, start.syntax.encoding);
    let limits = Limits {
        max_plan_bytes: policy.limits.max_plan_bytes.min(source.max_plan_bytes),
        ..policy.limits
    };
    let rules = &*policy.rules;
    let (seen, input) = match rules.look() {
        Look::Nothing => (ObjectHeader::default(), input),
        look => look::header_of(look, input, (begin, declared), &limits)?,
    };
    let seen = seen.with_moment(source.moment);
    let object = match rules.look() {
        Look::Nothing => None,
        _ => rules.begin(&seen).map_err(refused)?,
    };
    let object = object.as_deref();
    let mut walk = Walk::new(input, begin, declared, &limits);
    let found = walk.detect_encoding()?;
    let (odd_vr, names_two) = (start.odd_vr, start.names_two);
    let syntax = start.syntax.with_encoding(found).ok_or_else(|| {
        let reason = "the data set is not encoded in the transfer syntax that it declares";
        Refusal::new(Category::DicomReadError, reason)
    })?;
    check_syntax(policy, &syntax)?;
    let mut planner = Planner::new(policy, object, walk, found);
    planner.is_native = syntax.is_native();
    planner.max_bytes = limits.max_plan_bytes;
    if let Err(error) = planner.run() {
        if !planner.needs_order {
            return Err(error.into());
        }
        planner = planned_in_order(planner, (begin, declared), &limits)?;
    }
    let mended = planner.mended();
    if found != declared {
        mended.add(RemarkReason::OtherEncoding, 0, begin);
    }
    if let Some((number, at)) = odd_vr {
        mended.add(RemarkReason::UnknownVr, number, at);
    }
    if names_two {
        mended.add(RemarkReason::TwoSyntaxes, 0, 0);
    }
    let identified = checked(policy, &mut planner, &syntax, begin)?;
    let mut wanted = identified.wanted;
    let mut remarks = std::mem::take(&mut planner.remarks);
    remarks.add_all(&planner.mended().remarks);
    let mut copied = std::mem::take(&mut planner.copied);
    // The fingerprint reads them in the order of the source; a sorted walk lists them in that of the
    // output.
    copied.sort_unstable();
    let instance = planner.instance.take();
    wanted.given = std::mem::take(&mut planner.given);
    let (mut template, bulk, input) = planner.finish();
    wanted.fingerprint = fingerprint::of(input, begin, &copied, DigestVersion::V2)?;
    let uid_replacements = identify::uid_replacements(&mut template, &mut wanted);
    Ok(Plan {
        policy,
        scratch: source.scratch,
        body,
        template,
        uid_replacements,
        syntax,
        begin,
        bulk,
        copied,
        wanted,
        captured: identified.captured,
        sop_class: identified.sop_class,
        instance,
        warnings: identified.warnings,
        remarks,
    })
}

/// Returns the refusal of an object that the rules do not store.
fn refused(refused: Refused) -> Refusal {
    Refusal::new(Category::StorageError, refused.reason)
}

/// Refuses a transfer syntax that neither PS3.6 lists nor the settings name.
fn check_syntax(policy: &Policy, syntax: &TransferSyntax) -> Result<(), Refusal> {
    if syntax.is_known() || policy.transfer_syntaxes.contains(&syntax.uid) {
        return Ok(());
    }
    let reason = "PS3.6 does not list the transfer syntax (0002,0010); if it is one of a vendor, add \
                  its UID to transfer_syntaxes";
    let mut refusal = Refusal::new(Category::DicomReadError, reason);
    refusal.tag = Some(file_meta::TRANSFER_SYNTAX);
    Err(refusal)
}

/// Checks what the walk found, and identifies the object.
fn checked<I: Input>(
    policy: &Policy,
    planner: &mut Planner<'_, I>,
    syntax: &TransferSyntax,
    begin: u64,
) -> Result<identify::Identified, Refusal> {
    check_pixel_data(syntax, planner.pixel_data)?;
    check_fragments(syntax, planner)?;
    let identified = identify::identify(policy, &planner.root_values, &planner.template.originals)?;
    if identified.has_no_escape {
        planner.mended().add(RemarkReason::NoEscape, 0, begin);
    }
    if policy.strictness == Strictness::Strict
        && let Some(refusal) = planner.mended().refusal()
    {
        return Err(refusal);
    }
    Ok(identified)
}

/// Walks a data set again, in the order of its tags: a kept element stands twice or out of order.
#[cold]
fn planned_in_order<'p, I: Input>(
    first: Planner<'p, I>,
    (begin, declared): (u64, Encoding),
    limits: &Limits,
) -> Result<Planner<'p, I>, ScanError> {
    let (policy, object, is_native) = (first.policy, first.object, first.is_native);
    let mut walk = Walk::new(first.into_input(), begin, declared, limits);
    let found = walk.detect_encoding()?;
    walk.sort()?;
    let mut planner = Planner::new(policy, object, walk, found);
    planner.is_native = is_native;
    planner.max_bytes = limits.max_plan_bytes;
    planner.run()?;
    Ok(planner)
}

/// Refuses fragments without a delimiter that are not certainly all fragments. With JPEG and its
/// successors a frame may have several (PS3.5 section A.4): as many as there are frames begin a code
/// stream, and the last one ends with the end marker. Otherwise, as with RLE, each frame has exactly one
/// (PS3.5 section A.4.2).
fn check_fragments<I: Input>(
    syntax: &TransferSyntax,
    planner: &Planner<'_, I>,
) -> Result<(), Refusal> {
    let PixelData::Unended(fragments) = planner.pixel_data else {
        return Ok(());
    };
    let is_whole = planner.frames().is_some_and(|frames| {
        if syntax.has_end_marker() {
            fragments.code_streams == frames && fragments.ends_as_jpeg
        } else {
            fragments.count == frames
        }
    });
    if is_whole {
        return Ok(());
    }
    let reason = "the object is cut short or damaged: the end of the encapsulated pixel data is \
                  missing, and its fragments are not certainly all";
    let mut refusal = Refusal::new(Category::DicomReadError, reason);
    refusal.tag = Some(PIXEL_DATA);
    Err(refusal)
}

/// Refuses pixel data that its transfer syntax does not allow. Encapsulated transfer syntaxes, and only
/// those, have encapsulated pixel data in the root; in items, such as icons, both forms occur (PS3.5
/// section A.4).
fn check_pixel_data(syntax: &TransferSyntax, pixel_data: PixelData) -> Result<(), Refusal> {
    let (category, reason) = match pixel_data {
        PixelData::Encapsulated | PixelData::Unended(_) if syntax.is_native() => (
            Category::DicomReadError,
            "the pixel data is compressed, but its transfer syntax is an uncompressed one",
        ),
        PixelData::Native if syntax.is_encapsulated() => (
            Category::DicomReadError,
            "the pixel data is not compressed, but its transfer syntax is a compressed one",
        ),
        PixelData::FromRule if syntax.is_encapsulated() => (
            Category::StorageError,
            "the rule empties or replaces the pixel data, which must have fragments in a compressed \
             transfer syntax; remove it instead",
        ),
        _ => return Ok(()),
    };
    let mut refusal = Refusal::new(category, reason);
    refusal.tag = Some(PIXEL_DATA);
    Err(refusal)
}

impl Plan<'_> {
    /// Returns the originals that need a pseudonym.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Returns the values that the PHI index keeps.
    pub fn captured(&self) -> &Captured {
        &self.captured
    }

    /// Returns the SOP Class UID (0008,0016).
    pub fn sop_class(&self) -> &str {
        &self.sop_class
    }

    /// Returns the UID of the transfer syntax, which is the same for the source and the output.
    ///
    /// It differs from the file meta information only if that has none, or names the wrong one of the
    /// two uncompressed little endian transfer syntaxes.
    pub fn transfer_syntax(&self) -> &str {
        &self.syntax.uid
    }

    /// Returns why a person should check the object.
    pub fn warnings(&self) -> Warnings {
        self.warnings
    }

    /// Returns an upper estimate of the memory that the object takes until it is stored, in bytes.
    pub(crate) fn memory(&self) -> MemoryNeed {
        let texts = self.wanted.uids.iter().chain(&self.wanted.accessions);
        let (count, bytes) = texts.fold((0, 0), |(count, bytes), text| {
            (count + 1, bytes + text.expose().len() as u64)
        });
        MemoryNeed {
            planned: self.template.cost() + count * PLANNED_ORIGINAL + bytes,
            staged: STAGED_OBJECT + count * STAGED_ORIGINAL + bytes,
        }
    }

    /// Adds a remark on where the object was found. A strict policy refuses it.
    pub(crate) fn note(&mut self, reason: RemarkReason) -> Result<(), Refusal> {
        if self.policy.strictness == Strictness::Strict {
            let mut mended = Mended::default();
            mended.add(reason, 0, 0);
            return mended.refusal().map_or(Ok(()), Err);
        }
        self.remarks.add(reason, 0);
        Ok(())
    }

    /// Returns the remarks that are known before the pseudonyms are. Those on dates are not;
    /// [`Deidentified::remarks`](crate::Deidentified::remarks) has all.
    pub fn remarks(&self) -> &Remarks {
        &self.remarks
    }

    /// Returns the fingerprint, which tells a copy of an instance from another object with the same
    /// SOP Instance UID: the length of the data set, and XXH3-128 of it without the fragments and values
    /// of 4 KiB or more that the output holds unchanged.
    pub fn fingerprint(&self) -> Fingerprint {
        self.wanted.fingerprint
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("sop_class", &self.sop_class)
            .field("transfer_syntax", &self.syntax.uid)
            .field("pieces", &self.template.pieces.len())
            .field("uids", &self.wanted.uids.len())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}
