//! Checks that the crates depend on each other only as ARCHITECTURE.md shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::repository::{at, manifest, members, root};

/// Each crate and the crates of this workspace that it may depend on. `?` marks a dependency that must be
/// optional.
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

/// Prefixes of packages that bring an async executor or a cloud client.
const EXECUTORS_AND_CLOUD: [&str; 9] = [
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
enum DependencyKind {
    Normal,
    Optional,
    Dev,
}

/// Returns the packages in all dependency tables of a manifest. `workspace` maps the names in
/// `workspace.dependencies` to packages.
fn dependencies(
    manifest: &toml::Table,
    workspace: &BTreeMap<String, String>,
) -> BTreeSet<(String, DependencyKind)> {
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
                    "dev-dependencies" => DependencyKind::Dev,
                    _ if flag("optional") => DependencyKind::Optional,
                    _ => DependencyKind::Normal,
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

/// Returns the package of each name in `workspace.dependencies`.
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

/// Returns why `member`, which may depend on `allowed`, must not depend on `package`.
fn problem(member: &str, allowed: &[&str], package: &str, kind: DependencyKind) -> Option<String> {
    // A crate may be its own dev-dependency, to enable its features in tests.
    if !package.starts_with("anon-") || (package == member && kind == DependencyKind::Dev) {
        return None;
    }
    let optional = format!("{package}?");
    if allowed.contains(&package) {
        None
    } else if !allowed.contains(&optional.as_str()) {
        Some(format!("{member} must not depend on {package}"))
    } else if kind == DependencyKind::Normal {
        Some(format!(
            "{member} may depend on {package} in a feature only"
        ))
    } else {
        None
    }
}

#[test]
fn crates_depend_only_on_allowed_crates() {
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
            dependencies(
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
fn only_anon_export_may_use_executors_and_the_cloud() {
    let workspace = workspace_packages();
    for member in [
        "anon-model",
        "anon-script",
        "anon-engine",
        "anon-net",
        "anon-export",
    ] {
        for (package, kind) in dependencies(
            &manifest(&root().join(member).join("Cargo.toml")),
            &workspace,
        ) {
            let is_listed = EXECUTORS_AND_CLOUD
                .iter()
                .any(|prefix| package.starts_with(prefix));
            let allowed = member == "anon-export" && kind != DependencyKind::Normal;
            assert!(
                !is_listed || allowed,
                "{member} depends on {package} ({kind:?})"
            );
        }
    }
}

#[test]
fn only_the_command_is_a_published_program() {
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
fn dependencies_are_found_in_every_table() {
    let workspace = BTreeMap::from([("alias".to_owned(), "anon-net".to_owned())]);
    for (table, kind) in [
        ("[dependencies]\nanon-net = \"1\"", DependencyKind::Normal),
        (
            "[dependencies]\nanon-net = { path = \"..\", optional = true }",
            DependencyKind::Optional,
        ),
        (
            "[dev-dependencies]\nanon-net.workspace = true",
            DependencyKind::Dev,
        ),
        (
            "[build-dependencies]\nanon-net = { path = \"..\" }",
            DependencyKind::Normal,
        ),
        (
            "[target.'cfg(unix)'.dependencies]\nanon-net = \"1\"",
            DependencyKind::Normal,
        ),
        (
            "[target.'cfg(unix)'.dev-dependencies]\nanon-net = \"1\"",
            DependencyKind::Dev,
        ),
        (
            "[dependencies]\nrenamed = { package = \"anon-net\", version = \"1\" }",
            DependencyKind::Normal,
        ),
        (
            "[dependencies]\nalias.workspace = true",
            DependencyKind::Normal,
        ),
    ] {
        let manifest: toml::Table = table.parse().expect("a manifest");
        let seen = BTreeSet::from([("anon-net".to_owned(), kind)]);
        assert_eq!(dependencies(&manifest, &workspace), seen, "{table}");
    }
}

#[test]
fn forbidden_dependencies_are_recognized() {
    for (member, package, kind, is_forbidden) in [
        ("anon-engine", "anon-model", DependencyKind::Normal, false),
        ("anon-engine", "anon-model", DependencyKind::Dev, false),
        ("anon-engine", "anon-engine", DependencyKind::Dev, false),
        ("anon-engine", "anon-net", DependencyKind::Dev, true),
        ("anon-model", "anon-script", DependencyKind::Optional, true),
        ("anon-net", "anon-engine", DependencyKind::Normal, true),
        ("anon-export", "anon-net", DependencyKind::Normal, true),
        ("anon-export", "anon-net", DependencyKind::Optional, false),
        ("anon-export", "anon-net", DependencyKind::Dev, false),
        ("anon-cli", "anon-net", DependencyKind::Normal, false),
        ("anon-script", "anon-cli", DependencyKind::Normal, true),
        ("examples", "anon-cli", DependencyKind::Normal, true),
    ] {
        let allowed = ALLOWED
            .iter()
            .find(|(name, _)| *name == member)
            .expect("a member")
            .1;
        let found = problem(member, allowed, package, kind);
        assert_eq!(
            found.is_some(),
            is_forbidden,
            "{member} on {package} ({kind:?}): {found:?}"
        );
    }
}
