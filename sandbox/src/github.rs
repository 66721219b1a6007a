//! GitHub's API as far as slipway asks it: comparing two commits of the world's graph, and commit
//! statuses, which are kept.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answer::{Answer, json as json_answer, set};
use crate::call::Asked;
use crate::sandbox::State;
use crate::world::{GitHub, hold};

/// Answers one call.
pub(crate) fn answered(state: &State, asked: &Asked) -> Answer {
    let url = state.url();
    let mut world = hold(&state.world);
    let reset = world.now().as_second() + 3600;
    let remaining = if world.github.exhausted { "0" } else { "4999" };
    let mut answer = decided(&mut world.github, asked, &url);
    set(&mut answer, "x-ratelimit-limit", "5000");
    set(&mut answer, "x-ratelimit-remaining", remaining);
    set(&mut answer, "x-ratelimit-reset", &reset.to_string());
    answer
}

fn decided(github: &mut GitHub, asked: &Asked, url: &str) -> Answer {
    let authorization = asked.header("authorization");
    let token = authorization.split_once(' ').map_or("", |(_, token)| token);
    if !token.is_empty() && token != github.token {
        return no(401, "Bad credentials");
    }
    if github.exhausted {
        return no(403, "API rate limit exceeded for installation.");
    }
    let parts = asked.parts();
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let ["repos", owner, name, rest @ ..] = parts.as_slice() else {
        let left = json!({ "limit": 5000, "remaining": 4999, "used": 1 });
        return json_answer(200, &json!({ "resources": { "core": left }, "rate": left }));
    };
    // A private repository does not exist for those who may not see it.
    if token.is_empty() || format!("{owner}/{name}") != github.repository {
        return no(404, "Not Found");
    }
    let repository = format!("{url}/repos/{owner}/{name}");
    match rest {
        ["compare", between] => compare(github, between, &repository),
        ["statuses", commit] if asked.method == hyper::Method::POST => {
            status(github, commit, &asked.body, &repository)
        }
        _ => no(404, "Not Found"),
    }
}

fn no(status: u16, message: &str) -> Answer {
    let page = "https://docs.github.com/rest";
    let body =
        json!({ "message": message, "documentation_url": page, "status": status.to_string() });
    json_answer(status, &body)
}

/// A commit by its whole id or an unambiguous beginning.
fn find(github: &GitHub, commit: &str) -> Option<String> {
    let mut found = github.commits.keys().filter(|known| known.starts_with(commit));
    let first = found.next().filter(|_| commit.len() >= 7)?;
    found.next().is_none().then(|| first.clone())
}

fn ancestry(github: &GitHub, commit: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut left = vec![commit.to_owned()];
    while let Some(commit) = left.pop() {
        left.extend(github.commits.get(&commit).into_iter().flatten().cloned());
        if !seen.insert(commit) {
            // A graph with a circle would be the test's mistake; it must not hang the sandbox.
            left.retain(|next| !seen.contains(next));
        }
    }
    seen
}

fn compare(github: &GitHub, between: &str, repository: &str) -> Answer {
    let ends = between.split_once("...");
    let Some((base, head)) = ends.and_then(|(b, h)| Some((find(github, b)?, find(github, h)?)))
    else {
        return no(404, "Not Found");
    };
    let (before, after) = (ancestry(github, &base), ancestry(github, &head));
    if before.is_disjoint(&after) {
        return no(404, &format!("No common ancestor between {base} and {head}."));
    }
    let ahead: Vec<_> = after.difference(&before).collect();
    let behind = before.difference(&after).count();
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    // The best common ancestor is the one that has the most ancestors itself.
    let fork = before.intersection(&after).max_by_key(|c| ancestry(github, c).len());
    let shown = |commit: &str| described(github, commit, repository);
    json_answer(
        200,
        &json!({
            "url": format!("{repository}/compare/{between}"),
            "html_url": format!("{repository}/compare/{between}"),
            "permalink_url": format!("{repository}/compare/{between}"),
            "diff_url": format!("{repository}/compare/{between}.diff"),
            "patch_url": format!("{repository}/compare/{between}.patch"),
            "base_commit": shown(&base),
            "merge_base_commit": fork.map(|c| shown(c)),
            "status": status,
            "ahead_by": ahead.len(),
            "behind_by": behind,
            "total_commits": ahead.len(),
            "commits": ahead.iter().map(|c| shown(c)).collect::<Vec<_>>(),
            "files": [],
        }),
    )
}

fn described(github: &GitHub, commit: &str, repository: &str) -> Value {
    let url = |sha: &str| format!("{repository}/commits/{sha}");
    let parents = github.commits.get(commit).into_iter().flatten();
    let parents: Vec<_> =
        parents.map(|p| json!({ "sha": p, "url": url(p), "html_url": url(p) })).collect();
    let person =
        json!({ "name": "demo", "email": "demo@example.com", "date": "2026-01-01T00:00:00Z" });
    json!({
        "sha": commit,
        "node_id": commit,
        "url": url(commit),
        "html_url": url(commit),
        "comments_url": format!("{}/comments", url(commit)),
        "commit": {
            "url": url(commit), "author": person, "committer": person, "message": "a commit",
            "tree": { "sha": commit, "url": url(commit) }, "comment_count": 0,
        },
        "author": null,
        "committer": null,
        "parents": parents,
    })
}

fn status(github: &mut GitHub, commit: &str, body: &[u8], repository: &str) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return no(400, "Problems parsing JSON");
    };
    let Some(commit) = find(github, commit) else {
        return no(422, &format!("No commit found for SHA: {commit}"));
    };
    let states = ["error", "failure", "pending", "success"];
    if !states.iter().any(|state| body["state"] == *state) {
        return no(422, "Validation Failed");
    }
    let id = github.statuses.len() + 1;
    let answer = json!({
        "url": format!("{repository}/statuses/{commit}"),
        "id": id,
        "node_id": id.to_string(),
        "state": body["state"],
        "description": body["description"],
        "target_url": body["target_url"],
        "context": body.get("context").cloned().unwrap_or_else(|| json!("default")),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "avatar_url": null,
        "creator": null,
    });
    github.statuses.push((commit, body));
    json_answer(201, &answer)
}
