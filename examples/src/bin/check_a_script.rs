//! Checks an anonymizer script: every problem at once, with its place and what to do; or, if it is
//! sound, what its rules do and which of them deserve a second look.
//!
//! ```text
//! cargo run -p anon-examples --bin check_a_script [SCRIPT]
//! ```
//!
//! Without a script it checks one with a mistake, and then the same without.

#![expect(clippy::print_stdout, reason = "an example says what it did")]

use anon_script::stays::Stays;
use anon_script::{Action, Tag, keyword, load};

const MISTAKEN: &str = r#"<script>
<e en="T" t="00080016" n="SOPClassUID">@keep</e>
<e en="T" t="00080018" n="SOPInstanceUID">@UID</e>
<e en="T" t="00080020" n="StudyDate">@hashdate</e>
<e en="T" t="0020000D" n="StudyInstanceUID">@uid</e>
<e en="T" t="0020000E" n="SeriesInstanceUID">@uid</e>
</script>"#;

fn main() -> anyhow::Result<()> {
    if let Some(path) = std::env::args_os().nth(1) {
        check(&std::fs::read_to_string(path)?);
        return Ok(());
    }
    check(MISTAKEN);
    check(&MISTAKEN.replace("@UID", "@uid"));
    Ok(())
}

fn check(script: &str) {
    let compiled = match load(script, None) {
        Ok(compiled) => compiled,
        Err(problems) => {
            for problem in problems {
                println!("{problem}");
            }
            return;
        }
    };
    for warning in &compiled.warnings {
        println!("{warning}");
    }
    // What no row names is removed, so these rows are all that can stay.
    for row in compiled
        .rules
        .rows()
        .iter()
        .filter(|row| row.action != Action::Remove)
    {
        println!("{} {:<20} {:?}", row.tag, name(row.tag), row.action);
    }
    let stays = Stays::of(&compiled.rules);
    println!("dates that stay as they are: {}", stays.dates.len());
}

fn name(tag: Tag) -> &'static str {
    keyword(tag).unwrap_or("private or unknown")
}
