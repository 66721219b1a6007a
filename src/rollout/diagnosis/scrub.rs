//! Takes credentials out of others' words before they are quoted: logins in URLs, tokens,
//! signatures, the user name and token in a registry's rate-limit text. Better a word too many than
//! a key printed.

/// The text without what looks like a credential.
#[must_use]
pub fn scrub(text: &str) -> String {
    let text = without_logins(text);
    let text = without_rate_limit_names(&text);
    let mut words = Vec::new();
    let mut after_scheme = false;
    for word in text.split(' ') {
        let hidden = if after_scheme && word.len() > 7 { "***".into() } else { without_keys(word) };
        after_scheme = ["Bearer", "Basic", "bearer", "basic"].contains(&word.trim_matches('"'));
        words.push(hidden);
    }
    words.join(" ")
}

/// `scheme://user:password@host` keeps its host only.
fn without_logins(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        kept.push_str(before);
        kept.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "/\"'?#".contains(c));
        let (host, tail) = after.split_at(end.unwrap_or(after.len()));
        match host.rsplit_once('@') {
            Some((_, host)) => kept.push_str(&format!("***@{host}")),
            None => kept.push_str(host),
        }
        rest = tail;
    }
    kept + rest
}

/// Docker Hub: "You have reached your pull rate limit as 'NAME': TOKEN. ..."
fn without_rate_limit_names(text: &str) -> String {
    let Some((before, after)) = text.split_once("rate limit as '") else { return text.into() };
    let Some((_, after)) = after.split_once('\'') else { return format!("{before}rate limit") };
    let rest = after
        .strip_prefix(": ")
        .map_or(after, |token| token.find(char::is_whitespace).map_or("", |end| &token[end..]));
    format!("{before}rate limit as ***{rest}")
}

/// Names whose value is hidden in `name=value` and `"name":"value"`.
const NAMES: [&str; 9] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "x-amz-signature",
    "x-amz-credential",
];

/// Beginnings that only tokens have: JSON web tokens, EKS, GitHub, Docker Hub, AWS key ids.
const TOKENS: [&str; 9] =
    ["eyJ", "k8s-aws-v1.", "ghp_", "ghs_", "github_pat_", "dckr_", "AKIA", "ASIA", "xoxb-"];

fn without_keys(word: &str) -> String {
    let parts: Vec<_> = word.split_inclusive(['&', '?', ',', ';', '{', '}']).collect();
    parts.into_iter().map(without_key).collect()
}

fn without_key(part: &str) -> String {
    let bare = part.trim_start_matches(['"', '\'', '(', '[', '=']);
    if TOKENS.iter().any(|token| bare.starts_with(token) && bare.len() > token.len() + 8) {
        return "***".into();
    }
    let Some((name, value)) = part.split_once('=').or_else(|| part.split_once("\":")) else {
        return part.into();
    };
    let lower = name.to_ascii_lowercase();
    let secret = NAMES.iter().any(|known| lower.contains(known));
    let token = TOKENS.iter().any(|token| value.trim_start_matches('"').starts_with(token));
    if value.is_empty() || !(secret || token) {
        return part.into();
    }
    let sign = if part.contains('=') { "=" } else { "\":" };
    let end = value.chars().last().filter(|c| "&?,;{}".contains(*c));
    format!("{name}{sign}***{}", end.map(String::from).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn credentials_do_not_survive() {
        let table = [
            ("GET https://user:hunter2@db.local/x failed", "GET https://***@db.local/x failed"),
            ("postgres://app:p@ss@db:5432/shop", "postgres://***@db:5432/shop"),
            ("Authorization: Bearer abcdefghijkl done", "Authorization: Bearer *** done"),
            ("DB_PASSWORD=hunter2 not accepted", "DB_PASSWORD=*** not accepted"),
            (r#"{"password":"hunter2","user":"a"}"#, r#"{"password":***,"user":"a"}"#),
            (
                "https://s3/x?X-Amz-Signature=0af1&part=1: 403",
                "https://s3/x?X-Amz-Signature=***&part=1: 403",
            ),
            ("key AKIAIOSFODNN7EXAMPLE is gone", "key *** is gone"),
            (
                "toomanyrequests: You have reached your pull rate limit as 'jo': dckr_jti_abc. Wait",
                "toomanyrequests: You have reached your pull rate limit as *** Wait",
            ),
        ];
        for (text, clean) in table {
            assert_eq!(scrub(text), clean);
        }
    }

    #[test]
    fn ordinary_words_stay() {
        for text in [
            "DB_PASSWORD is not set",
            "dial tcp 10.244.0.77:8080: connect: connection refused",
            "no match for platform in manifest sha256:d35bffbeab9a: not found",
            "user@example.com is unknown, see https://example.com/a@b",
        ] {
            assert_eq!(scrub(text), text);
        }
    }
}
