//! JSON with sorted keys and no spaces, written at once: no tree is built for it.
//!
//! It is what `serde_json::to_value(..).to_string()` says. Members are written where they come, and put into their order
//! when their object ends.

use std::{
    cell::RefCell,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{
    Value,
    ser::{CharEscape, CompactFormatter, Formatter, Serializer},
};

/// JSON with sorted keys and no spaces.
pub(crate) fn canonical(value: &impl Serialize) -> String {
    let text = RefCell::default();
    let written = value.serialize(&mut Serializer::with_formatter(Pen(&text), Order(&text)));
    let Text { bytes, .. } = text.into_inner();
    let text = written.ok().and_then(|()| String::from_utf8(bytes).ok());
    // INVARIANT: what is recorded serialises; were it not so, the text would be that of nothing, and no record has it
    text.unwrap_or_else(|| Value::Null.to_string())
}

/// What is written so far, and which of its objects have not ended.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    open: Vec<Object>,
    /// Of all open objects, one after the other.
    members: Vec<Member>,
    /// The members' keys as they are, without the marks that JSON puts into them.
    keys: Vec<u8>,
    in_key: bool,
}

#[derive(Debug)]
struct Object {
    /// Behind its brace.
    start: usize,
    first_member: usize,
    first_key: usize,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    key: (usize, usize),
    text: (usize, usize),
}

impl Text {
    fn begin_object(&mut self) {
        let (start, first_member) = (self.bytes.len(), self.members.len());
        self.open.push(Object { start, first_member, first_key: self.keys.len() });
    }

    fn begin_member(&mut self) {
        let (key, text) = (self.keys.len(), self.bytes.len());
        self.members.push(Member { key: (key, key), text: (text, text) });
        self.in_key = true;
    }

    fn end_key(&mut self) {
        self.in_key = false;
        let Some(member) = self.members.last_mut() else { return };
        if self.keys.len() == member.key.0 {
            // numbers as keys are written without a word to the formatter: between the quotes, as they are
            let (first, last) =
                (member.text.0.saturating_add(1), self.bytes.len().saturating_sub(1));
            self.keys.extend_from_slice(self.bytes.get(first..last).unwrap_or_default());
        }
        member.key.1 = self.keys.len();
    }

    /// Members of inner objects have been taken away by now: the last one is this object's.
    fn end_member(&mut self) {
        let end = self.bytes.len();
        if let Some(member) = self.members.last_mut() {
            member.text.1 = end;
        }
    }

    fn end_object(&mut self) {
        let Some(Object { start, first_member, first_key }) = self.open.pop() else { return };
        let mut members = self.members.split_off(first_member);
        let keys = &self.keys;
        let key = |member: &Member| keys.get(member.key.0..member.key.1).unwrap_or_default();
        if !members.is_sorted_by(|one, next| key(one) < key(next)) {
            // of two with one key the later counts, as in a map
            members.reverse();
            members.sort_by(|one, other| key(one).cmp(key(other)));
            members.dedup_by(|next, kept| key(next) == key(kept));
            let of = |member: &Member| self.bytes.get(member.text.0..member.text.1);
            let texts: Vec<&[u8]> = members.iter().filter_map(of).collect();
            let sorted = texts.join(&b","[..]);
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(&sorted);
        }
        self.keys.truncate(first_key);
    }

    fn note(&mut self, part_of_string: &[u8]) {
        if self.in_key {
            self.keys.extend_from_slice(part_of_string);
        }
    }
}

/// Writes at the end of the text.
struct Pen<'a>(&'a RefCell<Text>);

impl Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sees where objects begin and end.
struct Order<'a>(&'a RefCell<Text>);

impl Formatter for Order<'_> {
    fn begin_object<W: ?Sized + Write>(&mut self, pen: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object(pen)?;
        self.0.borrow_mut().begin_object();
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, pen: &mut W) -> io::Result<()> {
        self.0.borrow_mut().end_object();
        CompactFormatter.end_object(pen)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, pen: &mut W, first: bool) -> io::Result<()> {
        CompactFormatter.begin_object_key(pen, first)?;
        self.0.borrow_mut().begin_member();
        Ok(())
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.0.borrow_mut().end_key();
        Ok(())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.0.borrow_mut().end_member();
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        pen: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.0.borrow_mut().note(fragment.as_bytes());
        CompactFormatter.write_string_fragment(pen, fragment)
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        pen: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let byte = match escape {
            CharEscape::Quote => b'"',
            CharEscape::ReverseSolidus => b'\\',
            CharEscape::Solidus => b'/',
            CharEscape::Backspace => 0x08,
            CharEscape::FormFeed => 0x0c,
            CharEscape::LineFeed => b'\n',
            CharEscape::CarriageReturn => b'\r',
            CharEscape::Tab => b'\t',
            CharEscape::AsciiControl(byte) => byte,
        };
        self.0.borrow_mut().note(&[byte]);
        CompactFormatter.write_char_escape(pen, escape)
    }

    /// What was written elsewhere may have another order.
    fn write_raw_fragment<W: ?Sized + Write>(
        &mut self,
        pen: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let value: Value = serde_json::from_str(fragment)?;
        pen.write_all(value.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{json, value::RawValue};

    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Unsorted {
        zebra: u64,
        apple_tree: Option<Value>,
        #[serde(flatten)]
        more: BTreeMap<String, Value>,
        m: Word,
        at: BTreeMap<u32, i8>,
        raw: Box<RawValue>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Zed { beta: bool, alpha: Vec<Word> },
        Unit,
        Pair(char, f64),
    }

    fn as_a_tree(value: &impl Serialize) -> String {
        serde_json::to_value(value).unwrap().to_string()
    }

    #[test]
    fn structs_variants_and_raw_text_are_as_a_tree_says_them() {
        let alpha = vec![Word::Pair('"', 1.5), Word::Unit, Word::Zed { beta: true, alpha: vec![] }];
        let more =
            json!({"zz": 1, "a\"b": {"y": [], "x": {}}, "a!": null, "\u{1}": "\u{7f}\n", "é": 2});
        let unsorted = Unsorted {
            zebra: u64::MAX,
            apple_tree: Some(json!({"k": -1, "b": 0.1})),
            more: serde_json::from_value(more).unwrap(),
            m: Word::Zed { beta: false, alpha },
            at: BTreeMap::from([(10, 1), (9, -2), (100, 3)]),
            raw: RawValue::from_string(r#"{"z": 1, "a" : {"d":"\u0041", "c":2}}"#.into()).unwrap(),
        };
        assert_eq!(canonical(&unsorted), as_a_tree(&unsorted));
        assert_eq!(canonical(&Vec::<u8>::new()), "[]");
        assert_eq!(canonical(&json!({})), "{}");
    }

    #[test]
    fn of_two_members_with_one_key_the_later_stands() {
        #[derive(Serialize)]
        struct Twice {
            b: u8,
            #[serde(flatten)]
            more: BTreeMap<&'static str, u8>,
        }
        let twice = Twice { b: 1, more: BTreeMap::from([("a", 2), ("b", 3)]) };
        assert_eq!(canonical(&twice), as_a_tree(&twice));
        assert_eq!(canonical(&twice), r#"{"a":2,"b":3}"#);
    }

    /// Any JSON, its objects as lists of members in any order.
    fn members() -> impl Strategy<Value = Members> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|n| Members::Leaf(json!(n))),
            any::<bool>().prop_map(|b| Members::Leaf(json!(b))),
            ".{0,6}".prop_map(|text| Members::Leaf(json!(text))),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Members::List),
                prop::collection::vec(("(?s).{0,3}", inner), 0..6).prop_map(Members::Object),
            ]
        })
    }

    #[derive(Debug, Clone)]
    enum Members {
        Leaf(Value),
        List(Vec<Members>),
        Object(Vec<(String, Members)>),
    }

    impl Serialize for Members {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Leaf(value) => value.serialize(serializer),
                Self::List(items) => items.serialize(serializer),
                Self::Object(members) => {
                    serializer.collect_map(members.iter().map(|(key, value)| (key, value)))
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_the_order_it_is_what_a_tree_says(members in members()) {
            prop_assert_eq!(canonical(&members), as_a_tree(&members));
        }
    }
}
