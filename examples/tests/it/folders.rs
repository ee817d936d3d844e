//! The folders of a crate stand one above the other, and no file needs one that needs it.
//!
//! Every `crate::`, `self::` and `super::` path of a source file is an arrow to the file that holds
//! the item, found through the re-exports on the way. Tests inside a file do not count. Arrows
//! between a module and a module inside it are not followed when circles between files are looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::repository::root;

/// The folders of each crate, from the lowest to the highest. A file directly in `src` stands below
/// all folders, but for `lib.rs` and `main.rs`, which stand above them and are not looked at.
const FOLDERS: [(&str, &[&str]); 6] = [
    ("anon-script", &["syntax", "check", "stays"]),
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

/// A module by the names on its path, such as `["read", "scan"]`. The crate root has none.
type Module = Vec<String>;

/// The source files of a crate.
#[derive(Debug, Default)]
struct Sources {
    /// The text of each module, without comments and tests.
    texts: BTreeMap<Module, String>,
    /// What a module gives to others under a name of its own: the path behind a `use`.
    reexports: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Sources {
    fn read(source: &Path) -> Self {
        let mut sources = Self::default();
        sources.add(source, source);
        sources.follow();
        sources
    }

    /// Reads what each module gives to others.
    fn follow(&mut self) {
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
                // The tests of a file, which are its own or stand in a file of their own.
                if module.last().is_none_or(|last| last != "tests") {
                    self.texts.insert(module, plain(&text));
                }
            }
        }
    }

    /// The module that holds the item at a path from the crate root, through re-exports.
    fn holder(&self, path: &Module) -> Module {
        let mut at = Module::new();
        let mut rest: Vec<String> = path.clone();
        // A re-export can lead to another, never for ever.
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
                Some(target) if self.leads_on(target, &at, &next) => {
                    rest.remove(0);
                    rest.splice(0..0, target.iter().cloned());
                    at = Module::new();
                }
                _ => return at,
            }
        }
        at
    }

    /// True if a `use` names something of this crate, other than the item itself.
    fn leads_on(&self, target: &Module, at: &Module, name: &str) -> bool {
        let mut itself = at.clone();
        itself.push(name.to_owned());
        let is_ours = target
            .first()
            .is_some_and(|first| self.texts.contains_key(&vec![first.clone()]));
        is_ours && *target != itself
    }

    /// The modules that each module needs, itself and the crate root left out.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let arrows = self.texts.iter().filter(|(module, _)| !module.is_empty());
        arrows
            .map(|(module, text)| {
                let needed = paths(text)
                    .into_iter()
                    .map(|path| self.holder(&absolute(module, &path)))
                    .filter(|needed| needed != module && !needed.is_empty());
                (module.clone(), needed.collect())
            })
            .collect()
    }
}

/// A path as it is written in `module`, from the crate root. A path that begins with none of `crate`,
/// `self` and `super` is taken as one below the module.
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

/// A source text without comments, and without what follows `#[cfg(test)]` before `mod tests`.
fn plain(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = code.lines().map(|line| {
        let line = line.trim_start();
        if line.starts_with("//") { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The words and signs of a source text; `::` is one sign.
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

/// Reads the tree of a path, such as `a::{b, c::d as e}`; every leaf with its name.
fn leaves(tokens: &[String], at: &mut usize, before: &[String]) -> Vec<(Vec<String>, String)> {
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
                            found.extend(leaves(tokens, at, &path));
                            // Whatever this is, it is no tree of names.
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

/// What `use` brings into a module: the path, and the name it has there.
fn uses(text: &str) -> Vec<(Vec<String>, String)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        if token == "use" {
            let mut at = place + 1;
            found.extend(leaves(&tokens, &mut at, &[]));
        }
    }
    found
}

/// All paths of a module that begin at the crate or at a module around it.
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
            let all = leaves(&tokens, &mut at, &[]);
            found.extend(all.into_iter().map(|(path, _)| path));
        }
    }
    found
}

/// Returns true if one module contains the other.
fn is_around(one: &Module, other: &Module) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The groups of modules that need each other in a circle.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.clone()];
        while let Some(module) = open.pop() {
            for next in arrows.get(&module).into_iter().flatten() {
                if !is_around(next, &module) && reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    };
    let reach: BTreeMap<_, _> = arrows
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

/// Arrows that lead from a lower folder to a higher one.
fn climbs(arrows: &BTreeMap<Module, BTreeSet<Module>>, folders: &[&str]) -> Vec<String> {
    let floor = |module: &Module| {
        let folder = module.first().map_or("", String::as_str);
        folders
            .iter()
            .position(|name| *name == folder)
            .map_or(0, |place| place + 1)
    };
    let mut found = Vec::new();
    for (from, needed) in arrows {
        for to in needed {
            if floor(to) > floor(from) {
                found.push(format!("{} needs {}", from.join("::"), to.join("::")));
            }
        }
    }
    found
}

#[test]
fn no_folder_needs_a_higher_one() {
    for (member, folders) in FOLDERS {
        let source = root().join(member).join("src");
        for folder in folders {
            let is_there =
                source.join(folder).exists() || source.join(folder).with_extension("rs").exists();
            assert!(is_there, "{member} has no folder {folder}");
        }
        let sources = Sources::read(&source);
        let found = climbs(&sources.arrows(), folders);
        assert!(found.is_empty(), "{member}: {found:#?}");
    }
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    for (member, _) in FOLDERS {
        let sources = Sources::read(&root().join(member).join("src"));
        let found = circles(&sources.arrows());
        assert!(found.is_empty(), "{member}: {found:#?}");
    }
}

#[test]
fn arrows_are_seen_through_braces_and_names_of_others() {
    let mut sources = Sources::default();
    let mut add = |module: &[&str], text: &str| {
        let module: Module = module.iter().map(|name| (*name).to_owned()).collect();
        sources.texts.insert(module, plain(text));
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
    sources.follow();
    let arrows = sources.arrows();
    let module = |text: &str| -> Module { text.split("::").map(str::to_owned).collect() };
    assert_eq!(
        arrows[&module("low")],
        BTreeSet::from([module("high::part")])
    );
    assert_eq!(
        arrows[&module("high")],
        BTreeSet::from([module("high::part"), module("low")])
    );
    assert_eq!(
        arrows[&module("high::part")],
        BTreeSet::from([module("high")])
    );
    assert_eq!(climbs(&arrows, &["low", "high"]), ["low needs high::part"]);
    // Neither file of `high` leads back to `low` but through its other one.
    assert!(circles(&arrows).is_empty());
}
