//! Associations over TCP and TLS: the DICOM upper layer protocol (PS3.8 section 9).
//!
//! [`UlDial`] opens them, [`Acceptor`] answers them; both give a [`UlAssociation`]. The PDUs that
//! make an association are encoded by dicom-ul. Everything read is decoded here, since a decoder for
//! what comes in must skip items that it does not know and trust no length; so is P-DATA-TF, the path
//! of every byte of every image:
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

pub use acceptor::Acceptor;
pub use association::UlAssociation;
pub use dial::UlDial;
pub use implementation::Implementation;
pub use transport::Transport;
