//! Completion in the real shells.

use crate::support::World;

fn world() -> World {
    World::with_secrets(&[("production/API_KEY", "1"), ("staging/API_KEY", "2"), ("production/user-api/URL", "3")])
}

/// What bash offers for `line`, as it would complete it.
fn bash(world: &World, line: &str) -> Vec<String> {
    let script = format!(
        "source <(vsecure completions bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; _vsecure; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    world.sh(&script).lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
}

fn fish(world: &World, line: &str) -> Vec<String> {
    let mut command = world.command("fish");
    command.args(["--no-config", "-c", &format!("vsecure completions fish | source; complete -C '{line}'")]);
    let run = World::run_command(command, b"");
    assert_eq!(run.code, 0, "{}", run.err);
    run.out.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

fn zsh(world: &World, line: &str) -> Vec<String> {
    // `_describe` and `compdef` stand for zsh's completion system, which needs a terminal of its own.
    let script = format!(
        "compdef() {{ :; }}; _describe() {{ print -rl -- ${{(P)2}}; }}; source <(vsecure completions zsh); words=({line}); \
         [[ '{line}' == *' ' ]] && words+=(''); CURRENT=${{#words}}; _vsecure"
    );
    let mut command = world.command("zsh");
    command.args(["-f", "-c", &script]);
    let run = World::run_command(command, b"");
    assert_eq!(run.code, 0, "{}", run.err);
    run.out
        .lines()
        .map(|line| line.replace("\\:", "\u{1}").split(':').next().unwrap_or_default().replace('\u{1}', ":"))
        .collect()
}

#[test]
fn bash_completes_over_its_word_breaks() {
    let world = world();
    assert_eq!(bash(&world, "vsecure secrets:cre"), ["create"], "only what is behind the colon is replaced");
    assert_eq!(bash(&world, "vsecure secrets cre"), ["create"]);
    assert_eq!(bash(&world, "vsecure keys:"), ["generate", "recovery", "show"]);
    assert_eq!(bash(&world, "vsecure desc"), ["describe"]);
    for verb in ["secrets:get", "secrets get", "get", "--store . get", "secrets:delete --dry-run"] {
        assert_eq!(
            bash(&world, &format!("vsecure {verb} prod")),
            ["production/API_KEY", "production/user-api/URL"],
            "{verb}"
        );
    }
    assert_eq!(bash(&world, "vsecure get API"), ["API_KEY"]);
    assert_eq!(bash(&world, "vsecure get API_KEY --env s"), ["staging"]);
    assert_eq!(bash(&world, "vsecure get API_KEY --env=s"), ["staging"]);
    assert_eq!(bash(&world, "vsecure diff API_KEY --fail-on "), ["change"]);
    assert_eq!(bash(&world, "vsecure list --missing-in prod"), ["production"]);
    assert_eq!(bash(&world, "vsecure create NEW --expi"), ["--expires-at", "--expires-in"]);
}

#[test]
fn members_roles_and_environments_are_completed_in_their_places() {
    let world = world();
    world.ok(&["members:add-machine", "deploy", "--roles", "deployers", "--yes", "-q"]);
    for line in [
        "vsecure members:show de",
        "vsecure members remove -n de",
        "vsecure access:why de",
        "vsecure access:debt --member de",
    ] {
        assert_eq!(bash(&world, line), ["deploy", "deploy@machine.invalid"], "{line}");
    }
    assert_eq!(bash(&world, "vsecure access:why deploy prod"), ["production/API_KEY", "production/user-api/URL"]);
    assert_eq!(bash(&world, "vsecure grant-access API"), ["API_KEY"]);
    assert_eq!(bash(&world, "vsecure grant-access API_KEY --user al"), ["alice", "alice@example.com"]);
    assert_eq!(bash(&world, "vsecure members:add request.yaml --roles dep"), ["deployers"]);
    assert_eq!(
        bash(&world, "vsecure members:accept staging/API_KEY prod"),
        ["production/API_KEY", "production/user-api/URL"]
    );
    assert_eq!(bash(&world, "vsecure env:remove st"), ["staging"]);
    assert_eq!(bash(&world, "vsecure trust:"), ["branch", "hook", "rewrite"]);
}

#[test]
fn zsh_and_fish_complete_too() {
    let world = world();
    for complete in [zsh, fish] {
        assert_eq!(complete(&world, "vsecure secrets:cre"), ["secrets:create"]);
        assert_eq!(complete(&world, "vsecure get prod"), ["production/API_KEY", "production/user-api/URL"]);
        assert_eq!(complete(&world, "vsecure get API_KEY --env s"), ["staging"]);
    }
}

#[test]
fn completion_never_complains_and_never_writes() {
    let world = world();
    let state = world.state();
    for (index, typed) in
        [("99", "vsecure\0"), ("18446744073709551615", "vsecure\0get\0"), ("1", ""), ("2", "vsecure\0\u{1b}\0x\0")]
    {
        let run = world.run_with(&["__complete", index], typed.as_bytes());
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{index}");
    }
    let mut command = world.command("vsecure");
    command.args(["__complete", "1"]).env("VSECURE_STORE_ID", "junk").env("XDG_CONFIG_HOME", "/dev/null");
    let run = World::run_command(command, b"vsecure\0sta\0");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(world.state(), state);
}
