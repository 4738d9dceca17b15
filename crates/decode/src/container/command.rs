//! Steps that are written like functions, and whose arguments come without a selector.

use std::collections::BTreeMap;

use alloy_primitives::Bytes;
use countersign_core::abi::{AbiFunction, DecodedCall};

use crate::readable::Readable;

/// A step, and what is done with its arguments.
#[derive(Debug)]
pub(super) struct Step<A> {
    pub(super) readable: Readable,
    pub(super) act: A,
}

/// Steps by their codes. The tables are constants; a test parses every line of them.
pub(super) fn steps<A: Copy>(table: &[(u8, &str, A)]) -> BTreeMap<u8, Step<A>> {
    let step = |(code, signature, act): &(u8, &str, A)| {
        Some((*code, Step { readable: readable(signature)?, act: *act }))
    };
    table.iter().filter_map(step).collect()
}

/// A line of our own, ready to read.
pub(super) fn readable(signature: &str) -> Option<Readable> {
    AbiFunction::parse(signature).ok().map(Readable::new)
}

/// Reads what lies there like arguments.
pub(super) fn read(
    readable: Option<&Readable>,
    input: &Bytes,
) -> Result<DecodedCall, &'static str> {
    let readable = readable.ok_or("a step that our tables do not describe")?;
    let args = readable.read_arguments(input).map_err(|_| "an input that is not canonical")?;
    Ok(DecodedCall { signature: readable.function().signature().to_owned(), args })
}
