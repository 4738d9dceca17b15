//! A document, piece by piece: white space outside texts falls away, and a digest runs over the rest.

use std::io::Read;

use alloy_primitives::B256;
use sha2::{Digest, Sha256};

use super::{EvidenceError, VALUE_BYTES_MAX, broken};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// The deepest nesting of a value.
const DEPTH_MAX: u32 = 256;

pub(super) struct Stream<R> {
    source: R,
    chunk: Vec<u8>,
    at: usize,
    peeked: Option<u8>,
    in_text: bool,
    escaped: bool,
    hasher: Sha256,
    /// Bytes that count, so far.
    read: u64,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            chunk: Vec::new(),
            at: 0,
            peeked: None,
            in_text: false,
            escaped: false,
            hasher: Sha256::new(),
            read: 0,
        }
    }

    fn raw(&mut self) -> Result<Option<u8>, EvidenceError> {
        if self.at >= self.chunk.len() {
            self.chunk.resize(CHUNK, 0);
            let read = loop {
                match self.source.read(&mut self.chunk) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            self.chunk.truncate(read);
            self.at = 0;
        }
        let byte = self.chunk.get(self.at).copied();
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// The next byte that counts, not yet taken.
    fn peek(&mut self) -> Result<Option<u8>, EvidenceError> {
        while self.peeked.is_none() {
            let Some(byte) = self.raw()? else { return Ok(None) };
            if self.in_text || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                self.peeked = Some(byte);
            }
        }
        Ok(self.peeked)
    }

    fn next(&mut self) -> Result<u8, EvidenceError> {
        let byte = self.peek()?.ok_or_else(|| self.wrong("it ends too early"))?;
        self.peeked = None;
        self.read = self.read.saturating_add(1);
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
        } else {
            self.in_text = byte == b'"';
        }
        Ok(byte)
    }

    fn wrong(&self, what: &str) -> EvidenceError {
        broken(&format!("byte {} without white space", self.read), what)
    }

    /// Takes exactly these bytes.
    pub(super) fn expect(&mut self, text: &str) -> Result<(), EvidenceError> {
        for expected in text.bytes() {
            if self.next()? != expected {
                return Err(self.wrong(&format!("`{text}` is expected")));
            }
        }
        self.hasher.update(text);
        Ok(())
    }

    /// Whether a list goes on; takes the comma before the next item or the list's end.
    pub(super) fn item(&mut self, is_first: bool) -> Result<bool, EvidenceError> {
        match (self.peek()?, is_first) {
            (Some(b']'), _) => self.expect("]").map(|()| false),
            (_, true) => Ok(true),
            (_, false) => self.expect(",").map(|()| true),
        }
    }

    /// Takes one value, as it stands but for white space. Whether it is JSON its reader says.
    pub(super) fn value(&mut self) -> Result<String, EvidenceError> {
        let (mut value, mut depth) = (Vec::new(), 0_u32);
        loop {
            if !self.in_text && depth == 0 && !value.is_empty() {
                let closes = matches!(value.last(), Some(b'}' | b']' | b'"'));
                if closes || matches!(self.peek()?, None | Some(b',' | b'}' | b']')) {
                    break;
                }
            }
            let was_text = self.in_text;
            let byte = self.next()?;
            value.push(byte);
            if !was_text {
                match byte {
                    b'{' | b'[' => depth = depth.saturating_add(1),
                    b'}' | b']' => {
                        let outer = depth.checked_sub(1);
                        depth = outer.ok_or_else(|| self.wrong("a value is expected"))?;
                    }
                    _ => {}
                }
            }
            if value.len() > VALUE_BYTES_MAX || depth > DEPTH_MAX {
                return Err(self.wrong("a value is larger than any journal writes"));
            }
        }
        self.hasher.update(&value);
        String::from_utf8(value).map_err(|_| self.wrong("it is not UTF-8"))
    }

    /// Takes the end: the digest over everything before it, and nothing behind it.
    pub(super) fn end(mut self) -> Result<(), EvidenceError> {
        let digest = B256::from(<[u8; 32]>::from(self.hasher.clone().finalize()));
        let end = format!(r#","digest":"{digest}"}}"#);
        for expected in end.bytes() {
            if self.next()? != expected {
                return Err(self.wrong("the digest over everything before it is expected"));
            }
        }
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.wrong("something follows its end")),
        }
    }
}
