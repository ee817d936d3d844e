//! `valid/*.script` and `invalid/*.script`, each beside what is to be said about it: `*.expect`.
//! `ANON_UPDATE=1` writes the expectations anew; look at the difference before it is committed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anon_script::{Rules as _, load};

use super::listed;

fn outcome(text: &str) -> (bool, String) {
    match load(text, None) {
        Ok(compiled) => {
            let rules = compiled.rules.text().to_owned();
            (
                true,
                format!(
                    "{}\n{rules}{}",
                    compiled.dialect.name(),
                    listed(&compiled.warnings)
                ),
            )
        }
        Err(problems) => (false, listed(&problems)),
    }
}

fn entries(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}

fn check(name: &str, valid: bool, at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(name);
    let scripts = entries(&folder, "script");
    assert!(
        scripts.len() >= at_least,
        "{} scripts in {name}",
        scripts.len()
    );
    for path in &scripts {
        let text = fs::read_to_string(path).expect("it is text");
        let (accepted, said) = outcome(&text);
        assert_eq!(accepted, valid, "{}:\n{said}", path.display());
        let expect = path.with_extension("expect");
        if std::env::var_os("ANON_UPDATE").is_some() {
            let mut file = fs::File::create(&expect).expect("it can be written");
            file.write_all(said.as_bytes()).expect("it can be written");
        }
        let expected = fs::read_to_string(&expect)
            .expect("each script has an expectation: ANON_UPDATE=1 writes it");
        assert_eq!(said, expected, "{}", path.display());
    }
    for expect in entries(&folder, "expect") {
        let script = expect.with_extension("script");
        assert!(
            scripts.contains(&script),
            "{} has no script",
            expect.display()
        );
    }
}

#[test]
fn valid() {
    check("valid", true, 12);
}

#[test]
fn invalid() {
    check("invalid", false, 25);
}
