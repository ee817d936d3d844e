//! [`plan`]: finds what each element needs, and which originals want a pseudonym.
//!
//! ```text
//! bytes ─► file meta ─► walk over headers ─► rules ─► draft: kept ranges, new bytes, edits
//!                            │                                       │
//!                            └─ noted values ─► checks, index        └─► Wanted ─► names ─► apply
//! ```

mod element;
mod fingerprint;
mod noted;
mod repertoire;
mod settle;

use std::fmt;

use anon_model::{Fingerprint, PatientPhi, SeriesPhi, StudyPhi, Wanted};

use self::element::Planner;
use crate::deid::body::Body;
use crate::deid::draft::Draft;
use crate::deid::method;
use crate::deid::policy::Policy;
use crate::read::file_meta::{self, Outside, Syntax};
use crate::read::inflate;
use crate::read::input::{Input, Memory, Windowed};
use crate::read::scan::Walk;
use crate::read::source::Data;
pub use crate::read::source::{Form, Source};
use crate::refusal::{Category, Refusal};

/// What the index keeps of an object.
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

/// What is remarkable about an object that is taken all the same.
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
pub(crate) enum Target {
    Study,
    Series,
    Instance,
    /// The name of this number in [`Names::uids`](anon_model::Names::uids).
    Other(u32),
}

/// What one object needs, found and not yet done.
///
/// Holds originals, so its `Debug` tells sizes only.
pub struct Plan<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) scratch: Option<&'a std::path::Path>,
    pub(crate) body: Body<'a>,
    pub(crate) draft: Draft,
    pub(crate) targets: Vec<Target>,
    pub(crate) syntax: Syntax,
    wanted: Wanted,
    captured: Captured,
    sop_class: String,
    warnings: Warnings,
}

/// Reads an object's headers and finds what each element needs.
///
/// Study, Series and SOP Instance UID of the root always become the names the store gives, and SOP
/// Class UID always stays: an output must agree with its path and its file meta information. Every
/// other element is dealt with as the rules say. These refuse the object rather than being passed
/// over: an element that is written and stands twice or out of order, bytes after the last element
/// other than zeros, a value representation that could be read in two ways, a length beyond what
/// encloses it. A kept value that cannot be what PS3.6 says, such as a PN in Study Time, is
/// emptied; characters where PS3.6 says binary refuse the object. Group lengths, trailing padding and stray delimiters are dropped, odd lengths made
/// even (PS3.5 sections 7.1 and 7.2).
///
/// # Errors
/// [`Refusal`] if the object cannot be de-identified with certainty.
pub fn plan<'a>(policy: &'a Policy, source: Source<'a>) -> Result<Plan<'a>, Refusal> {
    method::check(policy)?;
    match source.data {
        Data::Bytes(bytes) => {
            let outside = outside(&mut Memory(bytes), policy, source)?;
            if outside.syntax.deflated {
                return inflated(policy, source, Memory(bytes), outside);
            }
            drafted(policy, source, Memory(bytes), outside, Body::Bytes(bytes))
        }
        Data::File { file, len } => {
            let mut input = Windowed::new(file, len);
            let outside = outside(&mut input, policy, source)?;
            if outside.syntax.deflated {
                return inflated(policy, source, input, outside);
            }
            drafted(policy, source, input, outside, Body::File(file, len))
        }
    }
}

fn outside<I: Input>(
    input: &mut I,
    policy: &Policy,
    source: Source<'_>,
) -> Result<Outside, Refusal> {
    match source.form {
        Form::Part10 => file_meta::find(input, &policy.limits),
        Form::DataSet { transfer_syntax } => Ok(Outside {
            begin: 0,
            syntax: Syntax::named(transfer_syntax)?,
        }),
    }
}

fn inflated<'a, I: Input>(
    policy: &'a Policy,
    source: Source<'a>,
    input: I,
    outside: Outside,
) -> Result<Plan<'a>, Refusal> {
    let inner = Outside {
        begin: 0,
        syntax: outside.syntax,
    };
    match inflate::inflate(input, outside.begin, &policy.limits, source.scratch)? {
        inflate::Inflated::Memory(bytes) => {
            let mut plan = drafted(policy, source, Memory(&bytes), inner, Body::Bytes(&[]))?;
            plan.body = Body::Inflated(bytes);
            Ok(plan)
        }
        inflate::Inflated::Scratch(scratch) => {
            let input = Windowed::new(scratch.file(), scratch.len());
            let mut plan = drafted(policy, source, input, inner, Body::Bytes(&[]))?;
            plan.body = Body::Scratch(scratch);
            Ok(plan)
        }
    }
}

fn drafted<'a, I: Input>(
    policy: &'a Policy,
    source: Source<'a>,
    input: I,
    outside: Outside,
    body: Body<'a>,
) -> Result<Plan<'a>, Refusal> {
    let Outside { begin, syntax } = outside;
    let mut walk = Walk::new(input, begin, syntax.encoding, &policy.limits);
    let found = walk.settle()?;
    let syntax = syntax.found_as(found).ok_or_else(|| {
        let reason = "the data set is not encoded as its transfer syntax says";
        Refusal::new(Category::DicomReadError, reason)
    })?;
    let mut planner = Planner::new(policy, walk, found);
    planner.run()?;
    if planner.encapsulated && syntax.is_native() {
        let reason = "the pixel data is compressed, and the transfer syntax names no compression";
        return Err(Refusal::new(Category::DicomReadError, reason));
    }
    let settled = settle::settle(policy, &planner.noted, &planner.draft.originals)?;
    let mut wanted = settled.wanted;
    let (mut draft, bulk, input) = planner.finish();
    wanted.fingerprint = fingerprint::of(input, begin, &bulk)?;
    let targets = settle::hand_over(&mut draft, &mut wanted);
    Ok(Plan {
        policy,
        scratch: source.scratch,
        body,
        draft,
        targets,
        syntax,
        wanted,
        captured: settled.captured,
        sop_class: settled.sop_class,
        warnings: settled.warnings,
    })
}

impl Plan<'_> {
    /// What the object asks of the store.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// What the index keeps of it.
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

    /// What is remarkable about it.
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
            .field("pieces", &self.draft.pieces.len())
            .field("uids", &self.wanted.uids.len())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}
