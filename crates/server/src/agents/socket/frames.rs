//! Frames as they pass, before they are put together: how long a message has been coming, and of how many pieces. The
//! library that puts them together bounds their bytes only, and pieces may be empty.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// The most frames of one message.
pub(crate) const FRAMES_MAX: u32 = 1024;
/// Two bytes, eight of a long length, four of a mask.
const HEAD_LEN_MAX: usize = 14;

/// Reads heads of frames, however they are cut, and steps over what follows them.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    payload_left: u64,
    /// Frames of a message that is not complete yet.
    count: u32,
    /// Since when a frame or a message is not complete.
    since: Option<Instant>,
}

impl Frames {
    /// Takes in what was read; whether a message has too many frames.
    fn read(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        while !bytes.is_empty() {
            bytes =
                if self.payload_left > 0 { self.step_over(bytes) } else { self.step_into(bytes) };
            if self.count > FRAMES_MAX {
                return true;
            }
            let is_between = self.payload_left == 0 && self.head.is_empty() && self.count == 0;
            self.since = if is_between { None } else { self.since.or(Some(now)) };
        }
        false
    }

    fn step_over<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let here = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
        self.payload_left =
            self.payload_left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
        bytes.get(here..).unwrap_or_default()
    }

    fn step_into<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some((byte, rest)) = bytes.split_first() else { return bytes };
        self.head.push(*byte);
        if let Some(length) = length(&self.head) {
            self.begin(length);
        }
        rest
    }

    /// A head is complete: another frame of a message, its last one, or a control frame in between.
    fn begin(&mut self, length: u64) {
        let first = self.head.first().copied().unwrap_or_default();
        let (is_last, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        if !is_control {
            self.count = if is_last { 0 } else { self.count.saturating_add(1) };
        }
        self.payload_left = length;
        self.head.clear();
    }
}

/// The length of the payload, once the head is complete.
fn length(head: &[u8]) -> Option<u64> {
    let second = head.get(1).copied()?;
    let mask = if second & 0x80 == 0 { 0 } else { 4_usize };
    let width = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0_usize,
    };
    let whole = width.saturating_add(mask).saturating_add(2).min(HEAD_LEN_MAX);
    if head.len() < whole {
        return None;
    }
    let wide = head.iter().skip(2).take(width);
    let number = wide.fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    Some(if width == 0 { u64::from(second & 0x7f) } else { number })
}

/// A stream that breaks off a message of too many frames.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    pub(crate) stream: S,
    frames: Frames,
    is_over: bool,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default(), is_over: false }
    }

    /// Whether a message had too many frames.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a message has been coming for longer than that.
    pub(crate) fn is_late(&self, deadline: Duration) -> bool {
        self.frames.since.is_some_and(|since| since.elapsed() > deadline)
    }

    /// While nobody reads, nothing can come.
    pub(crate) fn excuse(&mut self) {
        self.frames.since = self.frames.since.map(|_| Instant::now());
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() && self.frames.read(read, Instant::now()) {
            self.is_over = true;
            return Poll::Ready(Err(io::Error::other("a message of too many frames")));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked frame as a client sends it.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            ..126 => bytes.push(0x80 | u8::try_from(payload).unwrap()),
            126..65_536 => {
                bytes.push(0xfe);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0xff);
                bytes.extend(u64::try_from(payload).unwrap().to_be_bytes());
            }
        }
        // what looks like a head inside of a payload is none
        bytes.extend([0; 4]);
        bytes.extend(std::iter::repeat_n(0x01, payload));
        bytes
    }

    /// Whether it was too much, and whether something is still to come.
    fn check(bytes: &[u8]) -> (bool, bool) {
        let mut outcomes = [bytes.len().max(1), 1, 3].map(|size| {
            let mut frames = Frames::default();
            let over = bytes.chunks(size).any(|chunk| frames.read(chunk, Instant::now()));
            (over, frames.since.is_some())
        });
        outcomes.sort_unstable();
        assert_eq!(outcomes[0], outcomes[2], "however it is cut");
        outcomes[0]
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_counted_for_each_message_however_they_are_cut() {
        let (text, more, last, ping) = (0x01, 0x00, 0x80, 0x89);
        let most = usize::try_from(FRAMES_MAX).unwrap();
        let pieces = |count: usize| [frame(text, 1), frame(more, 0).repeat(count)].concat();
        for (bytes, expected) in [
            (Vec::new(), (false, false)),
            (frame(0x81, 0), (false, false)),
            (frame(0x81, 130).repeat(3), (false, false)),
            (frame(0x82, 70_000), (false, false)),
            (frame(0x81, 5)[..7].to_vec(), (false, true)),
            (frame(0x81, 130)[..3].to_vec(), (false, true)),
            (frame(text, 1), (false, true)),
            ([frame(text, 1), frame(ping, 2), frame(last, 1)].concat(), (false, false)),
            (frame(ping, 0).repeat(most * 2), (false, false)),
            (frame(0x81, 1).repeat(most * 2), (false, false)),
            (pieces(most - 1), (false, true)),
            ([pieces(most - 1), frame(last, 0), pieces(1)].concat(), (false, true)),
        ] {
            assert_eq!(check(&bytes), expected);
        }
        assert!(check(&pieces(most)).0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_late_from_its_first_byte_and_not_for_pings_in_between() {
        let mut counted = Counted::new(());
        let second = Duration::from_secs(1);
        counted.frames.read(&frame(0x01, 3), Instant::now());
        for _ in 0..3 {
            tokio::time::advance(second).await;
            counted.frames.read(&frame(0x89, 0), Instant::now());
        }
        assert!(counted.is_late(second * 2) && !counted.is_late(second * 3));
        counted.excuse();
        assert!(!counted.is_late(second));
        counted.frames.read(&frame(0x80, 0), Instant::now());
        tokio::time::advance(second * 9).await;
        assert!(!counted.is_late(second), "nothing is coming");
    }
}
