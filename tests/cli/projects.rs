//! Projects in the shapes of the real world, end to end: what they have is imported, and they run or are rendered from the store.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vsecure::crypto::SecretBytes;
use vsecure::format::{Delimiter, Form, Manifest, export};

use crate::moving::{tool, with_sops};
use crate::support::{World, found_below};

/// A repository that holds a copy of one project, and a store.
fn project(name: &str) -> World {
    let world = World::with_store();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/projects").join(name);
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), world.project.join(entry.file_name())).unwrap();
    }
    world
}

/// Runs JavaScript with the packages that `cargo xtask tools` installed, in the project; what it prints, as JSON.
fn node(world: &World, script: &str, arguments: &[&str]) -> Value {
    let packages = tool("node_modules/yaml/package.json");
    let mut command = world.command("node");
    command.env("NODE_PATH", packages.ancestors().nth(2).unwrap()).args(["-e", script, "--"]).args(arguments);
    let run = World::run_command(command, b"");
    assert_eq!(run.code, 0, "{}", run.err);
    serde_json::from_str(&run.out).unwrap()
}

fn yaml(world: &World, file: &str) -> Value {
    let script = "const text = require('fs').readFileSync(process.argv[1], 'utf8');
                  console.log(JSON.stringify(require('yaml').parse(text, { strict: true })))";
    node(world, script, &[file])
}

/// What Node's own package reads from a dotenv file.
fn dotenv(world: &World, file: &str) -> Value {
    let script = "console.log(JSON.stringify(require('dotenv').parse(require('fs').readFileSync(process.argv[1]))))";
    node(world, script, &[file])
}

/// The variables of a child of `exec`, by Python.
fn variables(world: &World, options: &[&str]) -> BTreeMap<String, String> {
    let program = ["--", "python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))"];
    let all = [&["exec"], options, &program].concat();
    serde_json::from_str(&world.ok(&all)).unwrap()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `KEY=value` lines as docker and kustomize read them: everything behind the first `=`, as it is.
fn plain_lines(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().map(|line| pair(line).unwrap()).collect()
}

#[test]
fn a_compose_stack() {
    let world = project("compose");
    let before = dotenv(&world, ".env");
    world.ok(&["import", ".env", "--env", "staging"]);
    fs::remove_file(world.project.join(".env")).unwrap();
    let compose = yaml(&world, "compose.yaml");
    let child = variables(&world, &["--env", "staging", "--pristine"]);
    let text = compose.to_string();
    let wanted: Vec<&str> = text.split("${").skip(1).map(|rest| rest.split([':', '}']).next().unwrap()).collect();
    assert_eq!(wanted.len(), 3);
    for name in wanted {
        assert_eq!(child[name], before[name].as_str().unwrap(), "{name}");
    }
    let file = compose["services"]["api"]["env_file"][0].as_str().unwrap();
    world.ok(&["export", "--env", "staging", "--except", "POSTGRES_*", "--format", "docker-env", "--output", file]);
    let read = plain_lines(&fs::read_to_string(world.project.join(file)).unwrap());
    assert_eq!(read.len(), 2);
    for (name, value) in read {
        assert_eq!(value, before[&name].as_str().unwrap(), "{name}");
    }
}

#[test]
fn a_terraform_module() {
    let world = project("terraform");
    let file = world.project.join("secrets.auto.tfvars.json");
    let before: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    world.ok(&["import", "secrets.auto.tfvars.json", "--env", "production", "--under", "infra"]);
    fs::remove_file(file).unwrap();
    let child = variables(&world, &["--env", "production", "--under", "infra", "--add-prefix", "TF_VAR_"]);
    let module = fs::read_to_string(world.project.join("main.tf")).unwrap();
    let declared: Vec<&str> =
        module.lines().filter_map(|line| line.strip_prefix("variable \"")?.split('"').next()).collect();
    assert_eq!(declared, ["db_password", "api_token", "replicas"]);
    for name in declared {
        let value = before[name].as_str().map_or_else(|| before[name].to_string(), ToOwned::to_owned);
        assert_eq!(child[&format!("TF_VAR_{name}")], value, "{name}");
    }
    assert_eq!(found_below(&world.project, "tok_Zm9v"), None);
}

#[test]
fn a_kubernetes_manifest_with_kustomize() {
    let world = project("kubernetes");
    fs::copy(world.project.join("sops-test.key"), world.home.join("sops.key")).unwrap();
    let run = with_sops(&world, &["import", "secrets.enc.yaml", "--env", "production", "--under", "user-api"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let expected = BTreeMap::from(
        [
            ("DATABASE_URL", "postgres://user-api:pa=ss@db/users"),
            ("FLAGS", "a=1,b=2 # not a comment"),
            ("JWT_SECRET", "0123456789abcdef"),
            ("NESTED_API_KEY", "key with spaces "),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let kustomization = yaml(&world, "kustomization.yaml");
    let file = kustomization["secretGenerator"][0]["envs"][0].as_str().unwrap();
    let selected = ["export", "--env", "production", "--under", "user-api"];
    world.ok(&[&selected[..], &["--format", "docker-env", "--output", file]].concat());
    assert_eq!(plain_lines(&fs::read_to_string(world.project.join(file)).unwrap()), expected);
    let deployment = yaml(&world, "deployment.yaml");
    let name =
        deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["secretRef"]["name"].as_str().unwrap();
    let manifest = [&selected[..], &["--format", "kubernetes", "--namespace", "shop", "--name", name]].concat();
    fs::write(world.project.join("secret.yaml"), world.ok(&manifest)).unwrap();
    let secret = yaml(&world, "secret.yaml");
    assert_eq!(
        (&secret["apiVersion"], &secret["kind"], &secret["type"]),
        (&"v1".into(), &"Secret".into(), &"Opaque".into())
    );
    assert_eq!((&secret["metadata"]["name"], &secret["metadata"]["namespace"]), (&name.into(), &"shop".into()));
    let decoded = secret["data"].as_object().unwrap().iter().map(|(key, value)| {
        let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
        (key.clone(), String::from_utf8(bytes).unwrap())
    });
    assert_eq!(decoded.collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn a_node_service() {
    let world = project("node");
    let before = dotenv(&world, ".env");
    world.ok(&["import", ".env", "--env", "development"]);
    fs::remove_file(world.project.join(".env")).unwrap();
    let mut alone = world.command("node");
    alone.arg("server.js");
    let without = World::run_command(alone, b"");
    assert_eq!(without.code, 78, "without the store it has nothing: {}", without.err);
    let run = world.ok(&["exec", "--env", "development", "--", "env", "SELF_CHECK=1", "node", "server.js"]);
    let told: Value = serde_json::from_str(&run).unwrap();
    assert_eq!((&told["status"], &told["body"]), (&serde_json::json!([403, 200]), &before["GREETING"]));
    for (name, value) in before.as_object().unwrap() {
        assert_eq!(told["digests"][name], sha256(value.as_str().unwrap()), "{name}");
    }
    world.ok(&["export", "--env", "development", "--format", "dotenv", "--output", ".env"]);
    assert_eq!(dotenv(&world, ".env"), before, "its own package reads what we write as what it was");
}

#[test]
fn a_python_worker() {
    let world = project("python");
    world.ok(&["import", "secrets.yaml", "--env", "staging"]);
    let before = yaml(&world, "secrets.yaml");
    fs::remove_file(world.project.join("secrets.yaml")).unwrap();
    let by_variables: Value =
        serde_json::from_str(&world.ok(&["exec", "--env", "staging", "--", "python3", "worker.py"])).unwrap();
    world.ok(&["inject", "worker.ini.tpl", "--env", "staging", "--output", "worker.ini"]);
    let by_file: Value = serde_json::from_str(&world.sh("python3 worker.py worker.ini")).unwrap();
    assert_eq!(by_variables, by_file);
    for (name, section, key) in [
        ("DATABASE_HOST", "database", "host"),
        ("DATABASE_PASSWORD", "database", "password"),
        ("SMTP_USER", "smtp", "user"),
        ("SMTP_PASSWORD", "smtp", "password"),
    ] {
        assert_eq!(by_file[name], sha256(before[section][key].as_str().unwrap()), "{name}");
    }
    assert_eq!(world.get("staging/retries"), "3");
}

/// Values that are hard to write in dotenv: quotes, blanks at the ends, comments, escapes, line ends.
fn awkward() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        proptest::sample::select(vec!["a", "'", "\"", "`", "\\", "n", "#", " ", "$X", "=", "\n", "é", "\t"]),
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

#[test]
fn what_is_written_as_dotenv_is_read_by_nodes_package_as_what_it_was() {
    let world = World::empty();
    let mut runner = TestRunner::deterministic();
    let (manifest, delimiter) = (Manifest::default(), Delimiter(String::new()));
    let (mut file, mut expected) = (Vec::new(), serde_json::Map::new());
    for number in 0..3000 {
        let value = awkward().new_tree(&mut runner).unwrap().current();
        let name = format!("V{number}");
        let entry = SecretBytes::new(value.clone().into_bytes());
        // What the dialect can't hold is refused; src/format tries that.
        if let Ok(line) = export(Form::Dotenv, &[(&name, &entry)], &manifest, &delimiter) {
            file.extend_from_slice(line.as_bytes());
            expected.insert(name, value.into());
        }
    }
    assert!(expected.len() > 2000, "{}", expected.len());
    fs::write(world.project.join("all.env"), file).unwrap();
    assert_eq!(dotenv(&world, "all.env"), Value::Object(expected));
}
