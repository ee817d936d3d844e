//! Makes the output from a plan and its pseudonyms, in one pass over the pieces of the template.

use anon_model::{Names, RemarkReason, Remarks};

use crate::deid::body::Body;
use crate::deid::deflate::deflate;
use crate::deid::deidentified::{Deidentified, OutputRange};
use crate::deid::eval::date::Shift;
use crate::deid::method;
use crate::deid::output_path::OutputPath;
use crate::deid::plan::{Plan, UidReplacement};
use crate::deid::template::{Edit, EditValue, ObjectUid, Piece, Reference, put_element};
use crate::read::dictionary::{self, Vr};
use crate::read::file_meta;
use crate::read::input::{FileInput, Input, ReadError};
use crate::read::scan::{Encoding, ScanError, UNDEFINED};
use crate::read::uid;
use crate::refusal::{Category, Refusal};

/// Kept ranges of at least this many bytes are not copied; the output refers to the source.
pub(crate) const LONG: u64 = 64 << 10;
const STEP: u64 = 64 << 10;

/// Estimated length of preamble and file meta information.
const META_BYTES: usize = 512;
/// Estimated length of an element with a new value.
const EDIT_BYTES: usize = 80;

impl Plan<'_> {
    /// Makes the de-identified object. The same plan and names make the same bytes.
    ///
    /// # Errors
    /// [`Refusal`] if a name does not fit its element, or the source cannot be read any more.
    pub fn apply(&self, names: &Names) -> Result<Deidentified<'_>, Refusal> {
        apply(self, names)
    }

    /// Writes the whole de-identified object to `out`, which is cleared first. For callers that reuse
    /// one buffer.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_into(&self, names: &Names, out: &mut Vec<u8>) -> Result<(), Refusal> {
        apply_into(self, names, out)
    }
}

/// Makes an output that refers to the source for long kept ranges.
fn apply<'p>(plan: &'p Plan<'_>, names: &Names) -> Result<Deidentified<'p>, Refusal> {
    let mut emitter = Emitter::new(plan, names, Vec::new(), LongRanges::Refer)?;
    let path = OutputPath::new([&names.patient, &names.study, &names.series, &names.instance])?;
    let date_offset = emitter.shift.days();
    if plan.syntax.deflated {
        let meta = file_meta_bytes(plan, names, 0);
        emitter.run()?;
        let remarks = emitter.remarks();
        let (buffer, parts) = emitter.into_parts();
        let in_scratch = matches!(plan.body, Body::Scratch(_));
        let inner = Deidentified::new(&plan.body, buffer, parts, path.clone(), date_offset);
        let dir = plan.scratch.filter(|_| in_scratch);
        let deflated = deflate(&inner, meta, dir).map_err(unreadable)?;
        let clean = Deidentified::from_deflated(deflated, path, date_offset);
        return Ok(clean.with_remarks(remarks));
    }
    emitter.out = file_meta_bytes(plan, names, buffered(plan));
    emitter.run()?;
    let remarks = emitter.remarks();
    let (buffer, parts) = emitter.into_parts();
    let clean = Deidentified::new(&plan.body, buffer, parts, path, date_offset);
    Ok(clean.with_remarks(remarks))
}

/// Makes an output that is whole in one buffer.
fn apply_into(plan: &Plan<'_>, names: &Names, out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.clear();
    if plan.syntax.deflated {
        return apply(plan, names)?.write_to(out).map_err(unreadable);
    }
    OutputPath::check([&names.patient, &names.study, &names.series, &names.instance])?;
    let mut buffer = std::mem::take(out);
    file_meta::write(
        &mut buffer,
        plan.sop_class(),
        plan.instance.as_deref().unwrap_or(&names.instance),
        &plan.syntax.uid,
    );
    let mut emitter = Emitter::new(plan, names, buffer, LongRanges::Copy)?;
    let done = emitter.run();
    *out = emitter.out;
    done
}

/// Estimates how many bytes the output buffer needs after the file meta information, so that it is
/// allocated once.
fn buffered(plan: &Plan<'_>) -> usize {
    let short = |piece: &Piece| match *piece {
        Piece::Source(begin, end) if end - begin < LONG => end - begin,
        _ => 0,
    };
    let kept: u64 = plan.template.pieces.iter().map(short).sum();
    let edited = plan.template.edits.len() * EDIT_BYTES;
    usize::try_from(kept).unwrap_or(0) + plan.template.arena.len() + edited
}

/// Returns the file meta information in a buffer with room for this many more bytes.
fn file_meta_bytes(plan: &Plan<'_>, names: &Names, room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(META_BYTES + room);
    file_meta::write(
        &mut out,
        plan.sop_class(),
        plan.instance.as_deref().unwrap_or(&names.instance),
        &plan.syntax.uid,
    );
    out
}

fn unreadable(_: std::io::Error) -> Refusal {
    // The error is dropped because its text can name a path.
    Refusal::new(
        Category::StorageError,
        "the object cannot be read or deflated to the end",
    )
}

/// How long kept ranges get into the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LongRanges {
    Refer,
    Copy,
}

/// Writes an output, piece by piece.
struct Emitter<'e, 'a> {
    plan: &'e Plan<'a>,
    names: &'e Names,
    shift: Shift,
    out: Vec<u8>,
    parts: Vec<OutputRange>,
    /// How many bytes of `out` are in `parts` already.
    flushed: usize,
    /// How many bytes `parts` takes from the source.
    referred: u64,
    /// Open length fields: offset in `out`, value of `referred` there, byte order.
    open: Vec<(usize, u64, Encoding)>,
    value: Vec<u8>,
    file: Option<FileInput<'e>>,
    long: LongRanges,
    /// Remarks on the dates.
    remarks: Remarks,
}

impl<'e, 'a> Emitter<'e, 'a> {
    fn new(
        plan: &'e Plan<'a>,
        names: &'e Names,
        out: Vec<u8>,
        long: LongRanges,
    ) -> Result<Self, Refusal> {
        check_names(plan, names)?;
        let filed_under = names.filed_under.as_ref();
        let patient = filed_under.unwrap_or(&plan.wanted().patient);
        let file = match &plan.body {
            Body::File(file, len) => Some(FileInput::new(file, *len)),
            Body::Scratch(scratch) => Some(FileInput::new(scratch.file(), scratch.len())),
            Body::Bytes(_) | Body::Inflated(_) => None,
        };
        Ok(Self {
            plan,
            names,
            shift: match names.date_offset {
                Some(days) => Shift::by(&plan.policy.dates, patient.expose(), days),
                None => Shift::of(&plan.policy.dates, patient.expose()),
            },
            out,
            parts: Vec::new(),
            flushed: 0,
            referred: 0,
            open: Vec::new(),
            value: Vec::new(),
            file,
            long,
            remarks: Remarks::default(),
        })
    }

    fn run(&mut self) -> Result<(), Refusal> {
        let plan = self.plan;
        for piece in &plan.template.pieces {
            match *piece {
                Piece::Source(begin, end) => self.source(begin, end)?,
                Piece::Arena(begin, end) => {
                    let bytes = range(&plan.template.arena, begin, end)?;
                    self.out.extend_from_slice(bytes);
                }
                Piece::Open(order) => {
                    self.open.push((self.out.len(), self.referred, order));
                    self.out.extend_from_slice(&[0; 4]);
                }
                Piece::Close => self.close()?,
                Piece::Edit(at) => {
                    let edit = plan.template.edits.get(at as usize).ok_or_else(broken)?;
                    self.edit(edit)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the remarks of the plan and those on the dates.
    fn remarks(&mut self) -> Remarks {
        let mut remarks = self.plan.remarks().clone();
        remarks.add_all(&self.remarks);
        remarks
    }

    fn into_parts(mut self) -> (Vec<u8>, Vec<OutputRange>) {
        self.flush();
        (self.out, self.parts)
    }

    fn flush(&mut self) {
        if self.flushed < self.out.len() {
            self.parts
                .push(OutputRange::Buffer(self.flushed, self.out.len()));
            self.flushed = self.out.len();
        }
    }

    #[inline]
    fn source(&mut self, begin: u64, end: u64) -> Result<(), Refusal> {
        if self.long == LongRanges::Refer && end - begin >= LONG {
            self.flush();
            self.parts.push(OutputRange::Source(begin, end));
            self.referred += end - begin;
            return Ok(());
        }
        let memory: &[u8] = match &self.plan.body {
            Body::Bytes(bytes) => bytes,
            Body::Inflated(bytes) => bytes,
            Body::File(..) | Body::Scratch(_) => return self.copy_from_file(begin, end),
        };
        let bytes = usize::try_from(begin)
            .ok()
            .zip(usize::try_from(end).ok())
            .and_then(|(begin, end)| memory.get(begin..end))
            .ok_or_else(broken)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn copy_from_file(&mut self, begin: u64, end: u64) -> Result<(), Refusal> {
        let file = self.file.as_mut().ok_or_else(broken)?;
        let mut at = begin;
        while at < end {
            let step = (end - at).min(STEP);
            let want = usize::try_from(step).map_err(|_| broken())?;
            let bytes = file
                .exact(at, want)
                .map_err(|failed: ReadError| ScanError::input(failed, at))?;
            self.out.extend_from_slice(bytes);
            at += step;
        }
        Ok(())
    }

    /// Fills in the last open length field.
    fn close(&mut self) -> Result<(), Refusal> {
        let (field, referred, order) = self.open.pop().ok_or_else(broken)?;
        let here = (self.out.len() - field - 4) as u64 + (self.referred - referred);
        let len = u32::try_from(here).ok().filter(|len| *len != UNDEFINED);
        let len = len.ok_or_else(|| {
            let reason = "a sequence of defined length becomes too long";
            Refusal::new(Category::StorageError, reason)
        })?;
        let bytes = self.out.get_mut(field..field + 4).ok_or_else(broken)?;
        bytes.copy_from_slice(&order.put_u32(len));
        Ok(())
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), Refusal> {
        let plan = self.plan;
        self.value.clear();
        match &edit.value {
            EditValue::Patient => self.value.extend_from_slice(self.names.patient.as_bytes()),
            EditValue::OwnUid(role) => {
                let name = match role {
                    ObjectUid::Study => &self.names.study,
                    ObjectUid::Series => &self.names.series,
                    ObjectUid::Instance => &self.names.instance,
                };
                self.value.extend_from_slice(name.as_bytes());
            }
            EditValue::Uids(at) => self.list(at, Self::uid_name)?,
            EditValue::Accessions(at) => self.list(at, Self::accession_name)?,
            EditValue::Dates(at) => {
                let originals = range(&plan.template.originals, at.start, at.end)?;
                self.dates(originals, edit);
            }
        }
        put_element(&mut self.out, edit.encoding, edit.tag, edit.vr, &self.value).ok_or_else(|| {
            let tag = Some(edit.tag).filter(|tag| dictionary::is_listed(*tag));
            let name = tag.map_or_else(|| "an unknown element".to_owned(), |tag| tag.to_string());
            let reason = format!("the new value of {name} is too long");
            let mut refusal = Refusal::new(Category::StorageError, reason);
            refusal.tag = tag;
            refusal
        })
    }

    /// Writes a list of references, separated by backslashes (PS3.5 section 6.4).
    fn list(
        &mut self,
        at: &std::ops::Range<u32>,
        name: impl Fn(&Self, u32) -> Option<&'e str>,
    ) -> Result<(), Refusal> {
        let plan = self.plan;
        let references = plan
            .template
            .references
            .get(at.start as usize..at.end as usize);
        for (n, reference) in references.ok_or_else(broken)?.iter().enumerate() {
            if n > 0 {
                self.value.push(b'\\');
            }
            match reference {
                Reference::Empty => {}
                Reference::Literal(at) => {
                    let bytes = range(&plan.template.originals, at.start, at.end)?;
                    self.value.extend_from_slice(bytes);
                }
                Reference::Original(at) => {
                    let name = name(self, *at).ok_or_else(broken)?;
                    self.value.extend_from_slice(name.as_bytes());
                }
            }
        }
        Ok(())
    }

    fn uid_name(&self, at: u32) -> Option<&'e str> {
        Some(match self.plan.uid_replacements.get(at as usize)? {
            UidReplacement::Study => &self.names.study,
            UidReplacement::Series => &self.names.series,
            UidReplacement::Instance => &self.names.instance,
            UidReplacement::Other(at) => self.names.uids.get(*at as usize)?,
        })
    }

    fn accession_name(&self, at: u32) -> Option<&'e str> {
        self.names.accessions.get(at as usize).map(String::as_str)
    }

    /// Writes moved dates. A value that is not a date becomes empty.
    fn dates(&mut self, originals: &[u8], edit: &Edit) {
        for (n, original) in originals.split(|byte| *byte == b'\\').enumerate() {
            if n > 0 {
                self.value.push(b'\\');
            }
            if put_moved(&mut self.value, self.shift, original, edit.vr).is_none() {
                self.remark_on_date(original, edit);
            }
        }
    }

    #[cold]
    fn remark_on_date(&mut self, original: &[u8], edit: &Edit) {
        if uid::trim(original).is_empty() {
            return;
        }
        let unmoved = self.shift.unmoved();
        let is_date = put_moved(&mut Vec::new(), unmoved, original, edit.vr).is_some();
        let reason = if is_date {
            RemarkReason::DateOutOfRange
        } else {
            RemarkReason::NotADate
        };
        let number = dictionary::number_to_show(dictionary::number(edit.tag));
        self.remarks.add(reason, number);
    }
}

/// Appends a moved date. Appends nothing if the value is not a date or would move too far.
fn put_moved(out: &mut Vec<u8>, shift: Shift, original: &[u8], vr: Vr) -> Option<()> {
    if vr == Vr::DT {
        out.extend_from_slice(shift.date_time(original)?.as_bytes());
    } else {
        out.extend_from_slice(&shift.digits(original)?);
    }
    Some(())
}

fn range(bytes: &[u8], begin: u32, end: u32) -> Result<&[u8], Refusal> {
    bytes.get(begin as usize..end as usize).ok_or_else(broken)
}

/// Returns the refusal for a plan that contradicts itself, which is a bug in this crate.
fn broken() -> Refusal {
    Refusal::new(
        Category::StorageError,
        "the plan of this object contradicts itself, a bug in this program; please report it",
    )
}

/// Checks that the pseudonyms fit their elements: UIDs have the form of PS3.5 section 9.1, the others
/// fit an LO value (PS3.5 section 6.2). The lookup store may come from outside this crate.
fn check_names(plan: &Plan<'_>, names: &Names) -> Result<(), Refusal> {
    let wanted = plan.wanted();
    let problem = if names.uids.len() != wanted.uids.len()
        || names.accessions.len() != wanted.accessions.len()
    {
        "the lookup store returned the wrong number of pseudonyms"
    } else if [&names.study, &names.series, &names.instance]
        .into_iter()
        .chain(&names.uids)
        .any(|name| !uid::is_well_formed(name.as_bytes()))
    {
        "the lookup store returned a pseudonym that is not a UID"
    } else if names
        .accessions
        .iter()
        .chain([&names.patient])
        .any(|name| name.is_empty() || name.len() > 64 || !method::is_plain(name))
    {
        "the lookup store returned a pseudonym that is not plain text of 1 to 64 characters"
    } else {
        return Ok(());
    };
    Err(Refusal::new(Category::StorageError, problem))
}
