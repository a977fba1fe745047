//! From argv to arguments: `GROUP VERB` and bare verbs become `GROUP:VERB`; words of other tools get a hint; and clap's errors are
//! told in words that never repeat an argument, since any of them may be a value.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::mem::ManuallyDrop;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Alone, Cli, Command, ProgramsCommand};
use crate::report::CommandError;

/// What people type who come from other tools.
const WORDS_OF_PEERS: [(&str, &str); 20] = [
    ("show", "secrets:get"),
    ("cat", "secrets:get"),
    ("read", "secrets:get"),
    ("decrypt", "secrets:get"),
    ("ls", "secrets:list"),
    ("rm", "secrets:delete"),
    ("remove", "secrets:delete"),
    ("mv", "secrets:rename"),
    ("move", "secrets:rename"),
    ("cp", "secrets:copy"),
    ("insert", "secrets:create"),
    ("add", "secrets:create"),
    ("put", "secrets:set"),
    ("generate", "secrets:create NAME --generate"),
    ("log", "secrets:versions"),
    ("history", "secrets:versions"),
    ("keygen", "keys:generate"),
    ("whoami", "keys:show"),
    ("run", "exec"),
    ("rotate", "rotation:run"),
];
const NOT_YET: [&str; 1] = ["sync"];

/// The command that starts another program.
pub const EXEC: &str = "exec";

/// Parses the words of the command line, the program's name first.
///
/// # Errors
/// [`CommandError::Usage`]; help and version were asked for with [`CommandError::Shown`], and have been printed.
pub fn parse(words: Vec<OsString>) -> Result<Cli, CommandError> {
    if let Some(cli) = quick(&words) {
        return Ok(cli);
    }
    // Taking the definition of two dozen commands apart again would cost a tenth of what a `get` does by itself.
    let mut command = ManuallyDrop::new(Cli::command());
    let words = normalised(&command, words)?;
    refuse_hidden_options(&command, &words)?;
    let matches = command.try_get_matches_from_mut(words).map_err(|error| usage_error(&error))?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| usage_error(&error))?;
    cli.global.invoked = matches.subcommand_name().unwrap_or("vsecure").to_owned();
    Ok(cli)
}

/// What programs call most, by a definition of that one command: defining all of them takes a third of what a `get` does. Whatever is
/// not right at once, or asks for help, is for the whole definition to say.
fn quick(words: &[OsString]) -> Option<Cli> {
    let first = words.get(1)?.to_str()?;
    match first.strip_prefix("secrets:").unwrap_or(first) {
        "get" => alone(words, Command::Get),
        "list" => alone(words, Command::List),
        "create" => alone(words, Command::Create),
        "update" => alone(words, Command::Update),
        "set" => alone(words, Command::Set),
        EXEC if first == EXEC => alone(words, |args| Command::Programs(ProgramsCommand::Exec(args))),
        _ => None,
    }
}

/// The command that `words` name right behind the program, by its own definition.
fn alone<A: clap::Args>(words: &[OsString], command: impl Fn(A) -> Command) -> Option<Cli> {
    let (program, name, rest) = (words.first()?, words.get(1)?.to_str()?, words.get(2..)?);
    let name = if name == EXEC || name.contains(':') { name.to_owned() } else { format!("secrets:{name}") };
    if hides_options(&name, rest) {
        return None;
    }
    let mut definition = ManuallyDrop::new(Alone::<A>::command());
    let matches = definition.try_get_matches_from_mut([program].into_iter().chain(rest)).ok()?;
    let Alone { mut global, args } = Alone::<A>::from_arg_matches(&matches).ok()?;
    global.invoked = name;
    Some(Cli { global, command: Some(command(args)) })
}

/// Whether these words ask for another program to be started: its exit codes are its own then, and ours are others.
pub fn starts_another(words: &[OsString]) -> bool {
    let at = first_positional(&Cli::command(), words, 1);
    at.and_then(|at| words.get(at)).is_some_and(|word| word == EXEC)
}

/// Joins a group and its verb, and puts `secrets:` before a bare verb.
pub fn normalised(command: &clap::Command, mut words: Vec<OsString>) -> Result<Vec<OsString>, CommandError> {
    let Some(at) = first_positional(command, &words, 1) else { return Ok(words) };
    let behind = first_positional(command, &words, at + 1);
    let word = |at: usize| words.get(at).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    let (first, second) = (word(at), behind.map(word).unwrap_or_default());
    let known = |name: &str| command.get_subcommands().any(|it| it.get_name() == name);
    let is_group =
        command.get_subcommands().any(|it| it.get_name().split_once(':').is_some_and(|(group, _)| group == first));
    let joined = format!("{first}:{second}");
    // `trust` is a command, and `trust branch` one of its group.
    if known(&first) && !known(&joined) {
        return Ok(words);
    }
    if first == "help" {
        words.remove(at);
        words.push("--help".into());
        return normalised(command, words);
    }
    if let Some(behind) = behind.filter(|_| known(&joined)) {
        words.remove(behind);
        words.splice(at..=at, [OsString::from(joined)]);
    } else if known(&format!("secrets:{first}")) {
        words.splice(at..=at, [OsString::from(format!("secrets:{first}"))]);
    } else if let Some(hint) = hint(&first, &second) {
        return Err(hint);
    } else if is_group && second.is_empty() {
        let verbs = command.get_subcommands().map(clap::Command::get_name).filter(|it| it.starts_with(&joined));
        return Err(CommandError::usage(
            "a verb is missing",
            format!("one of {}", verbs.collect::<Vec<_>>().join(", ")),
        ));
    } else {
        let sought = if is_group && !second.is_empty() { joined } else { first };
        let help = match nearest(command, &sought) {
            Some(name) => format!("did you mean {name}?"),
            None => "vsecure   alone lists all commands".to_owned(),
        };
        return Err(CommandError::usage("there is no such command", help));
    }
    Ok(words)
}

/// A value that begins with `-` would be read as a cluster of options (`-mhunter2` as a message): where values are given, clusters are
/// refused, and values like that go behind `--`.
fn refuse_hidden_options(command: &clap::Command, words: &[OsString]) -> Result<(), CommandError> {
    let Some(at) = first_positional(command, words, 1) else { return Ok(()) };
    let subcommand = words.get(at).and_then(|word| word.to_str()).unwrap_or_default();
    if hides_options(subcommand, words.get(at + 1..).unwrap_or_default()) {
        let help = "a value that begins with `-` goes behind `--`; short options are written one by one, with a blank";
        return Err(CommandError::usage("an argument begins with `-` and is no option", help));
    }
    Ok(())
}

/// Whether several short options, or a value, may be meant by one of the words behind a command that takes values.
fn hides_options(command: &str, rest: &[OsString]) -> bool {
    let takes_values = matches!(command, "secrets:create" | "secrets:update" | "secrets:set");
    let mut options = rest.iter().map(|word| word.as_encoded_bytes()).take_while(|word| *word != b"--");
    takes_values && options.any(|word| word.len() > 2 && word.starts_with(b"-") && !word.starts_with(b"--"))
}

/// The command that was probably meant.
fn nearest(command: &clap::Command, word: &str) -> Option<String> {
    let names = command.get_subcommands().filter(|it| !it.is_hide_set()).map(clap::Command::get_name);
    let near = |name: &str| {
        let bare = name.strip_prefix("secrets:").unwrap_or(name);
        strsim::damerau_levenshtein(bare, word).min(strsim::damerau_levenshtein(name, word))
    };
    let (distance, name) = names.map(|name| (near(name), name)).min()?;
    (distance <= 2 && word.len() > 2).then(|| name.to_owned())
}

fn hint(first: &str, second: &str) -> Option<CommandError> {
    let verb = first.strip_prefix("secrets:").or((first == "secrets").then_some(second)).unwrap_or(first);
    if NOT_YET.contains(&verb) {
        let what = format!("`{verb}` is not part of this version of vsecure yet");
        return Some(CommandError::usage(what, "vsecure --help   lists the commands that are"));
    }
    let (word, ours) = WORDS_OF_PEERS.iter().find(|(word, _)| *word == verb)?;
    Some(CommandError::usage(format!("vsecure has no command `{word}`"), format!("vsecure {ours}   does that")))
}

/// Where the first word from `start` on is that is neither an option nor an option's value.
pub fn first_positional(command: &clap::Command, words: &[OsString], start: usize) -> Option<usize> {
    let takes_value = |word: &OsStr| {
        let Some(name) = word.to_str().and_then(|word| word.strip_prefix("--")) else { return false };
        let mut options = command.get_arguments().filter(|option| option.get_long() == Some(name));
        options.any(|option| option.get_action().takes_values())
    };
    let mut at = start;
    while let Some(word) = words.get(at) {
        if word == "--" {
            return None;
        }
        if !word.to_string_lossy().starts_with('-') {
            return Some(at);
        }
        at += if takes_value(word) { 2 } else { 1 };
    }
    None
}

/// Clap's error in words that repeat no argument.
fn usage_error(error: &clap::Error) -> CommandError {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Help that nobody reads on (a closed pipe) is no error.
        let _ = writeln!(std::io::stdout(), "{}", error.render().to_string().trim_end());
        return CommandError::Shown;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let option = text(ContextKind::InvalidArg);
    // An option's name as clap prints it, `--env <ENV>`, or a positional's, `<NAME>`: never what was typed.
    let declared =
        option.clone().filter(|name| name.starts_with("--") || name.starts_with('<') || name.starts_with('['));
    let suggested = text(ContextKind::SuggestedArg).or_else(|| text(ContextKind::SuggestedSubcommand));
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let what = match error.kind() {
        ErrorKind::UnknownArgument if option.is_some_and(|name| name.starts_with('-')) => {
            "there is no such option".to_owned()
        }
        ErrorKind::UnknownArgument => "there are too many arguments".to_owned(),
        ErrorKind::InvalidSubcommand => "there is no such command".to_owned(),
        ErrorKind::MissingRequiredArgument => format!("an argument is missing: {}", declared.unwrap_or_default()),
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_else(|| "another option".to_owned());
            format!("{} can't be used with {other}", declared.unwrap_or_else(|| "this option".to_owned()))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let place = declared.unwrap_or_else(|| "an argument".to_owned());
            match (cause, text(ContextKind::ValidValue)) {
                (Some(cause), _) => format!("{place}: {cause}"),
                (None, Some(values)) if !values.is_empty() => format!("{place} takes one of: {values}"),
                _ => format!("{place} needs a value"),
            }
        }
        ErrorKind::NoEquals => format!("{} takes its value after `=`", declared.unwrap_or_default()),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8 text".to_owned(),
        _ => "the command line can't be understood".to_owned(),
    };
    let help = suggested
        .map_or_else(|| "vsecure COMMAND --help   shows how it is used".to_owned(), |it| format!("did you mean {it}?"));
    CommandError::usage(what, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        ["vsecure"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect()
    }

    fn normal(line: &str) -> String {
        let words = normalised(&Cli::command(), words(line)).unwrap();
        words.iter().skip(1).map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_command_means_the_same_by_its_own_definition() {
        for line in [
            "get A",
            "secrets:get A --env production --json -q",
            "get A --version 2 --store dir --yes",
            "get --at HEAD A --field a.b",
            "get --identity=key A",
            "get -- A",
            "create A value --tags production,api -m Why",
            "secrets:create A -- -value",
            "update A --generate -q",
            "set A value --no-commit",
            "secrets:set A --from-file f -m Why",
            "list --tags api --json",
            "exec -- env",
            "exec --env production -- sh -c true --json -q",
        ] {
            let whole = {
                let command = Cli::command();
                let words = normalised(&command, words(line)).unwrap();
                command.try_get_matches_from(words).ok().and_then(|matches| {
                    let mut cli = Cli::from_arg_matches(&matches).ok()?;
                    cli.global.invoked = matches.subcommand_name()?.to_owned();
                    Some(cli)
                })
            };
            let (quick, whole) = (quick(&words(line)).expect(line), whole.expect(line));
            assert_eq!(format!("{quick:?}"), format!("{whole:?}"), "{line}");
        }
        for line in [
            "get",
            "get --help",
            "get A B",
            "get A --version 0",
            "versions A",
            "secrets get A",
            "--json get A",
            "get A -x",
            "get --identity=key --store-id 0 A",
            "create A -qy",
            "secrets:update A -value",
            "set A -qq",
            "secrets:exec -- env",
            "exec --help",
        ] {
            assert!(quick(&words(line)).is_none(), "{line}");
        }
    }

    #[test]
    fn groups_verbs_and_bare_verbs_mean_the_same() {
        for line in ["secrets:get A", "secrets get A", "get A"] {
            assert_eq!(normal(line), "secrets:get A");
        }
        assert_eq!(normal("--store get secrets get A"), "--store get secrets:get A");
        assert_eq!(normal("--store=x -q config list"), "--store=x -q config:list");
        assert_eq!(normal("status"), "status");
        assert_eq!(normal("-- get A"), "-- get A");
        assert_eq!(normal("keys show"), "keys:show");
        assert_eq!(normal("secrets --json get A"), "secrets:get --json A");
        assert_eq!(normal("help create"), "secrets:create --help");
    }

    #[test]
    fn a_slip_of_the_fingers_gets_a_suggestion() {
        for (line, expected) in [
            ("creat A", "secrets:create"),
            ("secrets gte A", "secrets:get"),
            ("statsu", "status"),
            ("keys", "keys:generate, keys:show"),
            ("env", "env:add"),
        ] {
            let CommandError::Usage { help, .. } = parse(words(line)).unwrap_err() else { panic!("{line}") };
            assert!(help.contains(expected), "{help}");
        }
    }

    #[test]
    fn words_of_other_tools_get_a_hint() {
        for (line, expected) in [
            ("ls", "secrets:list"),
            ("secrets rm A", "secrets:delete"),
            ("show A", "secrets:get"),
            ("run -- env", "vsecure exec"),
        ] {
            let CommandError::Usage { help, .. } = parse(words(line)).unwrap_err() else { panic!("{line}") };
            assert!(help.contains(expected), "{help}");
        }
        assert!(matches!(parse(words("sync")), Err(CommandError::Usage { .. })));
    }

    #[test]
    fn no_error_repeats_an_argument() {
        for line in [
            "create A hunter2 hunter2x",
            "create A --hunter2",
            "create A --expires-in hunter2",
            "create A --metadata hunter2",
            "create A --tags hunter2! x",
            "create A x --from-file hunter2",
            "create A --generate=hunter2",
            "get A --version hunter2",
            "list --env hunter2/x",
            "hunter2",
            "diff A --fail-on hunter2",
            "--store-id hunter2 status",
            "create A -hunter2",
            "create A -mhunter2",
            "update A -ehunter2",
            "set A -qyhunter2",
            "secrets hunter2",
        ] {
            let error = parse(words(line)).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{line}: {error:?}");
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains("Example"), "{} has no example", command.get_name());
        }
    }
}
