//! The page of settings is made from the table of settings, and current.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anon_model::settings::KEYS;

use crate::support::Test;

const HEAD: &str = "\
# Settings

Every key of `project.toml`, with type, default and what is allowed.
`anon config get|set|add|remove` takes the dotted names; in the file `scp.port` is `port` under `[scp]`.
Keys marked *frozen* cannot change once a pseudonym has been given out.
A file that names a node has only the nodes it names.

| key | type | default | allowed | what it does |
|---|---|---|---|---|
";

fn page() -> Test<String> {
    let mut page = HEAD.to_owned();
    for key in KEYS {
        let default = match key.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        let name = key.key.replace('|', "\\|");
        writeln!(
            page,
            "| `{name}` | {} | {default} | {} | {} |",
            key.kind.words(),
            key.allowed,
            key.about
        )?;
    }
    Ok(page)
}

/// With `ANON_WRITE_DOCS=1` it writes the page instead.
#[test]
fn the_page_of_settings_is_current() -> Test {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    if std::env::var_os("ANON_WRITE_DOCS").is_some() {
        use std::io::Write;
        fs::File::create(&path)?.write_all(page()?.as_bytes())?;
    }
    assert!(
        fs::read_to_string(path)? == page()?,
        "run with ANON_WRITE_DOCS=1"
    );
    Ok(())
}
