//! Packs the recorded rollouts into the crate: they are text that repeats itself, a tenth of it when compressed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::ZlibEncoder;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=timelines");
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let mut names: Vec<String> = fs::read_dir("timelines")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.retain(|name| name.ends_with(".jsonl"));
    names.sort();
    let mut list = String::from("&[\n");
    for name in &names {
        let name = name.trim_end_matches(".jsonl");
        for part in ["jsonl", "logs.json"] {
            pack(Path::new("timelines"), Path::new(&out), &format!("{name}.{part}"))?;
        }
        let included =
            |part: &str| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.{part}\"))");
        let _ =
            writeln!(list, "    (\"{name}\", {}, {}),", included("jsonl"), included("logs.json"));
    }
    list.push(']');
    fs::write(Path::new(&out).join("recordings.rs"), list)
}

fn pack(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&fs::read(from.join(name))?)?;
    fs::write(to.join(name), packed.finish()?)
}
