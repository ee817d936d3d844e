//! Lines with a checksum.

/// Formats a line. A field holds neither a tab nor a line feed.
pub(super) fn write(fields: &[&str]) -> String {
    let text = fields.join("\t");
    format!("{:08x}\t{text}\n", crc32(text.as_bytes()))
}

/// Returns the fields of a line that has no line feed. `None` if the checksum is wrong.
pub(super) fn read(line: &[u8]) -> Option<Vec<&str>> {
    let line = std::str::from_utf8(line).ok()?;
    let (crc, text) = line.split_once('\t')?;
    let is_whole = crc.len() == 8 && u32::from_str_radix(crc, 16).ok()? == crc32(text.as_bytes());
    is_whole.then(|| text.split('\t').collect())
}

/// Calls `each` with each line and returns the length of the valid lines. Stops at the first
/// invalid line: a crash leaves an invalid line only at the end.
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

/// CRC-32 as in Ethernet and ZIP (reflected polynomial EDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        let entry = CRC_TABLE.get(usize::from(low ^ byte));
        (crc >> 8) ^ entry.copied().unwrap_or_default()
    })
}

/// The CRC of each byte. A patient's file is read by each export.
static CRC_TABLE: [u32; 256] = crc_table();

#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which checks it"
)]
const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_has_the_standard_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_changed_byte_is_detected() {
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
    fn reading_stops_at_an_incomplete_line() {
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
