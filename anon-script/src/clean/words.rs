//! The words of a text, and the text as it is compared.

use std::ops::Range;

use super::fold;

/// A run of letters and digits.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// Where it stands in the text.
    pub text: Range<usize>,
    /// Where its folded form stands in [`Words::folded`].
    pub folded: Range<usize>,
}

/// The words of a text in their order.
#[derive(Debug)]
pub(super) struct Words<'t> {
    /// The text.
    pub text: &'t str,
    /// The folded words, one after the other without separators.
    pub folded: String,
    /// The words.
    pub runs: Vec<Word>,
}

impl<'t> Words<'t> {
    /// Finds the words of a text.
    pub(super) fn of(text: &'t str) -> Self {
        let mut folded = String::with_capacity(text.len());
        let mut runs: Vec<Word> = Vec::new();
        let mut open: Option<(usize, usize)> = None;
        for (at, character) in text.char_indices() {
            if fold::is_word(character) {
                open.get_or_insert((at, folded.len()));
                fold::push(character, &mut folded);
            } else if let Some(begin) = open.take() {
                runs.push(Word::between(begin, (at, folded.len())));
            }
        }
        if let Some(begin) = open {
            runs.push(Word::between(begin, (text.len(), folded.len())));
        }
        Self { text, folded, runs }
    }

    /// Returns the word as it stands in the text.
    pub(super) fn written(&self, word: &Word) -> &'t str {
        self.text.get(word.text.clone()).unwrap_or_default()
    }

    /// Returns the word as it is compared.
    pub(super) fn folded(&self, word: &Word) -> &str {
        self.folded.get(word.folded.clone()).unwrap_or_default()
    }

    /// Returns what stands between the word with this index and the one before it.
    pub(super) fn before(&self, index: usize) -> &'t str {
        let begin = index
            .checked_sub(1)
            .and_then(|before| self.runs.get(before))
            .map_or(0, |word| word.text.end);
        let end = self
            .runs
            .get(index)
            .map_or(self.text.len(), |word| word.text.start);
        self.text.get(begin..end).unwrap_or_default()
    }
}

impl Word {
    fn between(begin: (usize, usize), end: (usize, usize)) -> Self {
        Self {
            text: begin.0..end.0,
            folded: begin.1..end.1,
        }
    }
}

/// Splits a folded word where letters and digits meet.
pub(super) fn segments(folded: &str) -> impl Iterator<Item = &str> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let digits = first.is_numeric();
        let end = rest
            .find(|next: char| next.is_numeric() != digits)
            .unwrap_or(rest.len());
        let (segment, tail) = rest.split_at(end);
        rest = tail;
        Some(segment)
    })
}
