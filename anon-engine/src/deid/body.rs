//! [`Body`]: the bytes of one object, while it is planned and applied.

use std::fs::File;

use crate::read::scratch::Scratch;

/// Where the pieces of a template are read from.
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    File(&'a File, u64),
    Inflated(Vec<u8>),
    Scratch(Scratch),
}
