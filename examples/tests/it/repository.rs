//! Checks the whole repository: its top-level files, the manifests, and what no file may contain.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files and directories allowed at the top level, besides `examples`.
const TOP_LEVEL: [&str; 18] = [
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

/// Returns the root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package is in the workspace")
}

/// Reads a manifest.
pub(crate) fn manifest(path: &Path) -> toml::Table {
    let read = || -> Result<toml::Table, Box<dyn std::error::Error>> {
        Ok(fs::read_to_string(path)?.parse()?)
    };
    let named = read().map_err(|error| format!("{}: {error}", path.display()));
    named.expect("cannot read a manifest")
}

/// Returns the value at `keys`.
pub(crate) fn at<'t>(table: &'t toml::Table, keys: [&str; 2]) -> &'t toml::Value {
    let [outer, inner] = keys;
    let value = table.get(outer).and_then(|value| value.get(inner));
    value
        .ok_or_else(|| format!("{outer}.{inner}"))
        .expect("a manifest lacks a key")
}

/// Returns the members of the workspace.
pub(crate) fn members() -> Vec<String> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = at(&workspace, ["workspace", "members"]).as_array();
    let names = members
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str);
    names.map(str::to_owned).collect()
}

/// Returns the files of the repository, relative to its root: those that Git tracks, or all but build
/// output where there is no Git repository.
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
            // A deleted file that Git still tracks.
            .filter(|path| root().join(path).is_file())
            .collect(),
        None => walk(root()),
    };
    assert!(files.len() > 50, "found only {} files", files.len());
    files
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let build_output = ["target", ".git", "corpus", "artifacts", "coverage"];
        if build_output.iter().any(|name| path.ends_with(name)) {
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
fn the_top_level_has_only_known_files() {
    let allowed: BTreeSet<_> = TOP_LEVEL.into_iter().chain(["examples"]).collect();
    let files = files();
    let found: BTreeSet<_> = files
        .iter()
        .filter_map(|path| path.iter().next()?.to_str())
        .collect();
    let unknown: Vec<_> = found.difference(&allowed).collect();
    assert!(unknown.is_empty(), "unknown at the top level: {unknown:?}");
    for needed in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.lock"] {
        assert!(root().join(needed).is_file(), "{needed} is missing");
    }
}

#[test]
fn every_member_has_a_description_and_inherits_the_rest() {
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
            "{member}: the description {description:?} is too short"
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

/// Crates that are not members (the fuzz crates, `.ci/outside`) have their own workspace and are unpublished.
#[test]
fn other_crates_have_their_own_workspace() {
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
            "{path} has no workspace of its own"
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
    // The README says that it has 60 lines.
    let receiver = "examples/src/bin/receive_over_dicom.rs";
    let receiver = fs::read_to_string(root().join(receiver)).expect("the receiver");
    let lines = receiver.lines().count();
    assert!(lines <= 60, "the receiver has {lines} lines");
}

/// Root directories that name a developer's machine. Split, so that this file passes the test.
const MACHINE: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
];

/// Returns the first position in `text` of an absolute path on a developer's machine.
fn machine_path(text: &str) -> Option<usize> {
    MACHINE
        .iter()
        .flat_map(|path| text.match_indices(path))
        .map(|(at, _)| at)
        .find(|at| {
            // A relative path can contain the same names.
            let before = text
                .get(..*at)
                .and_then(|before| before.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "_-.~}>)*".contains(c))
        })
}

#[test]
fn no_file_contains_a_path_of_a_machine() {
    for path in files() {
        let Ok(bytes) = fs::read(root().join(&path)) else {
            continue; // deleted after it was listed
        };
        let Ok(text) = String::from_utf8(bytes) else {
            continue; // not text
        };
        if let Some(at) = machine_path(&text) {
            let line = text.get(..at).map_or(0, |before| before.lines().count());
            panic!("{}:{line} contains a path of a machine", path.display());
        }
    }
}

#[test]
fn paths_of_a_machine_are_recognized() {
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

/// The only modules that may depend on the operating system, with the files in their folders. Each has portable
/// fallbacks, which its own tests run.
const PLATFORM_MODULES: [&str; 8] = [
    "anon-cli/src/platform.rs",
    "anon-cli/src/platform/pipe.rs",
    "anon-cli/src/platform/terminal.rs",
    "anon-engine/src/platform.rs",
    "anon-engine/src/platform/no_links.rs",
    "anon-export/src/platform.rs",
    "anon-model/src/stores/disk/platform.rs",
    "anon-net/src/association/ul/platform.rs",
];

/// Returns the first line of a source file, outside its tests, that depends on the operating system.
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
    let is_conditional = |line: &str| {
        let systems = ["unix", "windows", "target_os", "target_family"];
        let is_cfg = ["cfg(", "cfg!(", "cfg_attr("]
            .iter()
            .any(|c| line.contains(c));
        is_cfg && systems.iter().any(|system| line.contains(system))
    };
    let system_apis = ["std::os::", "rustix::", "signal_hook::", "libc::"];
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .find(|line| is_conditional(line) || system_apis.iter().any(|api| line.contains(api)))
}

/// Returns true for a file in the folder of a platform module.
fn is_in_platform_module(path: &Path) -> bool {
    path.parent().is_some_and(|folder| {
        let module = folder.with_extension("rs").display().to_string();
        PLATFORM_MODULES.contains(&module.as_str())
    })
}

#[test]
fn only_the_platform_modules_depend_on_the_system() {
    let mut seen = BTreeSet::new();
    for path in files() {
        let name = path.display().to_string();
        // Tests may depend on the system.
        let is_test = name.ends_with("/tests.rs");
        let is_source = name.starts_with("anon-") && name.contains("/src/") && !is_test;
        if !is_source || path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue; // deleted after it was listed
        };
        let line = platform_line(&text);
        if PLATFORM_MODULES.contains(&name.as_str()) {
            assert!(
                ["mod tests {", "mod tests;"]
                    .iter()
                    .any(|it| text.contains(it)),
                "{name} has no tests of its fallbacks"
            );
            seen.insert(name);
        } else if let Some(line) = line
            && !is_in_platform_module(&path)
        {
            panic!("{name}: {:?} belongs in the platform module", line.trim());
        }
    }
    assert_eq!(seen.len(), PLATFORM_MODULES.len(), "found only {seen:?}");
}

#[test]
fn system_dependent_lines_are_recognized() {
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
