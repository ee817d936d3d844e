//! Texts that identify by their form: dates, times, numbers, addresses, titles with names.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::vocabulary;
use super::words::{Words, segments};

/// What a word announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A month by its name in English, German, Spanish or French.
    Month,
    /// A title, before the name of a person.
    Title,
    /// A word before a number that identifies.
    Label,
    /// A street.
    Street,
    /// An address of the web.
    Web,
}
use Kind::{Label, Month, Street, Title, Web};

/// The words that announce something, folded and sorted.
const KINDS: &[(&str, Kind)] = &[
    ("abr", Month),
    ("abril", Month),
    ("acc", Label),
    ("accession", Label),
    ("ago", Month),
    ("agosto", Month),
    ("aout", Month),
    ("apr", Month),
    ("april", Month),
    ("aug", Month),
    ("august", Month),
    ("ave", Street),
    ("avenida", Street),
    ("avenue", Street),
    ("avr", Month),
    ("avril", Month),
    ("blvd", Street),
    ("boulevard", Street),
    ("calle", Street),
    ("chart", Label),
    ("dec", Month),
    ("december", Month),
    ("decembre", Month),
    ("dez", Month),
    ("dezember", Month),
    ("dic", Month),
    ("diciembre", Month),
    ("dob", Label),
    ("doctor", Title),
    ("dr", Title),
    ("dra", Title),
    ("drive", Street),
    ("drs", Title),
    ("ene", Month),
    ("enero", Month),
    ("fallnr", Label),
    ("fallnummer", Label),
    ("fax", Label),
    ("feb", Month),
    ("febrero", Month),
    ("februar", Month),
    ("february", Month),
    ("fev", Month),
    ("fevrier", Month),
    ("fr", Title),
    ("frau", Title),
    ("ftp", Web),
    ("handy", Label),
    ("herr", Title),
    ("herrn", Title),
    ("http", Web),
    ("https", Web),
    ("id", Label),
    ("jaenner", Month),
    ("jan", Month),
    ("januar", Month),
    ("january", Month),
    ("janv", Month),
    ("janvier", Month),
    ("juil", Month),
    ("juillet", Month),
    ("juin", Month),
    ("jul", Month),
    ("juli", Month),
    ("julio", Month),
    ("july", Month),
    ("jun", Month),
    ("june", Month),
    ("juni", Month),
    ("junio", Month),
    ("lane", Street),
    ("madame", Title),
    ("maerz", Month),
    ("mai", Month),
    ("mar", Month),
    ("march", Month),
    ("mars", Month),
    ("marz", Month),
    ("marzo", Month),
    ("may", Month),
    ("mayo", Month),
    ("medrec", Label),
    ("miss", Title),
    ("mlle", Title),
    ("mme", Title),
    ("mobile", Label),
    ("monsieur", Title),
    ("mr", Title),
    ("mrn", Label),
    ("mrs", Title),
    ("ms", Title),
    ("nhs", Label),
    ("nov", Month),
    ("november", Month),
    ("novembre", Month),
    ("noviembre", Month),
    ("oct", Month),
    ("october", Month),
    ("octobre", Month),
    ("octubre", Month),
    ("okt", Month),
    ("oktober", Month),
    ("patid", Label),
    ("patnr", Label),
    ("pd", Title),
    ("phone", Label),
    ("pid", Label),
    ("platz", Street),
    ("plaza", Street),
    ("prof", Title),
    ("professor", Title),
    ("road", Street),
    ("rue", Street),
    ("senor", Title),
    ("senora", Title),
    ("sep", Month),
    ("sept", Month),
    ("september", Month),
    ("septembre", Month),
    ("septiembre", Month),
    ("sir", Title),
    ("sr", Title),
    ("sra", Title),
    ("ssn", Label),
    ("str", Street),
    ("strasse", Street),
    ("street", Street),
    ("tel", Label),
    ("telefon", Label),
    ("telephone", Label),
    ("terrace", Street),
    ("weg", Street),
    ("www", Web),
];
const STREET_ENDINGS: &[&str] = &["strasse", "gasse", "platz", "allee"];

/// Marks the words of all patterns.
pub(super) fn mark(words: &Words<'_>, gone: &mut [bool]) {
    for index in 0..words.runs.len() {
        let count = run_of_numbers(words, index)
            .max(date_with_month(words, index))
            .max(label(words, index))
            .max(street(words, index))
            .max(initials(words, index))
            .max(great_age(words, index));
        mark_from(gone, index, count);
        mark_from(gone, index, usize::from(is_long_number(words, index)));
        mark_from(gone, index, title(words, index));
        if let Some((from, count)) = address_of_mail(words, index) {
            mark_from(gone, from, count);
        }
        // A word that is gone is part of an address already.
        if gone.get(index) == Some(&false) {
            mark_from(gone, index, address_of_web(words, index));
        }
    }
}

fn mark_from(gone: &mut [bool], from: usize, count: usize) {
    gone.iter_mut()
        .skip(from)
        .take(count)
        .for_each(|gone| *gone = true);
}

fn folded<'w>(words: &'w Words<'_>, index: usize) -> &'w str {
    words.runs.get(index).map_or("", |word| words.folded(word))
}

static KIND_OF: LazyLock<HashMap<&str, Kind>> = LazyLock::new(|| KINDS.iter().copied().collect());

fn kind(word: &str) -> Option<Kind> {
    let letters = word.starts_with(|first: char| first.is_ascii_lowercase());
    let known = letters && (2..=12).contains(&word.len());
    known.then(|| KIND_OF.get(word).copied()).flatten()
}

fn is_kind(words: &Words<'_>, index: usize, wanted: Kind) -> bool {
    kind(folded(words, index)) == Some(wanted)
}

fn number(words: &Words<'_>, index: usize) -> Option<u32> {
    let word = folded(words, index);
    let digits =
        !word.is_empty() && word.len() <= 8 && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// True for six and more digits in a row that are not the decimals of a number.
fn is_long_number(words: &Words<'_>, index: usize) -> bool {
    let word = folded(words, index);
    let longest = segments(word).filter(|segment| segment.starts_with(char::is_numeric));
    if longest
        .map(|digits| digits.chars().count())
        .max()
        .unwrap_or(0)
        < 6
    {
        return false;
    }
    let decimals = index > 0
        && words.before(index) == "."
        && number(words, index - 1).is_some_and(|whole| whole < 1000)
        && !(index > 1 && words.before(index - 1) == ".")
        && words.before(index + 1) != "."
        && word.len() <= 12;
    !decimals
}

/// Counts the words of a date, time, UID, network or telephone number that begins here.
fn run_of_numbers(words: &Words<'_>, index: usize) -> usize {
    let Some(first) = words.runs.get(index) else {
        return 0;
    };
    if !words
        .folded(first)
        .starts_with(|character: char| character.is_ascii_digit())
    {
        return 0;
    }
    dotted(words, index)
        .max(date(words, index))
        .max(time(words, index))
        .max(telephone(words, index))
}

/// A UID, or an address of the Internet Protocol.
fn dotted(words: &Words<'_>, index: usize) -> usize {
    if index > 0 && words.before(index) == "." {
        return 0;
    }
    let is_digits = |index: usize| {
        let word = folded(words, index);
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    // A UID has 64 characters at most. The limit keeps this linear.
    let more =
        (index + 1..index + 64).take_while(|&next| words.before(next) == "." && is_digits(next));
    let count = 1 + more.count();
    let digits: usize = (index..index + count)
        .map(|index| folded(words, index).len())
        .sum();
    let known = ["1", "2", "840", "10008"].iter().enumerate();
    let of_the_standard = known
        .clone()
        .all(|(at, part)| folded(words, index + at) == *part);
    let is_uid = matches!(folded(words, index), "0" | "1" | "2")
        && (count >= 6 || count >= 4 && digits >= 12);
    let is_ip = count == 4
        && digits >= 8
        && (index..index + 4).all(|index| number(words, index).is_some_and(|part| part < 256))
        && number(words, index).is_some_and(|part| part >= 10);
    if is_digits(index) && (is_uid && !of_the_standard || is_ip) {
        count
    } else {
        0
    }
}

fn is_year(number: u32) -> bool {
    (1880..=2100).contains(&number)
}

/// A date of three numbers, or of month and year.
fn date(words: &Words<'_>, index: usize) -> usize {
    let separator = words.before(index + 1);
    let bare = separator.trim();
    if !matches!(bare, "." | "/" | "-" | "_" | "," | "" | "年") || separator.len() > 3 {
        return 0;
    }
    if index > 0 && words.before(index) == "." && bare == "." {
        return 0;
    }
    let (Some(first), Some(second)) = (number(words, index), number(words, index + 1)) else {
        return 0;
    };
    let day_and_month = |one: u32, two: u32| {
        (1..=31).contains(&one) && (1..=12).contains(&two)
            || (1..=12).contains(&one) && (1..=31).contains(&two)
    };
    let width = |at: usize| folded(words, at).len();
    let narrow = |at: usize| width(at) <= 2;
    if let Some(third) = number(words, index + 2)
        && words.before(index + 2).trim() == bare
    {
        let year_first = is_year(first)
            && narrow(index + 1)
            && narrow(index + 2)
            && day_and_month(third, second);
        let year_last =
            is_year(third) && narrow(index) && narrow(index + 1) && day_and_month(first, second);
        let year_short = matches!(bare, "." | "/" | "-")
            && separator == bare
            && words.before(index + 3) != "."
            && width(index + 2) == 2
            && narrow(index)
            && width(index + 1) == 2
            && day_and_month(first, second);
        if year_first || year_last || year_short {
            return 3;
        }
    }
    let month_and_year =
        bare == "/" && (1..=12).contains(&first) && narrow(index) && is_year(second)
            || matches!(bare, "/" | "-")
                && is_year(first)
                && (1..=12).contains(&second)
                && width(index + 1) == 2;
    if month_and_year { 2 } else { 0 }
}

/// A clock time with colons: 9:05, 10:30:59.
fn time(words: &Words<'_>, index: usize) -> usize {
    let below = |at: usize, limit: u32| {
        let word = folded(words, at);
        let clock = word.strip_suffix("h").unwrap_or(word);
        let clock = clock
            .strip_suffix("am")
            .or_else(|| clock.strip_suffix("pm"))
            .unwrap_or(clock);
        clock.len() == 2 && clock.parse().is_ok_and(|number: u32| number < limit)
    };
    let hour = number(words, index).is_some_and(|hour| hour < 24);
    if !hour || words.before(index + 1) != ":" || !below(index + 1, 60) {
        return 0;
    }
    if words.before(index + 2) == ":" && below(index + 2, 60) {
        3
    } else {
        2
    }
}

/// Groups of digits as telephone and social security numbers are written.
fn telephone(words: &Words<'_>, index: usize) -> usize {
    let is_group = |at: usize| number(words, at).is_some() && folded(words, at).len() <= 8;
    let joins = |at: usize| {
        let separator = words.before(at);
        !separator.is_empty()
            && separator.len() <= 3
            && separator.bytes().all(|byte| b" -./()".contains(&byte))
    };
    let more = (index + 1..index + 8).take_while(|&at| joins(at) && is_group(at));
    let count = 1 + more.count();
    let widths: Vec<usize> = (index..index + count)
        .map(|at| folded(words, at).len())
        .collect();
    let digits: usize = widths.iter().sum();
    let before = words.before(index);
    let international =
        before.ends_with('+') || before.ends_with("(0") || folded(words, index).starts_with("00");
    let area = folded(words, index).starts_with('0')
        && widths.first().is_some_and(|width| (3..=5).contains(width));
    let form = match widths.as_slice() {
        [3, 3, 4, ..] | [1, 3, 3, 4, ..] => true,
        [3, 4] | [3, 2, 4, ..] => words.before(index + 1) == "-",
        _ => false,
    };
    let is_telephone = form
        || before.ends_with('+') && digits >= 7
        || (area || international) && count > 1 && digits >= 8;
    if is_telephone { count } else { 0 }
}

/// A month by its name, with the numbers around it.
fn date_with_month(words: &Words<'_>, index: usize) -> usize {
    let is_month = |at: usize| is_kind(words, at, Month);
    let is_day = |at: usize| {
        let word = folded(words, at);
        let digits = word.trim_end_matches(|character: char| character.is_ascii_lowercase());
        digits.len() <= 2
            && digits.parse().is_ok_and(|day: u32| (1..=31).contains(&day))
            && matches!(
                word.get(digits.len()..),
                Some("" | "st" | "nd" | "rd" | "th" | "er")
            )
    };
    let is_year = |at: usize| {
        number(words, at).is_some_and(is_year)
            || folded(words, at).len() == 2 && number(words, at).is_some()
    };
    let whole: Vec<&str> = segments(folded(words, index)).collect();
    if (2..=3).contains(&whole.len()) && whole.iter().any(|part| kind(part) == Some(Month)) {
        return 1;
    }
    let near = |at: usize| words.before(at).chars().count() <= 2;
    let of = |at: usize| usize::from(matches!(folded(words, at), "de" | "of"));
    if is_day(index) {
        let month = index + 1 + of(index + 1);
        if near(index + 1) && is_month(month) {
            let year = month + 1 + of(month + 1);
            let last = if near(month + 1) && is_year(year) {
                year
            } else {
                month
            };
            return last + 1 - index;
        }
    }
    if is_month(index) && near(index + 1) {
        if is_day(index + 1)
            && near(index + 2)
            && number(words, index + 2).is_some_and(self::is_year)
        {
            return 3;
        }
        if number(words, index + 1).is_some_and(self::is_year) || is_day(index + 1) {
            return 2;
        }
    }
    0
}

/// What follows a word such as `MRN`, if it holds digits. The label stays for the vocabulary.
fn label(words: &Words<'_>, index: usize) -> usize {
    if index == 0 || !is_kind(words, index - 1, Label) {
        return 0;
    }
    let has_digits = |at: usize| folded(words, at).bytes().any(|byte| byte.is_ascii_digit());
    let joined = words.before(index).chars().count() <= 3;
    if !joined || !has_digits(index) {
        return 0;
    }
    let more = (index + 1..index + 8).take_while(|&at| {
        matches!(words.before(at), "-" | "/" | "." | " ")
            && has_digits(at)
            && !folded(words, at).is_empty()
    });
    1 + more.count()
}

/// A street with its number, before or behind.
fn street(words: &Words<'_>, index: usize) -> usize {
    let is_street = |at: usize| {
        let word = folded(words, at);
        kind(word) == Some(Street)
            || STREET_ENDINGS
                .iter()
                .any(|ending| word.len() > ending.len() && word.ends_with(ending))
    };
    let is_number = |at: usize| number(words, at).is_some();
    if is_number(index) && !is_street(index) {
        let street = (index + 1..index + 5)
            .take_while(|&at| words.before(at).trim().is_empty() && !is_number(at));
        if let Some(at) = street.filter(|&at| is_street(at)).last() {
            return at + 1 - index;
        }
    }
    if is_street(index) {
        1 + usize::from(is_number(index + 1) && words.before(index + 1).trim().is_empty())
    } else {
        0
    }
}

/// Capitals with periods, such as `J.S.`, unless they are a term, such as `A.P.`
fn initials(words: &Words<'_>, index: usize) -> usize {
    let is_initial = |at: usize| written(words, at).len() == 1 && is_capital(words, at);
    let joined = |at: usize| matches!(words.before(at), "." | ". ");
    let more = |at: usize, other: Option<usize>| joined(at) && other.is_some_and(is_initial);
    let pair = joined(index + 1) && words.before(index + 2).starts_with('.');
    let longer = more(index, index.checked_sub(1)) || more(index + 2, Some(index + 2));
    if !pair || longer || !is_initial(index) || !is_initial(index + 1) {
        return 0;
    }
    let both = [folded(words, index), folded(words, index + 1)].concat();
    if vocabulary::is_term(&both) { 0 } else { 2 }
}

/// An age of 90 years and more, as in `93 yo`, `93-year-old`, `93Y`.
fn great_age(words: &Words<'_>, index: usize) -> usize {
    let word = folded(words, index);
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (age, unit) = word.split_at(digits);
    if !(2..=3).contains(&digits) || !age.parse().is_ok_and(|age: u32| (90..=130).contains(&age)) {
        return 0;
    }
    let of_years = |unit: &str| {
        matches!(
            unit,
            "y" | "yo"
                | "yr"
                | "yrs"
                | "year"
                | "years"
                | "jahre"
                | "jahriger"
                | "jahrige"
                | "j"
                | "ans"
                | "anos"
                | "anni"
        )
    };
    let follows =
        unit.is_empty() && words.before(index + 1).len() <= 1 && of_years(folded(words, index + 1));
    usize::from(of_years(unit) || follows)
}

/// Titles that mean something else in capitals or without a period: modalities, French gauge.
const DOUBTFUL: &[&str] = &["dr", "mr", "ms", "fr", "sr", "pd"];

/// A title and the names that follow it. `DR CHEST` is a modality: nothing there is a name.
fn title(words: &Words<'_>, index: usize) -> usize {
    let title = folded(words, index);
    if kind(title) != Some(Title) || !is_capital(words, index + 1) {
        return 0;
    }
    let dotted = words.before(index + 1).trim() == ".";
    let spaced = matches!(words.before(index + 1), " " | "  " | "_");
    let upper = written(words, index).chars().all(char::is_uppercase);
    let doubtful = DOUBTFUL.contains(&title) && (upper || !matches!(title, "dr" | "mr"))
        || upper && vocabulary::is_term(folded(words, index + 1));
    if !dotted && (doubtful || !spaced || !is_capital(words, index)) {
        return 0;
    }
    let names = (index + 1..index + 5).take_while(|&at| {
        let first = at == index + 1 || dotted && at == index + 2;
        let joined = at == index + 1 || matches!(words.before(at), " " | ". " | "." | "-" | "'");
        joined && is_capital(words, at) && (first || !vocabulary::is_term(folded(words, at)))
    });
    1 + names.count()
}

fn written<'t>(words: &Words<'t>, index: usize) -> &'t str {
    words.runs.get(index).map_or("", |word| words.written(word))
}

fn is_capital(words: &Words<'_>, index: usize) -> bool {
    let first = written(words, index).chars().next();
    first.is_some_and(char::is_uppercase)
}

/// An address of mail, by its `@`: where it begins, and how many words it has.
fn address_of_mail(words: &Words<'_>, index: usize) -> Option<(usize, usize)> {
    let before = index
        .checked_sub(1)
        .filter(|_| words.before(index) == "@")?;
    let joined = |at: usize| {
        let between = words.before(at);
        !between.is_empty() && between.bytes().all(|byte| b"._-+%".contains(&byte))
    };
    let back = (1..=before)
        .rev()
        .take(8)
        .take_while(|&at| joined(at))
        .count();
    let ahead = (index + 1..index + 8).take_while(|&at| joined(at)).count();
    Some((before - back, back + 2 + ahead))
}

/// An address of the web, up to a blank.
fn address_of_web(words: &Words<'_>, index: usize) -> usize {
    let joined = |at: usize| {
        let between = words.before(at);
        !between.is_empty() && !between.contains(char::is_whitespace)
    };
    if !is_kind(words, index, Web) || !joined(index + 1) {
        return 0;
    }
    1 + (index + 1..words.runs.len())
        .take_while(|&at| joined(at))
        .count()
}
