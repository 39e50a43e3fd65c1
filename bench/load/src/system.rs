//! The system calls of the load and of the floor: UDP sockets with GRO and GSO, epoll, clocks, CPU time. The only file with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};

/// Nanoseconds of the monotonic clock, the same in every process of the machine.
pub fn now() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since 1970, what the kernel stamps packets with.
pub fn wall() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

fn clock(which: libc::clockid_t) -> u64 {
    // SAFETY: a timespec of zeros is valid, and the call only writes to it.
    let time = unsafe {
        let mut time: libc::timespec = zeroed();
        libc::clock_gettime(which, &mut time);
        time
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time in nanoseconds, and how often the scheduler took the core away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub nanoseconds: u64,
    pub preempted: u64,
}

/// What this process has used.
pub fn cpu() -> Cpu {
    // SAFETY: an rusage of zeros is valid, and the call only writes to it.
    let usage = unsafe {
        let mut usage: libc::rusage = zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Cpu {
        nanoseconds: 1000 * (micros(usage.ru_utime) + micros(usage.ru_stime)),
        preempted: usage.ru_nivcsw as u64,
    }
}

/// Keep this process on one core, and let its timers be exact.
pub fn pin(core: usize) {
    // SAFETY: the set is a plain bit field that lives through the call; prctl takes numbers only.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0);
    }
}

/// Sleep until a moment of the monotonic clock.
pub fn sleep_until(moment: u64) {
    let time = libc::timespec {
        tv_sec: (moment / 1_000_000_000) as _,
        tv_nsec: (moment % 1_000_000_000) as _,
    };
    // SAFETY: the timespec lives through the call; no remainder is asked for.
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, null_mut());
    }
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn native(address: SocketAddrV4) -> libc::sockaddr_in {
    // SAFETY: a sockaddr_in of zeros is valid.
    let mut out: libc::sockaddr_in = unsafe { zeroed() };
    out.sin_family = libc::AF_INET as _;
    out.sin_port = address.port().to_be();
    out.sin_addr.s_addr = u32::from(*address.ip()).to_be();
    out
}

/// A UDP socket that does not block.
pub struct Socket(std::net::UdpSocket);

impl Socket {
    /// Open one on any port of an address.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let socket = Self(socket);
        socket
            .option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 4 << 20)
            .or_else(|_| socket.option(libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20))?;
        socket.option(libc::SOL_SOCKET, libc::SO_SNDBUF, 4 << 20)?;
        Ok(socket)
    }

    /// Take what the sender sent as one message as one read.
    pub fn merge(&self) -> io::Result<()> {
        self.option(libc::SOL_UDP, libc::UDP_GRO, 1)
    }

    /// Let the kernel say when it had each datagram.
    pub fn stamp(&self) -> io::Result<()> {
        self.option(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
    }

    /// Send to this address, receive from no other.
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        self.0.connect(address)
    }

    /// Send one datagram; what the kernel does not take is lost.
    pub fn send(&self, data: &[u8]) {
        let _ = self.0.send(data);
    }

    /// The port it receives on.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    fn option(&self, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the value lives through the call and the size is its own.
        checked(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, (&raw const value).cast(), size) })?;
        Ok(())
    }
}

const READS: usize = 8;
const ROOM: usize = 65_536;
const CONTROL: usize = 128;

/// Reads datagrams, several a call.
pub struct Reader {
    buffers: Vec<Vec<u8>>,
    controls: Vec<[u64; CONTROL / 8]>,
}

/// Datagrams that came as one: pieces of `segment` bytes, the last may be shorter. `stamp`: when the kernel had them, 0 if unknown.
pub struct Read<'a> {
    pub bytes: &'a mut [u8],
    pub segment: usize,
    pub stamp: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            buffers: vec![vec![0; ROOM]; READS],
            controls: vec![[0; CONTROL / 8]; READS],
        }
    }
}

impl Reader {
    /// Read what waits, at most eight messages; return their number.
    pub fn read(&mut self, descriptor: RawFd, mut each: impl FnMut(Read<'_>)) -> usize {
        // SAFETY: iovecs and mmsghdrs of zeros are valid; they point to buffers that live through the call and are not
        // touched otherwise meanwhile. The control messages are walked with the kernel's own lengths.
        unsafe {
            let mut vectors: [libc::iovec; READS] = zeroed();
            let mut headers: [libc::mmsghdr; READS] = zeroed();
            for index in 0..READS {
                vectors[index] = libc::iovec {
                    iov_base: self.buffers[index].as_mut_ptr().cast(),
                    iov_len: ROOM,
                };
                headers[index].msg_hdr.msg_iov = &mut vectors[index];
                headers[index].msg_hdr.msg_iovlen = 1;
                headers[index].msg_hdr.msg_control = self.controls[index].as_mut_ptr().cast();
                headers[index].msg_hdr.msg_controllen = CONTROL;
            }
            let got = libc::recvmmsg(
                descriptor,
                headers.as_mut_ptr(),
                READS as u32,
                libc::MSG_DONTWAIT as _,
                null_mut(),
            );
            for (index, header) in headers.iter().enumerate().take(got.max(0) as usize) {
                let length = header.msg_len as usize;
                let (segment, stamp) = notes(&header.msg_hdr);
                let segment = if segment == 0 { length.max(1) } else { segment };
                each(Read {
                    bytes: &mut self.buffers[index][..length],
                    segment,
                    stamp,
                });
            }
            got.max(0) as usize
        }
    }
}

/// Return the segment size and the kernel's stamp, each 0 if it is not there.
unsafe fn notes(header: &libc::msghdr) -> (usize, u64) {
    let (mut segment, mut stamp) = (0, 0);
    // SAFETY: the caller passes a header that the kernel filled; CMSG_* walk within its control length.
    unsafe {
        let mut note = libc::CMSG_FIRSTHDR(header);
        while !note.is_null() {
            match ((*note).cmsg_level, (*note).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    segment = libc::CMSG_DATA(note).cast::<libc::c_int>().read_unaligned() as usize;
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = libc::CMSG_DATA(note).cast::<libc::timespec>().read_unaligned();
                    stamp = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
                }
                _ => {}
            }
            note = libc::CMSG_NXTHDR(header, note);
        }
    }
    (segment, stamp)
}

/// One message to send: bytes of a buffer in pieces of `segment` (0: one piece), to `to` or where the socket is connected to.
#[derive(Clone, Copy)]
pub struct Message {
    pub at: usize,
    pub length: usize,
    pub segment: usize,
    pub to: Option<SocketAddrV4>,
}

const SENDS: usize = 64;

/// Sends messages, up to 64 a call.
pub struct Sender {
    controls: Vec<[u64; 4]>,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            controls: vec![[0; 4]; SENDS],
        }
    }
}

impl Sender {
    /// Send messages out of one buffer; what the kernel does not take is lost.
    pub fn send(&mut self, descriptor: RawFd, bytes: &[u8], messages: &[Message]) {
        for some in messages.chunks(SENDS) {
            self.send_some(descriptor, bytes, some);
        }
    }

    fn send_some(&mut self, descriptor: RawFd, bytes: &[u8], messages: &[Message]) {
        // SAFETY: zeroed headers, vectors and addresses are valid; each points to memory that lives through the calls; lengths
        // are those of checked slices; a control buffer has room for one note of two bytes.
        unsafe {
            let mut vectors: [libc::iovec; SENDS] = zeroed();
            let mut headers: [libc::mmsghdr; SENDS] = zeroed();
            let mut names: [libc::sockaddr_in; SENDS] = zeroed();
            for (index, message) in messages.iter().enumerate() {
                let piece = &bytes[message.at..message.at + message.length];
                vectors[index] = libc::iovec {
                    iov_base: piece.as_ptr().cast_mut().cast(),
                    iov_len: piece.len(),
                };
                let header = &mut headers[index].msg_hdr;
                header.msg_iov = &mut vectors[index];
                header.msg_iovlen = 1;
                if let Some(to) = message.to {
                    names[index] = native(to);
                    header.msg_name = (&raw mut names[index]).cast();
                    header.msg_namelen = size_of::<libc::sockaddr_in>() as _;
                }
                if message.segment != 0 && message.segment < message.length {
                    header.msg_control = self.controls[index].as_mut_ptr().cast();
                    header.msg_controllen = libc::CMSG_SPACE(2) as _;
                    let note = libc::CMSG_FIRSTHDR(header);
                    (*note).cmsg_level = libc::SOL_UDP;
                    (*note).cmsg_type = libc::UDP_SEGMENT;
                    (*note).cmsg_len = libc::CMSG_LEN(2) as _;
                    libc::CMSG_DATA(note)
                        .cast::<u16>()
                        .write_unaligned(message.segment as u16);
                }
            }
            let mut done = 0;
            while done < messages.len() {
                let left = (messages.len() - done) as u32;
                let sent = libc::sendmmsg(descriptor, headers[done..].as_mut_ptr(), left, 0);
                done += if sent > 0 { sent as usize } else { 1 };
            }
        }
    }
}

/// Waits for descriptors to become readable.
pub struct Poll(OwnedFd);

impl Poll {
    /// Make one that waits for nothing yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes a flag; its result is a new descriptor of ours alone.
        let descriptor = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Wait for this descriptor too.
    pub fn add(&self, descriptor: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        // SAFETY: the event lives through the call.
        checked(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &mut event) })?;
        Ok(())
    }

    /// Wait at most that many nanoseconds; append the tokens that are readable.
    pub fn wait(&self, nanoseconds: u64, tokens: &mut Vec<u64>) {
        const EVENTS: usize = 256;
        let timeout = libc::timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as _,
            tv_nsec: (nanoseconds % 1_000_000_000) as _,
        };
        // SAFETY: the events are written by the kernel up to the number given; the timespec lives through the call.
        unsafe {
            let mut events: [libc::epoll_event; EVENTS] = zeroed();
            let got = libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                EVENTS as libc::c_int,
                &timeout,
                null::<libc::sigset_t>(),
                0usize,
            );
            tokens.extend(events.iter().take(got.max(0) as usize).map(|event| event.u64));
        }
    }
}

/// Read what waits on standard input; None at its end.
pub fn read_input(into: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0u8; 65_536];
    // SAFETY: the kernel writes at most the buffer's length.
    let got = unsafe { libc::read(0, buffer.as_mut_ptr().cast(), buffer.len()) };
    into.extend_from_slice(buffer.get(..usize::try_from(got).ok()?)?);
    if got == 0 { None } else { Some(()) }
}
