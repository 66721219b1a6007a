//! Values that a name gives away: `DB_PASSWORD=…`, `ARG NPM_TOKEN=…`.

/// Whether a name is that of a secret: by its last words, so that `TOKEN_URL` is none.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let mut words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let last = words.pop().unwrap_or_default();
    let before = words.pop().unwrap_or_default();
    match last {
        "PASSWORD" | "PASSWD" | "PASSPHRASE" | "SECRET" | "TOKEN" | "APIKEY" | "CREDENTIALS" => {
            true
        }
        "KEY" => matches!(
            before,
            "API"
                | "SECRET"
                | "ACCESS"
                | "PRIVATE"
                | "ENCRYPTION"
                | "SIGNING"
                | "MASTER"
                | "ACCOUNT"
        ),
        "PASS" | "PWD" => !before.is_empty(),
        "BASE" => before == "KEY",
        _ => false,
    }
}

/// Words in what stands in for a value.
const STAND_INS: &[&str] = &[
    "example",
    "dummy",
    "change",
    "placeholder",
    "your",
    "xxx",
    "sample",
    "replace",
    "insert",
    "redacted",
    "todo",
    "none",
    "null",
    "test",
    "fake",
    "unused",
    "default",
    "***",
    "...",
];

/// Whether a value is meant: not empty, no variable, no path or address, nothing that stands in.
pub(super) fn is_real(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    let lower = value.to_lowercase();
    let literal = !value.contains(['$', '<', '>', '{', '}', ' ', '%'])
        && !value.starts_with(['/', '.', '~', '@'])
        && !value.contains("://");
    let letters = value.chars().any(char::is_alphabetic);
    let others = value.chars().any(|c| !c.is_alphabetic())
        || (value.chars().any(char::is_lowercase) && value.chars().skip(1).any(char::is_uppercase));
    literal
        && value.len() >= 8
        && letters
        && others
        && !STAND_INS.iter().any(|word| lower.contains(word))
}

/// The pairs of `A=b C="d e"`, and of the older `A b`; a name alone has no value.
pub(super) fn pairs(words: &[String]) -> Vec<(&str, &str)> {
    match words {
        [name, rest @ ..] if !name.contains('=') => match rest {
            [value, ..] => vec![(name, value)],
            [] => Vec::new(),
        },
        words => words.iter().filter_map(|word| word.split_once('=')).collect(),
    }
}
