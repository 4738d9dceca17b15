//! Heads as they pass, before hyper reads them: it quietly drops a `Content-Length` that stands beside a
//! `Transfer-Encoding`, and takes a bare line feed for a line's end. Only somebody who smuggles requests
//! past a proxy sends either.

/// The longest name that is looked for.
const NAME_MAX: usize = 18;

/// Which lengths one head named so far.
#[derive(Debug, Default)]
pub(crate) struct Head {
    part: Part,
    line: Line,
    name: Vec<u8>,
    last: u8,
    has_length: bool,
    has_coding: bool,
    has_bare_feed: bool,
}

/// Where in the head it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    /// Empty lines may come before the request line.
    #[default]
    Before,
    Inside,
    Over,
}

/// Where in a line it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    #[default]
    Start,
    Name,
    Value,
}

impl Head {
    /// Takes in what was read. Bytes after the end of the head are a body and ignored.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.part == Part::Over {
                return;
            }
            self.step(byte.to_ascii_lowercase());
        }
    }

    /// Whether two readers could read it differently.
    pub(crate) const fn is_ambiguous(&self) -> bool {
        self.has_bare_feed || (self.has_length && self.has_coding)
    }

    fn step(&mut self, byte: u8) {
        self.has_bare_feed |= byte == b'\n' && self.last != b'\r';
        self.last = byte;
        match (byte, self.line) {
            (b'\n', line) => self.end(line),
            (b'\r', _) | (_, Line::Value) => {}
            (b':', Line::Start | Line::Name) => {
                self.line = Line::Value;
                self.has_length |= self.name == b"content-length";
                self.has_coding |= self.name == b"transfer-encoding";
            }
            (byte, Line::Start | Line::Name) => {
                self.line = Line::Name;
                if self.name.len() < NAME_MAX {
                    self.name.push(byte);
                }
            }
        }
    }

    fn end(&mut self, line: Line) {
        self.part = match (line, self.part) {
            (Line::Start, Part::Before) => Part::Before,
            (Line::Start, Part::Inside | Part::Over) => Part::Over,
            (Line::Name | Line::Value, _) => Part::Inside,
        };
        self.line = Line::Start;
        self.name.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_smugglers_send_is_noticed_however_the_head_is_cut() {
        for (head, expected) in [
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", true),
            ("\r\nPOST / HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\ncontent-length:1\r\n\r\n", true),
            ("POST / HTTP/1.1\nhost: a\n\n", true),
            ("POST / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nhost: a\r\n\r\n{\n}\n\n", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\ncontent-length: 1\r\n", false),
            ("POST / HTTP/1.1\r\nx: transfer-encoding: y\r\ncontent-length: 1\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nx-content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", false),
        ] {
            for size in [1, 7, head.len()] {
                let mut scan = Head::default();
                head.as_bytes().chunks(size).for_each(|part| scan.read(part));
                assert_eq!(scan.is_ambiguous(), expected, "{head:?} by {size}");
            }
        }
    }
}
