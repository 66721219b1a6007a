//! Secrets that are known by their look, in any text: keys of AWS, private keys, tokens.
//!
//! What is found is told by its kind and line, never by its value. Examples that documentation
//! uses are none, nor are public keys and certificates.

/// What was found, and where, from 1.
pub(super) type Found = (usize, &'static str);

/// What a token looks like: its beginning, then this many characters of these.
struct Mark {
    begins: &'static str,
    least: usize,
    also: &'static [u8],
    what: &'static str,
}

const fn mark(begins: &'static str, least: usize, also: &'static [u8], what: &'static str) -> Mark {
    Mark { begins, least, also, what }
}

const GITHUB: &str = "a GitHub token";
const SLACK: &str = "a Slack token";
const GOOGLE: &str = "a Google key";

/// Only what cannot be mistaken for anything else.
const MARKS: &[Mark] = &[
    mark("ghp_", 36, b"", GITHUB),
    mark("gho_", 36, b"", GITHUB),
    mark("ghu_", 36, b"", GITHUB),
    mark("ghs_", 36, b"", GITHUB),
    mark("ghr_", 36, b"", GITHUB),
    mark("github_pat_", 60, b"_", GITHUB),
    mark("glpat-", 20, b"_-", "a GitLab token"),
    mark("xoxb-", 30, b"-", SLACK),
    mark("xoxp-", 30, b"-", SLACK),
    mark("xoxa-", 30, b"-", SLACK),
    mark("xoxs-", 30, b"-", SLACK),
    mark("xapp-", 40, b"-", SLACK),
    mark("AIza", 35, b"_-", GOOGLE),
    mark("GOCSPX-", 28, b"_-", GOOGLE),
    mark("ya29.", 60, b"_-.", GOOGLE),
    mark("npm_", 36, b"", "an npm token"),
    mark("dckr_pat_", 27, b"_-", "a Docker token"),
    mark("sk_live_", 24, b"", "a Stripe key"),
    mark("rk_live_", 24, b"", "a Stripe key"),
    mark("sk-ant-", 60, b"_-", "an Anthropic key"),
];

const PEM: &[u8] = b"-----BEGIN ";
const PUTTY: &[u8] = b"PuTTY-User-Key-File-";

const KEY_IDS: [&[u8]; 2] = [b"AKIA", b"ASIA"];
const SECRETS: [&[u8]; 3] = [b"secret", b"Secret", b"SECRET"];

/// Pairs of bytes that something to be found begins with: one look at a table a byte.
pub(super) struct Scanner {
    begins: Vec<bool>,
}

impl Scanner {
    pub(super) fn new() -> Self {
        let mut begins = vec![false; 1 << 16];
        let marks = MARKS.iter().map(|mark| mark.begins.as_bytes());
        for text in marks.chain([PEM, PUTTY]).chain(KEY_IDS).chain(SECRETS) {
            begins[pair(text[0], text[1])] = true;
        }
        Self { begins }
    }

    /// Each kind of secret in a text, where it is first.
    pub(super) fn scan(&self, text: &[u8]) -> Vec<Found> {
        let mut found: Vec<(usize, &'static str)> = Vec::new();
        let mut add = |at: usize, what: &'static str| {
            if !found.iter().any(|(_, known)| *known == what) {
                found.push((at, what));
            }
        };
        for (at, two) in text.windows(2).enumerate() {
            if self.begins[pair(two[0], two[1])]
                && let Some(what) = begins_here(text, at)
            {
                add(at, what);
            }
        }
        found.sort_unstable();
        let line = |at: usize| text[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        found.into_iter().map(|(at, what)| (line(at), what)).collect()
    }
}

const AWS: &str = "an AWS access key with its secret";

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

fn begins_here(text: &[u8], at: usize) -> Option<&'static str> {
    let here = &text[at..];
    if SECRETS.iter().any(|word| here.starts_with(word)) {
        return names_secret(here).then_some(AWS);
    }
    if here.starts_with(PEM) {
        return is_private_key(here).then_some("a private key");
    }
    if here.starts_with(PUTTY) {
        let begins = at.checked_sub(1).is_none_or(|before| text[before] == b'\n');
        let private = here.windows(15).any(|part| part == b"\nPrivate-Lines:");
        return (begins && private).then_some("a private key");
    }
    if at.checked_sub(1).is_some_and(|before| is_word(text[before])) {
        return None;
    }
    if KEY_IDS.iter().any(|begins| here.starts_with(begins)) {
        return (is_key_id(here) && has_secret_near(text, at)).then_some(AWS);
    }
    let mark = MARKS.iter().find(|mark| here.starts_with(mark.begins.as_bytes()))?;
    let rest = &here[mark.begins.len()..];
    let length =
        rest.iter().take_while(|b| b.is_ascii_alphanumeric() || mark.also.contains(b)).count();
    (length >= mark.least && is_random(&rest[..mark.least])).then_some(mark.what)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Nobody draws a token with so few different characters; somebody who writes one up does.
fn is_random(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let different = seen.iter().filter(|seen| **seen).count();
    let example = text.windows(7).any(|part| part.eq_ignore_ascii_case(b"example"));
    // `abcdefgh`, `01234567`: somebody's fingers, not chance.
    let steps = text.windows(2).filter(|two| two[1] == two[0].wrapping_add(1)).count();
    different * 5 >= text.len().min(40) * 2 && steps * 3 < text.len() && !example
}

/// `PRIVATE KEY-----`, and after it a body: code and documents name the first line alone.
fn is_private_key(here: &[u8]) -> bool {
    let head = &here[..here.len().min(64)];
    let Some(name) = head.windows(11).position(|part| part == b"PRIVATE KEY") else { return false };
    let rest = &here[name + 11..];
    let rest = rest.strip_prefix(b" BLOCK").unwrap_or(rest);
    let Some(rest) = rest.strip_prefix(b"-----") else { return false };
    let rest = &rest[..rest.len().min(2000)];
    let mut run = 0;
    let mut at = 0;
    // Breaks of lines, as they are or as JSON writes them, are in between; so may be headers.
    while at < rest.len() {
        match rest[at] {
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=') => run += 1,
            b'\\' if matches!(rest.get(at + 1), Some(b'n' | b'r')) => at += 1,
            _ if rest[at..].starts_with(b"-----") || rest[at..].starts_with(b"...") => {
                return false;
            }
            _ => run = 0,
        }
        at += 1;
        if run >= 48 {
            return is_random(&rest[at - 48..at]);
        }
    }
    false
}

/// An id of 20 characters, and no more, that is no example.
fn is_key_id(here: &[u8]) -> bool {
    let length = here.iter().take_while(|b| is_word(**b)).count();
    let id = &here[..length.min(20)];
    let capitals = id.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    length == 20 && capitals && is_random(&id[4..])
}

/// A secret half within a few lines of an id, before it or after.
fn has_secret_near(text: &[u8], at: usize) -> bool {
    const LINES: usize = 6;
    let breaks = |part: &[u8]| part.iter().filter(|byte| **byte == b'\n').count();
    let mut begin = at.saturating_sub(1000);
    while breaks(&text[begin..at]) > LINES {
        begin += text[begin..at].iter().position(|b| *b == b'\n').map_or(1, |next| next + 1);
    }
    let mut end = text.len().min(at + 1000);
    while breaks(&text[at..end]) > LINES {
        end -= 1;
    }
    secret_halves(&text[begin..end]).next().is_some()
}

/// Where a text has 40 characters that AWS could have drawn.
fn secret_halves(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let run = text[at..].iter().take_while(|byte| is_secret_letter(**byte)).count();
            let (from, length) = (at, run);
            at += run + 1;
            if length == 40 && is_secret(&text[from..from + 40]) {
                return Some(from);
            }
        }
        None
    })
}

fn is_secret_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+')
}

/// Mixed as only chance mixes: no digest (hexadecimal), no path, no sentence in one word.
fn is_secret(half: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| half.iter().filter(|byte| is(byte)).count();
    let (upper, lower) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let digits = count(u8::is_ascii_digit);
    upper >= 4 && lower >= 4 && digits >= 2 && upper + lower + digits >= 32 && is_random(half)
}

/// Whether it is the name of a secret half, with one behind it: `secret_access_key = …`.
fn names_secret(here: &[u8]) -> bool {
    let line = here.iter().take(120).position(|byte| *byte == b'\n');
    let line = &here[..line.unwrap_or(here.len().min(120))];
    let mut letters = line.iter().enumerate().filter(|(_, byte)| byte.is_ascii_alphabetic());
    let named = b"secretaccesskey".iter().all(|wanted| {
        letters.next().is_some_and(|(_, letter)| letter.eq_ignore_ascii_case(wanted))
    });
    let behind = letters.next().map_or(line.len(), |(at, _)| at);
    // The half itself may begin with a digit or a sign, which is no letter.
    let begin = line[..behind].iter().rposition(|byte| !is_secret_letter(*byte));
    named && secret_halves(&line[begin.map_or(behind, |at| at + 1)..]).next().is_some()
}
