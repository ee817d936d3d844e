//! `store.mark` beside `project.toml`, which tells the project's lookup store from an older copy and
//! from another store. anon-model describes its format ([`StoreMark`](anon_model::disk::StoreMark)).
//!
//! ```text
//! open for writing:  compare ─► commit a new group ─► write mark: that group, ceilings above the counters
//!                                                       │
//! while it is open:  a thread raises the ceilings before the counters reach them, and notes the group
//!                                                       │
//! close:             commit a new group ─► write mark: that group, ceilings at the counters
//! ```
//!
//! * The store has committed a group before the mark names it. So a store with a lower group than the
//!   mark is an older copy, and a crash at any instruction leaves a store that is accepted.
//! * With relaxed durability, a power cut can lose commits whose outputs are visible. After a crash, the
//!   counters are raised to the ceilings, so that no number is given twice.
//! * No number above the ceilings is ever committed. So `--raise-counters` goes on above every number
//!   that was given, also if the store that gave them is lost.
//! * Patients in `public/` and in the export journals with numbers that the store has not given show an
//!   older copy too, also without a mark.
//! * A project without a mark gets one when it is opened for writing.

pub(crate) mod evidence;
mod file;
pub(crate) mod keeper;
mod objects;
pub(crate) mod outputs;
pub(crate) mod raise;

pub(crate) use self::file::{known, write};
