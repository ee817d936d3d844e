//! The repository as a whole: what lies in it, what each manifest says, what no file may hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What may lie at the top.
const TOP: [&str; 18] = [
    ".ci",
    ".clippy.toml",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "anon-cli",
    "anon-engine",
    "anon-export",
    "anon-model",
    "anon-net",
    "anon-script",
    "benches",
    "deny.toml",
];

/// The directory of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
}

/// Reads a manifest.
pub(crate) fn manifest(path: &Path) -> toml::Table {
    let read = || -> Result<toml::Table, Box<dyn std::error::Error>> {
        Ok(fs::read_to_string(path)?.parse()?)
    };
    let named = read().map_err(|error| format!("{}: {error}", path.display()));
    named.expect("a manifest is read")
}

/// The value below these keys.
pub(crate) fn at<'t>(table: &'t toml::Table, keys: [&str; 2]) -> &'t toml::Value {
    let [outer, inner] = keys;
    let value = table.get(outer).and_then(|value| value.get(inner));
    value
        .ok_or_else(|| format!("{outer}.{inner}"))
        .expect("a manifest has it")
}

/// The members of the workspace.
pub(crate) fn members() -> Vec<String> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = at(&workspace, ["workspace", "members"]).as_array();
    let names = members
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str);
    names.map(str::to_owned).collect()
}

/// The files of the repository, relative to its root: those that Git tracks; of an unpacked archive,
/// all but what a build makes.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success() && root().join(".git").exists());
    let files = match listed {
        Some(output) => String::from_utf8(output.stdout)
            .expect("names in UTF-8")
            .split_terminator('\0')
            .map(PathBuf::from)
            // Removed, and not said so to Git yet.
            .filter(|path| root().join(path).is_file())
            .collect(),
        None => walk(root()),
    };
    assert!(files.len() > 50, "{} files are no repository", files.len());
    files
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let made = ["target", ".git", "corpus", "artifacts", "coverage"];
        if made.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(
                path.strip_prefix(root())
                    .expect("below the root")
                    .to_owned(),
            );
        }
    }
    found
}

#[test]
fn nothing_strange_lies_at_the_top() {
    let allowed: BTreeSet<_> = TOP.into_iter().chain(["examples"]).collect();
    let files = files();
    let found: BTreeSet<_> = files
        .iter()
        .filter_map(|path| path.iter().next()?.to_str())
        .collect();
    let strange: Vec<_> = found.difference(&allowed).collect();
    assert!(strange.is_empty(), "at the top: {strange:?}");
    for needed in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.lock"] {
        assert!(root().join(needed).is_file(), "{needed} is missing");
    }
}

#[test]
fn every_member_says_what_it_is() {
    let workspace = manifest(&root().join("Cargo.toml"));
    let inherited = &workspace["workspace"]["package"];
    assert_eq!(inherited["license"].as_str(), Some("MIT OR Apache-2.0"));
    for member in members() {
        let manifest = manifest(&root().join(&member).join("Cargo.toml"));
        let package = &manifest["package"];
        for key in [
            "version",
            "edition",
            "rust-version",
            "license",
            "repository",
        ] {
            let value = package
                .get(key)
                .unwrap_or_else(|| panic!("{member}: no {key}"));
            let from_workspace = value.get("workspace").and_then(toml::Value::as_bool);
            assert_eq!(
                from_workspace,
                Some(true),
                "{member}: {key} is the workspace's"
            );
            assert!(inherited.get(key).is_some(), "the workspace has no {key}");
        }
        let description = package.get("description").and_then(toml::Value::as_str);
        let description = description.unwrap_or_else(|| panic!("{member}: no description"));
        assert!(
            description.len() >= 20,
            "{member}: {description:?} says little"
        );
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        let lints = lints.and_then(toml::Value::as_bool);
        assert_eq!(lints, Some(true), "{member}: lints are the workspace's");
    }
    let unsafe_code = &workspace["workspace"]["lints"]["rust"]["unsafe_code"];
    assert_eq!(unsafe_code.as_str(), Some("forbid"));
}

/// A crate that is no member (a fuzz crate, the one of `.ci/outside`) stands alone, unpublished.
#[test]
fn other_crates_stand_alone() {
    let members: BTreeSet<_> = members()
        .iter()
        .map(|m| Path::new(m).join("Cargo.toml"))
        .collect();
    for path in files() {
        let is_manifest = path.file_name().is_some_and(|name| name == "Cargo.toml");
        if !is_manifest || path == Path::new("Cargo.toml") || members.contains(&path) {
            continue;
        }
        let manifest = manifest(&root().join(&path));
        let path = path.display();
        assert!(
            manifest.contains_key("workspace"),
            "{path} joins the workspace"
        );
        let publish = manifest["package"]
            .get("publish")
            .and_then(toml::Value::as_bool);
        assert_eq!(publish, Some(false), "{path}: publish");
    }
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let lines = readme.lines().count();
    assert!(lines <= 120, "README.md has {lines} lines");
    // It says so.
    let receiver = "examples/src/bin/receive_over_dicom.rs";
    let receiver = fs::read_to_string(root().join(receiver)).expect("the receiver");
    let lines = receiver.lines().count();
    assert!(lines <= 60, "the receiver has {lines} lines");
}

/// Directories of machines that the project was worked on. Split, so that this file passes.
const MACHINE: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
];

/// The first place in `text` that names a directory of a machine from its root.
fn machine_path(text: &str) -> Option<usize> {
    MACHINE
        .iter()
        .flat_map(|path| text.match_indices(path))
        .map(|(at, _)| at)
        .find(|at| {
            // `a/b/` is a relative path that ends in the same words.
            let before = text
                .get(..*at)
                .and_then(|before| before.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "_-.~}>)*".contains(c))
        })
}

#[test]
fn no_file_names_a_machine() {
    for path in files() {
        let Ok(bytes) = fs::read(root().join(&path)) else {
            continue; // removed since it was listed
        };
        let Ok(text) = String::from_utf8(bytes) else {
            continue; // not text
        };
        if let Some(at) = machine_path(&text) {
            let line = text.get(..at).map_or(0, |before| before.lines().count());
            panic!("{}:{line} names a directory of a machine", path.display());
        }
    }
}

#[test]
fn what_names_a_machine() {
    for path in MACHINE {
        for text in [
            format!("{path}x"),
            format!("a {path}x"),
            format!("\"{path}x\""),
            format!("={path}"),
        ] {
            assert!(machine_path(&text).is_some(), "{text}");
        }
        for text in [
            format!("a{path}x"),
            format!("..{path}x"),
            format!("${{HOME}}{path}"),
        ] {
            assert!(machine_path(&text).is_none(), "{text}");
        }
    }
}

/// The one module of each crate that may ask which system this is. Each has a portable fallback
/// that its own tests run.
const PLATFORM: [&str; 7] = [
    "anon-cli/src/platform.rs",
    "anon-cli/src/platform/pipe.rs",
    "anon-cli/src/platform/terminal.rs",
    "anon-engine/src/platform.rs",
    "anon-export/src/platform.rs",
    "anon-model/src/stores/disk/platform.rs",
    "anon-net/src/association/ul/platform.rs",
];

/// The first line of a source file, outside its tests, that asks which system this is or calls what
/// only some have.
fn platform_line(text: &str) -> Option<&str> {
    let tests = [
        "#[cfg(test)]\nmod tests {",
        "#[cfg(all(test, unix))]\nmod tests {",
    ];
    let code = tests
        .iter()
        .filter_map(|begin| text.find(begin))
        .min()
        .and_then(|end| text.get(..end))
        .unwrap_or(text);
    let asks = |line: &str| {
        let systems = ["unix", "windows", "target_os", "target_family"];
        let is_cfg = ["cfg(", "cfg!(", "cfg_attr("]
            .iter()
            .any(|c| line.contains(c));
        is_cfg && systems.iter().any(|system| line.contains(system))
    };
    let calls = ["std::os::", "rustix::", "signal_hook::", "libc::"];
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .find(|line| asks(line) || calls.iter().any(|call| line.contains(call)))
}

#[test]
fn platform_calls_sit_in_one_module_a_crate() {
    let mut seen = BTreeSet::new();
    for path in files() {
        let name = path.display().to_string();
        // A test may ask which system this is, in a file of its own as well.
        let is_test = name.ends_with("/tests.rs");
        let is_source = name.starts_with("anon-") && name.contains("/src/") && !is_test;
        if !is_source || path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue; // removed since it was listed
        };
        let line = platform_line(&text);
        if PLATFORM.contains(&name.as_str()) {
            assert!(
                ["mod tests {", "mod tests;"]
                    .iter()
                    .any(|it| text.contains(it)),
                "{name}: no fallback is tested"
            );
            seen.insert(name);
        } else if let Some(line) = line {
            panic!("{name}: {:?} belongs into the platform module", line.trim());
        }
    }
    assert_eq!(seen.len(), PLATFORM.len(), "only {seen:?} are there");
}

#[test]
fn what_is_a_platform_call() {
    for line in [
        "#[cfg(unix)]",
        "    #[cfg(not(unix))]",
        "#[cfg(any(target_os = \"linux\", test))]",
        "#![cfg_attr(not(unix), expect(dead_code))]",
        "    .write(cfg!(windows))",
        "use std::os::unix::fs::MetadataExt;",
        "    rustix::process::geteuid()",
    ] {
        assert_eq!(platform_line(&format!("fn a() {{}}\n{line}\n")), Some(line));
        let tested = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{line}\n}}\n");
        assert_eq!(platform_line(&tested), None, "{line}");
    }
    for line in [
        "// cfg(unix) is",
        "#[cfg(feature = \"disk\")]",
        "let unix = 1;",
    ] {
        assert_eq!(platform_line(line), None, "{line}");
    }
}
