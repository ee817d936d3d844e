//! [`Planner`]: walks a data set and asks the rules what becomes of each element.

use anon_model::{GivenNames, RemarkReason, Remarks};
use anon_script::object::{Insert, ObjectRules};
use anon_script::rules::{Action, Element, Rules, State};
use dicom_core::Tag;

use super::image_size::ImageSize;
use super::root_values::{RootValue, RootValues};
use super::value_check;
use crate::deid::method::InsertFilter;
use crate::deid::policy::Policy;
use crate::deid::template::{Edit, EditValue, LengthPosition, ObjectUid, Template};
use crate::read::dictionary::{self, Vr};
use crate::read::input::Input;
use crate::read::mended::Mended;
use crate::read::scan::{ElementContent, Encoding, Header, ScanError, Token, Walk};
use crate::read::text::{self, Charset};

use self::decided::Creators;
pub(super) use self::fragments::Fragments;
use self::inserted::next_inserted;

mod bounds;
mod changed;
mod checked;
mod decided;
mod fragments;
mod inserted;
mod nesting;
mod pixels;
mod simple;
#[cfg(test)]
mod tests;

/// The tag of Data Set Trailing Padding as a number.
const TRAILING_PADDING: u32 = 0xFFFC_FFFC;
/// The tag of pixel data as a number.
const PIXELS: u32 = 0x7FE0_0010;
/// The tag of Float Pixel Data as a number. Double Float Pixel Data has the next one. From here on,
/// no element of the root takes the fast path, which checks neither form nor length of pixel data.
const FLOAT_PIXELS: u32 = 0x7FE0_0008;
/// The tag of Specific Character Set as a number.
const SPECIFIC_CHARACTER_SET: u32 = 0x0008_0005;

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);

/// Values of at least this many bytes are bulk. Where the output holds them unchanged, the fingerprint
/// leaves them out.
pub(crate) const BULK: u32 = 4 << 10;

/// What the length field of a short VR holds (PS3.5 section 7.1.2). Beyond it, in implicit data
/// sets, a brief text has swallowed what follows it.
const MAX_SHORT: u32 = 0xFFFE;

/// One sequence or item that is open in the output.
#[derive(Debug, Default)]
struct Level {
    /// The least number of a tag that may be written next: the last one's and one more.
    least: u64,
    /// How the output's headers are written here.
    target: Option<Encoding>,
    /// The piece, place and declared value of its length field, if it has one to be right.
    open: Option<(usize, LengthPosition, u32)>,
    /// The character sets that the item itself names.
    charset: Option<Charset>,
    /// What the rules know of the way here.
    state: State,
}

/// The form of pixel data (PS3.5 section A.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PixelData {
    Absent,
    Native,
    Encapsulated,
    /// Encapsulated, and its delimiter is missing or damaged.
    Unended(Fragments),
    /// Encapsulated in the source; a rule puts a value in its place.
    FromRule,
}

/// Makes a template of the output.
pub(super) struct Planner<'p, I> {
    pub(super) policy: &'p Policy,
    rules: &'p dyn Rules,
    /// The rules for this object, if they asked to see it.
    pub(super) object: Option<&'p dyn ObjectRules>,
    /// The state of the data set that is being read.
    state: State,
    /// The creators of private blocks, if the object has rules of its own.
    creators: Creators,
    walk: Walk<I>,
    pub(super) template: Template,
    pub(super) root_values: RootValues,
    /// Places of all bulk values, which fingerprints of version 1 left out: begin and end.
    bulk: Vec<(u64, u64)>,
    /// True if the transfer syntax has native pixel data in the root.
    pub(super) is_native: bool,
    image_size: ImageSize,
    /// What a data manager should know about the object.
    pub(super) remarks: Remarks,
    /// Places of the bulk values that are copied to the output.
    pub(super) copied: Vec<(u64, u64)>,
    /// The pixel data that the root of the output has.
    pub(super) pixel_data: PixelData,
    levels: Vec<Level>,
    depth: u16,
    /// The most memory for the template, in bytes.
    pub(super) max_bytes: u64,
    /// True if the walk would have to sort the elements.
    pub(super) needs_order: bool,
    inserts: &'p [Insert],
    /// How many of them are written.
    inserted: usize,
    /// The first that is not written, as a number; after the last one, the number of float pixel data.
    next_inserted: u32,
    insert_filter: InsertFilter,
    /// SOP Instance UID (0008,0018) as the rules keep it.
    pub(super) instance: Option<String>,
    /// What the rules computed for patient, study, series and instance.
    pub(super) given: GivenNames,
    scratch: Vec<u8>,
    /// Tests compare what the short way does with what it saves.
    #[cfg(test)]
    thorough: bool,
}

impl<'p, I: Input> Planner<'p, I> {
    pub(super) fn new(
        policy: &'p Policy,
        object: Option<&'p dyn ObjectRules>,
        walk: Walk<I>,
        target: Encoding,
    ) -> Self {
        let state = object.map_or(State::default(), ObjectRules::root);
        let root = Level {
            target: Some(target),
            state,
            ..Level::default()
        };
        let own = object.and_then(ObjectRules::inserts);
        let inserts = own.unwrap_or_else(|| policy.rules.inserts());
        Self {
            policy,
            rules: &*policy.rules,
            object,
            state,
            creators: Creators::default(),
            walk,
            template: Template::new(),
            root_values: RootValues::default(),
            bulk: Vec::new(),
            is_native: false,
            image_size: ImageSize::default(),
            remarks: Remarks::default(),
            copied: Vec::new(),
            pixel_data: PixelData::Absent,
            levels: vec![root],
            depth: 0,
            max_bytes: policy.limits.max_plan_bytes,
            needs_order: false,
            inserts,
            inserted: 0,
            next_inserted: next_inserted(inserts, 0),
            insert_filter: InsertFilter::of(inserts),
            instance: None,
            given: GivenNames::default(),
            scratch: Vec::new(),
            #[cfg(test)]
            thorough: false,
        }
    }

    /// Walks to the end.
    pub(super) fn run(&mut self) -> Result<(), ScanError> {
        let mut header = Header::NONE;
        loop {
            if !self.walk.next_simple(&mut header) {
                let token = match self.walk.next(&mut header) {
                    Ok(token) => token,
                    Err(error) => self.end_behind_pixels(error)?,
                };
                match token {
                    Token::Element => {}
                    Token::Item { at, len } => {
                        self.depth += 1;
                        let target = self.target();
                        self.begin_verbatim(at, self.walk.position(), len, target);
                        continue;
                    }
                    Token::ItemEnd { delimiter } => {
                        self.creators.leave(self.depth);
                        self.depth -= 1;
                        self.end(delimiter);
                        continue;
                    }
                    Token::SequenceEnd { delimiter } => {
                        self.end(delimiter);
                        continue;
                    }
                    Token::End => return self.insert_up_to(u32::MAX),
                }
            }
            self.element(&header)?;
        }
    }

    /// The template, the places of all bulk values, and the input.
    pub(super) fn finish(mut self) -> (Template, Vec<(u64, u64)>, I) {
        if self.walk.is_sorted() {
            self.bulk.sort_unstable();
        }
        (self.template, self.bulk, self.walk.into_input())
    }

    /// The input, to plan again in another order.
    pub(super) fn into_input(self) -> I {
        self.walk.into_input()
    }

    /// The number of frames; `None` if it is not certain.
    pub(super) fn frames(&self) -> Option<u64> {
        self.image_size.frames()
    }

    /// What was read although it is not as PS3.5 requires.
    pub(super) fn mended(&mut self) -> &mut Mended {
        &mut self.walk.mended
    }

    #[inline]
    fn target(&self) -> Encoding {
        self.levels
            .last()
            .and_then(|level| level.target)
            .unwrap_or(Encoding::ExplicitLe)
    }

    fn charset(&self) -> Charset {
        let own = self
            .levels
            .iter()
            .rev()
            .find_map(|level| level.charset.as_ref());
        own.cloned().unwrap_or_default()
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        let tag = header.tag();
        if header.len >= BULK && !header.is_undefined() {
            self.bulk.push((header.value, header.end()));
        }
        // Group lengths would be stale, groups 0 to 3 do not belong here (PS3.5 section 7.1).
        let number = header.number;
        if tag.1 == 0 || number >> 16 <= 3 || number == TRAILING_PADDING {
            return self.walk.skip(header);
        }
        if number == SPECIFIC_CHARACTER_SET && !header.is_undefined() {
            let value = self.walk.value(header)?;
            let (charset, corrected) = (Charset::parse(value), text::corrected(value));
            if let Some(level) = self.levels.last_mut() {
                level.charset = Some(charset);
            }
            if let Some(terms) = corrected {
                return self.correct_charset(header, &terms);
            }
        }
        if self.depth == 0 {
            return self.root_element(header);
        }
        if matches!(tag, PATIENT_NAME | PATIENT_ID) && !self.rules.decides_identity() {
            return self.nested_patient(header);
        }
        self.as_ruled(header)
    }

    /// Name and id of a patient in an item.
    #[cold]
    fn nested_patient(&mut self, header: &Header) -> Result<(), ScanError> {
        match self.rules.action(self.place(header)) {
            Action::Remove => self.walk.skip(header),
            Action::Empty => self.act(header, &Action::Empty),
            _ => self.act(header, &Action::Patient),
        }
    }

    /// Does what the rules say. In the root, an element that an inserted one replaces is dropped: it does
    /// not take the fast path, which ends before the next element to insert.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "called for every element: a call takes 2 % of a CT slice"
    )]
    fn as_ruled(&mut self, header: &Header) -> Result<(), ScanError> {
        match self.rules.action(self.place(header)) {
            Action::Remove => self.walk.skip(header),
            Action::Keep if self.keep_simple(header) => Ok(()),
            _ if self.depth == 0 && self.is_replaced(header) => self.walk.skip(header),
            action => self.act(header, action),
        }
    }

    #[inline]
    fn place(&self, header: &Header) -> Element {
        Element::nested(header.tag(), self.depth).in_state(self.state)
    }

    /// Writes Specific Character Set as these terms, if the rules keep it.
    #[cold]
    fn correct_charset(&mut self, header: &Header, terms: &str) -> Result<(), ScanError> {
        self.walk
            .mended
            .add(RemarkReason::Misspelled, header.number, header.at);
        if self.depth == 0 {
            self.note(header, RootValue::Charset)?;
        }
        match self.rules.action(self.place(header)) {
            Action::Keep => {
                self.in_budget(header)?;
                self.walk.skip(header)?;
                self.emit(header, Vr::CS, terms.as_bytes())
            }
            action => self.act(header, action),
        }
    }

    fn root_element(&mut self, header: &Header) -> Result<(), ScanError> {
        let tag = header.tag();
        let note = RootValue::of(tag);
        match note {
            None => {}
            Some(RootValue::Image) => self.note_image_size(header)?,
            Some(note) => self.note(header, note)?,
        }
        // What the object is must agree with its file meta information, whatever the rules say.
        let role = match note {
            Some(RootValue::SopClass) if self.keep_simple(header) => return Ok(()),
            Some(RootValue::SopClass) => return self.keep(header),
            Some(RootValue::Study) => ObjectUid::Study,
            Some(RootValue::Series) => ObjectUid::Series,
            Some(RootValue::Instance) => ObjectUid::Instance,
            _ => return self.as_ruled(header),
        };
        if self.rules.decides_identity() {
            return self.own_uid_as_ruled(header, role);
        }
        self.own_uid(header, role)
    }

    /// Writes the pseudonym of a UID of the object.
    fn own_uid(&mut self, header: &Header, role: ObjectUid) -> Result<(), ScanError> {
        self.walk.skip(header)?;
        self.edit(header, Vr::UI, EditValue::OwnUid(role))
    }

    /// Asked before anything of an element is taken up: what is removed costs nothing.
    #[inline]
    fn in_budget(&self, header: &Header) -> Result<(), ScanError> {
        if self.template.cost() <= self.max_bytes {
            return Ok(());
        }
        let problem = "the object needs more changes than fit in memory";
        Err(ScanError::memory(problem, header.tag(), header.at))
    }

    fn note(&mut self, header: &Header, note: RootValue) -> Result<(), ScanError> {
        self.in_budget(header)?;
        if header.is_undefined() {
            let problem = "an element that must have a value has an undefined length";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        self.check_values(header)?;
        let range = self.template.remember(self.walk.value(header)?);
        if self.root_values.record(note, &range) {
            return Ok(());
        }
        self.needs_order = true;
        let problem = "an element that says what the object is stands twice";
        Err(ScanError::new(problem, Some(header.tag()), header.at))
    }

    fn act(&mut self, header: &Header, action: &Action) -> Result<(), ScanError> {
        self.in_budget(header)?;
        match action {
            Action::Remove => self.walk.skip(header),
            Action::Keep => self.keep(header),
            Action::Empty => {
                self.walk.skip(header)?;
                self.emit(header, plain_vr(header), b"")
            }
            Action::Replace(text) => self.replace(header, text),
            Action::Computed(text) => self.compute(header, text),
            Action::Cleaned(text) => self.clean(header, text),
            Action::Item(elements) => self.item(header, elements),
            Action::Decide => self.decide(header),
            _ if header.len == 0 => self.keep(header),
            _ => self.change(header, action),
        }
    }

    fn keep(&mut self, header: &Header) -> Result<(), ScanError> {
        let known = dictionary::vr(header.tag());
        match self.walk.content_given_vr(header, known)? {
            ElementContent::Value => {
                if header.len > MAX_SHORT && header.vr.is_short_text() {
                    let problem = "a value is longer than its value representation allows";
                    return Err(ScanError::new(problem, Some(header.tag()), header.at));
                }
                let vr = if header.corrected {
                    self.vr_of_letters(header)?
                } else {
                    header.vr
                };
                // A private element may stand where a private creator belongs.
                let is_private = header.tag().0 % 2 == 1 && vr != Vr::UN;
                let listed = known.filter(|_| !is_private);
                let check = value_check::check_for(header.tag(), listed, vr);
                if !self.passes(header, check)? {
                    return self.keep_nothing(header, check);
                }
                self.in_order(header)?;
                let is_pixels = (FLOAT_PIXELS..=PIXELS).contains(&header.number);
                if is_pixels && self.depth == 0 && self.is_native {
                    self.keep_pixels(header);
                } else {
                    self.keep_value(header);
                }
                self.walk.skip(header)
            }
            ElementContent::Sequence(inner) => {
                self.in_order(header)?;
                let items = self.rules.items(self.place(header));
                self.begin_sequence(header);
                self.set_state(items);
                self.walk.enter(header, inner)
            }
            ElementContent::Fragments => self.keep_fragments(header),
        }
    }

    /// The VR that the letters of a corrected header name in any case; UN if they name none, and the VR
    /// is PS3.6's.
    #[cold]
    fn vr_of_letters(&mut self, header: &Header) -> Result<Vr, ScanError> {
        let letters = self.walk.bytes(header.at + 4, 2)?;
        let is_named = letters.eq_ignore_ascii_case(&header.vr.letters());
        Ok(if is_named { header.vr } else { Vr::UN })
    }

    fn keep_value(&mut self, header: &Header) {
        if header.len >= BULK {
            self.copied.push((header.value, header.end()));
        }
        let target = self.target();
        let odd = header.len % 2;
        if target == header.encoding && !header.corrected && odd == 0 {
            self.template.source(header.at, header.end());
            return;
        }
        let vr = if header.corrected {
            self.signed(header)
        } else {
            header.vr
        };
        self.template
            .bytes(|arena| target.put_header(arena, header.tag(), vr, header.len + odd));
        self.template.source(header.value, header.end());
        if odd == 1 {
            self.template.bytes(|arena| arena.push(vr.padding()));
        }
    }

    /// The VR of a number that PS3.6 gives US or SS, by Pixel Representation (PS3.3 section C.7.6.3).
    #[cold]
    fn signed(&self, header: &Header) -> Vr {
        if header.vr != Vr::US || !dictionary::is_us_or_ss(header.tag()) {
            return header.vr;
        }
        let field = RootValue::PixelRepresentation;
        let value = self.root_values.bytes(field, &self.template.originals);
        let is_signed = value.is_some_and(|value| value.contains(&1));
        if is_signed { Vr::SS } else { Vr::US }
    }

    /// Appends an element of ours in the place of one of the source.
    fn emit(&mut self, header: &Header, vr: Vr, value: &[u8]) -> Result<(), ScanError> {
        self.in_order(header)?;
        let target = self.target();
        self.template
            .element(target, header.tag(), vr, value)
            .ok_or_else(|| {
                let problem = "the new value is too long for its value representation";
                ScanError::rule(problem, header.tag(), header.at)
            })
    }

    fn edit(&mut self, header: &Header, vr: Vr, value: EditValue) -> Result<(), ScanError> {
        self.in_order(header)?;
        let encoding = self.target();
        self.template.edit(Edit {
            tag: header.tag(),
            vr,
            encoding,
            value,
        });
        Ok(())
    }

    /// Holds the order of tags in what is written (PS3.5 section 7.1): an element that stands twice
    /// could mean two things to two readers. One out of order is read again in its place.
    #[inline]
    fn in_order(&mut self, header: &Header) -> Result<(), ScanError> {
        let number = header.number;
        if self.depth == 0 {
            self.insert_up_to(number)?;
            if number == PIXELS {
                // `keep_fragments` corrects this where fragments are kept.
                self.pixel_data = if header.is_undefined() {
                    PixelData::FromRule
                } else {
                    PixelData::Native
                };
            }
        }
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        if u64::from(number) < level.least {
            self.needs_order = true;
            let problem = "an element stands twice, with different values";
            return Err(ScanError::new(problem, Some(header.tag()), header.at));
        }
        level.least = u64::from(number) + 1;
        Ok(())
    }
}

/// The VR of an emptied element: that of the object, or PS3.6's if the object has UN.
fn plain_vr(header: &Header) -> Vr {
    if header.encoding == Encoding::ImplicitLe || header.vr != Vr::UN {
        header.vr
    } else {
        dictionary::vr(header.tag()).unwrap_or(Vr::UN)
    }
}

/// The VR of a new value: the dictionary's, or that of the wire where the dictionary has none or
/// leaves a choice.
fn value_vr(header: &Header) -> Vr {
    let Some(known) = dictionary::vr(header.tag()) else {
        return header.vr;
    };
    match (known, header.vr) {
        (Vr::US, wire @ (Vr::SS | Vr::OW)) | (Vr::OW, wire @ (Vr::OB | Vr::US)) => wire,
        _ => known,
    }
}

#[inline]
fn index(number: usize) -> u32 {
    u32::try_from(number).expect("a template is bounded by Limits::max_plan_bytes")
}
