//! The types of fields that keys stand for, and the checks of their values.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::identity::modality::{
    CLASSES, MODALITIES, TRANSFER_SYNTAXES, class_named, transfer_syntax_named,
};
use crate::settings::choice::{Choice, Selection};
use crate::settings::key::{Kind, Value};
use crate::settings::problem::nearest;
use crate::{Modality, SiteId, Uid, UidRoot};

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Why a value is refused, and the value that was probably meant.
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) nearest: Option<String>,
}

fn wrong<T>(problem: impl Into<String>) -> Result<T, Wrong> {
    let (problem, nearest) = (problem.into(), None);
    Err(Wrong { problem, nearest })
}

/// A type of a field that a key can stand for.
pub(super) trait Setting: Sized {
    /// The type of the key.
    const KIND: Kind;

    /// Returns the value of the key. `None` if it is not set.
    fn value(&self) -> Option<Value>;
}

macro_rules! setting {
    ($($type:ty, $kind:ident, |$field:ident| $value:expr;)+) => {
        $(impl Setting for $type {
            const KIND: Kind = Kind::$kind;

            fn value(&self) -> Option<Value> {
                let $field = self;
                $value
            }
        })+
    };
}

setting! {
    String, Text, |text| Some(Value::Text(text.clone()));
    Option<String>, Text, |text| text.clone().map(Value::Text);
    SiteId, Text, |site| Some(Value::Text(site.to_string()));
    UidRoot, Text, |root| Some(Value::Text(root.to_string()));
    bool, Bool, |truth| Some(Value::Bool(*truth));
    u16, Integer, |number| Some(Value::Integer((*number).into()));
    u32, Integer, |number| Some(Value::Integer((*number).into()));
    u64, Integer, |number| i64::try_from(*number).ok().map(Value::Integer);
    Option<u64>, Integer, |number| number.as_ref().and_then(Setting::value);
    Duration, Integer, |time| time.as_secs().value();
    Vec<String>, List, |texts| Some(Value::List(texts.clone()));
    Vec<Uid>, List, |uids| Some(Value::List(uids.iter().map(Uid::to_string).collect()));
    Selection<Uid>, ListOrAll, |uids| match uids {
        Selection::All => Some(Value::Text("all".to_owned())),
        Selection::These(uids) => uids.value(),
    };
    Selection<&'static Modality>, ListOrAll, |modalities| Some(match modalities {
        Selection::All => Value::Text("all".to_owned()),
        Selection::These(these) => {
            Value::List(these.iter().map(|modality| modality.code.to_owned()).collect())
        }
    });
}

impl<T: Choice> Setting for T {
    const KIND: Kind = Kind::Text;

    fn value(&self) -> Option<Value> {
        Some(Value::Text(self.as_word().to_owned()))
    }
}

impl<T: Choice + Ord> Setting for BTreeSet<T> {
    const KIND: Kind = Kind::List;

    fn value(&self) -> Option<Value> {
        let words = self.iter().map(|choice| choice.as_word().to_owned());
        Some(Value::List(words.collect()))
    }
}

/// Checks a text.
pub(super) fn text<T>(
    check: impl Fn(&str) -> Result<T, Wrong>,
) -> impl Fn(&Value) -> Result<T, Wrong> {
    move |value| match value {
        Value::Text(text) => check(text),
        _ => wrong("is no text"),
    }
}

/// Checks a text that may be empty. `None` for an empty one.
pub(super) fn optional(
    check: impl Fn(&str) -> Result<String, Wrong>,
) -> impl Fn(&Value) -> Result<Option<String>, Wrong> {
    text(move |text| match text {
        "" => Ok(None),
        text => check(text).map(Some),
    })
}

/// Takes any text. `None` for an empty one.
pub(super) fn optional_text(value: &Value) -> Result<Option<String>, Wrong> {
    optional(|text| Ok(text.to_owned()))(value)
}

/// Checks each item of a list. An item that is repeated counts once.
pub(super) fn list<T: PartialEq, C: FromIterator<T>>(
    check: impl Fn(&str) -> Result<T, Wrong>,
) -> impl Fn(&Value) -> Result<C, Wrong> {
    move |value| {
        let Value::List(items) = value else {
            return wrong("is no list");
        };
        let mut checked = Vec::with_capacity(items.len());
        for item in items {
            let item = check(item)?;
            if !checked.contains(&item) {
                checked.push(item);
            }
        }
        Ok(checked.into_iter().collect())
    }
}

/// Checks each item of a list, or takes the word `all`.
pub(super) fn list_or_all<T: PartialEq>(
    check: impl Fn(&str) -> Result<T, Wrong>,
) -> impl Fn(&Value) -> Result<Selection<T>, Wrong> {
    let list = list(check);
    move |value| match value {
        Value::Text(_) => Ok(Selection::All),
        items => list(items).map(Selection::These),
    }
}

/// Checks that a number is neither less than `least` nor more than `most`.
pub(super) fn integer<T: TryFrom<i64>>(
    least: i64,
    most: i64,
) -> impl Fn(&Value) -> Result<T, Wrong> {
    move |value| match value {
        Value::Integer(number) if (least..=most).contains(number) => {
            T::try_from(*number).or_else(|_| wrong("is out of range"))
        }
        _ => wrong("is out of range"),
    }
}

pub(super) fn limit(value: &Value) -> Result<Option<u64>, Wrong> {
    integer(0, i64::MAX)(value).map(Some)
}

pub(super) fn seconds(value: &Value) -> Result<Duration, Wrong> {
    integer(1, 3600)(value).map(Duration::from_secs)
}

pub(super) fn truth(value: &Value) -> Result<bool, Wrong> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        _ => wrong("is neither true nor false"),
    }
}

/// Checks that a text is one of the words of a choice.
pub(super) fn word<T: Choice>(text: &str) -> Result<T, Wrong> {
    T::from_word(text).map_or_else(|| unknown_word(text, T::ALL_WORDS), Ok)
}

fn unknown_word<T>(text: &str, words: &[&str]) -> Result<T, Wrong> {
    Err(Wrong {
        problem: "has an unknown word".to_owned(),
        nearest: nearest(text, words.iter().copied()),
    })
}

pub(super) fn not_empty(text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        return wrong("is empty");
    }
    Ok(text.to_owned())
}

pub(super) fn site_id(text: &str) -> Result<SiteId, Wrong> {
    SiteId::new(text).or_else(|error| wrong(error.to_string()))
}

pub(super) fn uid_root(text: &str) -> Result<UidRoot, Wrong> {
    UidRoot::new(text).or_else(|error| wrong(error.to_string()))
}

/// Checks that UIDs of a root and a site leave room for a counter.
pub(super) fn root_and_site(root: &UidRoot, site: &SiteId) -> Result<(), Wrong> {
    root.check_site(site)
        .or_else(|error| wrong(format!("and its counterpart together: {error}")))
}

/// Checks the name of a project.
pub(super) fn project_name(text: &str) -> Result<String, Wrong> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    if !(1..=16).contains(&text.chars().count()) {
        return wrong("must have 1 to 16 characters");
    }
    if !text.chars().all(is_allowed) {
        return wrong("has a character that is not allowed");
    }
    if text.trim().is_empty() {
        return wrong("is blank");
    }
    Ok(text.to_owned())
}

/// Checks the name of a node, which must not look like `AET@host:port`.
pub(super) fn node_name(name: &str) -> Result<(), Wrong> {
    let is_refused = |c: char| c.is_control() || c.is_whitespace() || c == '@' || c == ':';
    if name.contains(is_refused) {
        return wrong("has a node name with a space, @ or :");
    }
    Ok(())
}

/// Checks an AE title (PS3.5 section 6.2). Spaces around it do not count.
pub(super) fn aet(text: &str) -> Result<String, Wrong> {
    let is_allowed = |b: u8| (b' '..=b'~').contains(&b) && b != b'\\';
    if text.trim().is_empty() || text.len() > 16 {
        return wrong("must have 1 to 16 characters, not all spaces");
    }
    if !text.bytes().all(is_allowed) {
        return wrong("has a character that is not allowed");
    }
    Ok(text.trim().to_owned())
}

/// Checks a host name or address.
pub(super) fn host(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.len() > 255 {
        return wrong("must have 1 to 255 characters");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("has a space");
    }
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    if text.starts_with('[') {
        return wrong("has brackets: write an IPv6 address without them");
    }
    if let Some((_, port)) = text.rsplit_once(':') {
        return wrong(
            if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() {
                "has a port, which is a setting of its own"
            } else {
                "is no address"
            },
        );
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return wrong("is no IPv4 address, which has four numbers of 0 to 255");
    }
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    for label in labels {
        host_label(label)?;
    }
    Ok(text.to_owned())
}

/// Checks a part of a host name (RFC 1123 section 2.1). Underscores are in use.
fn host_label(label: &str) -> Result<(), Wrong> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !(1..=63).contains(&label.len()) {
        return wrong("is no host name: each part between dots has 1 to 63 characters");
    }
    if !label.bytes().all(is_allowed) {
        return wrong("is no host name: it has letters, digits, hyphens and dots");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return wrong("is no host name: a part begins or ends with a hyphen");
    }
    Ok(())
}

/// Checks an address, a host name, or a range of addresses such as `10.1.0.0/16`.
pub(super) fn peer(text: &str) -> Result<String, Wrong> {
    let Some((address, length)) = text.split_once('/') else {
        return host(text);
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return wrong("has a range without an address"),
    };
    match length.parse::<u8>() {
        Ok(length) if length <= most => Ok(text.to_owned()),
        _ => wrong(format!("has a range whose length is not 0 to {most}")),
    }
}

pub(super) fn url(text: &str) -> Result<String, Wrong> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match host {
        None | Some("") => wrong("must begin with https:// or http:// and name a host"),
        // A user name and a password in the URL would be a secret in the settings.
        Some(host) if host.contains('@') => wrong("must not hold a user name or password"),
        Some(_) => Ok(text.to_owned()),
    }
}

/// Checks the level of a log.
pub(super) fn level(text: &str) -> Result<String, Wrong> {
    if LEVELS.contains(&text) {
        return Ok(text.to_owned());
    }
    unknown_word(text, LEVELS)
}

/// Checks the name of an environment variable. Lowercase letters and other signs are refused: a
/// secret that is set by mistake nearly always has some.
pub(super) fn variable(text: &str) -> Result<String, Wrong> {
    let is_allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if text.len() > 64
        || !text.bytes().all(is_allowed)
        || text.starts_with(|c: char| c.is_ascii_digit())
    {
        return wrong("is no name of an environment variable");
    }
    // The ids of access keys consist of capital letters and digits.
    if text.len() == 20 && (text.starts_with("AKIA") || text.starts_with("ASIA")) {
        return wrong("is an access key, not the name of an environment variable");
    }
    Ok(text.to_owned())
}

/// Checks the name of an entry in a keyring. A text without a slash may be a password that is set
/// by mistake.
pub(super) fn keyring_entry(text: &str) -> Result<String, Wrong> {
    let fits = |part: &str| (1..=128).contains(&part.len()) && !part.contains(char::is_control);
    match text.split_once('/') {
        Some((service, user)) if fits(service) && fits(user) => Ok(text.to_owned()),
        _ => wrong("is no entry of a keyring, SERVICE/USER"),
    }
}

/// Checks the code of a modality. The problem repeats a short and plain code: the user must know
/// which one of a list it is.
pub(super) fn modality(code: &str) -> Result<&'static Modality, Wrong> {
    if let Some(modality) = Modality::named(code) {
        return Ok(modality);
    }
    let is_plain =
        (1..=16).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let shown = if is_plain {
        format!(", {code}")
    } else {
        String::new()
    };
    Err(Wrong {
        problem: format!("names an unknown modality{shown}"),
        nearest: meant_modality(code),
    })
}

/// Returns the code that was probably meant: a similar one, or that of a name such as `ultrasound`.
fn meant_modality(word: &str) -> Option<String> {
    let codes = MODALITIES.iter().map(|modality| modality.code);
    nearest(word, codes).or_else(|| {
        let word = word.to_lowercase();
        let mut named = MODALITIES.iter();
        let named = named.find(|modality| modality.name.to_lowercase().contains(&word));
        named
            .filter(|_| word.len() > 4)
            .map(|modality| modality.code.to_owned())
    })
}

pub(super) fn storage_class(text: &str) -> Result<Uid, Wrong> {
    let names = CLASSES.iter().map(|(_, name)| *name);
    uid(text, class_named, names, "names an unknown storage class")
}

pub(super) fn transfer_syntax(text: &str) -> Result<Uid, Wrong> {
    uid(
        text,
        transfer_syntax_named,
        TRANSFER_SYNTAXES.iter().map(|(_, name)| *name),
        "names an unknown transfer syntax",
    )
}

/// Checks a UID, or finds the UID of a name. Any UID is allowed: vendors have their own.
fn uid(
    text: &str,
    named: impl Fn(&str) -> Option<&'static str>,
    candidates: impl Iterator<Item = &'static str>,
    problem: &str,
) -> Result<Uid, Wrong> {
    let is_uid = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match if is_uid { Some(text) } else { named(text) } {
        Some(uid) => Uid::new(uid).or_else(|error| wrong(format!("holds a UID that {error}"))),
        None => Err(Wrong {
            problem: problem.to_owned(),
            nearest: nearest_name(text, candidates),
        }),
    }
}

/// Returns the name that was probably meant: a similar one, or else one that begins so.
fn nearest_name(text: &str, names: impl Iterator<Item = &'static str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    nearest(text, names.iter().copied()).or_else(|| {
        let begins = |name: &&&str| name.to_lowercase().starts_with(&text.to_lowercase());
        let found = names.iter().find(begins);
        found
            .filter(|_| text.len() > 1)
            .map(|name| (*name).to_owned())
    })
}
