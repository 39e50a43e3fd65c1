//! Golden vectors, read from tests/vectors; each test file uses a part of this.

#![allow(dead_code)]

use serde_json::Value;

/// Return the cases of a file.
pub fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let whole: Value = serde_json::from_str(&text).unwrap();
    whole["cases"].as_array().unwrap().clone()
}

/// Read hexadecimal digits.
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Return the packet of a case; the first 1,400 bytes of one that is longer than any datagram.
pub fn packet(case: &Value) -> Vec<u8> {
    bytes(case["hex"].as_str().or(case["head_hex_1400"].as_str()).unwrap())
}
