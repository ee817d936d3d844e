//! [`SendQueue`]: the items that wait, and the contexts that they need.

use std::collections::{BTreeSet, VecDeque};

use super::item::{PreparedItem, SendItem};
use super::part10::StorageContext;
use crate::context::Contexts;
use crate::service::{Cancel, ServiceError};

/// The most items that wait: twice as many as an association has contexts.
pub(super) const MAX_ITEMS: usize = 2 * Contexts::MAX;
/// No item is drawn while those that wait hold so many bytes in memory.
const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Items that were drawn and not sent, in order.
pub(super) struct SendQueue<'a> {
    items: &'a mut dyn Iterator<Item = SendItem>,
    waiting: VecDeque<PreparedItem>,
    held_bytes: usize,
    drawn: u64,
    ended: bool,
}

impl<'a> SendQueue<'a> {
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
            match PreparedItem::new(number, item) {
                Ok(item) => {
                    self.held_bytes += item.held_bytes();
                    self.waiting.push_back(item);
                }
                Err(error) => failed(number, error),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What the items need, those that came first before others, as far as one proposal has room.
    pub(super) fn contexts(&self) -> BTreeSet<StorageContext> {
        let mut contexts = BTreeSet::new();
        for item in &self.waiting {
            if contexts.len() == Contexts::MAX {
                break;
            }
            if !contexts.contains(&item.context) {
                contexts.insert(item.context.clone());
            }
        }
        contexts
    }

    /// The first item that is one of these.
    pub(super) fn take(&mut self, contexts: &BTreeSet<StorageContext>) -> Option<PreparedItem> {
        let at = self
            .waiting
            .iter()
            .position(|r| contexts.contains(&r.context))?;
        let item = self.waiting.remove(at)?;
        self.held_bytes -= item.held_bytes();
        Some(item)
    }

    /// Puts an item back, before all others.
    pub(super) fn put_back(&mut self, item: PreparedItem) {
        self.held_bytes += item.held_bytes();
        self.waiting.push_front(item);
    }
}
