//! Which attributes are required where (PS3.3): [`Types`] chooses one of several actions.
//!
//! ```text
//!  state 0            root of an unknown SOP class
//!  state 1 .. n       roots of known SOP classes; classes with the same requirements share a state
//!  state n + 1        an item without requirements of its own
//!  state n + 2 ..     items, by the sequences that lead to them
//! ```

use std::collections::HashMap;

use dicom_core::Tag;

use super::table::tag;
use crate::rules::State;

/// What becomes of an attribute because it is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Required {
    /// Type 2: it stays without a value.
    Empty,
    /// Type 1: it gets a dummy.
    Dummy,
    /// The attribute is a sequence of references, and of type 1. It stays, and its UIDs are replaced.
    References,
}

/// The states, and the required attributes of each.
#[derive(Debug)]
pub(super) struct Types {
    classes: HashMap<&'static str, State>,
    /// The items of a sequence, by the state of the data set around it; none for all roots.
    items: HashMap<(Option<State>, Tag), State>,
    required: Vec<Vec<(Tag, Required)>>,
    /// The state of items without requirements.
    other: State,
}

/// UIDs of most storage SOP classes begin with this.
const STORAGE: &str = "1.2.840.10008.5.1.4.";

impl Types {
    pub(super) fn new() -> Self {
        let mut types = Self {
            classes: HashMap::new(),
            items: HashMap::new(),
            required: vec![Vec::new()],
            other: State(0),
        };
        let mut at = 0_usize;
        for line in include_str!("types.txt").lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "#" => {}
                "class" => {
                    let state = types.add();
                    types
                        .classes
                        .extend(rest.split(' ').map(|uid| (uid, state)));
                    at = index(state);
                }
                "unknown" => {
                    at = 0;
                    types.other = types.add();
                }
                "path" => at = index(types.path(rest)),
                _ => {
                    let required = match rest {
                        "Z" => Required::Empty,
                        "D" => Required::Dummy,
                        _ => Required::References,
                    };
                    if let (Some(tag), Some(list)) = (tag(word), types.required.get_mut(at)) {
                        list.push((tag, required));
                    }
                }
            }
        }
        types
    }

    fn add(&mut self) -> State {
        self.required.push(Vec::new());
        State(u32::try_from(self.required.len() - 1).unwrap_or(0))
    }

    /// Returns the state of items on a path of sequences, a new one if there is none.
    fn path(&mut self, sequences: &str) -> State {
        let mut from = None;
        for sequence in sequences.split('/').filter_map(tag) {
            let known = self.items.get(&(from, sequence)).copied();
            let state = known.unwrap_or_else(|| self.add());
            self.items.insert((from, sequence), state);
            from = Some(state);
        }
        from.unwrap_or(self.other)
    }

    /// Returns the state of the root of an object.
    pub(super) fn root(&self, sop_class: &str) -> State {
        let short = sop_class.strip_prefix(STORAGE).unwrap_or(sop_class);
        self.classes.get(short).copied().unwrap_or_default()
    }

    /// Returns the state of the items of a sequence.
    pub(super) fn items(&self, around: State, sequence: Tag) -> State {
        let from = (around.0 >= self.other.0).then_some(around);
        self.items
            .get(&(from, sequence))
            .copied()
            .unwrap_or(self.other)
    }

    /// Returns what becomes of an attribute because it is required. `None` if it is not.
    pub(super) fn required(&self, state: State, tag: Tag) -> Option<Required> {
        let list = self.required.get(index(state))?;
        let at = list.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        list.get(at).map(|(_, required)| *required)
    }

    /// Returns true if an attribute is required somewhere.
    pub(super) fn is_required_somewhere(&self, tag: Tag) -> bool {
        let mut all = self.required.iter().flatten();
        all.any(|(required, _)| *required == tag)
    }

    /// Returns true if PS3.3 was read for this SOP class.
    pub(super) fn knows(&self, sop_class: &str) -> bool {
        self.root(sop_class) != State(0)
    }
}

fn index(state: State) -> usize {
    usize::try_from(state.0).unwrap_or(0)
}
