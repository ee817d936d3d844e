//! [`SendQueue`]: the items that were taken from the iterator and not yet sent.

use std::collections::{BTreeSet, VecDeque};

use super::item::{PreparedItem, SendItem};
use super::part10::StorageContext;
use crate::context::Contexts;
use crate::service::{Cancel, ServiceError};

/// The most items in the queue: twice the number of contexts of an association.
pub(super) const MAX_ITEMS: usize = 2 * Contexts::MAX;
/// No further item is taken while the queue holds this many bytes in memory.
const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Items that wait to be sent, in order.
pub(super) struct SendQueue<'a> {
    items: &'a mut dyn Iterator<Item = SendItem>,
    waiting: VecDeque<PreparedItem>,
    held_bytes: usize,
    taken: u64,
    ended: bool,
}

impl<'a> SendQueue<'a> {
    pub(super) fn new(items: &'a mut dyn Iterator<Item = SendItem>) -> Self {
        Self {
            items,
            waiting: VecDeque::new(),
            held_bytes: 0,
            taken: 0,
            ended: false,
        }
    }

    /// Takes items until the queue is full or the iterator ends. Passes items that cannot be sent
    /// to `failed`.
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
            let number = self.taken;
            self.taken += 1;
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

    /// Returns the contexts of the items, those of the first items first, as many as one proposal
    /// can hold.
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

    /// Removes the first item that needs one of these contexts.
    pub(super) fn take(&mut self, contexts: &BTreeSet<StorageContext>) -> Option<PreparedItem> {
        let at = self
            .waiting
            .iter()
            .position(|r| contexts.contains(&r.context))?;
        let item = self.waiting.remove(at)?;
        self.held_bytes -= item.held_bytes();
        Some(item)
    }

    /// Puts an item back at the front.
    pub(super) fn put_back(&mut self, item: PreparedItem) {
        self.held_bytes += item.held_bytes();
        self.waiting.push_front(item);
    }
}
