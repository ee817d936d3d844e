//! Reading and changing settings by their dotted keys.

use crate::identity::modality::TRANSFER_SYNTAXES;
use crate::settings::check::{self, Wrong};
use crate::settings::key::{Effect, KeyDoc, Kind, Value};
use crate::settings::problem::{Problem, nearest};
use crate::settings::table::{ACCESS, Access, FROZEN, KEYS, Node, ProjectSettings};

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

/// Returns when a change of a key takes effect in a process that holds the project. `None` if there
/// is no such key.
///
/// # Examples
/// ```
/// use anon_model::settings::{Effect, effect};
///
/// assert_eq!(effect("node.PACS.port"), Some(Effect::AtOnce));
/// assert_eq!(effect("scp.port"), Some(Effect::Restart));
/// assert_eq!(effect("scp.prot"), None);
/// ```
pub fn effect(key: &str) -> Option<Effect> {
    KeyDoc::of(key).map(|doc| doc.effect)
}

/// Finds a key and the access to its field.
fn find(key: &str) -> Result<(&'static KeyDoc, &'static Access), Problem> {
    let mut rows = KEYS.iter().zip(ACCESS);
    if let Some(row) = rows.find(|(doc, _)| doc.matches(key)) {
        return Ok(row);
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
    // The user's own name replaces `<name>`, so that only the fixed words are compared.
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

impl KeyDoc {
    /// Returns what there is to know about a dotted key. `None` if there is no such key.
    pub fn of(key: &str) -> Option<&'static Self> {
        KEYS.iter().find(|doc| doc.matches(key))
    }

    /// Returns true if the key cannot change once a pseudonym was given.
    pub fn is_frozen(&self) -> bool {
        FROZEN.contains(&self.key)
    }
}

impl ProjectSettings {
    /// Returns the value of a key. `None` if it is not set.
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
        let (doc, access) = find(key)?;
        Ok((access.read)(self, doc.name_in(key)))
    }

    /// Sets a key. Setting one of the keys of a node makes the node. An empty text unsets a key
    /// that has no default.
    ///
    /// # Errors
    /// [`Problem`]. Nothing is changed then.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), Problem> {
        let (doc, access) = find(key)?;
        if !doc.kind.fits(value) {
            return Err(Problem::Type {
                key: key.to_owned(),
                expected: doc.kind.words(),
            });
        }
        let mut changed = self.clone();
        (access.write)(&mut changed, doc.name_in(key), value)
            .and_then(|()| self.check_identity(&changed))
            .map_err(|Wrong { problem, nearest }| Problem::Value {
                key: key.to_owned(),
                problem,
                allowed: doc.allowed,
                nearest,
            })?;
        *self = changed;
        Ok(())
    }

    /// Checks a changed UID root with the site id, and a changed site id with the UID root.
    fn check_identity(&self, changed: &Self) -> Result<(), Wrong> {
        if changed.uid_root == self.uid_root && changed.site_id == self.site_id {
            return Ok(());
        }
        check::root_and_site(&changed.uid_root, &changed.site_id)
    }

    /// Returns the node with a name, a new one if there is none.
    pub(super) fn node(&mut self, name: &str) -> Result<&mut Node, Wrong> {
        check::node_name(name)?;
        let node = self.nodes.entry(name.to_owned());
        Ok(node.or_insert_with(Node::defaults))
    }

    /// Adds items to a list: names or UIDs. Those that it holds already are ignored. Adding one of a
    /// vendor to all transfer syntaxes makes a list of all of PS3.6 and that one.
    ///
    /// # Errors
    /// [`Problem`]. Nothing is changed then.
    pub fn add(&mut self, key: &str, items: &[String]) -> Result<(), Problem> {
        let Some(current) = self.list(key)? else {
            return self.add_to_all(key, items);
        };
        let items = current.into_iter().chain(items.iter().cloned());
        self.set(key, &Value::List(items.collect()))
    }

    /// Checks the items. `all` includes each of them, except transfer syntaxes of vendors.
    fn add_to_all(&mut self, key: &str, items: &[String]) -> Result<(), Problem> {
        let mut copy = self.clone();
        copy.set(key, &Value::List(items.to_vec()))?;
        let added = copy.list(key)?.unwrap_or_default();
        let is_listed = |uid: &String| TRANSFER_SYNTAXES.iter().any(|(listed, _)| listed == uid);
        if key != "transfer_syntaxes" || added.iter().all(is_listed) {
            return Ok(());
        }
        let all = TRANSFER_SYNTAXES.iter().map(|(uid, _)| (*uid).to_owned());
        let others = added.iter().filter(|uid| !is_listed(uid)).cloned();
        self.set(key, &Value::List(all.chain(others).collect()))
    }

    /// Removes items from a list: names or UIDs. Those that it does not hold are ignored. Removing
    /// from all transfer syntaxes leaves the others. Removing from all modalities is refused.
    ///
    /// # Errors
    /// [`Problem`]. Nothing is changed then.
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
                    allowed: find(key)?.0.allowed,
                    nearest: None,
                });
            }
        };
        // Setting them in a copy turns names into the UIDs that the list holds.
        let mut copy = self.clone();
        copy.set(key, &Value::List(items.to_vec()))?;
        let removed = copy.list(key)?.unwrap_or_default();
        let kept = current.into_iter().filter(|item| !removed.contains(item));
        self.set(key, &Value::List(kept.collect()))
    }

    /// Returns the items of a list. `None` if it is `all`.
    fn list(&self, key: &str) -> Result<Option<Vec<String>>, Problem> {
        let (doc, access) = find(key)?;
        if !matches!(doc.kind, Kind::List | Kind::ListOrAll) {
            return Err(Problem::NotAList {
                key: key.to_owned(),
            });
        }
        Ok(match (access.read)(self, doc.name_in(key)) {
            Some(Value::List(items)) => Some(items),
            Some(_) => None,
            None => Some(Vec::new()),
        })
    }

    /// Checks that there is the node of `NAME` or `NAME.key`.
    fn check_node(&self, key: &str) -> Result<(), Problem> {
        let name = key.split('.').next().unwrap_or_default();
        if self.nodes.contains_key(name) {
            return Ok(());
        }
        Err(Problem::NoNode {
            name: name.to_owned(),
            nodes: self.nodes.keys().cloned().collect(),
        })
    }

    /// Gives a key its default again, or removes a node (`node.PACS`) or the log level of a crate
    /// (`log.target.anon_net`). Returns false if nothing changes.
    ///
    /// # Errors
    /// [`Problem::UnknownKey`] or [`Problem::Secret`]. [`Problem::NoNode`] if there is no such node.
    /// [`Problem::Value`] if the default does not go with the other settings. Nothing is changed then.
    ///
    /// # Examples
    /// ```
    /// use anon_model::settings::{ProjectSettings, Value};
    /// use anon_model::SiteId;
    ///
    /// let mut settings = ProjectSettings::new(SiteId::new("42")?);
    /// settings.set("scp.port", &Value::Integer(104))?;
    /// assert!(settings.unset("scp.port")?);
    /// assert_eq!(settings.get("scp.port")?, Some(Value::Integer(1045)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unset(&mut self, key: &str) -> Result<bool, Problem> {
        let name = |prefix| key.strip_prefix(prefix);
        if name("node.").is_some_and(|name| self.nodes.remove(name).is_some())
            || name("log.target.").is_some_and(|name| self.log.targets.remove(name).is_some())
        {
            return Ok(true);
        }
        if let Some(node) = name("node.") {
            self.check_node(node)?;
        }
        let (doc, access) = find(key)?;
        let mut defaults = Self::new(self.site_id.clone());
        if let Some(name) = key.strip_prefix("node.").map(|_| doc.name_in(key)) {
            defaults.nodes.insert(name.to_owned(), Node::defaults());
        }
        let default = (access.read)(&defaults, doc.name_in(key));
        if self.get(key)? == default {
            return Ok(false);
        }
        self.set(key, &default.unwrap_or(Value::Text(String::new())))?;
        Ok(true)
    }
}
