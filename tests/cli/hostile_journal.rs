//! A journal that no command of ours wrote: what an unpacked archive, a copied clone or a damaged disk may hold. Whoever can write there can write
//! hooks too; all the same it leads no write out of the store, and no command into a hang.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;

const SOON: Duration = Duration::from_secs(5);
const COMMANDS: [&str; 4] = ["get production/A", "list", "update production/A two", "status"];

/// A store, a file of the user's in the work tree and one outside of it, and the object that is to take their places.
struct Scene {
    world: World,
    evil: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::with_secrets(&[("production/A", "one")]);
        fs::create_dir_all(world.project.join("service/.vsecure-not")).unwrap();
        fs::create_dir_all(world.project.join("service/policy")).unwrap();
        fs::create_dir(world.home.join("outside")).unwrap();
        for place in ["precious", "service/precious", "../home/outside/precious"] {
            fs::write(world.project.join(place), "precious").unwrap();
        }
        world.git(&["add", "-A"]);
        world.git(&["commit", "-q", "-m", "Work"]);
        symlink(world.home.join("outside"), world.project.join("link")).unwrap();
        let evil = world.sh("printf evil | git hash-object -w --stdin").trim().to_owned();
        Self { world, evil }
    }

    fn precious(&self) -> String {
        self.world.sh("git hash-object precious").trim().to_owned()
    }

    /// A journal of something that was decided: `path` of the store at `store` is to become evil, if it is precious.
    fn journal(&self, store: &str, path: &str) -> Value {
        let change = json!({ "path": path, "seen": self.precious(), "base": null, "new": self.evil });
        json!({ "format": 1, "id": "00", "store": store, "branch": "refs/heads/main", "old": null, "new": null, "changes": [change] })
    }

    fn place(&self) -> std::path::PathBuf {
        self.world.project.join(".git/vsecure/journal")
    }

    fn lay(&self, journal: &[u8]) {
        fs::write(self.place(), journal).unwrap();
    }

    /// All that is not the store's, nor its own memory.
    fn others(&self) -> BTreeMap<String, Vec<u8>> {
        let mut state = self.world.state();
        state.retain(|name, _| {
            !name.starts_with("project/.vsecure/")
                && !name.starts_with("project/.git/")
                && !name.contains(".local/state/vsecure")
        });
        state
    }

    /// Runs each command: none hangs, breaks off or touches what is not the store's. What they said, where they failed.
    fn withstood(&self, what: &str) -> Vec<String> {
        let before = self.others();
        let mut said = Vec::new();
        for line in COMMANDS {
            let mut command = self.world.command("timeout");
            command.args(["20", env!("CARGO_BIN_EXE_vsecure")]).args(line.split(' '));
            let start = Instant::now();
            let run = World::run_command(command, b"");
            assert!(start.elapsed() < SOON, "{what}: {line} took {:?}", start.elapsed());
            assert!([0, 1, 5, 6].contains(&run.code), "{what}: {line}: {} {}", run.code, run.err);
            assert_eq!(self.others(), before, "{what}: {line} touched what is not the store's");
            if run.code != 0 {
                said.push(run.err);
            }
        }
        said
    }

    /// What was begun nowhere is refused by name, until the user takes it away.
    fn refused(&self, what: &str) {
        let said = self.withstood(what);
        assert!(!said.is_empty(), "{what}: nothing was refused");
        for error in said {
            assert!(error.contains("journal"), "{what}: {error}");
        }
        let place = self.place();
        if place.is_dir() {
            fs::remove_dir(&place).unwrap()
        } else {
            fs::remove_file(&place).unwrap()
        }
        assert_eq!(self.world.get("production/A"), "one", "{what}");
    }
}

#[test]
fn a_journal_leads_no_write_out_of_the_store() {
    let scene = Scene::new();
    for (store, path) in [
        (".vsecure", "../precious"),
        (".vsecure", "secrets/../../precious"),
        (".vsecure", "/tmp/precious"),
        (".vsecure", ".git/hooks/pre-commit"),
        ("", "precious"),
        (".", "precious"),
        ("..", "home/outside/precious"),
        ("../home/outside", "precious"),
        ("/tmp", "precious"),
        ("service", "precious"),
        ("service/.vsecure-not", "precious"),
        ("link", "precious"),
        (".git", "hooks/pre-commit"),
    ] {
        scene.lay(scene.journal(store, path).to_string().as_bytes());
        scene.refused(&format!("{store:?} {path:?}"));
    }
    assert!(!scene.world.project.join(".git/hooks/pre-commit").exists());
}

#[test]
fn a_journal_follows_no_link_within_the_store() {
    let scene = Scene::new();
    symlink(scene.world.home.join("outside"), scene.world.file("secrets/staging")).unwrap();
    scene.lay(scene.journal(".vsecure", "secrets/staging/precious").to_string().as_bytes());
    scene.withstood("a folder that is a link");
    scene.world.sh("echo more > more; git add more; git commit -qm More");
    let _ = fs::remove_file(scene.place());
    symlink(scene.world.project.join("precious"), scene.world.file("requests")).unwrap();
    scene.lay(scene.journal(".vsecure", "requests").to_string().as_bytes());
    scene.withstood("a file that is a link");
}

#[test]
fn what_is_no_journal_is_refused_by_name() {
    let scene = Scene::new();
    let good = scene.journal(".vsecure", "secrets/production/X.yaml").to_string();
    for text in [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "\u{0}\u{1b}[31m".to_owned(),
        good.replace("\"format\":1", "\"format\":2"),
        good.replace("\"id\":\"00\"", "\"id\":\"../../x\""),
        good.replace("\"id\":\"00\"", "\"id\":\"\""),
        good.replace("refs/heads/main", "refs/heads/../../../x"),
        good.replace("refs/heads/main", "config"),
        good.replace("\"new\":null", "\"new\":\"evil\""),
        good.replace(&scene.evil, "evil"),
        good.replace("\"changes\"", "\"more\":1,\"changes\""),
        "[".repeat(100_000),
    ] {
        assert_ne!(text, good);
        scene.lay(text.as_bytes());
        scene.refused(&text.chars().take(200).collect::<String>());
    }
    scene.world.sh("truncate -s 65M .git/vsecure/journal");
    scene.refused("more than a journal has");
    scene.world.sh("mkfifo .git/vsecure/journal");
    scene.refused("a named pipe");
    scene.world.sh("ln -s /dev/zero .git/vsecure/journal");
    scene.refused("a link to an endless device");
    fs::write(scene.world.home.join("elsewhere"), &good).unwrap();
    scene.world.sh("ln -s ../../../home/elsewhere .git/vsecure/journal");
    scene.refused("a link to a journal");
    fs::create_dir(scene.place()).unwrap();
    scene.refused("a folder");
}

#[test]
fn a_journal_of_another_clone_does_nothing_here() {
    let scene = Scene::new();
    let world = &scene.world;
    // Its commit is not here: so it was not decided here.
    let mut journal = scene.journal(".vsecure", "secrets/production/A.yaml");
    journal["new"] = "1".repeat(40).into();
    scene.lay(journal.to_string().as_bytes());
    assert_eq!(scene.withstood("a commit that is not here"), [""; 0]);
    assert!(!scene.place().exists());
    assert_eq!(world.get("production/A"), "two");
    // Nor are the contents that another clone had staged.
    let mut journal = scene.journal(".vsecure", "secrets/production/X.yaml");
    journal["changes"][0]["seen"] = Value::Null;
    journal["changes"][0]["new"] = "2".repeat(40).into();
    scene.lay(journal.to_string().as_bytes());
    let said = scene.withstood("contents that are not here");
    assert!(said.iter().all(|error| error.contains("journal")), "{said:?}");
    let _ = fs::remove_file(scene.place());
    // One whose commit came here, too, finds everything done.
    let head = world.git(&["rev-parse", "HEAD"]);
    let blob = world.git(&["rev-parse", "HEAD:.vsecure/secrets/production/A.yaml"]);
    let mut journal = scene.journal(".vsecure", "secrets/production/A.yaml");
    journal["new"] = head.trim().into();
    journal["changes"][0]["new"] = blob.trim().into();
    scene.lay(journal.to_string().as_bytes());
    assert_eq!(scene.withstood("a commit that came here"), [""; 0]);
    assert_eq!(
        (world.get("production/A"), world.git(&["status", "--porcelain", ".vsecure"])),
        ("two".into(), String::new())
    );
}

#[test]
fn a_link_in_place_of_our_own_folder_leads_nothing_elsewhere() {
    let scene = Scene::new();
    scene.world.ok(&["versions", "production/A"]);
    let (ours, outside) = (scene.world.project.join(".git/vsecure"), scene.world.home.join("outside"));
    for name in ["lock", "journal.new", "clone-id"] {
        fs::write(outside.join(name), "of somebody").unwrap();
    }
    fs::remove_dir_all(&ours).unwrap();
    symlink(&outside, &ours).unwrap();
    let said = scene.withstood("a link");
    assert_eq!(said.len(), COMMANDS.len());
    for error in said {
        assert!(error.contains(".git/vsecure is a link") && error.contains("rm /"), "{error}");
    }
    fs::remove_file(&ours).unwrap();
    assert_eq!(scene.world.get("production/A"), "one");
    scene.world.ok(&["update", "production/A", "two"]);
}
