//! One vector: what is laid over the good store, and which refusal it must get.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::folder;

pub const SIDECAR: &str = "secrets/production/A.yaml";
pub const VALUE: &str = "secrets/production/A.age";
pub const PENDING: &str = "secrets/production/A.next.age";
pub const POLICY: &str = "policy/000001.yaml";

/// The file `vector.json`. Paths are the store's; what is stored beside it in `store/` is laid over the good store first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// What it is, and who could have made it.
    pub about: String,
    /// The kind of refusal, as `--json` names it.
    pub kind: String,
    /// The exit code.
    pub exit: i32,
    /// Whose key the commands are run with.
    #[serde(default = "alice", skip_serializing_if = "is_alice")]
    pub seen_by: String,
    /// The commands that refuse it, of `get`, `describe`, `list` and `verify`; the others must succeed.
    pub refused_by: BTreeSet<String>,
    /// Files too large to be stored, and how they are made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub made: BTreeMap<String, Recipe>,
    /// Files and folders of the good store that are taken away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub removed: BTreeSet<String>,
    /// Files and folders that are moved out of the store, and a link put in their place.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub linked: BTreeSet<String>,
    /// Things put where a plain file is expected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub special: BTreeMap<String, Special>,
}

fn alice() -> String {
    "alice".to_owned()
}

fn is_alice(name: &str) -> bool {
    name == "alice"
}

/// How a large file is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// Texts, each repeated so many times.
    Texts(Vec<(String, usize)>),
    /// The good age file of a value of so many bytes, cut to so many.
    Cut { value: usize, to: usize },
}

/// What is no plain file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Special {
    Folder,
    Pipe,
    Socket,
    LinkToItself,
    LinkToNothing,
    GitFolder,
    /// The file that a submodule's work tree has for a git directory.
    GitFile,
}

/// A vector with its files, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    pub vector: Vector,
    pub files: BTreeMap<String, Vec<u8>>,
    /// What earlier commits brought, oldest first.
    pub history: Vec<BTreeMap<String, Vec<u8>>>,
}

/// A vector that all commands refuse, until said otherwise.
pub fn case(name: &str, kind: &str, about: &str) -> Case {
    let vector = Vector {
        about: about.to_owned(),
        kind: kind.to_owned(),
        exit: 6,
        seen_by: alice(),
        refused_by: ["get", "describe", "list", "verify"].map(ToOwned::to_owned).into(),
        made: BTreeMap::new(),
        removed: BTreeSet::new(),
        linked: BTreeSet::new(),
        special: BTreeMap::new(),
    };
    Case { name: name.to_owned(), vector, files: BTreeMap::new(), history: Vec::new() }
}

impl Case {
    pub fn with(mut self, file: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(file.to_owned(), bytes.into());
        self
    }

    /// Behind a commit that brought `bytes` as `file`, and those before it.
    pub fn after(mut self, file: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.history.push(BTreeMap::from([(file.to_owned(), bytes.into())]));
        self
    }

    pub fn made(mut self, file: &str, recipe: Recipe) -> Self {
        self.vector.made.insert(file.to_owned(), recipe);
        self
    }

    pub fn without(mut self, file: &str) -> Self {
        self.vector.removed.insert(file.to_owned());
        self
    }

    pub fn linked(mut self, file: &str) -> Self {
        self.vector.linked.insert(file.to_owned());
        self
    }

    pub fn special(mut self, file: &str, special: Special) -> Self {
        self.vector.special.insert(file.to_owned(), special);
        self
    }

    /// Refused by these commands only, and found by `verify`: what a list or a description doesn't open, it can't refuse.
    pub fn by(mut self, commands: &[&str]) -> Self {
        self.vector.refused_by = commands.iter().chain(&["verify"]).map(|command| (*command).to_owned()).collect();
        self
    }

    /// Found by `verify` alone: it is about nothing that the others look at.
    pub fn by_verify(self) -> Self {
        self.by(&[]).exit(8)
    }

    /// Not found by `verify` either: that takes a key.
    pub fn by_key(mut self) -> Self {
        self.vector.refused_by = BTreeSet::from(["get".to_owned()]);
        self
    }

    /// A good store, or one in which what is bad hides nothing.
    pub fn good(mut self) -> Self {
        (self.vector.exit, self.vector.kind) = (0, String::new());
        self.vector.refused_by.clear();
        self
    }

    pub fn seen_by(mut self, person: &str) -> Self {
        person.clone_into(&mut self.vector.seen_by);
        self
    }

    pub fn exit(mut self, code: i32) -> Self {
        self.vector.exit = code;
        self
    }

    fn place(&self) -> PathBuf {
        folder().join("cases").join(&self.name)
    }

    /// Reads the vector stored under `name`.
    pub fn load(name: &str) -> Self {
        let mut loaded = case(name, "", "");
        let text = fs::read(loaded.place().join("vector.json")).unwrap();
        loaded.vector = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        loaded.files = files_below(&loaded.place().join("store"));
        let earlier = (1..).map(|number| loaded.place().join(format!("history/{number}")));
        loaded.history = earlier.take_while(|place| place.exists()).map(|place| files_below(&place)).collect();
        loaded
    }

    pub fn store(&self) {
        let place = self.place();
        fs::create_dir_all(&place).unwrap();
        let text = serde_json::to_string_pretty(&self.vector).unwrap();
        fs::write(place.join("vector.json"), format!("{text}\n")).unwrap();
        write_files(&place.join("store"), &self.files);
        for (number, files) in (1..).zip(&self.history) {
            write_files(&place.join(format!("history/{number}")), files);
        }
    }

    /// Lays it over the good store at `root`; what links lead to goes to `outside`.
    pub fn lay(&self, base: &Base, root: &Path, outside: &Path) {
        for file in &self.vector.removed {
            let path = root.join(file);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        write_files(root, &self.files);
        let made = self.vector.made.iter().map(|(file, recipe)| (file.clone(), recipe.bytes(base))).collect();
        write_files(root, &made);
        for (number, file) in self.vector.linked.iter().enumerate() {
            let (path, target) = (root.join(file), outside.join(number.to_string()));
            let path = if file.is_empty() { root.to_owned() } else { path };
            fs::rename(&path, &target).unwrap();
            symlink(&target, &path).unwrap();
        }
        for (file, special) in &self.vector.special {
            special.put(&root.join(file));
        }
    }
}

impl Recipe {
    pub fn bytes(&self, base: &Base) -> Vec<u8> {
        match self {
            Self::Texts(texts) => texts.iter().flat_map(|(text, times)| text.repeat(*times).into_bytes()).collect(),
            Self::Cut { value, to } => {
                let mut file = base.age(&base.a(), &Base::long_value(*value));
                assert!(*to < file.len(), "nothing is cut");
                file.truncate(*to);
                file
            }
        }
    }
}

impl Special {
    fn put(self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(path);
        match self {
            Self::Folder => fs::create_dir(path).unwrap(),
            Self::Pipe => {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            }
            Self::Socket => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
            Self::LinkToItself => symlink(path, path).unwrap(),
            Self::LinkToNothing => symlink("nowhere", path).unwrap(),
            Self::GitFile => fs::write(path, "gitdir: ../.git/modules/store\n").unwrap(),
            Self::GitFolder => {
                fs::create_dir(path).unwrap();
                fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            }
        }
    }
}

/// All files below `folder`, by their path.
pub fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

pub fn write_files(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
