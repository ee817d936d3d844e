//! De-identifies an object: plans what each element becomes, and makes the output. Pure functions
//! over bytes.

pub(crate) mod apply;
pub(crate) mod body;
pub(crate) mod deflate;
pub mod deidentified;
pub mod eval;
pub mod method;
pub(crate) mod output_path;
pub(crate) mod pixel;
pub mod plan;
pub mod policy;
pub(crate) mod repeat;
pub(crate) mod template;
