//! Test data: hand-written bytes, rules from a table, numbered pseudonyms.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use anon_engine::{Policy, Refusal, Source, plan};
use anon_model::{Names, Wanted};
use anon_script::rules::{Action, Element, Method, Rules};
use dicom_core::Tag;
use dicom_object::{DefaultDicomObject, from_reader};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const BIG: &str = "1.2.840.10008.1.2.2";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub(crate) const JPEG: &str = "1.2.840.10008.1.2.4.50";
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// The encoding of element headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enc {
    Implicit,
    Explicit,
    Big,
}

impl Enc {
    pub(crate) const ALL: [(Self, &'static str); 3] = [
        (Self::Implicit, IMPLICIT),
        (Self::Explicit, EXPLICIT),
        (Self::Big, BIG),
    ];

    fn two(self, value: u16) -> [u8; 2] {
        match self {
            Self::Big => value.to_be_bytes(),
            _ => value.to_le_bytes(),
        }
    }

    pub(crate) fn four(self, value: u32) -> [u8; 4] {
        match self {
            Self::Big => value.to_be_bytes(),
            _ => value.to_le_bytes(),
        }
    }

    /// A header with this length, which may be wrong.
    pub(crate) fn header(self, tag: Tag, vr: &str, len: u32) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.two(tag.0));
        out.extend(self.two(tag.1));
        if self == Self::Implicit || tag.0 == 0xFFFE {
            out.extend(self.four(len));
            return out;
        }
        out.extend(vr.as_bytes());
        let long = [
            "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV",
        ];
        if long.contains(&vr) {
            out.extend([0, 0]);
            out.extend(self.four(len));
        } else {
            out.extend(self.two(len as u16));
        }
        out
    }

    /// An element with the length of its value.
    pub(crate) fn element(self, tag: Tag, vr: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
        let value = value.as_ref();
        let mut out = self.header(tag, vr, value.len() as u32);
        out.extend(value);
        out
    }

    /// A text element, padded to even length.
    pub(crate) fn text(self, tag: Tag, vr: &str, text: &str) -> Vec<u8> {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" { 0 } else { b' ' });
        }
        self.element(tag, vr, value)
    }

    pub(crate) fn item(self, content: &[u8], lengths: Lengths) -> Vec<u8> {
        let mut out = match lengths {
            Lengths::Defined => self.header(Tag(0xFFFE, 0xE000), "", content.len() as u32),
            Lengths::Undefined => self.header(Tag(0xFFFE, 0xE000), "", UNDEFINED),
        };
        out.extend(content);
        if lengths == Lengths::Undefined {
            out.extend(self.header(Tag(0xFFFE, 0xE00D), "", 0));
        }
        out
    }

    pub(crate) fn sequence(self, tag: Tag, items: &[Vec<u8>], lengths: Lengths) -> Vec<u8> {
        let items: Vec<u8> = items
            .iter()
            .flat_map(|item| self.item(item, lengths))
            .collect();
        let mut out = match lengths {
            Lengths::Defined => self.header(tag, "SQ", items.len() as u32),
            Lengths::Undefined => self.header(tag, "SQ", UNDEFINED),
        };
        out.extend(items);
        if lengths == Lengths::Undefined {
            out.extend(self.header(Tag(0xFFFE, 0xE0DD), "", 0));
        }
        out
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lengths {
    Defined,
    Undefined,
}

/// An object: the attributes that every object has, and others by tag.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) enc: Enc,
    elements: BTreeMap<(u16, u16), Vec<u8>>,
}

impl Object {
    pub(crate) fn new(enc: Enc) -> Self {
        let elements = BTreeMap::new();
        Self { enc, elements }
            .text(Tag(0x0008, 0x0016), "UI", CT)
            .text(Tag(0x0008, 0x0018), "UI", "1.2.3.4.5")
            .text(Tag(0x0008, 0x0020), "DA", "20220101")
            .text(Tag(0x0008, 0x0050), "SH", "ACC7")
            .text(Tag(0x0008, 0x0060), "CS", "CT")
            .text(Tag(0x0010, 0x0010), "PN", "Doe^Jane")
            .text(Tag(0x0010, 0x0020), "LO", "12345")
            .text(Tag(0x0020, 0x000D), "UI", "1.2.3")
            .text(Tag(0x0020, 0x000E), "UI", "1.2.3.4")
    }

    pub(crate) fn text(self, tag: Tag, vr: &str, text: &str) -> Self {
        let bytes = self.enc.text(tag, vr, text);
        self.raw(tag, bytes)
    }

    pub(crate) fn element(self, tag: Tag, vr: &str, value: impl AsRef<[u8]>) -> Self {
        let bytes = self.enc.element(tag, vr, value);
        self.raw(tag, bytes)
    }

    /// Puts these bytes where this tag belongs.
    pub(crate) fn raw(mut self, tag: Tag, bytes: Vec<u8>) -> Self {
        self.elements.insert((tag.0, tag.1), bytes);
        self
    }

    pub(crate) fn without(mut self, tag: Tag) -> Self {
        self.elements.remove(&(tag.0, tag.1));
        self
    }

    pub(crate) fn data_set(&self) -> Vec<u8> {
        self.elements.values().flatten().copied().collect()
    }

    pub(crate) fn part10(&self, syntax: &str) -> Vec<u8> {
        part10(syntax, &self.data_set())
    }
}

/// A DICOM file (PS3.10 section 7.1) that identifies its writer in preamble and file meta.
pub(crate) fn part10(syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let e = Enc::Explicit;
    let mut meta = Vec::new();
    meta.extend(e.element(Tag(2, 1), "OB", [0, 1]));
    meta.extend(e.text(Tag(2, 2), "UI", CT));
    meta.extend(e.text(Tag(2, 3), "UI", "1.2.3.4.5"));
    meta.extend(e.text(Tag(2, 0x10), "UI", syntax));
    meta.extend(e.text(Tag(2, 0x16), "AE", "CANARY_AE"));
    let mut out: Vec<u8> = b"CANARY".iter().copied().cycle().take(128).collect();
    out.extend(b"DICM");
    out.extend(e.element(Tag(2, 0), "UL", (meta.len() as u32).to_le_bytes()));
    out.extend(meta);
    out.extend(data_set);
    out
}

/// Rules from a table; other elements are removed.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    actions: HashMap<Tag, Action>,
    other: Action,
    pub(crate) method: Method,
}

impl Table {
    /// The rules of `rsna-v17` for the attributes of [`Object`], and no others.
    pub(crate) fn new() -> Self {
        let table = Self {
            actions: HashMap::new(),
            other: Action::Remove,
            method: Method::new("TABLE"),
        };
        table
            .with(Tag(0x0008, 0x0005), Action::Keep)
            .with(Tag(0x0008, 0x0016), Action::Keep)
            .with(Tag(0x0008, 0x0018), Action::Uid)
            .with(Tag(0x0008, 0x0020), Action::ShiftDate)
            .with(Tag(0x0008, 0x0050), Action::Accession)
            .with(Tag(0x0008, 0x0060), Action::Keep)
            .with(Tag(0x0010, 0x0010), Action::Patient)
            .with(Tag(0x0010, 0x0020), Action::Patient)
            .with(Tag(0x0020, 0x000D), Action::Uid)
            .with(Tag(0x0020, 0x000E), Action::Uid)
            .with(Tag(0x7FE0, 0x0010), Action::Keep)
    }

    pub(crate) fn with(mut self, tag: Tag, action: Action) -> Self {
        self.actions.insert(tag, action);
        self
    }

    pub(crate) fn keeping(self, tags: &[Tag]) -> Self {
        tags.iter()
            .fold(self, |table, tag| table.with(*tag, Action::Keep))
    }

    pub(crate) fn otherwise(mut self, action: Action) -> Self {
        self.other = action;
        self
    }

    pub(crate) fn policy(self) -> Policy {
        Policy::new(Arc::new(self), "123456789", "PROJECT")
    }
}

impl Rules for Table {
    fn action(&self, element: Element) -> &Action {
        self.actions.get(&element.tag).unwrap_or(&self.other)
    }
    fn method(&self) -> &Method {
        &self.method
    }
    fn name(&self) -> &'static str {
        "table"
    }
    fn text(&self) -> &'static str {
        ""
    }
    fn digest(&self) -> [u8; 32] {
        [0; 32]
    }
}

/// The built-in `rsna-v17` rules.
pub(crate) fn rsna_v17() -> Outcome<Policy> {
    let rules = anon_script::builtin("rsna-v17").ok_or("rsna-v17 is not built in")?;
    Ok(Policy::new(Arc::new(rules), "123456789", "PROJECT"))
}

/// Recognizable pseudonyms: `9.1` study, `9.2` series, `9.3` instance, `9.100` and up other UIDs.
pub(crate) fn names(wanted: &Wanted) -> Names {
    Names {
        patient: "123456789-000001".to_owned(),
        study: "9.1".to_owned(),
        series: "9.2".to_owned(),
        instance: "9.3".to_owned(),
        uids: (0..wanted.uids.len())
            .map(|n| format!("9.{}", 100 + n))
            .collect(),
        accessions: (1..=wanted.accessions.len())
            .map(|n| n.to_string())
            .collect(),
        filed_under: None,
        date_offset: None,
    }
}

/// Plans and applies, from memory and from a file, and checks that both give the same result.
pub(crate) fn run(policy: &Policy, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    run_as(policy, bytes, None)
}

pub(crate) fn run_as(
    policy: &Policy,
    bytes: &[u8],
    syntax: Option<&str>,
) -> Result<Vec<u8>, Refusal> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    let form = |source: Source<'_>| match syntax {
        None => once(policy, source),
        Some(syntax) => {
            let syntax = syntax.to_owned();
            once(policy, source.as_data_set(&syntax))
        }
    };
    let memory = form(Source::part10(bytes));
    let windowed = form(Source::file(&file, bytes.len() as u64).with_scratch(dir.path()));
    assert_eq!(memory, windowed, "memory and file differ");
    let left = std::fs::read_dir(dir.path()).expect("listed").count();
    assert_eq!(left, 0, "scratch files are left");
    memory
}

fn once(policy: &Policy, source: Source<'_>) -> Result<Vec<u8>, Refusal> {
    let plan = plan(policy, source)?;
    let names = names(plan.wanted());
    let clean = plan.apply(&names)?;
    let bytes = clean.to_vec().expect("readable");
    assert_eq!(bytes.len() as u64, clean.len());
    let mut again = b"what was here before".to_vec();
    plan.apply_into(&names, &mut again)?;
    assert_eq!(again, bytes, "apply_into differs from apply");
    Ok(bytes)
}

/// Reads the output with an independent reader.
pub(crate) fn read(bytes: &[u8]) -> Outcome<DefaultDicomObject> {
    Ok(from_reader(bytes)?)
}

/// Returns a value of the output's root as text without padding.
pub(crate) fn value(bytes: &[u8], tag: Tag) -> Outcome<String> {
    let object = read(bytes)?;
    let text = String::from_utf8(object.element(tag)?.to_bytes()?.into_owned())?;
    Ok(text.trim_end_matches([' ', '\0']).to_owned())
}

pub(crate) fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Returns the data set of an output, without file meta information.
pub(crate) fn data_set_of(output: &[u8]) -> Outcome<&[u8]> {
    let length = output.get(140..144).ok_or("no meta")?;
    let length = u32::from_le_bytes(length.try_into()?) as usize;
    Ok(output.get(144 + length..).ok_or("no data set")?)
}

/// Compresses a data set for a deflated transfer syntax (PS3.5 section A.5).
pub(crate) fn deflate(bytes: &[u8]) -> Outcome<Vec<u8>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
