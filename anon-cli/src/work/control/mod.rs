//! `private/control.sock`: an import, a retrieve or a delete started beside the process that holds the
//! project hands it its work, and the holder streams back what came of it.
//!
//! ```text
//! holder ─► {"hello":{"version":1,"pid":4711}}                      or {"closing":true}
//! client ─► {"import":{"roots":[{"given":"…","absolute":"2f64…"}]}}    paths in hexadecimal
//!           {"retrieve":{…}}   {"delete":{"patient":"…"}}           or one of these
//! holder ─► {"instance":{…}} …   {"study":{…}} …                    one a file, one a study
//!           {"progress":{…}} …                                      how far a retrieve is
//! client ─► {"cancel":true}                                         if it is asked to end
//! holder ─► {"summary":{…}}   {"retrieved":{…}}   {"deleted":{…}}   the last line, or
//!           {"failed":{"code":4,"message":"…"}}
//! ```
//!
//! One JSON object a line. A client that goes away cancels its work. The socket can be reached by
//! the project's owner alone. On Windows it is a file that names a pipe, with the same promises.
//! Where the system has neither nobody listens, and a second import is told that the project is held.

mod client;
mod holder;
mod protocol;

pub(crate) use client::{Handed, hand_over};
pub(crate) use holder::Holder;
pub(crate) use protocol::{Request, Response};
