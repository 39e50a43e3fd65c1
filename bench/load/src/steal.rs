//! What the machine's owner took: time that the virtual cores were ready and did not run.

/// Milliseconds since the start of the machine, over all cores. 0 where the kernel does not say.
pub fn stolen() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(8)?.parse::<u64>().ok());
    ticks.unwrap_or(0) * 10
}
