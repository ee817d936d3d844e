//! Synthetic DICOM files: a small writer and named cases.
//!
//! No byte comes from a person or a scanner. Every case is generated from a [`Place`] (a seed and
//! the numbers of patient, study, series and instance) with integer arithmetic only, so the bytes
//! are the same on every machine and in every run.
//!
//! ```text
//! Place ──► case (ct_slice, sr, …) ──► DataSet ──► Form (syntax, lengths, head) ──► bytes
//!                                        ▲
//!                     put, push, sequence, private, Canaries::plant
//! ```
//!
//! The writer also writes invalid data sets: elements out of order ([`DataSet::push`]), invalid VRs
//! ([`DataSet::push_raw`]), wrong lengths ([`Value::Claimed`]) and values of odd length
//! ([`Value::Exact`]). It shares no code with the engine's reader and writer, so an error in one
//! cannot hide an error in the other.
//!
//! ```
//! use anon_engine::testing::files::{DataSet, Form, Place, Syntax, ct_small};
//! use dicom_core::{Tag, VR};
//!
//! let ct = ct_small(&Place::new(7)).put(Tag(0x0010, 0x0010), VR::PN, "Doe^Jane");
//! let file = ct.write(Syntax::ExplicitLittle);
//! assert_eq!(&file[128..132], b"DICM");
//!
//! let item = DataSet::new().put(Tag(0x0010, 0x0020), VR::LO, "4711");
//! let nested = ct.sequence(Tag(0x0010, 0x1002), vec![item]);
//! let bytes = nested.write_as(&Form::new(Syntax::ImplicitLittle).undefined_lengths());
//! assert!(bytes.len() > file.len());
//! ```

mod canaries;
mod cases;
mod data_set;
mod encode;
mod image;
mod modules;
mod mr;
mod phi;
mod place;
mod sr;
#[cfg(test)]
mod tests;

pub use canaries::{Canaries, Canary};
pub use cases::{
    FRAGMENT_BYTES, LargeImage, ct_slice, ct_small, encapsulated, metadata_heavy,
    secondary_capture, us_colour,
};
pub use data_set::{DataSet, Element, Items, Lengths, Value};
pub use encode::{Form, Head, Syntax};
pub use image::rle_frame;
pub use mr::mr_multiframe;
pub use phi::everything_phi;
pub use place::{Noise, Place};
pub use sr::sr;
