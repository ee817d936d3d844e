//! Texts as they are compared: lower case, without diacritics, widths and separators.

/// Base letters of U+00C0 to U+017F; `.` where the character has none.
const LATIN_1_AND_A: &[u8; 192] = b"aaaaaaaceeeeiiiidnooooo.ouuuuytsaaaaaaaceeeeiiiidnooooo.ouuuuytyaaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
/// Base letters of U+01CD to U+021F.
const LATIN_B: &[u8; 83] =
    b"aaiioouuuuuuuuuu.aaaa....ggkkoooo..jdddgg..nnaa....aaaaeeeeiiiioooorrrruuuusstt..hh";
/// Base letters of U+1E00 to U+1EFF.
const LATIN_ADDITIONAL: &[u8; 256] = b"aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyas..s.aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy......";

/// Appends `character` as it is compared. Marks on letters add nothing.
pub(super) fn push(character: char, folded: &mut String) {
    if character.is_ascii() {
        folded.push(character.to_ascii_lowercase());
        return;
    }
    match character {
        'ß' | 'ẞ' => folded.push_str("ss"),
        'æ' | 'Æ' => folded.push_str("ae"),
        'œ' | 'Œ' => folded.push_str("oe"),
        '¹' => folded.push('1'),
        '²' => folded.push('2'),
        '³' => folded.push('3'),
        'µ' | 'μ' => folded.push('u'),
        'ª' => folded.push('a'),
        'º' => folded.push('o'),
        'þ' | 'Þ' => folded.push_str("th"),
        // Full-width ASCII.
        '\u{FF01}'..='\u{FF5E}' => {
            let narrow = char::from_u32(u32::from(character) - 0xFEE0);
            folded.extend(narrow.map(|narrow| narrow.to_ascii_lowercase()));
        }
        'ά' | 'Ά' => folded.push('α'),
        'έ' | 'Έ' => folded.push('ε'),
        'ή' | 'Ή' => folded.push('η'),
        'ί' | 'Ί' | 'ϊ' | 'ΐ' => folded.push('ι'),
        'ό' | 'Ό' => folded.push('ο'),
        'ύ' | 'Ύ' | 'ϋ' | 'ΰ' => folded.push('υ'),
        'ώ' | 'Ώ' => folded.push('ω'),
        'ς' => folded.push('σ'),
        'ё' | 'Ё' => folded.push('е'),
        _ if is_mark(character) => {}
        _ => match latin(character) {
            Some(base) => folded.push(base),
            None => folded.extend(character.to_lowercase().filter(|&lower| !is_mark(lower))),
        },
    }
}

fn latin(character: char) -> Option<char> {
    let code = u32::from(character);
    let (table, first): (&[u8], u32) = match code {
        0xC0..=0x17F => (LATIN_1_AND_A, 0xC0),
        0x1CD..=0x21F => (LATIN_B, 0x1CD),
        0x1E00..=0x1EFF => (LATIN_ADDITIONAL, 0x1E00),
        _ => return None,
    };
    let base = *table.get((code - first) as usize)?;
    (base != b'.').then_some(char::from(base))
}

/// True for marks that are written on a letter, and for characters that are not shown.
pub(super) fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5C7}'
        | '\u{610}'..='\u{61A}' | '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}' | '\u{20D0}'..='\u{20FF}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FE20}'..='\u{FE2F}' | '\u{FEFF}')
}

/// True for characters of words: letters, digits and the marks on them.
pub(super) fn is_word(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric();
    }
    character.is_alphanumeric() || is_mark(character)
}

/// True for scripts that write no blanks between words: a name of two characters is enough to find.
pub(super) fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1100}'..='\u{11FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FF9F}' | '\u{20000}'..='\u{3FFFF}')
}
