//! The system calls that the standard library lacks, behind safe functions. The only file with `unsafe` in it.

#![allow(unsafe_code)]

use std::io::{self, Error};
use std::mem::{size_of, size_of_val, zeroed};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{null, null_mut};

use libc::{c_int, c_void};

use crate::Micros;
use crate::batch::{Batch, Message};

/// Datagrams that one call receives or messages that it sends, and the longest datagram received.
pub const BATCH: usize = 64;
pub const LONGEST: usize = 2048;

/// Microseconds of the system's monotonic clock.
pub fn now() -> Micros {
    clock(libc::CLOCK_MONOTONIC)
}

/// Microseconds of the wall clock, by which the kernel stamps datagrams.
pub fn wall() -> Micros {
    clock(libc::CLOCK_REALTIME)
}

/// CPU time that the calling thread took, in user and kernel mode together.
pub fn thread_time() -> Micros {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(which: libc::clockid_t) -> Micros {
    let mut time = timespec(0);
    // SAFETY: the kernel writes one timespec, and `time` is one.
    unsafe { libc::clock_gettime(which, &mut time) };
    micros(time)
}

fn micros(time: libc::timespec) -> Micros {
    time.tv_sec as Micros * 1_000_000 + time.tv_nsec as Micros / 1000
}

/// Keep the calling thread on one processor.
pub fn pin(processor: usize) -> io::Result<()> {
    if processor >= libc::CPU_SETSIZE as usize {
        return Err(Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: a cpu_set_t is plain bits; the index is inside it, and the kernel reads exactly its size.
    checked(unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    })?;
    Ok(())
}

/// Set an option of a socket whose value is an int.
pub fn set_option(socket: BorrowedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as libc::socklen_t;
    let value = (&raw const value).cast();
    // SAFETY: the kernel reads one int, which lives until the call is over.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, length) })?;
    Ok(())
}

/// Ask for socket buffers of so many bytes: past the system's limit where this process may, up to it elsewhere.
pub fn set_buffers(socket: BorrowedFd, receive: c_int, send: c_int) {
    for (force, name, bytes) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, receive), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, send)]
    {
        if set_option(socket, libc::SOL_SOCKET, force, bytes).is_err() {
            let _ = set_option(socket, libc::SOL_SOCKET, name, bytes);
        }
    }
}

/// Bind a UDP socket that never blocks; one of IPv6 takes no IPv4.
pub fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    Ok(bound(address, libc::SOCK_DGRAM, false)?.into())
}

/// Bind another UDP socket to the address of one that shares its port.
pub fn udp_beside(address: SocketAddr) -> io::Result<UdpSocket> {
    Ok(bound(address, libc::SOCK_DGRAM, true)?.into())
}

/// Let others of this user bind a socket's port too, if they ask to share it.
pub fn share_port(socket: BorrowedFd) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// Have the kernel note when each datagram came: see `Inbox::stamp`.
pub fn stamp(socket: BorrowedFd) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Of two sockets that share a port, have the kernel put SR, RR, XR, transport-wide feedback and REMB into the second, all else
/// into the first. Told by the bytes that SRTCP leaves readable (RFC 3711 §3.4); what is too short goes to the first.
pub fn sort_reports(second: BorrowedFd) -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const EQUALS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD, 0, 0, 1),
        step(EQUALS, 7, 0, 200), // SR
        step(EQUALS, 6, 0, 201), // RR
        step(EQUALS, 5, 0, 207), // XR
        step(EQUALS, 1, 0, 205), // feedback about packets
        step(EQUALS, 0, 4, 206), // feedback about a payload
        step(LOAD, 0, 0, 0),
        step(AND, 0, 0, 0xDF),
        step(EQUALS, 0, 1, 0x80 | 15), // transport-wide feedback; REMB
        step(RETURN, 0, 0, 1),
        step(RETURN, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    let (value, length) = ((&raw const program).cast(), size_of_val(&program) as libc::socklen_t);
    // SAFETY: the kernel reads one sock_fprog and the steps that it points to; both live until the call is over.
    checked(unsafe {
        libc::setsockopt(second.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, value, length)
    })?;
    Ok(())
}

/// Listen for TCP connections without ever blocking; a listener of IPv6 takes no IPv4.
pub fn tcp(address: SocketAddr, backlog: c_int) -> io::Result<TcpListener> {
    let socket = bound(address, libc::SOCK_STREAM, false)?;
    // SAFETY: no memory is passed.
    checked(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, kind: c_int, shared: bool) -> io::Result<OwnedFd> {
    let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no memory is passed; the descriptor is new, so nobody else owns it.
    let socket = unsafe {
        OwnedFd::from_raw_fd(checked(libc::socket(domain, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0))?)
    };
    let borrowed = std::os::fd::AsFd::as_fd(&socket);
    if kind == libc::SOCK_STREAM {
        set_option(borrowed, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    }
    if shared {
        share_port(borrowed)?;
    }
    if domain == libc::AF_INET6 {
        set_option(borrowed, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    let (name, length) = Name::of(address);
    // SAFETY: the kernel reads `length` bytes, at most what a Name has.
    checked(unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), length) })?;
    Ok(socket)
}

/// Put an eventfd in a descriptor's place: what it referred to is closed unless somebody else has it too, and its number stays its owner's.
pub fn replace(descriptor: BorrowedFd, by: &Wake) -> io::Result<()> {
    // SAFETY: no memory is passed; the number is open as long as it is borrowed, so it is nobody else's that is replaced.
    checked(unsafe { libc::dup3(by.as_raw_fd(), descriptor.as_raw_fd(), libc::O_CLOEXEC) })?;
    Ok(())
}

/// Wait until a socket takes data again; false if it did not in time.
pub fn writable(socket: BorrowedFd, limit: Micros) -> bool {
    let mut asked = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let limit = timespec(limit);
    // SAFETY: one pollfd and one timespec are passed, both live on; no signal mask.
    unsafe { libc::ppoll(&mut asked, 1, &limit, null()) == 1 }
}

fn timespec(time: Micros) -> libc::timespec {
    libc::timespec { tv_sec: (time / 1_000_000) as libc::time_t, tv_nsec: (time % 1_000_000 * 1000) as _ }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// A socket address as the kernel has it.
#[repr(C)]
#[derive(Clone, Copy)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    fn of(address: SocketAddr) -> (Name, libc::socklen_t) {
        // SAFETY: a Name is plain numbers, for which zero is a value.
        let mut name: Name = unsafe { zeroed() };
        let length = match address {
            SocketAddr::V4(address) => {
                name.v4.sin_family = libc::AF_INET as libc::sa_family_t;
                name.v4.sin_port = address.port().to_be();
                name.v4.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                name.v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                name.v6.sin6_port = address.port().to_be();
                name.v6.sin6_addr.s6_addr = address.ip().octets();
                name.v6.sin6_scope_id = address.scope_id();
                size_of::<libc::sockaddr_in6>()
            }
        };
        (name, length as libc::socklen_t)
    }

    fn address(&self) -> Option<SocketAddr> {
        // SAFETY: all bytes of a Name are set, any are a value of either kind, and both begin with the family.
        let (v4, v6) = unsafe { (self.v4, self.v6) };
        match c_int::from(v4.sin_family) {
            libc::AF_INET => {
                let ip = v4.sin_addr.s_addr.to_ne_bytes();
                Some(SocketAddrV4::new(ip.into(), u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// Room for a batch of datagrams that came in; used again for each. Its vectors never grow: the headers point into them.
pub struct Inbox {
    bytes: Vec<u8>,
    names: Vec<Name>,
    _vectors: Vec<libc::iovec>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
    /// How many headers the kernel wrote to since their lengths were set.
    used: usize,
}

/// Room for a control message that holds a time.
type Control = [u64; 4];
const _: () = assert!(stamped_length() <= size_of::<Control>());

const fn stamped_length() -> usize {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_LEN(size_of::<libc::timespec>() as u32) as usize }
}

impl Default for Inbox {
    fn default() -> Self {
        let mut bytes = vec![0; BATCH * LONGEST];
        // SAFETY: names, iovecs and headers are plain numbers and pointers, for which zero is a value.
        let (mut names, mut vectors, mut headers) =
            unsafe { (vec![zeroed::<Name>(); BATCH], vec![zeroed::<libc::iovec>(); BATCH], vec![zeroed(); BATCH]) };
        let mut controls = vec![Control::default(); BATCH];
        let (bytes_at, names_at, vectors_at): (*mut u8, *mut Name, *mut libc::iovec) =
            (bytes.as_mut_ptr(), names.as_mut_ptr(), vectors.as_mut_ptr());
        let controls_at = controls.as_mut_ptr();
        for (index, header) in headers.iter_mut().enumerate() {
            let header: &mut libc::mmsghdr = header;
            // SAFETY: each vector has BATCH parts, of the bytes LONGEST each, and `index` is less than BATCH.
            unsafe {
                let vector = vectors_at.add(index);
                vector.write(libc::iovec { iov_base: bytes_at.add(index * LONGEST).cast(), iov_len: LONGEST });
                header.msg_hdr.msg_name = names_at.add(index).cast();
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_control = controls_at.add(index).cast();
            }
            header.msg_hdr.msg_iovlen = 1;
        }
        Inbox { bytes, names, _vectors: vectors, controls, headers, used: BATCH }
    }
}

impl Inbox {
    /// Receive what is there, at most BATCH datagrams; `WouldBlock` if there is nothing.
    pub fn receive(&mut self, socket: BorrowedFd) -> io::Result<usize> {
        for header in self.headers.iter_mut().take(std::mem::take(&mut self.used)) {
            header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        let (headers, count) = (self.headers.as_mut_ptr(), BATCH as libc::c_uint);
        // SAFETY: there are BATCH headers, each pointing to a name, an iovec, a Control and LONGEST bytes of this Inbox.
        let got = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _, null_mut()) };
        self.used = got.max(1) as usize; // it may have begun one before it failed
        Ok(checked(got)? as usize)
    }

    /// One of the datagrams that the last call received, and whom it is from. None if it was too long.
    pub fn datagram(&mut self, index: usize) -> Option<(&mut [u8], SocketAddr)> {
        let header = self.headers.get(index)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let (name, start) = (self.names.as_ptr(), index * LONGEST);
        // SAFETY: `index` is below BATCH; the name is read through the vector's own pointer as the kernel wrote it.
        let address = unsafe { name.add(index).read() }.address()?;
        // SAFETY: the bytes are inside the vector, written through its own pointer, and borrowed as long as the Inbox is.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(self.bytes.as_mut_ptr().add(start), (header.msg_len as usize).min(LONGEST))
        };
        Some((bytes, address))
    }
}

impl Inbox {
    /// When one of them came, by the wall clock. None if its socket does not stamp (`stamp`).
    pub fn stamp(&self, index: usize) -> Option<Micros> {
        let header = self.headers.get(index)?;
        if header.msg_hdr.msg_controllen < stamped_length() as _ {
            return None;
        }
        let control = self.controls.as_ptr();
        // SAFETY: `index` is below BATCH, and the kernel wrote a control message with at least a timespec's bytes there.
        let (kind, time) = unsafe {
            let control = control.add(index).cast::<libc::cmsghdr>();
            ((*control).cmsg_type, libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned())
        };
        (kind == libc::SCM_TIMESTAMPNS).then(|| micros(time))
    }
}

/// Room for what the kernel wants to know of a batch of messages.
pub struct Outbox {
    names: Vec<Name>,
    vectors: Vec<libc::iovec>,
    controls: Vec<[u64; 3]>,
    headers: Vec<libc::mmsghdr>,
}

/// Bytes of a control message that says the size of pieces.
// SAFETY: arithmetic only.
const CONTROL: usize = unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) } as usize;
const _: () = assert!(CONTROL <= size_of::<[u64; 3]>());

impl Default for Outbox {
    fn default() -> Self {
        // SAFETY: names, iovecs and headers are plain numbers and pointers, for which zero is a value.
        let (names, vectors, headers) =
            unsafe { (vec![zeroed(); BATCH], vec![zeroed(); BATCH], vec![zeroed(); BATCH]) };
        Outbox { names, vectors, controls: vec![[0; 3]; BATCH], headers }
    }
}

impl Outbox {
    /// Send messages whose bytes are in `batch`, at most BATCH of them, without waiting. Returns how many the kernel took; an
    /// error is about the first.
    pub fn send(&mut self, socket: BorrowedFd, batch: &Batch, messages: &[Message]) -> io::Result<usize> {
        let (names, vectors, controls) =
            (self.names.as_mut_ptr(), self.vectors.as_mut_ptr(), self.controls.as_mut_ptr());
        let mut count = 0;
        for (index, (message, header)) in messages.iter().zip(&mut self.headers).enumerate() {
            let data = batch.bytes(message);
            let (name, length) = Name::of(message.to.remote);
            let header = &mut header.msg_hdr;
            // SAFETY: each vector has BATCH parts, as many as there are headers, so `index` is inside; the pointers put into
            // the header stay good until the call below, which only reads through them. A control message has its room.
            unsafe {
                names.add(index).write(name);
                header.msg_name = names.add(index).cast();
                vectors.add(index).write(libc::iovec { iov_base: data.as_ptr() as *mut c_void, iov_len: data.len() });
                header.msg_iov = vectors.add(index);
                (header.msg_control, header.msg_controllen) = (null_mut(), 0);
                if message.segment < message.len {
                    (header.msg_control, header.msg_controllen) = (controls.add(index).cast(), CONTROL as _);
                    let control = controls.add(index).cast::<libc::cmsghdr>();
                    (*control).cmsg_level = libc::SOL_UDP;
                    (*control).cmsg_type = libc::UDP_SEGMENT;
                    (*control).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
                    libc::CMSG_DATA(control).cast::<u16>().write_unaligned(message.segment as u16);
                }
            }
            (header.msg_namelen, header.msg_iovlen) = (length, 1);
            count += 1;
        }
        let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _;
        // SAFETY: `count` headers were filled above, with pointers to this Outbox and to `batch`.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count, flags) };
        Ok(checked(sent)? as usize)
    }
}

/// A descriptor that becomes readable when somebody signals it.
pub struct Wake(OwnedFd);

impl Wake {
    /// Make one.
    pub fn new() -> io::Result<Wake> {
        // SAFETY: no memory is passed; the descriptor is new, so nobody else owns it.
        Ok(Wake(unsafe { OwnedFd::from_raw_fd(checked(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?) }))
    }

    /// Make it readable.
    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: the kernel reads the eight bytes of `one`.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Make it unreadable until the next signal.
    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: the kernel writes the eight bytes of `count`.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> c_int {
        self.0.as_raw_fd()
    }
}

/// What became ready: the token that a descriptor was added with.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
}

/// Waits for many descriptors at once (epoll, level-triggered). A closed descriptor leaves by itself.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    /// Whether the kernel lacks the call that takes less than a millisecond.
    coarse: bool,
}

impl Poll {
    /// Wait for nothing yet.
    pub fn new() -> io::Result<Poll> {
        // SAFETY: no memory is passed; the descriptor is new, so nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Poll { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; BATCH], coarse: false })
    }

    /// Wait until `descriptor` can be read from too.
    pub fn add(&self, descriptor: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, descriptor, token, libc::EPOLLIN)
    }

    /// Wait until it can be read from (if `readable`) or written to (if `writable`).
    pub fn set(&self, descriptor: &impl AsRawFd, token: u64, readable: bool, writable: bool) -> io::Result<()> {
        let interest = if readable { libc::EPOLLIN } else { 0 } | if writable { libc::EPOLLOUT } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, descriptor, token, interest)
    }

    fn control(&self, what: c_int, descriptor: &impl AsRawFd, token: u64, interest: c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: token };
        // SAFETY: the kernel reads one epoll_event.
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), what, descriptor.as_raw_fd(), &mut event) })?;
        Ok(())
    }

    /// Wait until something is ready or the time is over; `Micros::MAX` waits for ever. Fills `ready` anew.
    pub fn wait(&mut self, limit: Micros, ready: &mut Vec<Ready>) {
        ready.clear();
        let (epoll, events, room) = (self.epoll.as_raw_fd(), self.events.as_mut_ptr(), BATCH as c_int);
        let mut got = -1;
        if !self.coarse {
            let time = timespec(limit);
            let time = if limit == Micros::MAX { null() } else { &raw const time };
            let no_mask = null::<libc::sigset_t>();
            // SAFETY: there is room for BATCH events, and the time lives until the call is over; no signal mask.
            got = unsafe { libc::syscall(libc::SYS_epoll_pwait2, epoll, events, room, time, no_mask, 0) as c_int };
            self.coarse = got < 0 && matches!(Error::last_os_error().raw_os_error(), Some(libc::ENOSYS | libc::EPERM));
        }
        if self.coarse {
            let time = if limit == Micros::MAX { -1 } else { limit.div_ceil(1000).min(60_000) as c_int };
            // SAFETY: there is room for BATCH events.
            got = unsafe { libc::epoll_wait(epoll, events, room, time) };
        }
        let broken = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        ready.extend(self.events.iter().take(got.max(0) as usize).map(|event| Ready {
            token: event.u64,
            readable: event.events & (libc::EPOLLIN as u32 | broken) != 0,
            writable: event.events & (libc::EPOLLOUT as u32 | broken) != 0,
        }));
    }
}
