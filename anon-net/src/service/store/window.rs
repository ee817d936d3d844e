//! [`Window`]: the items that wait, and the contexts that they need.

use std::collections::{BTreeSet, VecDeque};

use super::item::{Ready, SendItem};
use super::part10::Sort;
use crate::context::Contexts;
use crate::service::{Cancel, ServiceError};

/// The most items that wait: twice as many as an association has contexts.
pub(super) const MAX_ITEMS: usize = 2 * Contexts::MAX;
/// No item is drawn while those that wait hold so many bytes in memory.
const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Items that were drawn and not sent, in order.
pub(super) struct Window<'a> {
    items: &'a mut dyn Iterator<Item = SendItem>,
    waiting: VecDeque<Ready>,
    held_bytes: usize,
    drawn: u64,
    ended: bool,
}

impl<'a> Window<'a> {
    pub(super) fn new(items: &'a mut dyn Iterator<Item = SendItem>) -> Self {
        Self {
            items,
            waiting: VecDeque::new(),
            held_bytes: 0,
            drawn: 0,
            ended: false,
        }
    }

    /// Draws items until there is no room or no item; gives those that cannot be sent to `failed`.
    pub(super) fn fill(&mut self, cancel: &Cancel, mut failed: impl FnMut(u64, ServiceError)) {
        while !cancel.is_cancelled()
            && !self.ended
            && self.waiting.len() < MAX_ITEMS
            && self.held_bytes < MAX_HELD_BYTES
        {
            let Some(item) = self.items.next() else {
                self.ended = true;
                return;
            };
            let number = self.drawn;
            self.drawn += 1;
            match Ready::new(number, item) {
                Ok(ready) => {
                    self.held_bytes += ready.held_bytes();
                    self.waiting.push_back(ready);
                }
                Err(error) => failed(number, error),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What the items need, those that came first before others, as far as one proposal has room.
    pub(super) fn sorts(&self) -> BTreeSet<Sort> {
        let mut sorts = BTreeSet::new();
        for ready in &self.waiting {
            if sorts.len() == Contexts::MAX {
                break;
            }
            if !sorts.contains(&ready.sort) {
                sorts.insert(ready.sort.clone());
            }
        }
        sorts
    }

    /// The first item that is one of these.
    pub(super) fn take(&mut self, sorts: &BTreeSet<Sort>) -> Option<Ready> {
        let at = self.waiting.iter().position(|r| sorts.contains(&r.sort))?;
        let ready = self.waiting.remove(at)?;
        self.held_bytes -= ready.held_bytes();
        Some(ready)
    }

    /// Puts an item back, before all others.
    pub(super) fn put_back(&mut self, ready: Ready) {
        self.held_bytes += ready.held_bytes();
        self.waiting.push_front(ready);
    }
}
