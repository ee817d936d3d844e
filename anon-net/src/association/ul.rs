//! Associations over TCP and TLS: the DICOM upper layer protocol (PS3.8 section 9).
//!
//! [`UlDial`] requests associations, [`Acceptor`] answers requests; both return a
//! [`UlAssociation`]. dicom-ul encodes the A-ASSOCIATE PDUs. This module decodes every received PDU
//! itself, because a decoder for untrusted bytes must skip unknown items and trust no length field.
//! It also encodes P-DATA-TF, which carries every byte of every image:
//!
//! ```text
//! Transport::read ─► ReceiveBuffer: one buffer, whole PDUs ─► Pdv { bytes: slice of it }   no copy
//! Pdv { bytes } ─► 12 bytes of header + bytes, one write_vectored ─► Transport     no copy
//! ```

mod acceptor;
mod association;
mod data_pdu;
mod decode;
mod dial;
mod encode;
mod handshake;
mod implementation;
mod pdu;
mod platform;
mod receive_buffer;
mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
mod transport;

pub use acceptor::{Acceptor, RequestedTitles};
pub use association::UlAssociation;
pub use dial::UlDial;
pub use implementation::Implementation;
pub use transport::Transport;
