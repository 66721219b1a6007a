use super::*;
use std::collections::BTreeMap;

#[tokio::test]
#[ignore = "needs an engine"]
async fn tries() {
    let place = Place::Unix(std::env::var("ENGINE").unwrap().into());
    println!("{:?}", platforms(&place).await);
    let order = Order {
        context: std::env::var("CONTEXT").unwrap().into(),
        file: std::env::var("FILE").unwrap().into(),
        platforms: std::env::var("PLATFORMS")
            .ok()
            .map(|p| p.split(',').map(|p| p.parse().unwrap()).collect())
            .unwrap_or_default(),
        target: std::env::var("TARGET").ok(),
        args: BTreeMap::new(),
        labels: BTreeMap::new(),
        secrets: std::env::var("SECRET")
            .ok()
            .map(|s| ("tok".to_string(), s.into()))
            .into_iter()
            .collect(),
        logins: vec![],
        cache_from: vec![],
        cache_to: std::env::var("CACHETO")
            .ok()
            .map(|kind| Cache {
                kind,
                attributes: [("ref".to_string(), "127.0.0.1:5000/cache".to_string())].into(),
            })
            .into_iter()
            .collect(),
        no_cache: std::env::var("NOCACHE").is_ok(),
        pull: std::env::var("PULL").is_ok(),
        epoch: None,
        name: Some("tried:1".into()),
    };
    let since = std::time::Instant::now();
    let built = build(
        &place,
        std::env::var("SLIPWAY_TESTBED_STORE").as_deref() == Ok("containerd"),
        &order,
        &|heard| println!("{heard:?}"),
    )
    .await;
    println!("{built:#?} {:?}", since.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
