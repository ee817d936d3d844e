//! The edges between the crates are those that ARCHITECTURE.md draws, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::repository::{at, manifest, members, root};

/// Each crate and those of ours it may depend on: four leaves, one core, one root. `?` marks an edge
/// that must be optional.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("anon-model", &[]),
    ("anon-script", &[]),
    ("anon-net", &[]),
    ("anon-export", &["anon-net?"]),
    ("anon-engine", &["anon-model", "anon-script"]),
    ("anon-cli", &LIBRARIES),
    ("benches", &LIBRARIES),
    ("examples", &LIBRARIES),
];

const LIBRARIES: [&str; 5] = [
    "anon-engine",
    "anon-export",
    "anon-model",
    "anon-net",
    "anon-script",
];

/// What brings an executor of its own, or the cloud. Nothing below the destinations may.
const HEAVY: [&str; 9] = [
    "async-std",
    "aws-",
    "futures",
    "hyper",
    "mio",
    "openssl",
    "reqwest",
    "smol",
    "tokio",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Normal,
    Optional,
    Dev,
}

/// The packages that a manifest names in any table of dependencies. `workspace` holds the packages
/// behind the names of `workspace.dependencies`.
fn edges(manifest: &toml::Table, workspace: &BTreeMap<String, String>) -> BTreeSet<(String, Kind)> {
    let targets = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values().filter_map(toml::Value::as_table));
    let mut found = BTreeSet::new();
    for table in targets.chain([manifest]) {
        for key in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let Some(dependencies) = table.get(key).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in dependencies {
                let flag = |key| value.get(key).and_then(toml::Value::as_bool) == Some(true);
                let kind = match key {
                    "dev-dependencies" => Kind::Dev,
                    _ if flag("optional") => Kind::Optional,
                    _ => Kind::Normal,
                };
                let package = match value.get("package").and_then(toml::Value::as_str) {
                    Some(package) => package.to_owned(),
                    None if flag("workspace") => workspace.get(name).unwrap_or(name).to_owned(),
                    None => name.to_owned(),
                };
                found.insert((package, kind));
            }
        }
    }
    found
}

/// The packages behind the names of `workspace.dependencies`.
fn workspace_packages() -> BTreeMap<String, String> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let dependencies = at(&workspace, ["workspace", "dependencies"]).as_table();
    dependencies
        .expect("workspace.dependencies")
        .iter()
        .map(|(name, value)| {
            let package = value.get("package").and_then(toml::Value::as_str);
            (name.clone(), package.unwrap_or(name).to_owned())
        })
        .collect()
}

/// Why `member`, which may depend on `allowed`, must not have this edge.
fn problem(member: &str, allowed: &[&str], package: &str, kind: Kind) -> Option<String> {
    // A crate may take itself for its tests, to turn a feature of its own on.
    if !package.starts_with("anon-") || (package == member && kind == Kind::Dev) {
        return None;
    }
    let optional = format!("{package}?");
    if allowed.contains(&package) {
        None
    } else if !allowed.contains(&optional.as_str()) {
        Some(format!("{member} must not depend on {package}"))
    } else if kind == Kind::Normal {
        Some(format!("{member} depends on {package} in a feature only"))
    } else {
        None
    }
}

#[test]
fn no_crate_depends_on_one_it_must_not_know() {
    let listed: BTreeSet<String> = ALLOWED
        .iter()
        .map(|(member, _)| (*member).to_owned())
        .collect();
    assert_eq!(
        members().into_iter().collect::<BTreeSet<_>>(),
        listed,
        "members"
    );
    let workspace = workspace_packages();
    let problems: Vec<_> = ALLOWED
        .iter()
        .flat_map(|(member, allowed)| {
            edges(
                &manifest(&root().join(member).join("Cargo.toml")),
                &workspace,
            )
            .into_iter()
            .filter_map(|(package, kind)| problem(member, allowed, &package, kind))
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn no_executor_and_no_cloud_below_the_destinations() {
    let workspace = workspace_packages();
    for member in [
        "anon-model",
        "anon-script",
        "anon-engine",
        "anon-net",
        "anon-export",
    ] {
        for (package, kind) in edges(
            &manifest(&root().join(member).join("Cargo.toml")),
            &workspace,
        ) {
            let heavy = HEAVY.iter().any(|heavy| package.starts_with(heavy));
            let allowed = member == "anon-export" && kind != Kind::Normal;
            assert!(
                !heavy || allowed,
                "{member} depends on {package} ({kind:?})"
            );
        }
    }
}

#[test]
fn the_command_is_the_only_program_that_is_published() {
    for member in members() {
        let directory = root().join(&member);
        let manifest = manifest(&directory.join("Cargo.toml"));
        let published = manifest["package"]
            .get("publish")
            .and_then(toml::Value::as_bool)
            != Some(false);
        assert_eq!(published, member.starts_with("anon-"), "{member}: publish");
        let program = has_program(&manifest, &directory);
        assert!(
            !published || program == (member == "anon-cli"),
            "{member}: a program"
        );
    }
}

fn has_program(manifest: &toml::Table, directory: &Path) -> bool {
    manifest.contains_key("bin")
        || directory.join("src/main.rs").exists()
        || directory.join("src/bin").exists()
}

#[test]
fn a_stray_edge_is_seen_in_every_table() {
    let workspace = BTreeMap::from([("alias".to_owned(), "anon-net".to_owned())]);
    for (table, kind) in [
        ("[dependencies]\nanon-net = \"1\"", Kind::Normal),
        (
            "[dependencies]\nanon-net = { path = \"..\", optional = true }",
            Kind::Optional,
        ),
        ("[dev-dependencies]\nanon-net.workspace = true", Kind::Dev),
        (
            "[build-dependencies]\nanon-net = { path = \"..\" }",
            Kind::Normal,
        ),
        (
            "[target.'cfg(unix)'.dependencies]\nanon-net = \"1\"",
            Kind::Normal,
        ),
        (
            "[target.'cfg(unix)'.dev-dependencies]\nanon-net = \"1\"",
            Kind::Dev,
        ),
        (
            "[dependencies]\nrenamed = { package = \"anon-net\", version = \"1\" }",
            Kind::Normal,
        ),
        ("[dependencies]\nalias.workspace = true", Kind::Normal),
    ] {
        let manifest: toml::Table = table.parse().expect("a manifest");
        let seen = BTreeSet::from([("anon-net".to_owned(), kind)]);
        assert_eq!(edges(&manifest, &workspace), seen, "{table}");
    }
}

#[test]
fn what_is_a_stray_edge() {
    for (member, package, kind, stray) in [
        ("anon-engine", "anon-model", Kind::Normal, false),
        ("anon-engine", "anon-model", Kind::Dev, false),
        ("anon-engine", "anon-engine", Kind::Dev, false),
        ("anon-engine", "anon-net", Kind::Dev, true),
        ("anon-model", "anon-script", Kind::Optional, true),
        ("anon-net", "anon-engine", Kind::Normal, true),
        ("anon-export", "anon-net", Kind::Normal, true),
        ("anon-export", "anon-net", Kind::Optional, false),
        ("anon-export", "anon-net", Kind::Dev, false),
        ("anon-cli", "anon-net", Kind::Normal, false),
        ("anon-script", "anon-cli", Kind::Normal, true),
        ("examples", "anon-cli", Kind::Normal, true),
    ] {
        let allowed = ALLOWED
            .iter()
            .find(|(name, _)| *name == member)
            .expect("a member")
            .1;
        let found = problem(member, allowed, package, kind);
        assert_eq!(
            found.is_some(),
            stray,
            "{member} on {package} ({kind:?}): {found:?}"
        );
    }
}
