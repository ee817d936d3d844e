//! `private/control.sock`: a command that is started beside the process that holds the project hands
//! it the work, and the holder streams back the results.
//!
//! ```text
//! holder ─► {"hello":{"version":2,"pid":4711}}                      or {"closing":true}
//! client ─► {"import":{"roots":[{"given":"…","absolute":"2f64…"}]}}    paths in hexadecimal
//!           {"retrieve":{…}}   {"delete":{"patient":"…"}}
//!           {"retry":{"category":null}}   {"clear":{"these":["…"]}}
//!           {"accept":{"entry":"…","reason":"…"}}
//!           {"adopt":{"file":"2f64…",…}}   {"settings":{…}}         or one of these
//! holder ─► {"instance":{…}} …   {"study":{…}} …   {"row":{…}} …    one a file, a study, a row
//!           {"progress":{…}} …                                      how far a retrieve is
//! client ─► {"cancel":true}                                         to end the request early
//! holder ─► {"summary":{…}}   {"retrieved":{…}}   {"deleted":{…}}   the last line, or
//!           {"cleared":3}   {"adopted":true}   {"settings_written":true}
//!           {"failed":{"code":4,"message":"…"}}
//! ```
//!
//! One JSON object a line. A client that goes away cancels its request. Only the owner of the project
//! can connect to the socket. On Windows it is a file that names a pipe, with the same promises.
//! Where the system has neither, nobody listens, and a second command fails because the project is in
//! use.

mod client;
mod holder;
mod protocol;

pub(crate) use client::{HandOver, hand_over};
pub(crate) use holder::Holder;
pub(crate) use protocol::{Request, Response};
