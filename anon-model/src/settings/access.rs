//! Reading and changing settings by their dotted keys.

use std::time::Duration;

use crate::identity::modality::{
    MODALITIES, TRANSFER_SYNTAXES, class_named, transfer_syntax_named,
};
use crate::settings::keys::{KEYS, KeyDoc, Kind, Value};
use crate::settings::problem::{Problem, nearest};
use crate::settings::{
    BurnedIn, DateScheme, Dialect, Durability, MissingPatientId, Node, NodeUse, PatientKey,
    ProjectSettings, PseudonymScheme, QuarantineFiles, ScpTls, Selection,
};
use crate::{Modality, SiteId, StudyConflict, Uid, UidRoot};

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// What the keys of export to S3 begin with.
const S3_KEYS: &str = "s3.";

/// Parts of keys that name secrets.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "access_key",
    "token",
    "credential",
    "private_key",
];

/// What is wrong with a value: words, and what was probably meant.
pub(super) struct Wrong(pub(super) String, pub(super) Option<String>);

pub(super) fn wrong<T>(problem: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(problem.into(), None))
}

/// The description of a key, or why there is none.
pub(super) fn find(key: &str) -> Result<&'static KeyDoc, Problem> {
    if let Some(doc) = KeyDoc::of(key) {
        return Ok(doc);
    }
    let last = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    if SECRETS.iter().any(|secret| last.contains(secret)) {
        return Err(Problem::Secret {
            key: key.to_owned(),
        });
    }
    Err(Problem::UnknownKey {
        key: key.to_owned(),
        nearest: nearest_key(key),
    })
}

fn nearest_key(key: &str) -> Option<String> {
    // The user's own name stands in for `<name>`, so that only the fixed words are compared.
    let name = key
        .split('.')
        .nth(if key.starts_with("log.") { 2 } else { 1 })
        .unwrap_or("NAME");
    let candidates: Vec<String> = KEYS
        .iter()
        .map(|doc| doc.key.replace("<name>", name))
        .collect();
    nearest(key, candidates.iter().map(String::as_str))
}

impl ProjectSettings {
    /// The value of a key; none if it is not set.
    ///
    /// # Errors
    /// [`Problem::UnknownKey`] or [`Problem::Secret`].
    ///
    /// # Examples
    /// ```
    /// use anon_model::settings::{ProjectSettings, Value};
    /// use anon_model::SiteId;
    ///
    /// let mut settings = ProjectSettings::new(SiteId::new("42")?);
    /// settings.set("node.PACS.port", &Value::Integer(104))?;
    /// assert_eq!(settings.get("node.PACS.port")?, Some(Value::Integer(104)));
    /// assert!(settings.set("node.PACS.port", &Value::Integer(0)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, key: &str) -> Result<Option<Value>, Problem> {
        let doc = find(key)?;
        Ok(self.read(doc.key, name_in(doc, key)))
    }

    fn read(&self, key: &str, name: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let optional = |text: &Option<String>| text.clone().map(Value::Text);
        let integer = |number: u64| i64::try_from(number).ok().map(Value::Integer);
        let list = |items: &[String]| Some(Value::List(items.to_vec()));
        let node = self.nodes.get(name);
        match key {
            "site_id" => text(self.site_id.as_str()),
            "name" => text(&self.name),
            "uid_root" => text(self.uid_root.as_str()),
            "script" => text(&self.script),
            "profile" => optional(&self.profile),
            "dialect" => text(self.dialect.word()),
            "modalities" => Some(match &self.modalities {
                Selection::All => Value::Text("all".to_owned()),
                Selection::These(these) => Value::List(
                    these
                        .iter()
                        .map(|modality| modality.code.to_owned())
                        .collect(),
                ),
            }),
            "storage_classes" => list(&uids(&self.storage_classes)),
            "transfer_syntaxes" => Some(match &self.transfer_syntaxes {
                Selection::All => Value::Text("all".to_owned()),
                Selection::These(these) => Value::List(uids(these)),
            }),
            "durability" => text(self.durability.word()),
            "patient_key" => text(self.patient_key.word()),
            "missing_patient_id" => text(self.missing_patient_id.word()),
            "study_patient_conflict" => text(self.study_patient_conflict.word()),
            "burned_in" => text(self.burned_in.word()),
            "dates" => text(self.dates.word()),
            "pseudonyms" => text(self.pseudonyms.word()),
            "quarantine.files" => text(self.quarantine_files.word()),
            "quarantine.max_bytes" => self.quarantine_max_bytes.and_then(integer),
            "store.cache_bytes" => integer(self.store_cache_bytes),
            "node.<name>.aet" => text(&node?.aet),
            "node.<name>.host" => text(&node?.host),
            "node.<name>.port" => integer(node?.port.into()),
            "node.<name>.use" => {
                let uses = node?.uses.iter().map(|node_use| node_use.word().to_owned());
                Some(Value::List(uses.collect()))
            }
            "node.<name>.tls" => Some(Value::Bool(node?.tls)),
            "scp.bind" => text(&self.scp.bind),
            "scp.port" => integer(self.scp.port.into()),
            "scp.aet" => text(&self.scp.aet),
            "scp.allow_calling" => list(&self.scp.allow_calling),
            "scp.allow_peers" => list(&self.scp.allow_peers),
            "scp.open" => Some(Value::Bool(self.scp.open)),
            "scp.check_called" => Some(Value::Bool(self.scp.check_called)),
            "scp.max_associations" => integer(self.scp.max_associations.into()),
            "scp.max_associations_per_peer" => integer(self.scp.max_associations_per_peer.into()),
            "scp.max_pdu_bytes" => integer(self.scp.max_pdu_bytes.into()),
            "scp.tls" => text(self.scp.tls.word()),
            "tls.certificate" => optional(&self.tls.certificate),
            "tls.key_file" => optional(&self.tls.key_file),
            "tls.authorities" => optional(&self.tls.authorities),
            "retrieve.studies" => integer(self.retrieve_studies.into()),
            "timeouts.tcp" => integer(self.timeouts.tcp.as_secs()),
            "timeouts.acse" => integer(self.timeouts.acse.as_secs()),
            "timeouts.dimse" => integer(self.timeouts.dimse.as_secs()),
            "timeouts.network" => integer(self.timeouts.network.as_secs()),
            "timeouts.room" => integer(self.timeouts.room.as_secs()),
            "export.journal" => optional(&self.export.journal),
            "export.patients" => integer(self.export.patients.into()),
            "export.associations" => integer(self.export.associations.into()),
            "export.attempts" => integer(self.export.attempts.into()),
            "log.level" => text(&self.log.level),
            "log.target.<name>" => optional(&self.log.targets.get(name).cloned()),
            "public_dir" => optional(&self.public_dir),
            _ => self.s3.read(key.strip_prefix(S3_KEYS)?),
        }
    }

    /// Sets a key. A node is made by setting one of its keys. An empty text unsets a key that has
    /// no default.
    ///
    /// # Errors
    /// [`Problem`]; then nothing is changed.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), Problem> {
        let doc = find(key)?;
        let fits = matches!(
            (doc.kind, value),
            (Kind::Text, Value::Text(_))
                | (Kind::Integer, Value::Integer(_))
                | (Kind::Bool, Value::Bool(_))
                | (Kind::List | Kind::ListOrAll, Value::List(_))
        ) || doc.kind == Kind::ListOrAll && *value == Value::Text("all".to_owned());
        if !fits {
            return Err(Problem::Type {
                key: key.to_owned(),
                expected: doc.kind.words(),
            });
        }
        let mut changed = self.clone();
        changed
            .write(doc.key, name_in(doc, key), value)
            .map_err(|Wrong(problem, nearest)| Problem::Value {
                key: key.to_owned(),
                problem,
                allowed: doc.allowed,
                nearest,
            })?;
        *self = changed;
        Ok(())
    }

    fn write(&mut self, key: &str, name: &str, value: &Value) -> Result<(), Wrong> {
        match value {
            Value::Text(text) if text == "all" && key == "modalities" => {
                self.modalities = Selection::All;
                Ok(())
            }
            Value::Text(text) if text == "all" && key == "transfer_syntaxes" => {
                self.transfer_syntaxes = Selection::All;
                Ok(())
            }
            Value::Text(text) => self.write_text(key, name, text),
            Value::Integer(number) => self.write_integer(key, name, *number),
            Value::Bool(truth) => {
                match key {
                    "scp.open" => self.scp.open = *truth,
                    "scp.check_called" => self.scp.check_called = *truth,
                    "node.<name>.tls" => self.node(name)?.tls = *truth,
                    "s3.allow_cleartext" => self.s3.allow_cleartext = *truth,
                    _ => return wrong("cannot be true or false"),
                }
                Ok(())
            }
            Value::List(items) => self.write_list(key, name, items),
        }
    }

    fn write_text(&mut self, key: &str, name: &str, text: &str) -> Result<(), Wrong> {
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match key {
            "site_id" => {
                let site = SiteId::new(text).map_err(|error| Wrong(error.to_string(), None))?;
                check_together(&self.uid_root, &site)?;
                self.site_id = site;
            }
            "uid_root" => {
                let root = UidRoot::new(text).map_err(|error| Wrong(error.to_string(), None))?;
                check_together(&root, &self.site_id)?;
                self.uid_root = root;
            }
            "name" => self.name = checked_name(text)?,
            "script" if text.is_empty() => return wrong("is empty"),
            "script" => text.clone_into(&mut self.script),
            "profile" => self.profile = optional(text),
            "dialect" => self.dialect = choice(text, Dialect::named, Dialect::WORDS)?,
            "durability" => self.durability = choice(text, Durability::named, Durability::WORDS)?,
            "patient_key" => self.patient_key = choice(text, PatientKey::named, PatientKey::WORDS)?,
            "missing_patient_id" => {
                self.missing_patient_id =
                    choice(text, MissingPatientId::named, MissingPatientId::WORDS)?;
            }
            "study_patient_conflict" => {
                self.study_patient_conflict =
                    choice(text, StudyConflict::named, StudyConflict::WORDS)?;
            }
            "burned_in" => self.burned_in = choice(text, BurnedIn::named, BurnedIn::WORDS)?,
            "dates" => self.dates = choice(text, DateScheme::named, DateScheme::WORDS)?,
            "pseudonyms" => {
                self.pseudonyms = choice(text, PseudonymScheme::named, PseudonymScheme::WORDS)?;
            }
            "quarantine.files" => {
                self.quarantine_files =
                    choice(text, QuarantineFiles::named, QuarantineFiles::WORDS)?;
            }
            "node.<name>.aet" => self.node(name)?.aet = checked_aet(text)?,
            "node.<name>.host" => self.node(name)?.host = checked_host(text)?,
            "scp.bind" => self.scp.bind = checked_host(text)?,
            "scp.aet" => self.scp.aet = checked_aet(text)?,
            "scp.tls" => self.scp.tls = choice(text, ScpTls::named, ScpTls::WORDS)?,
            "tls.certificate" => self.tls.certificate = optional(text),
            "tls.key_file" => self.tls.key_file = optional(text),
            "tls.authorities" => self.tls.authorities = optional(text),
            "export.journal" => self.export.journal = optional(text),
            "log.level" => self.log.level = checked_level(text)?,
            "log.target.<name>" => {
                if text.is_empty() {
                    self.log.targets.remove(name);
                } else {
                    self.log
                        .targets
                        .insert(name.to_owned(), checked_level(text)?);
                }
            }
            "public_dir" => self.public_dir = optional(text),
            _ => match key.strip_prefix(S3_KEYS) {
                Some(key) => return self.s3.write_text(key, text),
                None => return wrong("cannot be a text"),
            },
        }
        Ok(())
    }

    fn write_integer(&mut self, key: &str, name: &str, number: i64) -> Result<(), Wrong> {
        let within = |least: i64, most: i64| {
            if (least..=most).contains(&number) {
                Ok(number.unsigned_abs())
            } else {
                wrong("is out of range")
            }
        };
        let port = |least| Ok(u16::try_from(within(least, 65535)?).unwrap_or(u16::MAX));
        let seconds = || Ok(Duration::from_secs(within(1, 3600)?));
        let count = |most| Ok(u16::try_from(within(1, most)?).unwrap_or(u16::MAX));
        match key {
            "quarantine.max_bytes" => self.quarantine_max_bytes = Some(within(0, i64::MAX)?),
            "store.cache_bytes" => self.store_cache_bytes = within(1 << 20, 1 << 40)?,
            "node.<name>.port" => self.node(name)?.port = port(1)?,
            "scp.port" => self.scp.port = port(0)?,
            "scp.max_associations" => self.scp.max_associations = count(1024)?,
            "scp.max_associations_per_peer" => {
                self.scp.max_associations_per_peer = count(1024)?;
            }
            "scp.max_pdu_bytes" => {
                self.scp.max_pdu_bytes = u32::try_from(within(4096, 1 << 20)?).unwrap_or(u32::MAX);
            }
            "retrieve.studies" => self.retrieve_studies = count(32)?,
            "export.patients" => self.export.patients = count(64)?,
            "export.associations" => self.export.associations = count(64)?,
            "export.attempts" => self.export.attempts = count(20)?,
            "timeouts.tcp" => self.timeouts.tcp = seconds()?,
            "timeouts.acse" => self.timeouts.acse = seconds()?,
            "timeouts.dimse" => self.timeouts.dimse = seconds()?,
            "timeouts.network" => self.timeouts.network = seconds()?,
            "timeouts.room" => self.timeouts.room = seconds()?,
            _ => match key.strip_prefix(S3_KEYS) {
                Some(key) => return self.s3.write_integer(key, within),
                None => return wrong("cannot be a number"),
            },
        }
        Ok(())
    }

    fn write_list(&mut self, key: &str, name: &str, items: &[String]) -> Result<(), Wrong> {
        match key {
            "modalities" => {
                self.modalities = Selection::These(each(items, checked_modality)?);
            }
            "storage_classes" => self.storage_classes = each(items, checked_class)?,
            "transfer_syntaxes" => {
                self.transfer_syntaxes = Selection::These(each(items, checked_syntax)?);
            }
            "node.<name>.use" => {
                let uses = each(items, |item| choice(item, NodeUse::named, NodeUse::WORDS))?;
                self.node(name)?.uses = uses.into_iter().collect();
            }
            "scp.allow_calling" => self.scp.allow_calling = each(items, checked_aet)?,
            "scp.allow_peers" => self.scp.allow_peers = each(items, checked_host)?,
            _ => return wrong("cannot be a list"),
        }
        Ok(())
    }

    /// The node with a name, a new one if there is none.
    fn node(&mut self, name: &str) -> Result<&mut Node, Wrong> {
        if name
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '@' || c == ':')
        {
            return wrong("has a node name with a space, @ or :");
        }
        Ok(self.nodes.entry(name.to_owned()).or_insert_with(|| Node {
            aet: String::new(),
            host: String::new(),
            port: 104,
            uses: [NodeUse::Query].into(),
            tls: false,
        }))
    }

    /// Adds items to a list: names or UIDs, those that are there already left alone.
    ///
    /// # Errors
    /// [`Problem`]; then nothing is changed.
    pub fn add(&mut self, key: &str, items: &[String]) -> Result<(), Problem> {
        let Some(current) = self.list(key)? else {
            // All there are holds each of them.
            return self.probe(key, items);
        };
        self.set(
            key,
            &Value::List(current.into_iter().chain(items.iter().cloned()).collect()),
        )
    }

    /// Checks items without keeping them.
    fn probe(&self, key: &str, items: &[String]) -> Result<(), Problem> {
        self.clone().set(key, &Value::List(items.to_vec()))
    }

    /// Removes items from a list: names or UIDs, those that are not there ignored. From all
    /// transfer syntaxes, the others stay. From all modalities, name those that stay instead.
    ///
    /// # Errors
    /// [`Problem`]; then nothing is changed.
    pub fn remove(&mut self, key: &str, items: &[String]) -> Result<(), Problem> {
        let current = match self.list(key)? {
            Some(current) => current,
            None if key == "transfer_syntaxes" => TRANSFER_SYNTAXES
                .iter()
                .map(|(uid, _)| (*uid).to_owned())
                .collect(),
            None => {
                return Err(Problem::Value {
                    key: key.to_owned(),
                    problem: "is all: set it to those that stay".to_owned(),
                    allowed: find(key)?.allowed,
                    nearest: None,
                });
            }
        };
        // A scratch copy turns names into what the list holds.
        let mut scratch = self.clone();
        scratch.set(key, &Value::List(items.to_vec()))?;
        let gone = scratch.list(key)?.unwrap_or_default();
        let kept = current
            .into_iter()
            .filter(|item| !gone.contains(item))
            .collect();
        self.set(key, &Value::List(kept))
    }

    /// The items of a list; None for all.
    fn list(&self, key: &str) -> Result<Option<Vec<String>>, Problem> {
        let doc = find(key)?;
        if !matches!(doc.kind, Kind::List | Kind::ListOrAll) {
            return Err(Problem::NotAList {
                key: key.to_owned(),
            });
        }
        Ok(match self.get(key)? {
            Some(Value::List(items)) => Some(items),
            Some(_) => None,
            None => Some(Vec::new()),
        })
    }

    /// Takes a node or the level of a crate out: `node.PACS`, `log.target.anon_net`. False if it
    /// was not there.
    pub fn unset(&mut self, key: &str) -> bool {
        match key.split_once('.') {
            Some(("node", name)) => self.nodes.remove(name).is_some(),
            Some(("log", rest)) => rest
                .strip_prefix("target.")
                .is_some_and(|name| self.log.targets.remove(name).is_some()),
            _ => false,
        }
    }
}

fn name_in<'k>(doc: &KeyDoc, key: &'k str) -> &'k str {
    let Some((before, after)) = doc.key.split_once("<name>") else {
        return "";
    };
    key.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .unwrap_or("")
}

fn uids(uids: &[Uid]) -> Vec<String> {
    uids.iter().map(Uid::to_string).collect()
}

/// Each item checked, repeated ones once.
fn each<T: PartialEq>(
    items: &[String],
    check: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let mut checked = Vec::with_capacity(items.len());
    for item in items {
        let item = check(item)?;
        if !checked.contains(&item) {
            checked.push(item);
        }
    }
    Ok(checked)
}

pub(super) fn choice<T>(
    word: &str,
    named: impl Fn(&str) -> Option<T>,
    words: &'static [&'static str],
) -> Result<T, Wrong> {
    let meant = || nearest(word, words.iter().copied());
    named(word).ok_or_else(|| Wrong("has an unknown word".to_owned(), meant()))
}

fn check_together(root: &UidRoot, site: &SiteId) -> Result<(), Wrong> {
    root.check_site(site)
        .map_err(|error| Wrong(format!("and its counterpart together: {error}"), None))
}

fn checked_name(text: &str) -> Result<String, Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    if !(1..=16).contains(&text.chars().count()) {
        return wrong("must have 1 to 16 characters");
    }
    if !text.chars().all(allowed) {
        return wrong("has a character that is not allowed");
    }
    if text.trim().is_empty() {
        return wrong("is blank");
    }
    Ok(text.to_owned())
}

fn checked_aet(text: &str) -> Result<String, Wrong> {
    let printable = |b: u8| (b' '..=b'~').contains(&b) && b != b'\\';
    if text.trim().is_empty() || text.len() > 16 {
        return wrong("must have 1 to 16 characters, not all spaces");
    }
    if !text.bytes().all(printable) {
        return wrong("has a character that is not allowed");
    }
    Ok(text.trim().to_owned())
}

fn checked_host(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.len() > 255 {
        return wrong("must have 1 to 255 characters");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("has a space");
    }
    Ok(text.to_owned())
}

pub(super) fn checked_url(text: &str) -> Result<Option<String>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match host {
        None | Some("") => wrong("must begin with https:// or http:// and name a host"),
        // Name and password in a URL would be a secret in the settings.
        Some(host) if host.contains('@') => wrong("must not hold a user name or password"),
        Some(_) => Ok(Some(text.to_owned())),
    }
}

fn checked_level(text: &str) -> Result<String, Wrong> {
    choice(
        text,
        |word| LEVELS.contains(&word).then(|| word.to_owned()),
        LEVELS,
    )
}

fn checked_modality(code: &str) -> Result<&'static Modality, Wrong> {
    let meant = || {
        nearest(
            &code.to_ascii_uppercase(),
            MODALITIES.iter().map(|modality| modality.code),
        )
    };
    Modality::named(code)
        .ok_or_else(|| Wrong(format!("names an unknown modality{}", told(code)), meant()))
}

/// The word that was not understood, if it is short and plain: one of a list, where telling which
/// matters.
fn told(word: &str) -> String {
    let is_code = (1..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_code {
        format!(", {word}")
    } else {
        String::new()
    }
}

fn checked_class(text: &str) -> Result<Uid, Wrong> {
    checked_uid(text, class_named, "names an unknown storage class")
}

fn checked_syntax(text: &str) -> Result<Uid, Wrong> {
    checked_uid(
        text,
        transfer_syntax_named,
        "names an unknown transfer syntax",
    )
}

/// A UID, or the UID of a name. A UID need not be one the standard knows: vendors have their own.
fn checked_uid(
    text: &str,
    named: impl Fn(&str) -> Option<&'static str>,
    problem: &str,
) -> Result<Uid, Wrong> {
    let is_uid = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let uid = if is_uid { Some(text) } else { named(text) };
    let Some(uid) = uid else {
        return wrong(problem);
    };
    Uid::new(uid).map_err(|error| Wrong(format!("holds a UID that {error}"), None))
}
