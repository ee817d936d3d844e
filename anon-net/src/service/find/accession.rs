//! Lists of accession numbers: one association, one C-FIND a number (PS3.4 section C.4.1).

use std::collections::BTreeSet;
use std::fmt;

use super::query::key;
use super::{Finder, Query, StudyMatch};
use crate::service::{Cancel, Scu, ServiceError};
use crate::{Node, Remedy, TextError};

/// Accession numbers to look for: each once, in the order given, without the spaces around it. Empty
/// ones are left out. `Debug` shows how many.
///
/// # Examples
/// ```
/// use anon_net::service::find::accession::Accessions;
///
/// let numbers = Accessions::new(["A2", "A1 ", "", "A2"])?;
/// assert_eq!(numbers.iter().collect::<Vec<_>>(), ["A2", "A1"]);
/// # Ok::<(), anon_net::TextError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Accessions(Vec<String>);

impl Accessions {
    /// Checks a list.
    ///
    /// # Errors
    /// [`TextError`] if one has a wildcard, a backslash or a control character, or more than 64
    /// characters: a list is for numbers that are known.
    pub fn new<'t>(numbers: impl IntoIterator<Item = &'t str>) -> Result<Self, TextError> {
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for text in numbers {
            let number = key("accession number", text, 64)?;
            if number.contains(['*', '?']) {
                let problem = "it has a wildcard";
                return Err(TextError::new("accession number", text, problem));
            }
            if !number.is_empty() && seen.insert(number.clone()) {
                list.push(number);
            }
        }
        Ok(Self(list))
    }

    /// The numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Accessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accessions({})", self.0.len())
    }
}

/// What became of a number.
#[derive(Debug)]
#[non_exhaustive]
pub enum AccessionOutcome {
    /// So many studies have it, at least one.
    Found {
        /// How many.
        studies: usize,
    },
    /// No study has it.
    NotFound,
    /// It could not be asked for.
    Failed(ServiceError),
    /// It was not asked for: the query was cancelled before, or the node is not to be reached.
    NotAsked,
}

/// What happens while a list is asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum AccessionEvent<'e> {
    /// A study was found.
    Match {
        /// The place of its number in the list, from 0.
        number: usize,
        /// The study.
        study: &'e StudyMatch,
    },
    /// All of a number is known.
    Done {
        /// Its place in the list, from 0.
        number: usize,
        /// What became of it.
        outcome: &'e AccessionOutcome,
    },
}

/// How a list went: an outcome for each number, in their order. `Debug` shows no number.
#[derive(Debug)]
#[non_exhaustive]
pub struct AccessionReport {
    /// The numbers.
    pub numbers: Accessions,
    /// What became of each.
    pub outcomes: Vec<AccessionOutcome>,
}

impl AccessionReport {
    /// The numbers that no study has, in their order.
    pub fn not_found(&self) -> impl Iterator<Item = &str> {
        let pairs = self.numbers.iter().zip(&self.outcomes);
        pairs
            .filter(|(_, outcome)| matches!(outcome, AccessionOutcome::NotFound))
            .map(|(number, _)| number)
    }

    /// The numbers that could not be asked for, and why.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &ServiceError)> {
        let pairs = self.numbers.iter().zip(&self.outcomes);
        pairs.filter_map(|(number, outcome)| match outcome {
            AccessionOutcome::Failed(error) => Some((number, error)),
            _ => None,
        })
    }
}

impl Scu {
    /// Looks for each accession number of a list, on one association. A study counts only if its
    /// number is the same, spaces around it and nothing else left aside.
    ///
    /// A number that fails does not end the rest: the node is dialled again if it has to be. After as
    /// many associations in a row as [`Retries`](crate::service::Retries) says that did not open or
    /// last, or one that never will, the rest is not asked for. When the end is wished, what is left is
    /// not asked for, and the report says so.
    pub fn find_accessions(
        &self,
        node: &Node,
        numbers: Accessions,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(AccessionEvent<'_>),
    ) -> AccessionReport {
        let mut search = AccessionSearch {
            scu: self,
            node,
            cancel,
            finder: None,
            failures: 0,
            is_hopeless: false,
        };
        let mut outcomes = Vec::with_capacity(numbers.len());
        for (number, text) in numbers.iter().enumerate() {
            let outcome = search.outcome(text, &mut |study| {
                let study = &study;
                on_event(AccessionEvent::Match { number, study });
            });
            let event = AccessionEvent::Done {
                number,
                outcome: &outcome,
            };
            on_event(event);
            outcomes.push(outcome);
        }
        search.end();
        AccessionReport { numbers, outcomes }
    }
}

struct AccessionSearch<'s> {
    scu: &'s Scu,
    node: &'s Node,
    cancel: &'s Cancel,
    finder: Option<Finder<'s>>,
    failures: u32,
    is_hopeless: bool,
}

impl AccessionSearch<'_> {
    fn outcome(&mut self, number: &str, on_match: &mut dyn FnMut(StudyMatch)) -> AccessionOutcome {
        if self.is_hopeless
            || self.failures >= self.scu.retries().attempts.max(1)
            || self.cancel.is_cancelled()
        {
            return AccessionOutcome::NotAsked;
        }
        if self.failures > 0 && self.cancel.wait(self.scu.retries().pause) {
            return AccessionOutcome::NotAsked;
        }
        match self.ask(number, on_match) {
            Ok(0) => AccessionOutcome::NotFound,
            Ok(studies) => AccessionOutcome::Found { studies },
            Err(ServiceError::Cancelled) => AccessionOutcome::NotAsked,
            Err(error) => AccessionOutcome::Failed(error),
        }
    }

    fn ask(
        &mut self,
        number: &str,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<usize, ServiceError> {
        let query = Query::new().with_known_accession(number);
        let mut finder = match self.finder.take() {
            Some(finder) => finder.with_max_answers(query.max_answers()),
            None => self
                .scu
                .finder(self.node, self.cancel)
                .inspect_err(|error| {
                    self.failures += 1;
                    self.is_hopeless = error.remedy() != Remedy::Retry;
                })?,
        };
        let mut studies = 0;
        let result = finder.studies(&query, &mut |study| {
            if study.accession == number {
                studies += 1;
                on_match(study);
            }
        });
        match &result {
            Ok(_) | Err(ServiceError::Refused { .. } | ServiceError::TooMany { .. }) => {
                self.failures = 0;
                self.finder = Some(finder);
            }
            Err(ServiceError::Cancelled) => self.finder = Some(finder),
            Err(_) => self.failures += 1,
        }
        result.map(|_| studies)
    }

    fn end(self) {
        if let Some(finder) = self.finder {
            finder.association.release_unless(finder.cancel);
        }
    }
}
