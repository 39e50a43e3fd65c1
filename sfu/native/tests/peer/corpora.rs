//! Packets of other projects, as `tests/vectors` and the corpora beside the Python tests keep them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A table's cases.
pub fn table(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(here().join(format!("tests/vectors/{name}.json"))).unwrap();
    let table: Value = serde_json::from_str(&text).unwrap();
    table["cases"].as_array().unwrap().clone()
}

/// The bytes that a field of a case holds.
pub fn bytes(case: &Value, field: &str) -> Vec<u8> {
    let hex = case[field].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A folder's packets with their names, in order.
pub fn folder(name: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(here().join("../../tests/corpora").join(name)).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    paths.iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().into(), fs::read(path).unwrap())).collect()
}

/// Everything that looks like STUN.
pub fn stun() -> Vec<Vec<u8>> {
    let tables = ["stun_packets", "fuzz_corpus_stun", "coturn_stun", "pion_stun"];
    let tabled = tables.iter().flat_map(|name| table(name)).map(|case| bytes(&case, "hex"));
    let checks = table("stun_answers").into_iter().map(|case| bytes(&case, "check"));
    let folders = ["aioice", "rfc5769", "found"];
    tabled.chain(checks).chain(folders.iter().flat_map(|name| folder(name)).map(|(_, data)| data)).collect()
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
