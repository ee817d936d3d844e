//! Checks that the folders of a crate form layers, and that no files depend on each other in a cycle.
//!
//! Every `crate::`, `self::` and `super::` path in a source file is a dependency on the file that defines
//! the item, which is found through re-exports. Tests inside a file do not count. The search for cycles
//! ignores dependencies between a module and a module inside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::repository::root;

/// The folders of each crate, from the lowest layer to the highest. Files directly in `src` are below all
/// folders. `lib.rs` and `main.rs` are above them and are not checked.
const FOLDERS: [(&str, &[&str]); 6] = [
    (
        "anon-script",
        &["syntax", "ctp", "check", "stays", "clean", "profile"],
    ),
    (
        "anon-net",
        &[
            "text",
            "identifier",
            "association",
            "dimse",
            "service",
            "scp",
            "testing",
        ],
    ),
    (
        "anon-export",
        &[
            "platform",
            "object",
            "destination",
            "journal",
            "exporter",
            "conformance",
        ],
    ),
    (
        "anon-model",
        &[
            "identity",
            "settings",
            "lookup",
            "ledger",
            "stores",
            "java_index",
            "conformance",
        ],
    ),
    (
        "anon-engine",
        &["platform", "read", "deid", "keep", "run", "testing"],
    ),
    (
        "anon-cli",
        &[
            "platform", "signal", "project", "node", "work", "args", "log", "report", "command",
        ],
    ),
];

/// The path of a module, such as `["read", "scan"]`. Empty for the crate root.
type Module = Vec<String>;

/// The source files of a crate.
#[derive(Debug, Default)]
struct Sources {
    /// The text of each module, without comments and tests.
    texts: BTreeMap<Module, String>,
    /// For each module, the paths behind the names that its `use` declarations define.
    reexports: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Sources {
    fn read(source: &Path) -> Self {
        let mut sources = Self::default();
        sources.add(source, source);
        sources.collect_uses();
        sources
    }

    /// Collects the `use` declarations of all modules.
    fn collect_uses(&mut self) {
        for (module, text) in &self.texts {
            let names = uses(text).into_iter();
            let names = names.map(|(path, name)| (name, absolute(module, &path)));
            self.reexports.insert(module.clone(), names.collect());
        }
    }

    fn add(&mut self, source: &Path, directory: &Path) {
        let entries = fs::read_dir(directory).expect("a directory of sources");
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.add(source, &path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let relative = path.strip_prefix(source).expect("below").with_extension("");
                let mut module: Module = relative
                    .iter()
                    .map(|part| part.to_string_lossy().into_owned())
                    .collect();
                let last = module.last().map(String::as_str);
                if matches!(last, Some("lib" | "main" | "mod")) {
                    module.pop();
                }
                let text = fs::read_to_string(&path).expect("a source file");
                // Skips files with tests only.
                if module.last().is_none_or(|last| last != "tests") {
                    self.texts.insert(module, without_comments_and_tests(&text));
                }
            }
        }
    }

    /// Returns the module that defines the item at a path from the crate root, through re-exports.
    fn defining_module(&self, path: &Module) -> Module {
        let mut at = Module::new();
        let mut rest: Vec<String> = path.clone();
        // A limit, in case re-exports form a cycle.
        for _ in 0..32 {
            let Some(next) = rest.first().cloned() else {
                return at;
            };
            let mut below = at.clone();
            below.push(next.clone());
            if self.texts.contains_key(&below) {
                at = below;
                rest.remove(0);
                continue;
            }
            let target = self.reexports.get(&at).and_then(|names| names.get(&next));
            match target {
                Some(target) if self.is_reexport(target, &at, &next) => {
                    rest.remove(0);
                    rest.splice(0..0, target.iter().cloned());
                    at = Module::new();
                }
                _ => return at,
            }
        }
        at
    }

    /// Returns true if a `use` names an item of this crate, other than itself.
    fn is_reexport(&self, target: &Module, at: &Module, name: &str) -> bool {
        let mut itself = at.clone();
        itself.push(name.to_owned());
        let is_local = target
            .first()
            .is_some_and(|first| self.texts.contains_key(&vec![first.clone()]));
        is_local && *target != itself
    }

    /// Returns the dependencies of each module, without itself and the crate root.
    fn dependencies(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let modules = self.texts.iter().filter(|(module, _)| !module.is_empty());
        modules
            .map(|(module, text)| {
                let targets = paths(text)
                    .into_iter()
                    .map(|path| self.defining_module(&absolute(module, &path)))
                    .filter(|target| target != module && !target.is_empty());
                (module.clone(), targets.collect())
            })
            .collect()
    }
}

/// Converts a path written in `module` to a path from the crate root. A path that starts with none of `crate`,
/// `self` and `super` is relative to the module.
fn absolute(module: &Module, path: &[String]) -> Module {
    let mut found = module.clone();
    let mut rest = path;
    while let [first, others @ ..] = rest {
        match first.as_str() {
            "crate" => found.clear(),
            "self" => {}
            "super" => {
                found.pop();
            }
            _ => break,
        }
        rest = others;
    }
    found.extend(rest.iter().cloned());
    found
}

/// Removes comments and everything from `#[cfg(test)] mod tests` on.
fn without_comments_and_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = code.lines().map(|line| {
        let line = line.trim_start();
        if line.starts_with("//") { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Splits a source text into words and symbols. `::` is one symbol.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_alphanumeric() || letter == '_' {
            let mut word = String::from(letter);
            while let Some(next) = letters.next_if(|next| next.is_alphanumeric() || *next == '_') {
                word.push(next);
            }
            tokens.push(word);
        } else if letter == ':' && letters.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !letter.is_whitespace() {
            tokens.push(letter.into());
        }
    }
    tokens
}

/// Parses a use tree, such as `a::{b, c::d as e}`. Returns each path with its name.
fn use_paths(tokens: &[String], at: &mut usize, before: &[String]) -> Vec<(Vec<String>, String)> {
    let mut path = before.to_vec();
    loop {
        match tokens.get(*at).map(String::as_str) {
            Some("{") => {
                *at += 1;
                let mut found = Vec::new();
                while let Some(token) = tokens.get(*at) {
                    match token.as_str() {
                        "}" => {
                            *at += 1;
                            break;
                        }
                        "," => *at += 1,
                        _ => {
                            let from = *at;
                            found.extend(use_paths(tokens, at, &path));
                            // Not a use tree.
                            if *at == from {
                                return found;
                            }
                        }
                    }
                }
                return found;
            }
            Some("*") => {
                *at += 1;
                return vec![(path, "*".into())];
            }
            Some(word)
                if word.starts_with(|first: char| first.is_alphanumeric() || first == '_') =>
            {
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                *at += 1;
            }
            _ => {}
        }
        if tokens.get(*at).is_some_and(|token| token == "::") {
            *at += 1;
        } else {
            break;
        }
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if tokens.get(*at).is_some_and(|token| token == "as") {
        name = tokens.get(*at + 1).cloned().unwrap_or_default();
        *at += 2;
    }
    vec![(path, name)]
}

/// Returns the paths of the `use` declarations of a text, with the names that they define.
fn uses(text: &str) -> Vec<(Vec<String>, String)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        if token == "use" {
            let mut at = place + 1;
            found.extend(use_paths(&tokens, &mut at, &[]));
        }
    }
    found
}

/// Returns all paths of a text that start with `crate`, `self` or `super`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut before = "";
    for (place, token) in tokens.iter().enumerate() {
        let begins = matches!(token.as_str(), "crate" | "self" | "super")
            && tokens.get(place + 1).is_some_and(|next| next == "::")
            && before != "::";
        before = token;
        if begins {
            let mut at = place;
            let all = use_paths(&tokens, &mut at, &[]);
            found.extend(all.into_iter().map(|(path, _)| path));
        }
    }
    found
}

/// Returns true if one module contains the other.
fn is_around(one: &Module, other: &Module) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Returns the groups of modules that depend on each other in a cycle.
fn cycles(dependencies: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.clone()];
        while let Some(module) = open.pop() {
            for next in dependencies.get(&module).into_iter().flatten() {
                if !is_around(next, &module) && reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    };
    let reach: BTreeMap<_, _> = dependencies
        .keys()
        .map(|from| (from.clone(), reached(from)))
        .collect();
    let mut groups = BTreeSet::new();
    for (module, others) in &reach {
        if others.contains(module) {
            let group: BTreeSet<_> = others
                .iter()
                .filter(|other| reach.get(*other).is_some_and(|back| back.contains(module)))
                .cloned()
                .collect();
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

/// Returns the dependencies of lower folders on higher ones.
fn upward_dependencies(
    dependencies: &BTreeMap<Module, BTreeSet<Module>>,
    folders: &[&str],
) -> Vec<String> {
    let layer = |module: &Module| {
        let folder = module.first().map_or("", String::as_str);
        folders
            .iter()
            .position(|name| *name == folder)
            .map_or(0, |place| place + 1)
    };
    let mut found = Vec::new();
    for (from, targets) in dependencies {
        for to in targets {
            if layer(to) > layer(from) {
                found.push(format!("{} depends on {}", from.join("::"), to.join("::")));
            }
        }
    }
    found
}

#[test]
fn no_folder_depends_on_a_higher_one() {
    for (member, folders) in FOLDERS {
        let source = root().join(member).join("src");
        for folder in folders {
            let is_there =
                source.join(folder).exists() || source.join(folder).with_extension("rs").exists();
            assert!(is_there, "{member} has no folder {folder}");
        }
        let sources = Sources::read(&source);
        let found = upward_dependencies(&sources.dependencies(), folders);
        assert!(found.is_empty(), "{member}: {found:#?}");
    }
}

#[test]
fn no_files_depend_on_each_other_in_a_cycle() {
    for (member, _) in FOLDERS {
        let sources = Sources::read(&root().join(member).join("src"));
        let found = cycles(&sources.dependencies());
        assert!(found.is_empty(), "{member}: {found:#?}");
    }
}

#[test]
fn dependencies_are_found_through_braces_and_reexports() {
    let mut sources = Sources::default();
    let mut add = |module: &[&str], text: &str| {
        let module: Module = module.iter().map(|name| (*name).to_owned()).collect();
        sources
            .texts
            .insert(module, without_comments_and_tests(text));
    };
    add(&[], "pub use high::{Top as Summit, other};");
    add(
        &["low"],
        "use crate::{Summit, low};\n// use crate::high::Unseen;",
    );
    add(
        &["high"],
        "mod part; pub use self::part::Top; fn f() { crate::low::g() }",
    );
    add(
        &["high", "part"],
        "use super::Thing;\n#[cfg(test)]\nmod tests { use crate::low; }",
    );
    sources.collect_uses();
    let dependencies = sources.dependencies();
    let module = |text: &str| -> Module { text.split("::").map(str::to_owned).collect() };
    assert_eq!(
        dependencies[&module("low")],
        BTreeSet::from([module("high::part")])
    );
    assert_eq!(
        dependencies[&module("high")],
        BTreeSet::from([module("high::part"), module("low")])
    );
    assert_eq!(
        dependencies[&module("high::part")],
        BTreeSet::from([module("high")])
    );
    assert_eq!(
        upward_dependencies(&dependencies, &["low", "high"]),
        ["low depends on high::part"]
    );
    // Cycles with a parent module are ignored.
    assert!(cycles(&dependencies).is_empty());
}
