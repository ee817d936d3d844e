//! Writes P-DATA-TF: headers and fragments in one system call, without copying the fragments (PS3.8
//! section 9.3.5).

use std::io::{self, IoSlice};
use std::time::Instant;

use super::pdu::{DATA_TF, HEADER_LEN, PDV_HEADER_LEN, PdvHeader};
use super::transport::{Transport, write_unless};
use crate::association::Pdv;

/// The most fragments of a PDU that are written without a copy. More than these are copied into one
/// buffer.
const IN_PLACE: usize = 8;

/// Writes one PDU of fragments, unless `stop` returns true. `length` is the number of bytes they
/// take in it.
pub(super) fn write_data(
    transport: &mut dyn Transport,
    pdvs: &[Pdv<'_>],
    length: u32,
    deadline: Instant,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    let pdu = pdu_header(length);
    match pdvs {
        [pdv] => {
            let mut head = [0; HEADER_LEN + PDV_HEADER_LEN];
            let (first, second) = head.split_at_mut(HEADER_LEN);
            first.copy_from_slice(&pdu);
            second.copy_from_slice(&pdv_header(pdv));
            let mut parts = [IoSlice::new(&head), IoSlice::new(pdv.bytes)];
            write_unless(transport, &mut parts, deadline, stop)
        }
        few if few.len() <= IN_PLACE => {
            let mut heads = [[0; PDV_HEADER_LEN]; IN_PLACE];
            for (head, pdv) in heads.iter_mut().zip(few) {
                *head = pdv_header(pdv);
            }
            let mut parts = [IoSlice::new(&[]); 1 + 2 * IN_PLACE];
            let bodies = heads
                .iter()
                .zip(few)
                .flat_map(|(head, pdv)| [&head[..], pdv.bytes]);
            for (part, bytes) in parts.iter_mut().zip([&pdu[..]].into_iter().chain(bodies)) {
                *part = IoSlice::new(bytes);
            }
            write_unless(transport, &mut parts, deadline, stop)
        }
        many => {
            let mut together = pdu.to_vec();
            for pdv in many {
                together.extend_from_slice(&pdv_header(pdv));
                together.extend_from_slice(pdv.bytes);
            }
            write_unless(transport, &mut [IoSlice::new(&together)], deadline, stop)
        }
    }
}

fn pdu_header(length: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = length.to_be_bytes();
    [DATA_TF, 0, a, b, c, d]
}

fn pdv_header(pdv: &Pdv<'_>) -> [u8; PDV_HEADER_LEN] {
    // The caller has checked that all fragments fit in a PDU.
    let item = u32::try_from(pdv.bytes.len()).map_or(u32::MAX, |length| length.saturating_add(2));
    let [a, b, c, d] = item.to_be_bytes();
    let control = PdvHeader::control(pdv.kind, pdv.position);
    [a, b, c, d, pdv.context.get(), control]
}
