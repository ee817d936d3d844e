//! Searches for lists of accession numbers: one association, one C-FIND per number (PS3.4 section
//! C.4.1).

use std::collections::BTreeSet;
use std::fmt;

use super::query::key;
use super::{Finder, LeftOut, Query, StudyMatch};
use crate::service::{Cancel, Scu, ServiceError};
use crate::{Node, Remedy, TextError};

/// Accession numbers to search for: each once, in the given order, without leading and trailing
/// spaces. Empty ones are left out. `Debug` shows how many there are.
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
    /// Checks and creates a list.
    ///
    /// # Errors
    /// [`TextError`] if a number has a wildcard, a backslash or a control character, or more than
    /// 64 characters. Wildcards are refused, because the list is for known numbers.
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

    /// Returns the numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns the number of accession numbers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Accessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accessions({})", self.0.len())
    }
}

/// The outcome of an accession number.
#[derive(Debug)]
#[non_exhaustive]
pub enum AccessionOutcome {
    /// At least one study has it.
    Found {
        /// The number of studies.
        studies: usize,
    },
    /// No study has it.
    NotFound,
    /// The query failed.
    Failed(ServiceError),
    /// It was not searched for: the search was cancelled before, or the node cannot be reached.
    NotAsked,
}

/// An event during the search.
#[derive(Debug)]
#[non_exhaustive]
pub enum AccessionEvent<'e> {
    /// A study was found.
    Match {
        /// The position of its number in the list, starting at 0.
        number: usize,
        /// The study.
        study: &'e StudyMatch,
    },
    /// The search for one number ended.
    Done {
        /// The position of the number in the list, starting at 0.
        number: usize,
        /// The outcome.
        outcome: &'e AccessionOutcome,
    },
}

/// The result of the search: an outcome for each number, in their order. `Debug` shows no number.
#[derive(Debug)]
#[non_exhaustive]
pub struct AccessionReport {
    /// The numbers.
    pub numbers: Accessions,
    /// The outcome of each number.
    pub outcomes: Vec<AccessionOutcome>,
    /// Responses that were left out, and why.
    pub left_out: LeftOut,
}

impl AccessionReport {
    /// Returns the numbers that no study has, in their order.
    pub fn not_found(&self) -> impl Iterator<Item = &str> {
        let pairs = self.numbers.iter().zip(&self.outcomes);
        pairs
            .filter(|(_, outcome)| matches!(outcome, AccessionOutcome::NotFound))
            .map(|(number, _)| number)
    }

    /// Returns the numbers whose query failed, with the error.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &ServiceError)> {
        let pairs = self.numbers.iter().zip(&self.outcomes);
        pairs.filter_map(|(number, outcome)| match outcome {
            AccessionOutcome::Failed(error) => Some((number, error)),
            _ => None,
        })
    }
}

impl Scu {
    /// Searches for each accession number of a list on one association. A study matches only if its
    /// number is equal, except for leading and trailing spaces.
    ///
    /// A number that fails does not end the search: the node is dialled again if necessary. The
    /// search ends after as many failed associations in a row as
    /// [`Retries`](crate::service::Retries) allows, or after a permanent failure to connect. Once
    /// it ends or is cancelled, the remaining numbers are reported as
    /// [`AccessionOutcome::NotAsked`].
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
            is_unreachable: false,
            left_out: LeftOut::default(),
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
        let left_out = search.end();
        AccessionReport {
            numbers,
            outcomes,
            left_out,
        }
    }
}

struct AccessionSearch<'s> {
    scu: &'s Scu,
    node: &'s Node,
    cancel: &'s Cancel,
    finder: Option<Finder<'s>>,
    failures: u32,
    is_unreachable: bool,
    left_out: LeftOut,
}

impl AccessionSearch<'_> {
    fn outcome(&mut self, number: &str, on_match: &mut dyn FnMut(StudyMatch)) -> AccessionOutcome {
        if self.is_unreachable
            || self.failures >= self.scu.retries().attempts.max(1)
            || self.cancel.is_cancelled()
        {
            return AccessionOutcome::NotAsked;
        }
        if self.failures > 0 && self.cancel.wait(self.scu.retries().pause) {
            return AccessionOutcome::NotAsked;
        }
        match self.search(number, on_match) {
            Ok(0) => AccessionOutcome::NotFound,
            Ok(studies) => AccessionOutcome::Found { studies },
            Err(ServiceError::Cancelled) => AccessionOutcome::NotAsked,
            Err(error) => AccessionOutcome::Failed(error),
        }
    }

    fn search(
        &mut self,
        number: &str,
        on_match: &mut dyn FnMut(StudyMatch),
    ) -> Result<usize, ServiceError> {
        let query = Query::new().with_known_accession(number);
        let mut finder = match self.finder.take() {
            Some(finder) => finder.with_max_responses(query.max_responses()),
            None => self
                .scu
                .finder(self.node, self.cancel)
                .inspect_err(|error| {
                    self.failures += 1;
                    self.is_unreachable = error.remedy() != Remedy::Retry;
                })?,
        };
        let mut studies = 0;
        let mut others = 0;
        let result = finder.studies(&query, &mut |study| {
            if study.accession == number {
                studies += 1;
                on_match(study);
            } else {
                others += 1;
            }
        });
        self.left_out.other_accession = self.left_out.other_accession.saturating_add(others);
        if let Ok(report) = &result {
            self.left_out.add(&report.left_out);
        }
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

    fn end(self) -> LeftOut {
        if let Some(finder) = self.finder {
            finder.association.release_unless(finder.cancel);
        }
        self.left_out
    }
}
