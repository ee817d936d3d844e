//! Checks an anonymizer script. Prints all its problems with positions and advice. For a valid script, prints
//! what its rules do and what they keep.
//!
//! ```text
//! cargo run -p anon-examples --bin check_a_script [SCRIPT]
//! ```
//!
//! Without an argument it checks a script with a mistake, and then the corrected one.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use anon_script::stays::Stays;
use anon_script::{Action, Tag, keyword, load};

const WITH_MISTAKE: &str = r#"<script>
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
    check(WITH_MISTAKE);
    check(&WITH_MISTAKE.replace("@UID", "@uid"));
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
    // An element without a row is removed, so these rows are all that is kept or changed.
    for row in compiled
        .rules
        .rows()
        .iter()
        .filter(|row| row.action != Action::Remove)
    {
        println!("{} {:<20} {:?}", row.tag, name(row.tag), row.action);
    }
    let stays = Stays::of(&compiled.rules);
    println!("dates kept unchanged: {}", stays.dates.len());
}

fn name(tag: Tag) -> &'static str {
    keyword(tag).unwrap_or("private or unknown")
}
