//! `anon backup` and `anon restore`: a project in one file, without its outputs.
//!
//! The file is a ZIP archive without compression. The names of its members are those of the files in the
//! project; other members are refused.
//!
//! ```text
//! manifest.json                 the format, what made it and when, the project; see Manifest
//! project.toml
//! anonymizer.script             the script that the settings name, if it is in the project
//! export/…                      the journals of exports, if they are in the project
//! private/lookup.redb           the lookup store as of one commit; absent if there is none
//! private/secret.key            if there is one
//! private/audit.jsonl           if there is one
//! private/quarantine/…          with --with-quarantine only
//! store.mark                    that of the copy, with the ceilings of the project's mark
//! the comment of the archive:   "anon backup 1 " and 64 hex digits: BLAKE3 of all bytes before them
//! ```
//!
//! Outputs are not in it: `public/` is backed up as any files are, before or after. Neither are logs,
//! temporary files, and the keys of TLS and of accounts.
//!
//! A restore is prepared below `private/restore/` and then happens at once:
//!
//! ```text
//! check the file ─► lock ─► new/ gets the files ─► raise the counters of new/private/lookup.redb ─► ready
//!                                                                                                     │
//! ready: keep each old file in before-restore-<time>/, rename the new one over it, project.toml last ◄┘
//! ```
//!
//! Before `ready` is there, the project is the old one; afterwards whoever comes next finishes the
//! restore before anything else ([`finish`]). Records that only grow are not replaced: the audit trail,
//! the journal of each destination, entries of the quarantine.

mod archive;
mod make;
mod pending;
mod restore;

pub(crate) use self::archive::Archive;
pub(crate) use self::make::{Made, Quarantined, make};
pub(crate) use self::pending::finish;
pub(crate) use self::restore::{Restored, replaces, restore};
