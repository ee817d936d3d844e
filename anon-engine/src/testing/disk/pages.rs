//! [`Pages`]: the bytes of a file, cheap to copy.

use std::sync::Arc;

const PAGE: usize = 4096;

/// Bytes in copy-on-write pages.
#[derive(Clone, Default)]
pub(super) struct Pages {
    len: u64,
    pages: Vec<Arc<[u8; PAGE]>>,
}

fn split(offset: u64) -> (usize, usize) {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    (offset / PAGE, offset % PAGE)
}

impl Pages {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let (whole, rest) = split(len);
        let pages = whole + usize::from(rest > 0);
        self.pages.resize_with(pages, || Arc::new([0; PAGE]));
        if len < self.len
            && rest > 0
            && let Some(last) = self.pages.last_mut()
            && let Some(tail) = Arc::make_mut(last).get_mut(rest..)
        {
            // Truncated bytes must not come back when the file grows again.
            tail.fill(0);
        }
        self.len = len;
    }

    pub(super) fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        if end > self.len {
            self.set_len(end);
        }
        while !bytes.is_empty() {
            let (page, at) = split(offset);
            let size = bytes.len().min(PAGE - at);
            let (now, later) = bytes.split_at(size);
            let target = self.pages.get_mut(page).map(Arc::make_mut);
            if let Some(part) = target.and_then(|page| page.get_mut(at..at + size)) {
                part.copy_from_slice(now);
            }
            offset += size as u64;
            bytes = later;
        }
    }

    /// Fills `out` from `offset`. Returns false if the file is too short.
    pub(super) fn read(&self, mut offset: u64, mut out: &mut [u8]) -> bool {
        if offset + out.len() as u64 > self.len {
            return false;
        }
        while !out.is_empty() {
            let (page, at) = split(offset);
            let size = out.len().min(PAGE - at);
            let (now, later) = out.split_at_mut(size);
            let source = self.pages.get(page);
            if let Some(part) = source.and_then(|page| page.get(at..at + size)) {
                now.copy_from_slice(part);
            }
            offset += size as u64;
            out = later;
        }
        true
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.read(0, &mut bytes);
        bytes
    }

    /// Returns these pages, with those pages of `other` for which `take` returns true.
    pub(super) fn mixed(&self, other: &Self, take: &mut impl FnMut() -> bool) -> Self {
        let mut mixed = self.clone();
        if take() {
            mixed.set_len(other.len);
        }
        for (page, new) in mixed.pages.iter_mut().zip(&other.pages) {
            if !Arc::ptr_eq(page, new) && take() {
                *page = Arc::clone(new);
            }
        }
        // A page of the longer file may hold bytes past the end: clear them.
        let len = mixed.len;
        mixed.len = len + 1;
        mixed.set_len(len);
        mixed
    }
}
