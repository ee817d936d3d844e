//! The traits of a lookup store, one for each kind of caller, and [`LookupStore`], their sum.
//!
//! | trait | called by |
//! |---|---|
//! | [`Pseudonyms`] | workers that assign the pseudonyms of an instance; re-identification |
//! | [`Transactions`] | commits, deletions, and the recovery after a crash |
//! | [`PhiIndex`] | lists and reports |
//! | [`RetrieveProgress`] | retrieves, which know original UIDs |
//! | [`RulesHistory`] | opening a project and changing its rules |
//! | [`Adoption`] | importing another program's index |

pub mod adoption;
pub mod clashes;
pub mod index;
pub mod page;
pub mod remarks;
pub mod retrieve_progress;
pub mod rows;
pub mod rules_history;
pub mod transactions;

use crate::Pseudonyms;
use crate::lookup::adoption::Adoption;
use crate::lookup::index::PhiIndex;
use crate::lookup::retrieve_progress::RetrieveProgress;
use crate::lookup::rules_history::RulesHistory;
use crate::lookup::transactions::Transactions;

/// Pseudonyms and the PHI index in one store.
///
/// Implemented for every type that implements the traits it is the sum of. A function that calls
/// only one of them takes that one: `&dyn LookupStore` coerces to `&dyn PhiIndex`.
pub trait LookupStore:
    Pseudonyms + Transactions + PhiIndex + RetrieveProgress + RulesHistory + Adoption
{
}

impl<T> LookupStore for T where
    T: Pseudonyms + Transactions + PhiIndex + RetrieveProgress + RulesHistory + Adoption
{
}

const _: fn() = || {
    fn assert<T: Send + Sync + ?Sized>() {}
    assert::<dyn LookupStore>();
    assert::<dyn Pseudonyms>();
    assert::<dyn Transactions>();
    assert::<dyn PhiIndex>();
    assert::<dyn RetrieveProgress>();
    assert::<dyn RulesHistory>();
    assert::<dyn Adoption>();
};
