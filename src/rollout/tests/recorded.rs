//! Every recording: its verdict, when it comes, and what is said.

use super::*;

#[test]
fn look() {
    for name in [
        "good",
        "crash",
        "wrong-architecture",
        "no-platform-in-index",
        "tag-not-found",
        "never-ready",
        "out-of-memory",
        "missing-secret",
        "unschedulable",
        "init-fails",
        "crash-after-ready",
        "quota",
        "crash-then-rollback",
        "taken-over",
    ] {
        let played = Recording::of(name).judged();
        println!("== {name} {} {:?}", played.at.as_millis(), played.verdict);
        for n in played.notes {
            println!("   {n}");
        }
    }
}
