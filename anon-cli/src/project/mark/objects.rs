//! The numbers inside de-identified objects: UIDs and accession numbers that no file name has.
//!
//! The bytes are searched, not parsed. A number that is found by chance only makes a gap. A deflated
//! object shows none.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anon_model::disk::Numbers;
use anon_model::{Identity, Space};

use crate::project::mark::outputs;

/// Bytes that are searched at once.
const WINDOW: usize = 1 << 20;

/// Bytes of a window that are searched again with the next one. No value that is looked for is longer.
const OVERLAP: usize = 256;

/// Accession Number (0008,0050) in little endian and in big endian.
const ACCESSION: [[u8; 4]; 2] = [[0x08, 0, 0x50, 0], [0, 0x08, 0, 0x50]];

/// Returns the highest numbers in an object.
pub(super) fn highest_in(path: &Path, identity: &Identity) -> io::Result<Numbers> {
    let mut file = File::open(path)?;
    let mut highest = Numbers::default();
    let mut window = Vec::with_capacity(WINDOW);
    loop {
        let kept = window.len();
        let room = (WINDOW - kept) as u64;
        if Read::by_ref(&mut file)
            .take(room)
            .read_to_end(&mut window)?
            == 0
        {
            return Ok(highest);
        }
        search(&window, identity, &mut highest);
        let searched = window.len().saturating_sub(OVERLAP);
        window.drain(..searched);
    }
}

fn search(bytes: &[u8], identity: &Identity, highest: &mut Numbers) {
    let prefix = format!("{}.{}.", identity.root().as_str(), identity.site().as_str());
    for at in positions(bytes, prefix.as_bytes()) {
        let rest = bytes.get(at + prefix.len()..).unwrap_or_default();
        let end = rest.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
        // Further components belong to a computed UID.
        if after.first() != Some(&b'.') {
            let uid = format!("{prefix}{}", String::from_utf8_lossy(digits));
            let number = outputs::number(identity, Space::Uid, &uid);
            highest.uids = highest.uids.max(number);
        }
    }
    for tag in ACCESSION {
        for at in positions(bytes, &tag) {
            let value = bytes.get(at + tag.len()..).and_then(accession);
            for text in value.unwrap_or_default().split('\\') {
                let number = outputs::number(identity, Space::Accession, text.trim());
                // An original that was kept must not use the counter up.
                if number < outputs::END / 2 {
                    highest.accessions = highest.accessions.max(number);
                }
            }
        }
    }
}

/// Returns where `what` stands in `bytes`.
fn positions<'b>(bytes: &'b [u8], what: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    let windows = bytes.windows(what.len()).enumerate();
    windows
        .filter(move |(_, window)| *window == what)
        .map(|(at, _)| at)
}

/// Returns the value behind the tag of an SH: explicit VR in either byte order, or implicit VR (PS3.5
/// section 7.1).
fn accession(bytes: &[u8]) -> Option<&str> {
    let (header, value) = bytes.split_first_chunk::<4>()?;
    let length = match *header {
        // All lengths of an SH fit in a byte.
        [b'S', b'H', low, 0] | [b'S', b'H', 0, low] | [low, 0, 0, 0] => usize::from(low),
        _ => return None,
    };
    std::str::from_utf8(value.get(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Numbers {
        let identity = Identity::new("9".parse().unwrap(), "1.2.3".parse().unwrap()).unwrap();
        let mut highest = Numbers::default();
        search(bytes, &identity, &mut highest);
        highest
    }

    #[test]
    fn numbers_of_uids_and_accession_numbers_are_found_in_every_encoding() {
        let uids = b"..1.2.3.9.17\x001.2.3.9.4 1.2.3.9.2.99887\x001.2.3.90.55";
        assert_eq!(found(uids).uids, 17);
        for element in [
            &b"\x08\x00\x50\x00SH\x04\x0041\\7"[..],
            b"\x08\x00\x50\x00\x02\x00\x00\x0041",
            b"\x00\x08\x00\x50SH\x00\x0241",
        ] {
            assert_eq!(found(element).accessions, 41, "{element:?}");
        }
        assert_eq!(found(b"\x08\x00\x50\x00LO\x02\x0041"), Numbers::default());
    }

    #[test]
    fn a_number_across_two_windows_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("object");
        let identity = Identity::new("9".parse().unwrap(), "1.2.3".parse().unwrap()).unwrap();
        for before in [WINDOW - 10, WINDOW - 1, WINDOW, 3 * WINDOW] {
            let mut bytes = vec![0; before];
            bytes.extend(b"1.2.3.9.12345\0");
            std::io::Write::write_all(&mut File::create(&path).unwrap(), &bytes).unwrap();
            assert_eq!(highest_in(&path, &identity).unwrap().uids, 12_345);
        }
    }
}
