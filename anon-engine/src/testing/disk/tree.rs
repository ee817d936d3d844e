//! [`Tree`]: the files and directories of a simulated disk, each with a live and a synced state.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::Survive;
use super::pages::Pages;

const ROOT: u64 = 0;

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) live: Pages,
    pub(super) synced: Pages,
}

#[derive(Clone, Default)]
pub(super) struct DirNode {
    pub(super) live: BTreeMap<OsString, u64>,
    pub(super) synced: BTreeMap<OsString, u64>,
}

impl Node {
    pub(super) fn file() -> Self {
        Self::File(FileNode::default())
    }

    pub(super) fn dir() -> Self {
        Self::Dir(DirNode::default())
    }
}

pub(super) struct Tree {
    nodes: HashMap<u64, Node>,
    next: u64,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: HashMap::from([(ROOT, Node::dir())]),
            next: ROOT + 1,
        }
    }
}

impl Tree {
    pub(super) fn get(&self, node: u64) -> Option<&Node> {
        self.nodes.get(&node)
    }

    pub(super) fn get_mut(&mut self, node: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&node)
    }

    pub(super) fn find(&self, path: &Path) -> Option<u64> {
        let mut at = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                match self.get(at)? {
                    Node::Dir(dir) => at = *dir.live.get(name)?,
                    Node::File(_) => return None,
                }
            }
        }
        Some(at)
    }

    fn parent_mut(&mut self, path: &Path) -> io::Result<(&mut DirNode, OsString)> {
        let name = path.file_name().map(OsStr::to_owned);
        let name = name.ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().and_then(|parent| self.find(parent));
        match parent.and_then(|parent| self.get_mut(parent)) {
            Some(Node::Dir(dir)) => Ok((dir, name)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn create(&mut self, path: &Path, node: Node) -> io::Result<u64> {
        self.link(self.next, path)?;
        Ok(self.add(node))
    }

    /// Adds a node without a name.
    pub(super) fn add(&mut self, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        number
    }

    /// Removes a node without a name.
    pub(super) fn drop_unnamed(&mut self, number: u64) {
        self.nodes.remove(&number);
    }

    /// Gives a node a name.
    pub(super) fn link(&mut self, number: u64, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent_mut(path)?;
        if dir.live.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        dir.live.insert(name, number);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from).ok_or(io::ErrorKind::NotFound)?;
        // The new name first: if its directory is missing, the old name must stay.
        let (dir, name) = self.parent_mut(to)?;
        dir.live.insert(name, node);
        let (dir, name) = self.parent_mut(from)?;
        dir.live.remove(&name);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent_mut(path)?;
        dir.live
            .remove(&name)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn files(&self, below: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut rest = vec![below.to_owned()];
        while let Some(path) = rest.pop() {
            match self.find(&path).and_then(|node| self.get(node)) {
                Some(Node::Dir(dir)) => rest.extend(dir.live.keys().map(|name| path.join(name))),
                Some(Node::File(_)) => found.push(path),
                None => {}
            }
        }
        found.sort();
        found
    }

    /// Returns the tree after a power cut.
    pub(super) fn after(&self, survive: Survive) -> Self {
        let mut coin = Coin(match survive {
            Survive::Mixed(seed) => seed,
            Survive::Synced | Survive::Written => 0,
        });
        let mut numbers: Vec<u64> = self.nodes.keys().copied().collect();
        numbers.sort_unstable();
        let mut nodes = HashMap::new();
        for number in numbers {
            let node = match self.get(number) {
                Some(Node::File(file)) => Node::File(file.after(survive, &mut coin)),
                Some(Node::Dir(dir)) => Node::Dir(dir.after(survive, &mut coin)),
                None => continue,
            };
            nodes.insert(number, node);
        }
        Self {
            nodes,
            next: self.next,
        }
    }
}

impl FileNode {
    fn after(&self, survive: Survive, coin: &mut Coin) -> Self {
        let left = match survive {
            Survive::Synced => self.synced.clone(),
            Survive::Written => self.live.clone(),
            Survive::Mixed(_) => self.synced.mixed(&self.live, &mut || coin.toss()),
        };
        // A kill keeps the page cache of the system, so unsynced data stays unsynced.
        let synced = match survive {
            Survive::Written => self.synced.clone(),
            Survive::Synced | Survive::Mixed(_) => left.clone(),
        };
        Self { live: left, synced }
    }
}

impl DirNode {
    fn after(&self, survive: Survive, coin: &mut Coin) -> Self {
        match survive {
            Survive::Synced => Self {
                live: self.synced.clone(),
                synced: self.synced.clone(),
            },
            Survive::Written => self.clone(),
            Survive::Mixed(_) => {
                let names = self.live.keys().chain(self.synced.keys());
                let mut left = BTreeMap::new();
                for name in names {
                    let (live, synced) = (self.live.get(name), self.synced.get(name));
                    let node = if live == synced || coin.toss() {
                        live
                    } else {
                        synced
                    };
                    if let Some(node) = node {
                        left.insert(name.clone(), *node);
                    }
                }
                Self {
                    live: left.clone(),
                    synced: left,
                }
            }
        }
    }
}

/// A reproducible coin: the same seed gives the same tosses (`SplitMix64`).
struct Coin(u64);

impl Coin {
    fn toss(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) & 1 == 1
    }
}
