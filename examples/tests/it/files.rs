//! The files in `examples/files` are those that the generator writes.

use std::collections::BTreeSet;
use std::fs;

#[test]
fn the_generator_reproduces_the_files() {
    for (name, bytes) in anon_examples::files() {
        let checked_in = fs::read(anon_examples::directory().join(name)).expect(name);
        assert!(
            checked_in == bytes,
            "{name} differs from the generated file"
        );
    }
}

#[test]
fn every_file_is_generated_listed_and_small() {
    let generated: BTreeSet<String> = anon_examples::files()
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let mut found = BTreeSet::new();
    let mut total = 0;
    for entry in fs::read_dir(anon_examples::directory()).expect("examples/files") {
        let entry = entry.expect("entry");
        let name = entry.file_name().into_string().expect("a UTF-8 name");
        total += entry.metadata().expect("metadata").len();
        found.insert(name);
    }
    assert_eq!(found, generated);
    assert!(total < 600_000, "{total} bytes");
    let listed = fs::read_to_string(anon_examples::directory().with_file_name("README.md"))
        .expect("README.md");
    for name in generated {
        assert!(
            listed.contains(&format!("`{name}`")),
            "{name} is not in README.md"
        );
    }
}
