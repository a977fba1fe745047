//! New values from the operating system's randomness.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::SecretBytes;

const DEFAULT_LENGTH: usize = 32;
const DEFAULT_WORDS: usize = 6;
const DEFAULT_BYTES: usize = 32;
const MAX_LENGTH: usize = 4096;
/// Fewer possibilities than 2^32 are guessed in seconds.
const MIN_BITS: f64 = 32.0;
const UUID_BITS: f64 = 122.0;

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ALPHA: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
/// What URLs and shells leave alone (RFC 3986's unreserved characters).
const URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

/// Why a text is no generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GeneratorError {
    /// Not of a known form.
    #[error(
        "a generator is 40, length=40, alphabet=alnum|alpha|digits|url|ascii|<characters>, words=6, hex=32, base64=32 or uuid"
    )]
    Malformed,
    /// Over 4096 characters, words or bytes, or none.
    #[error("a generated value has 1 to 4096 characters, words or bytes")]
    Length,
    /// An alphabet of one character, or with a doubled or non-ASCII one.
    #[error("an alphabet has at least two different printable ASCII characters, each once")]
    Alphabet,
    /// Guessed in seconds.
    #[error("a value of so few possibilities is guessed in seconds: make it longer")]
    Weak,
}

/// Why a value could not be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct GenerateError;

/// How a value is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generator {
    /// Characters of an alphabet.
    Password {
        /// How many.
        length: usize,
        /// Of which.
        alphabet: String,
    },
    /// Words of the EFF's short list, with hyphens between them.
    Words(usize),
    /// Bytes in lowercase hexadecimal.
    Hex(usize),
    /// Bytes in base64.
    Base64(usize),
    /// A random UUID (version 4).
    Uuid,
}

impl Generator {
    /// A new value.
    ///
    /// # Errors
    /// [`GenerateError`] when the operating system gives no random bytes.
    pub fn generate(&self) -> Result<SecretBytes, GenerateError> {
        let text = match self {
            Self::Password { length, alphabet } => {
                let alphabet = alphabet.as_bytes();
                let one = |_| random_below(alphabet.len()).map(|at| alphabet.get(at).copied().unwrap_or_default());
                (0..*length).map(one).collect::<Result<Vec<u8>, _>>()?
            }
            Self::Words(count) => {
                let list = word_list();
                let one = |_| random_below(list.len()).map(|at| list.get(at).copied().unwrap_or_default());
                (0..*count).map(one).collect::<Result<Vec<_>, _>>()?.join("-").into_bytes()
            }
            Self::Hex(count) => hex(random_bytes(*count)?.as_bytes()).into_bytes(),
            Self::Base64(count) => STANDARD.encode(random_bytes(*count)?.as_bytes()).into_bytes(),
            Self::Uuid => uuid(random_bytes(16)?.as_bytes()).into_bytes(),
        };
        Ok(SecretBytes::new(text))
    }

    /// How many bits of chance are in a value.
    #[expect(clippy::cast_precision_loss, reason = "lengths and alphabets are small")]
    fn bits(&self) -> f64 {
        match self {
            Self::Password { length, alphabet } => *length as f64 * (alphabet.len() as f64).log2(),
            Self::Words(count) => *count as f64 * (word_list().len() as f64).log2(),
            Self::Hex(bytes) | Self::Base64(bytes) => *bytes as f64 * 8.0,
            Self::Uuid => UUID_BITS,
        }
    }

    fn checked(self) -> Result<Self, GeneratorError> {
        let (Self::Words(length) | Self::Hex(length) | Self::Base64(length) | Self::Password { length, .. }) = &self
        else {
            return Ok(self);
        };
        if !(1..=MAX_LENGTH).contains(length) {
            return Err(GeneratorError::Length);
        }
        if self.bits() < MIN_BITS { Err(GeneratorError::Weak) } else { Ok(self) }
    }
}

fn word_list() -> &'static [&'static str] {
    &diceware_wordlists::EFF_SHORT_WORDLIST_1
}

fn random_bytes(count: usize) -> Result<SecretBytes, GenerateError> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|_| GenerateError)?;
    Ok(SecretBytes::new(bytes))
}

/// A number below `bound`, each equally likely: what would favour the small ones is drawn again.
fn random_below(bound: usize) -> Result<usize, GenerateError> {
    below(bound, &mut || {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|_| GenerateError)?;
        Ok(u64::from_le_bytes(bytes))
    })
}

fn below(bound: usize, draw: &mut dyn FnMut() -> Result<u64, GenerateError>) -> Result<usize, GenerateError> {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = draw()?;
        if drawn < fair {
            return Ok(usize::try_from(drawn % bound).unwrap_or_default());
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 9562, section 5.4: version 4 in the 13th digit, variant 10 in the 17th.
fn uuid(random: &[u8]) -> String {
    let mut bytes = random.to_vec();
    if let Some(byte) = bytes.get_mut(6) {
        *byte = *byte & 0x0f | 0x40;
    }
    if let Some(byte) = bytes.get_mut(8) {
        *byte = *byte & 0x3f | 0x80;
    }
    let text = hex(&bytes);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { length, alphabet } if alphabet == URL => write!(f, "length={length}"),
            Self::Password { length, alphabet } => write!(f, "length={length},alphabet={alphabet}"),
            Self::Words(count) => write!(f, "words={count}"),
            Self::Hex(count) => write!(f, "hex={count}"),
            Self::Base64(count) => write!(f, "base64={count}"),
            Self::Uuid => f.write_str("uuid"),
        }
    }
}

impl FromStr for Generator {
    type Err = GeneratorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse::<usize>().map_err(|_| GeneratorError::Malformed);
        let single = match text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value))) {
            ("uuid", None) => Some(Self::Uuid),
            ("words", count) => Some(Self::Words(count.map_or(Ok(DEFAULT_WORDS), number)?)),
            ("hex", count) => Some(Self::Hex(count.map_or(Ok(DEFAULT_BYTES), number)?)),
            ("base64", count) => Some(Self::Base64(count.map_or(Ok(DEFAULT_BYTES), number)?)),
            _ => None,
        };
        single.map_or_else(|| parse_password(text), Ok)?.checked()
    }
}

/// `password`, `40`, `length=40`, `alphabet=…`, with commas between. The alphabet comes last, for it may hold commas.
fn parse_password(text: &str) -> Result<Generator, GeneratorError> {
    let mut length = DEFAULT_LENGTH;
    let mut alphabet = URL.to_owned();
    let mut rest = text;
    loop {
        if let Some(chosen) = rest.strip_prefix("alphabet=") {
            alphabet = parse_alphabet(chosen)?;
            break;
        }
        let (part, tail) = rest.split_once(',').map_or((rest, None), |(part, tail)| (part, Some(tail)));
        if part != "password" {
            let digits = part.strip_prefix("length=").unwrap_or(part);
            length = digits.parse().map_err(|_| GeneratorError::Malformed)?;
        }
        match tail {
            Some(tail) => rest = tail,
            None => break,
        }
    }
    Ok(Generator::Password { length, alphabet })
}

fn parse_alphabet(text: &str) -> Result<String, GeneratorError> {
    let alphabet = match text {
        "alnum" => ALNUM.to_owned(),
        "alpha" => ALPHA.to_owned(),
        "digits" => DIGITS.to_owned(),
        "url" => URL.to_owned(),
        "ascii" => ('!'..='~').collect(),
        other => other.to_owned(),
    };
    let mut characters = alphabet.clone().into_bytes();
    characters.sort_unstable();
    characters.dedup();
    let fits =
        characters.len() >= 2 && characters.len() == alphabet.len() && characters.iter().all(u8::is_ascii_graphic);
    if fits { Ok(alphabet) } else { Err(GeneratorError::Alphabet) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(spec: &str) -> String {
        let value = spec.parse::<Generator>().unwrap().generate().unwrap();
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn each_form_gives_what_it_says() {
        assert_eq!(generated("password").len(), 32);
        assert_eq!(generated("40").len(), 40);
        assert_eq!(generated("length=20,alphabet=digits").chars().filter(char::is_ascii_digit).count(), 20);
        assert!(generated("length=64,alphabet=ab,").chars().all(|c| "ab,".contains(c)));
        assert_eq!(generated("words=5").split('-').filter(|word| word_list().contains(word)).count(), 5);
        assert_eq!(generated("hex=16").len(), 32);
        assert_eq!(generated("base64=32").len(), 44);
        let uuid = generated("uuid");
        assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        assert_ne!(generated("uuid"), generated("uuid"));
    }

    #[test]
    fn weak_and_malformed_generators_are_refused() {
        for (spec, error) in [
            ("4", GeneratorError::Weak),
            ("length=9,alphabet=digits", GeneratorError::Weak),
            ("hex=3", GeneratorError::Weak),
            ("words=2", GeneratorError::Weak),
            ("0", GeneratorError::Length),
            ("5000", GeneratorError::Length),
            ("hex=x", GeneratorError::Malformed),
            ("uuid=4", GeneratorError::Malformed),
            ("hunter2", GeneratorError::Malformed),
            ("", GeneratorError::Malformed),
            ("alphabet=a", GeneratorError::Alphabet),
            ("alphabet=aa", GeneratorError::Alphabet),
            ("alphabet=a b", GeneratorError::Alphabet),
        ] {
            assert_eq!(spec.parse::<Generator>(), Err(error), "{spec}");
        }
    }

    #[test]
    fn a_generator_says_how_it_is_written() {
        for spec in ["length=32", "length=40,alphabet=abcdefgh", "words=6", "hex=32", "base64=24", "uuid"] {
            assert_eq!(spec.parse::<Generator>().unwrap().to_string(), spec);
        }
    }

    #[test]
    fn a_draw_that_would_favour_small_numbers_is_drawn_again() {
        let mut draws = [u64::MAX, u64::MAX - 1, 192 * 7 + 5].into_iter();
        // 2^64 - 1 = 192 * n + 63: the last 63 draws are the ones to refuse.
        assert_eq!(below(192, &mut || draws.next().ok_or(GenerateError)), Ok(5));
        assert_eq!(draws.next(), None);
    }

    #[test]
    fn every_character_is_about_as_frequent() {
        let mut counts = [0u32; 64];
        for _ in 0..64 * 200 {
            counts[random_below(64).unwrap()] += 1;
        }
        let chi: f64 = counts.iter().map(|count| (f64::from(*count) - 200.0).powi(2) / 200.0).sum();
        // 63 degrees of freedom: mean 63, deviation 11.2.
        assert!(chi < 150.0, "{chi}");
    }
}
