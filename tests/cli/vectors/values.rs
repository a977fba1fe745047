//! Age files that a member who may write signed for, and that no vsecure writes: headers first, then payloads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::age::{self, CHUNK, Chunk, FILE_KEY, stanza};
use super::base::{Base, changed};
use super::vector::{Case, Recipe, SIDECAR, VALUE, case};
use crate::support::CANARY;

pub fn cases(base: &Base) -> Vec<Case> {
    [stanzas(base), contexts(base), grammar(base), large(base), payloads(base), cut(base)].concat()
}

/// The age file `file`, and a sidecar that vouches for it.
fn vouched(base: &Base, name: &str, kind: &str, about: &str, file: Vec<u8>) -> Case {
    let case = case(name, kind, about).with(SIDECAR, base.signed(base.sidecar(&base.a(), &file))).with(VALUE, file);
    opened(case)
}

/// Refused where the value is opened; and by `verify`, unless it takes a key to tell.
fn opened(case: Case) -> Case {
    if ["tampered", "not-a-recipient"].contains(&case.vector.kind.as_str()) { case.by_key() } else { case.by(&["get"]) }
}

fn good(base: &Base) -> Vec<u8> {
    base.age(&base.a(), CANARY.as_bytes())
}

/// An age file with these stanzas behind the context and before the readers'.
fn with_stanza(base: &Base, text: &str) -> Vec<u8> {
    let mut stanzas = base.stanzas(&base.a());
    stanzas.insert(1, text.to_owned());
    base.sealed(&stanzas, CANARY.as_bytes())
}

/// Who can open it is not who the sidecar says.
fn stanzas(base: &Base) -> Vec<Case> {
    let stanza_added =
        |name: &str, kind: &str, about: &str, text: &str| vouched(base, name, kind, about, with_stanza(base, text));
    let body_of_zeros = [0; 32];
    let share = STANDARD_NO_PAD.encode([9; 32]);
    let mallory = age::x25519_stanza(&base.mallory.point, 9, &FILE_KEY);
    let readers = base.readers();
    let only = |readers: &[String]| base.sealed(&[&base.stanzas(&base.a())[..1], readers].concat(), CANARY.as_bytes());
    let low_order = stanza(&format!("X25519 {}", STANDARD_NO_PAD.encode([0; 32])), &body_of_zeros);
    let wrong_key = age::x25519_stanza(&base.alice.point, 1, b"another file key");
    let long_key = age::x25519_stanza(&base.alice.point, 1, &[7; 32]);
    vec![
        stanza_added("stanza-for-a-stranger", "other-recipients", "One more reader than the sidecar lists.", &mallory),
        stanza_added(
            "stanza-scrypt",
            "forbidden-stanza",
            "A passphrase beside the readers.",
            &stanza("scrypt AAAAAAAAAAAAAAAAAAAAAA 18", &body_of_zeros),
        ),
        stanza_added(
            "stanza-ssh-rsa",
            "forbidden-stanza",
            "An RSA key among the readers.",
            &stanza("ssh-rsa Xk3Q6Q", &[7; 256]),
        ),
        stanza_added(
            "stanza-ssh-ed25519-of-a-stranger",
            "other-recipients",
            "An ssh key that the sidecar doesn't list.",
            &stanza(&format!("ssh-ed25519 Xk3Q6Q {share}"), &body_of_zeros),
        ),
        stanza_added(
            "stanza-piv",
            "forbidden-stanza",
            "A hardware key among the readers.",
            &stanza(&format!("piv-p256 Xk3Q6Q {share}"), &body_of_zeros),
        ),
        stanza_added(
            "stanza-of-quantum-kind",
            "forbidden-stanza",
            "A post-quantum reader.",
            &stanza(&format!("mlkem768x25519 {share}"), &body_of_zeros),
        ),
        stanza_added(
            "stanza-of-no-kind",
            "forbidden-stanza",
            "A stanza of a type that nobody knows.",
            &stanza("joint-oil", b""),
        ),
        stanza_added(
            "stanza-x25519-with-two-arguments",
            "forbidden-stanza",
            "An X25519 stanza with one argument too many.",
            &stanza(&format!("X25519 {share} x"), &body_of_zeros),
        ),
        stanza_added(
            "stanza-x25519-with-a-long-body",
            "forbidden-stanza",
            "An X25519 stanza that wraps more than a file key.",
            &stanza(&format!("X25519 {share}"), &[0; 48]),
        ),
        stanza_added(
            "stanza-grease-twice",
            "forbidden-stanza",
            "Two stanzas of grease.",
            &(stanza("a-grease", b"") + &stanza("b-grease", b"")),
        ),
        stanza_added(
            "stanza-grease-long",
            "forbidden-stanza",
            "A stanza of grease with 40,000 bytes.",
            &stanza("a-grease", &[0; 40_000]),
        ),
        vouched(
            base,
            "stanza-missing",
            "other-recipients",
            "One reader less than the sidecar lists.",
            only(&readers[..1]),
        ),
        vouched(base, "stanza-for-nobody", "other-recipients", "The context alone: encrypted to nobody.", only(&[])),
        vouched(
            base,
            "stanza-scrypt-alone",
            "forbidden-stanza",
            "What `age -p` makes.",
            base.sealed(&[stanza("scrypt AAAAAAAAAAAAAAAAAAAAAA 30", &body_of_zeros)], b""),
        ),
        vouched(
            base,
            "stanza-for-others-only",
            "not-a-recipient",
            "As many readers as listed, none of them who they should be.",
            only(&[mallory.clone(), mallory]),
        )
        .exit(4),
        vouched(
            base,
            "stanza-of-low-order",
            "tampered",
            "A share that makes every key agreement give zeros.",
            only(&[low_order, readers[1].clone()]),
        ),
        vouched(
            base,
            "stanza-with-another-file-key",
            "tampered",
            "alice's stanza wraps another file key than the header's.",
            only(&[wrong_key, readers[1].clone()]),
        ),
        vouched(
            base,
            "stanza-with-a-long-file-key",
            "forbidden-stanza",
            "alice's stanza wraps a file key of 32 bytes.",
            only(&[long_key, readers[1].clone()]),
        ),
    ]
}

fn contexts(base: &Base) -> Vec<Case> {
    let right = base.stanzas(&base.a());
    let argument = age::context_argument(&base.id, "production/A", 1);
    let with_context = |name: &str, kind: &str, about: &str, context: &str| {
        let stanzas = [vec![context.to_owned()], base.readers()].concat();
        vouched(base, name, kind, about, base.sealed(&stanzas, CANARY.as_bytes()))
    };
    let ordered = |name: &str, about: &str, stanzas: &[String]| {
        vouched(base, name, "bad-context", about, base.sealed(stanzas, CANARY.as_bytes()))
    };
    let other = age::context_stanza(&base.id, "production/B", 1);
    vec![
        vouched(
            base,
            "context-missing",
            "no-context",
            "What `age` makes for the same readers.",
            base.sealed(&base.readers(), CANARY.as_bytes()),
        ),
        ordered("context-twice", "The right context twice.", &[right[..1].to_vec(), right.clone()].concat()),
        ordered(
            "context-and-another",
            "The right context, and that of another secret.",
            &[right[0].clone(), other.clone(), right[1].clone(), right[2].clone()],
        ),
        ordered(
            "context-second",
            "The context behind a reader.",
            &[right[1].clone(), right[0].clone(), right[2].clone()],
        ),
        ordered(
            "context-last",
            "The context behind all readers.",
            &[right[1].clone(), right[2].clone(), right[0].clone()],
        ),
        with_context(
            "context-with-a-body",
            "bad-context",
            "A context with a body.",
            &stanza(&format!("vsecure/ctx-v1 {argument}"), b"x"),
        ),
        with_context(
            "context-with-two-arguments",
            "bad-context",
            "A context with a second argument.",
            &stanza(&format!("vsecure/ctx-v1 {argument} x"), b""),
        ),
        with_context(
            "context-without-argument",
            "bad-context",
            "A context of nothing.",
            &stanza("vsecure/ctx-v1", b""),
        ),
        with_context(
            "context-padded",
            "bad-context",
            "A context in padded base64.",
            &stanza(&format!("vsecure/ctx-v1 {argument}="), b""),
        ),
        with_context(
            "context-short",
            "bad-context",
            "A context of 31 bytes.",
            &stanza(&format!("vsecure/ctx-v1 {}", &argument[..42]), b""),
        ),
        with_context(
            "context-of-a-later-version",
            "forbidden-stanza",
            "A context of a version that nobody knows, behind the right one.",
            &(right[0].clone() + &stanza(&format!("vsecure/ctx-v2 {argument}"), b"")),
        ),
        with_context(
            "context-of-another-secret",
            "wrong-context",
            "The context of another secret, with the right MAC.",
            &other,
        ),
    ]
}

/// Headers that age's grammar has no place for.
fn grammar(base: &Base) -> Vec<Case> {
    let file = good(base);
    let until = file.windows(5).position(|window| window == b"\n--- ").unwrap() + 1;
    let header_end = until + 4 + 43 + 1;
    let text = String::from_utf8(file[..header_end].to_vec()).unwrap();
    let payload = &file[header_end..];
    let edited = |name: &str, kind: &str, about: &str, text: &str| {
        assert_ne!(text.as_bytes(), &file[..header_end], "{name} changes nothing");
        vouched(base, name, kind, about, [text.as_bytes(), payload].concat())
    };
    let mac = text[until + 4..header_end - 1].to_owned();
    let armoured = {
        let encoded = base64::engine::general_purpose::STANDARD.encode(&file);
        let lines: String =
            encoded.as_bytes().chunks(64).map(|line| format!("{}\n", std::str::from_utf8(line).unwrap())).collect();
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{lines}-----END AGE ENCRYPTED FILE-----\n")
    };
    let first_body = text.lines().nth(4).unwrap().to_owned();
    let loose = first_body[..42].to_owned() + "_";
    vec![
        vouched(base, "header-armoured", "armoured", "A good file in age's armour.", armoured.clone().into_bytes()),
        vouched(
            base,
            "header-armoured-behind-a-blank",
            "not-age",
            "A good file in age's armour, behind an empty line.",
            format!("\n{armoured}").into_bytes(),
        ),
        vouched(base, "header-of-nothing", "truncated", "An empty age file.", Vec::new()),
        vouched(base, "header-of-plain-text", "not-age", "The value itself, unencrypted.", CANARY.as_bytes().to_vec()),
        vouched(
            base,
            "header-of-an-lfs-pointer",
            "not-age",
            "What git-lfs leaves where the file is not fetched.",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_vec(),
        ),
        edited(
            "header-version-2",
            "not-age",
            "A version of age that nobody knows.",
            &changed(&text, "org/v1", "org/v2"),
        ),
        edited("header-with-cr-lf", "not-age", "A header with CR LF.", &text.replace('\n', "\r\n")),
        edited(
            "header-with-one-cr",
            "malformed",
            "A CR at the end of a stanza's body.",
            &changed(&text, &first_body, &format!("{first_body}\r")),
        ),
        edited(
            "header-with-two-blanks",
            "malformed",
            "Two blanks between the words of a stanza.",
            &changed(&text, "-> X25519 ", "-> X25519  "),
        ),
        edited(
            "header-with-a-tab",
            "malformed",
            "A tab between the words of a stanza.",
            &changed(&text, "-> X25519 ", "-> X25519\t"),
        ),
        edited(
            "header-with-other-letters",
            "malformed",
            "A letter that is not ASCII in a stanza.",
            &changed(&text, "-> X25519 ", "-> X25519é "),
        ),
        edited(
            "header-with-an-escape",
            "malformed",
            "An escape sequence in a stanza.",
            &changed(&text, "-> X25519 ", "-> \u{1b}[2JX25519 "),
        ),
        edited(
            "header-with-a-long-line",
            "malformed",
            "A stanza's body in a line of 65 characters.",
            &changed(&text, &first_body, &format!("{first_body}{}", "A".repeat(65 - first_body.len()))),
        ),
        edited(
            "header-with-url-base64",
            "malformed",
            "A stanza's body in the alphabet of URLs.",
            &changed(&text, &first_body, &loose),
        ),
        edited(
            "header-with-padding",
            "malformed",
            "A stanza's body in padded base64.",
            &changed(&text, &first_body, &format!("{first_body}=")),
        ),
        edited(
            "header-with-bits-left-over",
            "malformed",
            "A stanza's body whose last letter says more than fits into bytes.",
            &changed(&text, &first_body, &bits_left_over(&first_body)),
        ),
        edited(
            "header-with-a-letter-left-over",
            "malformed",
            "A stanza's body with a letter that makes no byte.",
            &changed(&text, &first_body, &first_body[..41]),
        ),
        edited(
            "header-with-bits-left-over-in-the-mac",
            "malformed",
            "A MAC whose last letter says more than fits into bytes.",
            &changed(&text, &mac, &bits_left_over(&mac)),
        ),
        edited(
            "header-without-body",
            "malformed",
            "A stanza whose body is left out.",
            &changed(&text, &format!("{first_body}\n"), ""),
        ),
        edited(
            "header-with-junk",
            "malformed",
            "A line that is no stanza.",
            &changed(&text, "\n--- ", "\nhello\n--- "),
        ),
        edited("header-with-short-mac", "malformed", "A MAC cut to 42 characters.", &changed(&text, &mac, &mac[..42])),
        edited(
            "header-with-padded-mac",
            "malformed",
            "A MAC in padded base64.",
            &changed(&text, &mac, &format!("{mac}=")),
        ),
        edited("header-without-mac", "malformed", "No MAC.", &changed(&text, &format!("--- {mac}\n"), "---\n")),
        edited("header-with-wrong-mac", "tampered", "A MAC of zeros.", &changed(&text, &mac, &"A".repeat(43))),
        edited(
            "header-with-exchanged-readers",
            "tampered",
            "Two readers' stanzas exchanged without a new MAC.",
            &exchanged(&text),
        ),
    ]
}

/// 43 letters of base64 with other bits behind their 32 bytes.
fn bits_left_over(encoded: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (start, last) = encoded.split_at(42);
    let at = ALPHABET.find(last).unwrap();
    format!("{start}{}", &ALPHABET[at + 1..at + 2])
}

/// The header with its two last stanzas in the other order.
fn exchanged(text: &str) -> String {
    let mut parts: Vec<&str> = text.split("-> ").collect();
    let (last, mac) = parts.pop().unwrap().split_once("--- ").unwrap();
    let before = parts.pop().unwrap();
    format!("{}-> {last}-> {before}--- {mac}", parts.join("-> "))
}

/// Headers that would cost time or memory.
fn large(base: &Base) -> Vec<Case> {
    let start = format!("age-encryption.org/v1\n{}", base.stanzas(&base.a())[0]);
    let end = format!("\n--- {}\n{CANARY}", "A".repeat(43));
    let made_behind = |before: &str, name: &str, kind: &str, about: &str, piece: &str, times: usize| {
        let recipe = Recipe::Texts(vec![(format!("{start}{before}"), 1), (piece.to_owned(), times), (end.clone(), 1)]);
        let file = recipe.bytes(base);
        case(name, kind, about)
            .with(SIDECAR, base.signed(base.sidecar(&base.a(), &file)))
            .made(VALUE, recipe)
            .by(&["get"])
    };
    let made = |name: &str, kind: &str, about: &str, piece: &str, times: usize| {
        made_behind("", name, kind, about, piece, times)
    };
    let reader = &base.readers()[0];
    let line = format!("{}\n", "A".repeat(64));
    vec![
        made("large-257-stanzas", "too-many-stanzas", "257 stanzas.", reader, 256),
        made("large-1000-stanzas", "too-many-stanzas", "1,000 stanzas within 64 KiB.", "-> a\n\n", 1_000),
        made("large-1000-readers", "too-many-stanzas", "1,000 X25519 stanzas.", reader, 1_000),
        made("large-100000-stanzas", "too-many-stanzas", "100,000 stanzas.", reader, 100_000),
        made("large-endless-line", "too-large", "A line of 4 MB.", "A", 4_000_000),
        made("large-endless-stanza", "too-large", "A stanza's first line of 4 MB.", "-> X25519 ", 400_000),
        made_behind(
            "-> a-grease\n",
            "large-endless-body",
            "too-large",
            "A stanza's body of 60,000 lines.",
            &line,
            60_000,
        ),
        made("large-endless-words", "too-large", "A stanza with a million words.", "-> a b c d e f g h i", 100_000),
        made(
            "large-lines-below-the-limit",
            "malformed",
            "An empty line and 60,000 more: what age's own parser takes seconds for.",
            "\n",
            60_000,
        ),
        made_behind(
            "-> a-grease\n",
            "large-grease",
            "forbidden-stanza",
            "A body of grease just below the limit of a header: 900 lines.",
            &line,
            900,
        ),
        case("large-file", "value-replaced", "An age file over 17 MiB, for a sidecar that states a small one.")
            .made(VALUE, Recipe::Texts(vec![("0123456789abcdef".to_owned(), 1_200_000)]))
            .by(&["get", "describe"]),
    ]
}

/// A right header, and a payload of something else.
fn payloads(base: &Base) -> Vec<Case> {
    let stanzas = base.stanzas(&base.a());
    let of = |name: &str, about: &str, chunks: &[Chunk<'_>]| {
        let file = [age::header(&stanzas, &FILE_KEY), age::payload_of(chunks, &FILE_KEY)].concat();
        vouched(base, name, "tampered", about, file)
    };
    let value = CANARY.as_bytes();
    let whole = good(base);
    let edited = |name: &str, about: &str, edit: fn(&mut Vec<u8>)| {
        let mut file = whole.clone();
        edit(&mut file);
        vouched(base, name, "tampered", about, file)
    };
    vec![
        edited("payload-flipped", "A bit of the payload changed, and signed for.", |file| {
            *file.last_mut().unwrap() ^= 1
        }),
        edited("payload-with-another-nonce", "A bit of the payload's nonce changed.", |file| {
            let at = file.len() - 16 - CANARY.len() - 1;
            file[at] ^= 1;
        }),
        edited("payload-continued-by-a-byte", "A byte behind the last chunk.", |file| file.push(0)),
        edited("payload-continued-by-text", "A line behind the last chunk.", |file| {
            file.extend_from_slice(b"\nand more\n")
        }),
        edited("payload-twice", "The whole age file behind itself.", |file| file.extend_from_within(..)),
        of("payload-not-final", "The only chunk doesn't say that it is the last.", &[(0, false, value)]),
        of("payload-of-wrong-number", "The first chunk says that it is the second.", &[(1, true, value)]),
        of(
            "payload-short-then-final",
            "A short chunk that is not the last, and then another.",
            &[(0, false, value), (1, true, value)],
        ),
        of(
            "payload-final-twice",
            "Two chunks that both say that they are the last.",
            &[(0, true, value), (1, true, value)],
        ),
        of("payload-without-chunks", "No chunk at all.", &[]),
    ]
}

/// A value of three chunks, cut at each place where something ends.
fn cut(base: &Base) -> Vec<Case> {
    let value = 2 * CHUNK + 1000;
    let whole = base.age(&base.a(), &Base::long_value(value));
    let header = whole.len() - 16 - value - 3 * 16;
    let chunk = CHUNK + 16;
    let mut all = Vec::new();
    for (name, kind, about, to) in [
        ("cut-in-the-intro", "truncated", "Cut within the first line.", 10),
        ("cut-behind-the-intro", "truncated", "Cut behind the first line.", 22),
        ("cut-behind-the-context", "truncated", "Cut behind the context.", 22 + base.stanzas(&base.a())[0].len()),
        ("cut-before-the-mac", "truncated", "Cut before the MAC.", header - 48),
        ("cut-in-the-mac", "truncated", "Cut before the line end of the MAC.", header - 1),
        ("cut-behind-the-header", "tampered", "Cut behind the header.", header),
        ("cut-in-the-nonce", "tampered", "Cut within the payload's nonce.", header + 8),
        ("cut-behind-the-nonce", "tampered", "Cut behind the payload's nonce.", header + 16),
        ("cut-in-the-first-chunk", "tampered", "Cut within the first chunk.", header + 16 + 1000),
        ("cut-behind-the-first-chunk", "tampered", "Cut behind the first of three chunks.", header + 16 + chunk),
        (
            "cut-in-the-second-tag",
            "tampered",
            "Cut within the authentication of the second chunk.",
            header + 16 + 2 * chunk - 8,
        ),
        ("cut-behind-the-second-chunk", "tampered", "Cut behind the second of three chunks.", header + 16 + 2 * chunk),
        ("cut-before-the-last-tag", "tampered", "Cut before the authentication of the last chunk.", whole.len() - 16),
        ("cut-by-a-byte", "tampered", "Cut by one byte.", whole.len() - 1),
    ] {
        let recipe = Recipe::Cut { value, to };
        let sidecar = base.signed(base.sidecar(&base.a(), &recipe.bytes(base)));
        all.push(opened(case(name, kind, about).with(SIDECAR, sidecar).made(VALUE, recipe)));
    }
    all
}
