//! Compares the outcome of each `valid/*.script` and `invalid/*.script` with the file `*.expect`
//! beside it. `ANON_UPDATE=1` writes these files again; check the difference before committing it.

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
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").path())
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
        let text = fs::read_to_string(path).expect("a text file");
        let (accepted, outcome) = outcome(&text);
        assert_eq!(accepted, valid, "{}:\n{outcome}", path.display());
        let expect = path.with_extension("expect");
        if std::env::var_os("ANON_UPDATE").is_some() {
            let mut file = fs::File::create(&expect).expect("a writable file");
            file.write_all(outcome.as_bytes()).expect("a writable file");
        }
        let expected = fs::read_to_string(&expect)
            .expect("an *.expect file beside each script: ANON_UPDATE=1 writes it");
        assert_eq!(outcome, expected, "{}", path.display());
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
fn valid_scripts_compile_to_the_expected_rules() {
    check("valid", true, 12);
}

#[test]
fn invalid_scripts_report_the_expected_problems() {
    check("invalid", false, 25);
}
