//! The bare loop that a plane is compared with: rewrite a header, seal with AES-128-GCM out of place, one message per receiver and
//! burst, sendmmsg. Nothing is received, decided or remembered. Readers are another process on another core, and not counted.
//!
//! `floor receivers=100 bytes=1200 burst=5 fps=0 seconds=2 cpu=0 readers=1 [merge=1] [stamp=1] [sender=PATH]` prints one JSON object;
//! `bytes` is a datagram's size, `fps` 0 is flat out, `sender` another program that does the same with the ports as arguments.

use std::io::{BufRead, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Command, Stdio};

use plane_load::latency::Latency;
use plane_load::publisher::sent_at;
use plane_load::srtp::{Keys, TAG};
use plane_load::steal::stolen;
use plane_load::system::{Cpu, Message, Poll, Reader, Sender, Socket, cpu, now, pin, sleep_until, wall};
use plane_load::words::Words;

const HEADER: usize = 20;
const MAX_MESSAGES: usize = 64;
const MAX_BYTES: usize = 192 * 1024;
const STAMP: usize = 16;
const SAMPLE: u64 = 64;

fn main() -> Result<(), String> {
    let line = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let words = Words::of(&line);
    if words.at(0) == Ok("read") {
        read(&words)
    } else {
        measure(&words)
    }
}

fn keys(receiver: usize) -> Keys {
    Keys::new(&[receiver as u8; 16], &[(receiver >> 8) as u8; 12])
}

fn measure(words: &Words<'_>) -> Result<(), String> {
    let receivers: usize = words.get("receivers", 100)?;
    let (merge, stamp): (u8, u8) = (words.get("merge", 0)?, words.get("stamp", 0)?);
    let core: usize = words.get("readers", 1)?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(own)
        .args([
            "read",
            &format!("receivers={receivers}"),
            &format!("cpu={core}"),
            &format!("merge={merge}"),
            &format!("stamp={stamp}"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut answers = BufReader::new(child.stdout.take().ok_or("the readers have no output")?);
    let mut ports = String::new();
    answers.read_line(&mut ports).map_err(|error| error.to_string())?;
    let before = stolen();
    let sent = match words.find::<String>("sender")? {
        Some(program) => other(&program, words, &ports)?,
        None => send(words, &ports)?,
    };
    std::thread::sleep(std::time::Duration::from_millis(100));
    drop(child.stdin.take());
    let mut counted = String::new();
    answers
        .read_to_string(&mut counted)
        .map_err(|error| error.to_string())?;
    child.wait().map_err(|error| error.to_string())?;
    println!(r#"{{{sent},"stolen_ms":{},{}}}"#, stolen() - before, counted.trim());
    Ok(())
}

fn other(program: &str, words: &Words<'_>, ports: &str) -> Result<String, String> {
    let given = |key: &str, default: &str| words.get(key, default.to_owned());
    let output = Command::new(program)
        .args([
            given("bytes", "1200")?,
            given("burst", "5")?,
            given("seconds", "2")?,
            given("cpu", "0")?,
        ])
        .args(ports.split_whitespace())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn send(words: &Words<'_>, ports: &str) -> Result<String, String> {
    let bytes: usize = words.get("bytes", 1200)?;
    let burst: usize = words.get("burst", 5)?;
    let fps: f64 = words.get("fps", 0.0)?;
    let seconds: f64 = words.get("seconds", 2.0)?;
    pin(words.get("cpu", 0)?);
    let receivers: Vec<_> = ports
        .split_whitespace()
        .enumerate()
        .filter_map(|(index, port)| Some((keys(index), SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.parse().ok()?))))
        .collect();
    let socket = Socket::open("127.0.0.1:0".parse().expect("an address")).map_err(|error| error.to_string())?;
    let mut source = vec![vec![0x5A; bytes.saturating_sub(HEADER + TAG).max(STAMP + 12)]; burst];
    let (mut out, mut messages, mut sender) = (Vec::new(), Vec::new(), Sender::default());
    let interval = if fps > 0.0 { (1e9 / fps) as u64 } else { 0 };
    let warm = now() + 200_000_000;
    let end = warm + (seconds * 1e9) as u64;
    let (mut next, mut frames, mut number, mut all) = (now(), 0u64, 0u64, 0u64);
    let mut began: Option<(Cpu, u64)> = None;
    loop {
        if interval > 0 {
            sleep_until(next);
            next += interval;
        }
        let moment = now();
        if moment >= end {
            break;
        }
        if began.is_none() && moment >= warm {
            began = Some((cpu(), moment));
            frames = 0;
        }
        stamp(&mut source, moment);
        for (keys, to) in &receivers {
            let at = out.len();
            for (place, payload) in source.iter().enumerate() {
                seal(&mut out, payload, number + place as u64, frames as u32, keys);
            }
            let segment = (out.len() - at) / burst;
            messages.push(Message {
                at,
                length: out.len() - at,
                segment,
                to: Some(*to),
            });
            if messages.len() == MAX_MESSAGES || out.len() >= MAX_BYTES {
                sender.send(socket.descriptor(), &out, &messages);
                messages.clear();
                out.clear();
            }
        }
        sender.send(socket.descriptor(), &out, &messages);
        messages.clear();
        out.clear();
        number += burst as u64;
        frames += 1;
        all += (burst * receivers.len()) as u64;
    }
    let (before, at) = began.ok_or("it ended before it was warm")?;
    let after = cpu();
    let packets = frames * (burst * receivers.len()) as u64;
    Ok(format!(
        r#""packets":{packets},"all":{all},"ns":{:.1},"share":{:.4},"preempted":{}"#,
        (after.nanoseconds - before.nanoseconds) as f64 / packets.max(1) as f64,
        (after.nanoseconds - before.nanoseconds) as f64 / (now() - at) as f64,
        after.preempted - before.preempted,
    ))
}

/// Write when it is sent where the readers look for it.
fn stamp(source: &mut [Vec<u8>], moment: u64) {
    for payload in source {
        payload[STAMP..STAMP + 8].copy_from_slice(&moment.to_be_bytes());
        payload[STAMP + 8..STAMP + 12].copy_from_slice(b"benc");
    }
}

fn seal(out: &mut Vec<u8>, payload: &[u8], number: u64, timestamp: u32, keys: &Keys) {
    let at = out.len();
    out.extend_from_slice(&[0x90, 101]);
    out.extend_from_slice(&(number as u16).to_be_bytes());
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 1, 0xBE, 0xDE, 0, 1, 0x10, b'0', 0, 0]);
    out.resize(at + HEADER + payload.len() + TAG, 0);
    keys.seal_rtp_from(payload, &mut out[at..], HEADER, 1, number);
}

/// Read everything until standard input ends; open one of 64 as the load does.
fn read(words: &Words<'_>) -> Result<(), String> {
    let receivers: usize = words.get("receivers", 100)?;
    pin(words.get("cpu", 1)?);
    let poll = Poll::new().map_err(|error| error.to_string())?;
    poll.add(0, u64::MAX).map_err(|error| error.to_string())?;
    let stamped = words.get("stamp", 0)? == 1;
    let mut sockets = Vec::new();
    for index in 0..receivers {
        let socket = Socket::open("127.0.0.1:0".parse().expect("an address")).map_err(|error| error.to_string())?;
        if words.get("merge", 0)? == 1 {
            socket.merge().map_err(|error| error.to_string())?;
        }
        if stamped {
            socket.stamp().map_err(|error| error.to_string())?;
        }
        poll.add(socket.descriptor(), index as u64)
            .map_err(|error| error.to_string())?;
        sockets.push((socket, keys(index), 0u64));
    }
    let ports: Vec<_> = sockets
        .iter()
        .filter_map(|each| each.0.port().ok())
        .map(|port| port.to_string())
        .collect();
    println!("{}", ports.join(" "));
    let (mut reader, mut latency, mut tokens) = (Reader::default(), Latency::default(), Vec::new());
    let (mut packets, mut forged) = (0u64, 0u64);
    loop {
        tokens.clear();
        poll.wait(1_000_000_000, &mut tokens);
        for &token in &tokens {
            let Some((socket, keys, extended)) = sockets.get_mut(token as usize) else {
                println!(r#""received":{packets},"forged":{forged},"latency":{}"#, latency.take());
                return Ok(());
            };
            let moment = now();
            let behind = wall() - moment;
            reader.read(socket.descriptor(), |read| {
                let came = if read.stamp == 0 { moment } else { read.stamp - behind };
                for piece in read.bytes.chunks_mut(read.segment) {
                    packets += 1;
                    let number = piece.get(2..4).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
                    *extended = extended.saturating_add_signed(i64::from(number.wrapping_sub(*extended as u16) as i16));
                    if packets.is_multiple_of(SAMPLE) {
                        match keys
                            .open_rtp(piece, HEADER, 1, *extended)
                            .and_then(|payload| sent_at(payload))
                        {
                            Some(sent) => latency.add(sent, came),
                            None => forged += 1,
                        }
                    }
                }
            });
        }
    }
}
