//! A line with a checksum.

/// A line of these fields. None of them holds a tab or a line feed.
pub(super) fn write(fields: &[&str]) -> String {
    let text = fields.join("\t");
    format!("{:08x}\t{text}\n", crc32(text.as_bytes()))
}

/// The fields of a line without its line feed; none if the checksum is another.
pub(super) fn read(line: &[u8]) -> Option<Vec<&str>> {
    let line = std::str::from_utf8(line).ok()?;
    let (crc, text) = line.split_once('\t')?;
    let is_whole = crc.len() == 8 && u32::from_str_radix(crc, 16).ok()? == crc32(text.as_bytes());
    is_whole.then(|| text.split('\t').collect())
}

/// Reads the lines of a file, and how many bytes of it are whole lines. What follows the first line
/// that is not whole is not read: a crash leaves such a line at the end only.
pub(super) fn each<'b>(bytes: &'b [u8], mut each: impl FnMut(&[&'b str])) -> usize {
    let mut whole = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(fields) = line.strip_suffix(b"\n").and_then(read) else {
            break;
        };
        each(&fields);
        whole += line.len();
    }
    whole
}

/// CRC-32 as Ethernet and ZIP have it (polynomial EDB88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn every_other_byte_is_found() {
        let line = write(&["put", "1.2", "-"]);
        let bytes = line.trim_end().as_bytes();
        assert_eq!(read(bytes), Some(vec!["put", "1.2", "-"]));
        for at in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[at] ^= 4;
            assert_eq!(read(&other), None, "byte {at}");
        }
    }

    #[test]
    fn what_follows_a_torn_line_is_not_read() {
        let lines = [write(&["a"]), write(&["b"]), write(&["c"])].concat();
        let length = lines.len() / 3;
        for cut in 0..=lines.len() {
            let mut seen = Vec::new();
            let whole = each(&lines.as_bytes()[..cut], |fields| {
                seen.push(fields.concat());
            });
            assert_eq!(whole, cut / length * length, "{cut}");
            assert_eq!(seen, ["a", "b", "c"][..cut / length], "{cut}");
        }
    }
}
