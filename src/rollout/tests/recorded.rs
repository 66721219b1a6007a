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
        println!("== {name}\n{}", Recording::of(name).told(PATIENCE));
    }
    let p = Patience { timeout: Duration::from_secs(600), bake: Duration::from_secs(2) };
    println!("== {}", Recording::of("good").told(p));
    println!("== {}", Recording::of("crash-after-ready").told(p));
    let p = Patience { timeout: Duration::from_secs(600), bake: Duration::from_millis(200) };
    println!("== {}", Recording::of_patch("crash-then-rollback", 2).told(p));
}
