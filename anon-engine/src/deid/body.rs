//! [`Body`]: where the bytes of an object are while it is planned and applied.

use std::fs::File;

use crate::read::scratch::Scratch;

/// The bytes that the pieces of a template refer to.
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    File(&'a File, u64),
    Inflated(Vec<u8>),
    Scratch(Scratch),
}
