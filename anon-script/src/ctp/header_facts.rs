//! [`HeaderFacts`]: what the rules of a script read of an object.

use std::cell::Cell;
use std::collections::HashMap;

use dicom_core::{Tag, VR};

use super::private_elements::PrivateElement;
use super::reference::{From, Path, Step};
use super::values;
use super::{Facts, Moment};
use crate::object::{ObjectHeader, SeenElement, SeenValue};

/// The creators of private blocks stand in these elements of their group (PS3.5 section 7.8.1).
const CREATORS: std::ops::RangeInclusive<u16> = 0x10..=0xFF;

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// The root, or an item of a sequence: the index of the sequence in the header, and the number of the item.
type DataSet = Option<(u32, u32)>;

/// The elements of an object, by the data set that holds them.
#[derive(Debug)]
pub(super) struct HeaderFacts<'h> {
    header: &'h ObjectHeader,
    elements: HashMap<(DataSet, Tag), u32>,
}

impl<'h> HeaderFacts<'h> {
    pub(super) fn new(header: &'h ObjectHeader) -> Self {
        let mut elements = HashMap::new();
        for (index, element) in (0..).zip(header.elements()) {
            // Of an element that stands twice, the first counts.
            elements
                .entry((data_set(element), element.tag))
                .or_insert(index);
        }
        Self { header, elements }
    }

    pub(super) fn root_has(&self, tag: Tag) -> bool {
        self.elements.contains_key(&(None, tag))
    }

    /// Returns what a rule for the root reads.
    pub(super) fn of_root(&self) -> ElementFacts<'_> {
        ElementFacts::new(self, None)
    }

    /// Returns what the rule for the element at this offset reads.
    pub(super) fn of_element(&self, offset: u64) -> ElementFacts<'_> {
        let element = self.header.at(offset);
        ElementFacts::new(self, element.and_then(data_set))
    }

    fn index(&self, data_set: DataSet, step: &Step) -> Option<u32> {
        match step {
            Step::Tag(tag) => self.elements.get(&(data_set, *tag)).copied(),
            Step::Private {
                group,
                creator,
                element,
            } => {
                let is_creator = |block: &u16| {
                    let found = self.elements.get(&(data_set, Tag(*group, *block)));
                    let found = found.and_then(|index| self.element(*index));
                    found
                        .and_then(|found| self.header.text(found))
                        .map(str::trim)
                        == Some(creator)
                };
                let block = CREATORS.into_iter().find(is_creator)?;
                let tag = Tag(*group, (block << 8) | u16::from(*element));
                self.elements.get(&(data_set, tag)).copied()
            }
        }
    }

    fn element(&self, index: u32) -> Option<&'h SeenElement> {
        self.header.elements().get(usize::try_from(index).ok()?)
    }

    fn creator(&self, element: &SeenElement) -> Option<&'h str> {
        let block = Tag(element.tag.0, element.tag.1 >> 8);
        let index = self.elements.get(&(data_set(element), block))?;
        self.header.text(self.element(*index)?).map(str::trim)
    }
}

fn data_set(element: &SeenElement) -> DataSet {
    element.parent.map(|parent| (parent, element.item))
}

/// What the rule of one element reads.
#[derive(Debug)]
pub(super) struct ElementFacts<'f> {
    facts: &'f HeaderFacts<'f>,
    data_set: DataSet,
    /// What a rule has read that is not known.
    unknown: Cell<Option<&'static str>>,
}

impl<'f> ElementFacts<'f> {
    fn new(facts: &'f HeaderFacts<'f>, data_set: DataSet) -> Self {
        Self {
            facts,
            data_set,
            unknown: Cell::new(None),
        }
    }

    /// Returns what a rule has read that is not known, so that its result is not that of CTP.
    pub(super) fn unknown(&self) -> Option<&'static str> {
        self.unknown.get()
    }
}

impl Facts for ElementFacts<'_> {
    fn text(&self, path: &Path) -> Option<String> {
        let facts = self.facts;
        let (last, sequences) = path.steps.split_last()?;
        let mut data_set = match path.from {
            From::Here => self.data_set,
            From::Root => None,
            From::Enclosing => {
                let sequence = self
                    .data_set
                    .and_then(|(sequence, _)| facts.element(sequence));
                sequence.and_then(data_set)
            }
        };
        for step in sequences {
            data_set = Some((facts.index(data_set, step)?, 0));
        }
        let element = facts.element(facts.index(data_set, last)?)?;
        if matches!(element.value, SeenValue::Long(_)) && element.tag != PIXEL_DATA {
            let unknown = "a rule of the script reads a value of more than 64 KiB";
            self.unknown.set(Some(unknown));
        }
        let [block, low] = element.tag.1.to_be_bytes();
        let is_private = element.tag.0 % 2 == 1 && block > 0;
        let known = is_private
            .then(|| PrivateElement::find(element.tag.0, facts.creator(element)?, low))
            .flatten();
        let vr = known
            .and_then(|known| known.vr.parse().ok())
            .unwrap_or(element.vr);
        text(facts.header, element, vr)
    }

    fn has(&self, tag: Tag) -> bool {
        self.facts.elements.contains_key(&(self.data_set, tag))
    }

    fn is_item(&self) -> bool {
        self.data_set.is_some()
    }

    fn now(&self) -> Moment {
        let moment = self.facts.header.moment();
        if moment.is_none() {
            let unknown = "a rule of the script writes the time, and the program has no clock";
            self.unknown.set(Some(unknown));
        }
        moment.unwrap_or_default()
    }
}

/// Returns the text of an element as CTP gives it to a function.
fn text(header: &ObjectHeader, element: &SeenElement, vr: VR) -> Option<String> {
    match &element.value {
        SeenValue::Sequence | SeenValue::Long(_) => None,
        SeenValue::Text(_) => {
            let text = header.text(element)?;
            Some(match vr {
                VR::PN => text
                    .trim_end_matches(|char| char <= ' ' || char == '^')
                    .to_owned(),
                VR::LT | VR::ST | VR::UT | VR::DA | VR::TM | VR::DT | VR::AS => {
                    text.trim_end_matches(|char| char <= ' ').to_owned()
                }
                _ => text.trim_matches(|char| char <= ' ').to_owned(),
            })
        }
        SeenValue::Bytes(_) => {
            let bytes = header.bytes(element)?;
            Some(values::text(vr, bytes, header.is_big_endian()))
        }
    }
}
