//! The orders, a line each: `verb names key=value…`. What cannot be carried out is told with its line.

use std::io;
use std::net::SocketAddr;

use super::{CHECK_AGAIN, Timer, World, say};
use crate::publisher::{Publisher, Shape};
use crate::stream::Stream;
use crate::stun::Checks;
use crate::system::{Socket, now};
use crate::transport::Transport;
use crate::words::Words;

impl World {
    /// Carry out the whole lines of `input`; false if one of them ends the load.
    pub(super) fn obey(&mut self, input: &mut Vec<u8>) -> bool {
        while let Some(end) = input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            let words = Words::of(&line);
            match words.at(0) {
                Ok("quit") => return false,
                Ok(verb) => {
                    if let Err(error) = self.order(verb, &words) {
                        say(&format!(
                            r#"{{"event":"refused","line":"{}","why":"{error}"}}"#,
                            line.trim()
                        ));
                    }
                }
                Err(_) => {}
            }
        }
        true
    }

    fn order(&mut self, verb: &str, words: &Words<'_>) -> Result<(), String> {
        match verb {
            "transport" => self.open(words),
            "close" => self.close(words.at(1)?),
            "stream" => {
                let transport = self.named(words.at(1)?)?;
                let stream = Stream::new(
                    words.need("ssrc")?,
                    words.get("rtx", 0)?,
                    words.get("video", 1)? == 1,
                    words.get("wide", 0)?,
                    words.get("announce", 0)? == 1,
                );
                transport.add(stream);
                Ok(())
            }
            "publish" => self.publish(words),
            "rate" => self.rate(words.at(1)?, words.need("fps")?),
            "set" => self.set(words),
            "reset" => {
                self.reset();
                Ok(())
            }
            "report" => {
                self.report();
                Ok(())
            }
            "ping" => {
                say(r#"{"event":"pong"}"#);
                Ok(())
            }
            _ => Err(format!("nobody knows {verb}")),
        }
    }

    fn named(&mut self, name: &str) -> Result<&mut Transport, String> {
        let place = self.names.get(name).copied();
        place
            .and_then(|place| self.transports[place].as_mut())
            .ok_or_else(|| format!("no transport {name}"))
    }

    fn open(&mut self, words: &Words<'_>) -> Result<(), String> {
        let name = words.at(1)?;
        let remote: SocketAddr = words.need("to")?;
        let own: SocketAddr = words.get("from", "127.0.0.1:0".parse().expect("an address"))?;
        let make = || -> io::Result<Socket> {
            let socket = Socket::open(own)?;
            if self.settings.merge {
                socket.merge()?;
            }
            if self.settings.stamp {
                socket.stamp()?;
            }
            socket.connect(remote)?;
            Ok(socket)
        };
        let socket = make().map_err(|error| error.to_string())?;
        let place = self.transports.len();
        let (fragment, password): (String, String) = (words.need("fragment")?, words.need("password")?);
        let checks = Checks::new(&fragment, &password, 0x1000_0000_0000 + place as u64);
        let fingerprint: String = words.need("fingerprint")?;
        self.poll
            .add(socket.descriptor(), place as u64)
            .map_err(|error| error.to_string())?;
        self.transports.push(Some(Transport::new(
            name,
            socket,
            checks,
            &fingerprint,
            0x7000_0000 + place as u32,
        )));
        self.names.insert(name.to_owned(), place);
        let moment = now();
        self.later(moment, Timer::Check(place));
        self.later(moment + CHECK_AGAIN, Timer::Dtls(place));
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        let place = self.names.remove(name).ok_or_else(|| format!("no transport {name}"))?;
        self.transports[place] = None;
        self.publishers.retain(|_, at| at.0 != place);
        Ok(())
    }

    fn publish(&mut self, words: &Words<'_>) -> Result<(), String> {
        let (name, publisher) = (words.at(1)?, words.at(2)?);
        let place = self
            .names
            .get(name)
            .copied()
            .ok_or_else(|| format!("no transport {name}"))?;
        let shape = Shape {
            video: words.get("video", 1)? == 1,
            ssrc: words.need("ssrc")?,
            rtx_ssrc: words.get("rtx", 0)?,
            payload_type: words.need("pt")?,
            rtx_payload_type: words.get("rtxpt", 0)?,
            clock_rate: words.get("clock", 90_000)?,
            packets: words.get("packets", 5)?,
            bytes: words.get("bytes", 1200)?,
            spread: words.get("spread", 0)? * 1000,
            send_time: words.get("abs", 0)?,
            wide: words.get("wide", 0)?,
            mid: words.get("midid", 0)?,
            mid_value: words.get("mid", "0".to_owned())?,
        };
        let transport = self.named(name)?;
        transport.publishers.push(Publisher::new(shape));
        let stream = transport.publishers.len() - 1;
        self.publishers.insert(publisher.to_owned(), (place, stream));
        Ok(())
    }

    /// Let a publisher, or all (`*`), send so many frames a second; they begin spread over a frame's time.
    fn rate(&mut self, name: &str, fps: f64) -> Result<(), String> {
        let mut which: Vec<_> = self
            .publishers
            .iter()
            .filter(|(each, _)| name == "*" || *each == name)
            .map(|(_, at)| *at)
            .collect();
        which.sort_unstable();
        if which.is_empty() {
            return Err(format!("no publisher {name}"));
        }
        let (moment, count) = (now(), which.len() as u64);
        for (index, (place, stream)) in which.into_iter().enumerate() {
            let Some(Some(transport)) = self.transports.get_mut(place) else {
                continue;
            };
            let publisher = &mut transport.publishers[stream];
            publisher.interval = if fps > 0.0 { (1e9 / fps) as u64 } else { 0 };
            publisher.next = moment + publisher.interval * index as u64 / count;
            publisher.frame = publisher.next;
            let at = publisher.next;
            if publisher.interval > 0 {
                self.later(at, Timer::Packet(place, stream));
            }
        }
        Ok(())
    }

    fn set(&mut self, words: &Words<'_>) -> Result<(), String> {
        let settings = &mut self.settings;
        settings.loss = words.get("loss", settings.loss)?;
        settings.uplink = words.get("uplink", settings.uplink)?;
        settings.sample = words.get("sample", settings.sample)?.max(1);
        settings.keepalive = words.get("keepalive", settings.keepalive)?;
        settings.pli = words.get("pli", u8::from(settings.pli))? == 1;
        settings.feedback = words.get("feedback", u8::from(settings.feedback))? == 1;
        settings.reports = words.get("reports", u8::from(settings.reports))? == 1;
        settings.merge = words.get("merge", u8::from(settings.merge))? == 1;
        settings.stamp = words.get("stamp", u8::from(settings.stamp))? == 1;
        Ok(())
    }
}
