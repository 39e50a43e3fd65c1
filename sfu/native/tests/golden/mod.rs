//! Packets of other projects: tables in tests/vectors, files in tests/corpora and in the corpora beside the Python tests. Each
//! test file uses a part of this.

#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Return the cases of a file.
pub fn cases(file: &str) -> Vec<Value> {
    let path = here().join("tests/vectors").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let whole: Value = serde_json::from_str(&text).unwrap();
    whole["cases"].as_array().unwrap().clone()
}

/// Read hexadecimal digits, with spaces anywhere between two bytes.
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Return the bytes that a field of a case holds.
pub fn field(case: &Value, name: &str) -> Vec<u8> {
    bytes(case[name].as_str().unwrap())
}

/// Return the packet of a case; the first 1,400 bytes of one that is longer than any datagram.
pub fn packet(case: &Value) -> Vec<u8> {
    bytes(case["hex"].as_str().or(case["head_hex_1400"].as_str()).unwrap())
}

/// Return the packets of a folder of tests/corpora by their names, in order.
pub fn folder(name: &str) -> Vec<(String, Vec<u8>)> {
    files(&here().join("tests/corpora").join(name))
}

/// Return the packets of a folder beside the Python tests by their names, in order.
pub fn shared_folder(name: &str) -> Vec<(String, Vec<u8>)> {
    files(&here().join("../../tests/corpora").join(name))
}

/// Return everything that looks like STUN.
pub fn stun() -> Vec<Vec<u8>> {
    let tables = ["stun_packets.json", "fuzz_corpus_stun.json", "coturn_stun.json", "pion_stun.json"];
    let tabled = tables.into_iter().flat_map(cases).map(|case| field(&case, "hex"));
    let checks = cases("stun_answers.json").into_iter().map(|case| field(&case, "check"));
    let folders = ["aioice", "rfc5769", "found"];
    tabled.chain(checks).chain(folders.into_iter().flat_map(shared_folder).map(|(_, data)| data)).collect()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.ends_with("LICENSE"));
    paths.sort();
    paths.iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().into(), fs::read(path).unwrap())).collect()
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
