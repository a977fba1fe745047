//! `demo`: the story of a secret, told by this program and by git on a real repository in a temporary directory.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::app::App;

/// One step: what is said, what is run by a shell, and the exit code that it must have.
struct Step {
    say: &'static str,
    run: &'static str,
    code: i32,
}

const fn step(say: &'static str, run: &'static str) -> Step {
    Step { say, run, code: 0 }
}

const STORY: [Step; 13] = [
    step(
        "A repository like any other, with some code in it.",
        "git init -q -b main . && echo 'fn main() {}' > main.rs && git add . && git commit -q -m 'Some code'",
    ),
    step("Alice makes a store in it. Her private key stays outside of the repository.", "vsecure init"),
    step(
        "A secret for production, and one of the same name for staging.",
        "vsecure secrets:create API_KEY 'sk_live_first' --tags production,api --metadata owner=backend-team && vsecure secrets:create API_KEY 'sk_test_first' --tags staging,api",
    ),
    step(
        "Its value changes: a new version, which is a commit.",
        "vsecure secrets:update production/API_KEY 'sk_live_second' -m 'Rotate after the audit'",
    ),
    step("Every version is there, with who set it and in which commit.", "vsecure secrets:versions production/API_KEY"),
    step("Two versions compared.", "vsecure secrets:diff production/API_KEY --from 1 --to 2 --reveal"),
    step(
        "Back to the first value, as a new version.",
        "vsecure secrets:rollback production/API_KEY && vsecure secrets:get production/API_KEY && echo",
    ),
    step(
        "What is committed: age files, and signed sidecars that say everything but the value.",
        "git ls-files .vsecure && sed -n '/^author/,/^tags/p' .vsecure/secrets/production/API_KEY.yaml",
    ),
    step(
        "Mallory can push. She puts staging's files in the place of production's, and commits.",
        "cp .vsecure/secrets/staging/API_KEY.* .vsecure/secrets/production/ && git commit -q -am 'Tidy up' --author 'Mallory <mallory@example.com>'",
    ),
    Step {
        say: "It does not count: the file states another path.",
        run: "vsecure secrets:get production/API_KEY",
        code: 6,
    },
    step(
        "She only swaps the ciphertext.",
        "git checkout -q HEAD~1 -- .vsecure && cp .vsecure/secrets/staging/API_KEY.age .vsecure/secrets/production/API_KEY.age",
    ),
    Step {
        say: "That is not what was signed, and it is bound to its path besides.",
        run: "vsecure secrets:get production/API_KEY",
        code: 6,
    },
    step(
        "Back to the good state. And git tells the whole story, to anybody, without any key.",
        "git checkout -q HEAD~1 -- .vsecure && vsecure secrets:get production/API_KEY && echo && git log --format='%h %an: %s' -- .vsecure",
    ),
];

pub fn run(app: &App) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("vsecure-demo-").tempdir()?;
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin)?;
    std::fs::create_dir(folder.path().join("project"))?;
    std::os::unix::fs::symlink(std::env::current_exe()?, bin.join("vsecure"))?;
    for Step { say, run, code } in &STORY {
        app.output.line(&format!(
            "\n{}\n$ {}",
            app.output.heading(&format!("# {say}")),
            run.replace(" && ", "\n$ ")
        ))?;
        let status = command(folder.path(), &bin, run).status().context("the shell `sh` could not be started")?;
        ensure!(status.code() == Some(*code), "this step of the demo ended with {status}, and {code} was expected");
        if *code != 0 {
            app.output.line(&format!("(exit code {code})"))?;
        }
    }
    app.output.line("\nThe directory is gone now. In a repository of yours: vsecure init")?;
    Ok(())
}

/// A shell that knows nothing of this person's keys, settings and git configuration.
fn command(folder: &Path, bin: &Path, script: &str) -> Command {
    let mut path = OsString::from(bin);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-ec", &format!("exec 2>&1; {script}")]).current_dir(folder.join("project"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["VSECURE_", "GIT_", "XDG_"].iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command.env("PATH", path).env("HOME", folder.join("home")).env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_CONFIG_COUNT", "0").env("GIT_AUTHOR_NAME", "Alice").env("GIT_AUTHOR_EMAIL", "alice@example.com");
    command.env("GIT_COMMITTER_NAME", "Alice").env("GIT_COMMITTER_EMAIL", "alice@example.com");
    command
}
