//! What scripts answer, read strictly: what does not fit is damage, never a guess.

use std::{ops::Range, str::FromStr, sync::Arc, vec};

use countersign_engine::port::ledger::LedgerError;
use redis::Value;
use rmp::{
    Marker,
    decode::{read_array_len, read_str_len},
};
use serde::de::DeserializeOwned;

/// Lists lie no deeper in each other than this.
const DEPTH_MAX: usize = 8;

/// A list of texts and lists.
#[derive(Debug)]
pub(super) struct Reply {
    packed: Arc<[u8]>,
    items: vec::IntoIter<Item>,
}

/// A part of an answer.
#[derive(Debug)]
enum Item {
    /// Where the text lies.
    Text(Range<usize>),
    List(Vec<Self>),
}

impl Reply {
    /// An answer as scripts pack it (`MessagePack`).
    pub(super) fn parse(value: Value) -> Result<Self, LedgerError> {
        let Value::BulkString(packed) = value else { return Err(damaged("an answer is no text")) };
        let mut rest = packed.as_slice();
        match item(&mut rest, packed.len(), 0)? {
            Item::List(items) if rest.is_empty() => {
                Ok(Self { items: items.into_iter(), packed: packed.into() })
            }
            Item::List(_) | Item::Text(_) => Err(damaged("an answer is not one list")),
        }
    }

    /// The tag that says what the answer is; a refusal becomes its error.
    pub(super) fn tag(&mut self) -> Result<String, LedgerError> {
        let tag = self.text()?;
        if tag == "refused" { Err(LedgerError::Refused(self.text()?)) } else { Ok(tag) }
    }

    pub(super) fn text(&mut self) -> Result<String, LedgerError> {
        let next = self.items.next().ok_or_else(too_short)?;
        text(&self.packed, &next).map(str::to_owned)
    }

    pub(super) fn number<T: FromStr>(&mut self) -> Result<T, LedgerError> {
        let next = self.items.next().ok_or_else(too_short)?;
        let text = text(&self.packed, &next)?;
        text.parse().map_err(|_| damaged(&format!("`{text}` is no number")))
    }

    pub(super) fn list(&mut self) -> Result<Self, LedgerError> {
        let next = self.items.next().ok_or_else(too_short)?;
        self.of(next)
    }

    fn of(&self, item: Item) -> Result<Self, LedgerError> {
        match item {
            Item::List(items) => {
                Ok(Self { packed: Arc::clone(&self.packed), items: items.into_iter() })
            }
            Item::Text(_) => Err(damaged("a part of an answer is no list")),
        }
    }

    /// The lists that are left.
    pub(super) fn lists(mut self) -> impl Iterator<Item = Result<Self, LedgerError>> {
        std::iter::from_fn(move || self.items.next().map(|item| self.of(item)))
    }

    /// The texts that are left.
    pub(super) fn texts(mut self) -> impl Iterator<Item = Result<String, LedgerError>> {
        std::iter::from_fn(move || {
            let next = self.items.next()?;
            Some(text(&self.packed, &next).map(str::to_owned))
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.as_slice().is_empty()
    }

    /// The rest as a hash: names and values in turn.
    pub(super) fn fields(&self) -> Result<Fields<'_>, LedgerError> {
        let pair = |pair: &[Item]| match pair {
            [name, value] => Ok((text(&self.packed, name)?, text(&self.packed, value)?)),
            _ => Err(too_short()),
        };
        self.items.as_slice().chunks(2).map(pair).collect::<Result<_, _>>().map(Fields)
    }
}

/// The next part; of `whole` bytes, `rest` is left.
fn item(rest: &mut &[u8], whole: usize, depth: usize) -> Result<Item, LedgerError> {
    let cut = || damaged("an answer is cut off");
    let first = rest.first().ok_or_else(cut)?;
    let kind = Marker::from_u8(*first);
    if matches!(kind, Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32) {
        let length = read_str_len(rest).map_err(|_| cut())?;
        let start = whole.saturating_sub(rest.len());
        let length = usize::try_from(length).map_err(|_| cut())?;
        *rest = rest.get(length..).ok_or_else(cut)?;
        return Ok(Item::Text(start..whole.saturating_sub(rest.len())));
    }
    if matches!(kind, Marker::FixArray(_) | Marker::Array16 | Marker::Array32) && depth < DEPTH_MAX
    {
        let length = read_array_len(rest).map_err(|_| cut())?;
        let parts = (0..length).map(|_| item(rest, whole, depth.saturating_add(1)));
        return parts.collect::<Result<_, _>>().map(Item::List);
    }
    Err(damaged("a part of an answer is no text and no list, or lies too deep"))
}

fn text<'a>(packed: &'a [u8], item: &Item) -> Result<&'a str, LedgerError> {
    let wrong = || damaged("a part of an answer is no text");
    let Item::Text(place) = item else { return Err(wrong()) };
    // INVARIANT: a place lies within what it was read from
    str::from_utf8(packed.get(place.clone()).unwrap_or_default()).map_err(|_| wrong())
}

fn too_short() -> LedgerError {
    damaged("an answer is too short")
}

/// One hash: each name once. There are few of them.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<&'a str, LedgerError> {
        self.take(name).ok_or_else(|| damaged(&format!("a record lacks `{name}`")))
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str) -> Result<T, LedgerError> {
        read(name, self.text(name)?)
    }

    pub(super) fn maybe<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, LedgerError> {
        self.take(name).map(|text| read(name, text)).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, LedgerError> {
        from_json(name, self.text(name)?)
    }

    pub(super) fn maybe_json<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, LedgerError> {
        self.take(name).map(|text| from_json(name, text)).transpose()
    }

    /// JSON values with commas between, as scripts append them.
    pub(super) fn json_list<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Vec<T>, LedgerError> {
        match self.take(name) {
            Some(text) if !text.is_empty() => from_json(name, &format!("[{text}]")),
            Some(_) | None => Ok(Vec::new()),
        }
    }
}

pub(super) fn read<T: FromStr>(name: &str, text: &str) -> Result<T, LedgerError> {
    text.parse().map_err(|_| damaged(&format!("the field `{name}` cannot be read")))
}

pub(super) fn from_json<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|error| damaged(&format!("the field `{name}`: {error}")))
}

pub(super) fn damaged(why: &str) -> LedgerError {
    LedgerError::Damaged(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(packed: &[u8]) -> Result<Reply, LedgerError> {
        Reply::parse(Value::BulkString(packed.to_vec()))
    }

    #[test]
    fn an_answer_is_texts_and_lists_and_nothing_else() {
        // ["done", ["a", ""]], as texts of every length are written
        for packed in [
            b"\x92\xa4done\x92\xa1a\xa0".as_slice(),
            b"\xdc\x00\x02\xd9\x04done\x92\xda\x00\x01a\xdb\x00\x00\x00\x00",
        ] {
            let mut reply = parse(packed).unwrap();
            assert_eq!(reply.tag().unwrap(), "done");
            let fields = reply.list().unwrap();
            assert_eq!(fields.fields().unwrap().0, [("a", "")]);
            assert_eq!(fields.texts().collect::<Result<Vec<_>, _>>().unwrap(), ["a", ""]);
            assert!(reply.is_empty() && reply.text().is_err());
        }
        let mut depth = vec![0x91; DEPTH_MAX];
        depth.push(0xa0);
        assert!(parse(&depth).is_ok());
        depth.insert(0, 0x91);
        let broken = [
            b"".as_slice(),
            b"\xa0",
            b"\x92\xa1a",
            b"\x91\xa2a",
            b"\xdd\xff\xff\xff\xff",
            b"\x91\xdb\xff\xff\xff\xffa",
            b"\x91\xa1a\xa1b",
            b"\x91\x01",
            b"\x91\xc0",
            b"\x91\x81\xa1a\xa1b",
            depth.as_slice(),
        ];
        for packed in broken {
            assert!(matches!(parse(packed), Err(LedgerError::Damaged(_))), "{packed:?}");
        }
        let mut odd = parse(b"\x93\xa1\xff\x90\xa1a").unwrap();
        assert!(odd.fields().is_err(), "an odd number of texts, and a list");
        assert!(odd.text().is_err(), "no UTF-8");
        assert!(odd.text().is_err(), "a list");
        assert!(odd.list().is_err(), "a text");
    }
}
