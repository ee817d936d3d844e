//! [`plan`]: finds what each element becomes, and which originals need a pseudonym.
//!
//! ```text
//! bytes ─► file meta ─► walk over headers ─► rules ─► template: kept ranges, new bytes, edits
//!                            │                                       │
//!                            └─ root values ──► checks, index        └─► Wanted ─► names ─► apply
//! ```

mod element;
mod fingerprint;
mod identify;
mod root_values;
mod value_check;

use std::fmt;

use anon_model::{Fingerprint, PatientPhi, SeriesPhi, StudyPhi, Wanted};

use self::element::Planner;
use crate::deid::body::Body;
use crate::deid::method;
use crate::deid::policy::Policy;
use crate::deid::template::Template;
use crate::read::file_meta::{self, DataSetStart, TransferSyntax};
use crate::read::inflate;
use crate::read::input::{BytesInput, FileInput, Input};
use crate::read::scan::Walk;
use crate::read::source::SourceBytes;
pub use crate::read::source::{Source, SourceFormat};
use crate::refusal::{Category, Refusal};

/// The values of an object that the index keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Captured {
    /// Of the patient.
    pub patient: PatientPhi,
    /// Of the study; `source` and `date_offset` are left to the caller.
    pub study: StudyPhi,
    /// Of the series.
    pub series: SeriesPhi,
}

/// Why an accepted object deserves a second look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warnings {
    /// Secondary capture or ultrasound that does not say if its pixels show identifying text.
    pub burned_in_unknown: bool,
    /// The object names no patient and is filed under the shared one.
    pub shared_patient: bool,
}

/// What stands for an original UID in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UidReplacement {
    Study,
    Series,
    Instance,
    /// The name of this number in [`Names::uids`](anon_model::Names::uids).
    Other(u32),
}

/// What each element of one object becomes, before the pseudonyms are known.
///
/// It holds original values, so its `Debug` shows sizes only.
pub struct Plan<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) scratch: Option<&'a std::path::Path>,
    pub(crate) body: Body<'a>,
    pub(crate) template: Template,
    pub(crate) uid_replacements: Vec<UidReplacement>,
    pub(crate) syntax: TransferSyntax,
    wanted: Wanted,
    captured: Captured,
    sop_class: String,
    warnings: Warnings,
}

/// Reads an object's headers and decides what each element becomes.
///
/// Study, Series and SOP Instance UID of the root always become the names the store gives, and SOP
/// Class UID always stays: an output must agree with its path and its file meta information
/// (PS3.10 section 7.1). The rules decide about every other element. These refuse the object: an
/// element that is written and stands twice or out of order, bytes after the last element
/// other than zeros, a value representation that could be read in two ways, a length beyond what
/// encloses it. A kept value that cannot be what PS3.6 says, such as a PN in Study Time, is
/// emptied; characters where PS3.6 says binary refuse the object. Group lengths, trailing
/// padding and stray delimiters are dropped, and odd lengths are made even (PS3.5 sections 7.1 and 7.2).
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
        SourceFormat::DataSet { transfer_syntax } => Ok(DataSetStart {
            begin: 0,
            syntax: TransferSyntax::from_uid(transfer_syntax)?,
        }),
    }
}

fn inflated<'a, I: Input>(
    policy: &'a Policy,
    source: Source<'a>,
    input: I,
    start: DataSetStart,
) -> Result<Plan<'a>, Refusal> {
    let inner = DataSetStart {
        begin: 0,
        syntax: start.syntax,
    };
    match inflate::inflate(input, start.begin, &policy.limits, source.scratch)? {
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
    let DataSetStart { begin, syntax } = start;
    let mut walk = Walk::new(input, begin, syntax.encoding, &policy.limits);
    let found = walk.detect_encoding()?;
    let syntax = syntax.with_encoding(found).ok_or_else(|| {
        let reason = "the data set is not encoded as its transfer syntax says";
        Refusal::new(Category::DicomReadError, reason)
    })?;
    let mut planner = Planner::new(policy, walk, found);
    planner.run()?;
    if planner.encapsulated && syntax.is_native() {
        let reason = "the pixel data is compressed, and the transfer syntax names no compression";
        return Err(Refusal::new(Category::DicomReadError, reason));
    }
    let identified = identify::identify(policy, &planner.root_values, &planner.template.originals)?;
    let mut wanted = identified.wanted;
    let (mut template, bulk, input) = planner.finish();
    wanted.fingerprint = fingerprint::of(input, begin, &bulk)?;
    let uid_replacements = identify::uid_replacements(&mut template, &mut wanted);
    Ok(Plan {
        policy,
        scratch: source.scratch,
        body,
        template,
        uid_replacements,
        syntax,
        wanted,
        captured: identified.captured,
        sop_class: identified.sop_class,
        warnings: identified.warnings,
    })
}

impl Plan<'_> {
    /// The pseudonyms that the object needs.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The values that the index keeps.
    pub fn captured(&self) -> &Captured {
        &self.captured
    }

    /// SOP Class UID (0008,0016).
    pub fn sop_class(&self) -> &str {
        &self.sop_class
    }

    /// UID of the transfer syntax, as received and as written.
    ///
    /// It differs from what the file meta information says only where that is missing, or names
    /// the other one of the two uncompressed little endian ones.
    pub fn transfer_syntax(&self) -> &str {
        &self.syntax.uid
    }

    /// Its warnings.
    pub fn warnings(&self) -> Warnings {
        self.warnings
    }

    /// Tells copies of one instance from different objects under one UID: length of the data set
    /// and XXH3-128 over all of it but values of 4 KiB and more, and fragments.
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
