//! Function signatures as people write them.
//!
//! Our own small parser, because the field's drops the names of tuple members, and policies need them:
//! `args.p.tokenIn`.

use alloy_json_abi::{Function, Param, StateMutability};

/// How deep tuples may nest.
const DEPTH_MAX: usize = 16;

/// Words that may follow a parameter's type.
const LOCATIONS: [&str; 4] = ["memory", "calldata", "storage", "payable"];

/// Words that may follow the parameters; they say nothing about calldata.
const ATTRIBUTES: [&str; 7] =
    ["external", "public", "view", "pure", "payable", "nonpayable", "virtual"];

/// Reads `name(type name, ...)`, with or without `function` before and attributes and `returns (...)`
/// behind. `None` if it is anything else, or has a type that is not elementary.
pub(super) fn parse(text: &str) -> Option<Function> {
    let mut rest = Rest(text);
    let name = match rest.word() {
        "function" => rest.word(),
        name => name,
    };
    let inputs = rest.params(DEPTH_MAX)?;
    rest.attributes()?;
    let function = Function {
        name: Some(name).filter(|name| is_name(name))?.to_owned(),
        inputs,
        outputs: Vec::new(),
        state_mutability: StateMutability::NonPayable,
    };
    rest.0.trim().is_empty().then_some(function)
}

/// What is still to be read.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    /// Letters, digits, `_` and `$`; empty if something else comes.
    fn word(&mut self) -> &'t str {
        let text = self.0.trim_start();
        let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        self.0 = rest;
        word
    }

    fn take(&mut self, mark: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn params(&mut self, depth: usize) -> Option<Vec<Param>> {
        let depth = depth.checked_sub(1)?;
        self.take('(').then_some(())?;
        let mut params = Vec::new();
        while !self.take(')') {
            (params.is_empty() || self.take(',')).then_some(())?;
            params.push(self.param(depth)?);
        }
        Some(params)
    }

    fn param(&mut self, depth: usize) -> Option<Param> {
        let (stem, components) = match self.word() {
            "" | "tuple" => ("tuple".to_owned(), self.members(depth)?),
            word => (elementary(word)?, Vec::new()),
        };
        let ty = self.sizes(stem)?;
        let name = self.name()?.to_owned();
        Some(Param { ty, name, components, internal_type: None })
    }

    /// A tuple has members: an empty one has no place in calldata.
    fn members(&mut self, depth: usize) -> Option<Vec<Param>> {
        self.params(depth).filter(|members| !members.is_empty())
    }

    fn sizes(&mut self, mut ty: String) -> Option<String> {
        while self.take('[') {
            let size = match self.word() {
                "" => String::new(),
                digits => digits.parse::<usize>().ok().filter(|size| *size > 0)?.to_string(),
            };
            self.take(']').then_some(())?;
            ty = format!("{ty}[{size}]");
        }
        Some(ty)
    }

    /// A parameter's name, after a location that is passed over; empty if it has none.
    fn name(&mut self) -> Option<&'t str> {
        let name = match self.word() {
            word if LOCATIONS.contains(&word) => self.word(),
            word => word,
        };
        (name.is_empty() || is_name(name)).then_some(name)
    }

    fn attributes(&mut self) -> Option<()> {
        loop {
            match self.word() {
                "" => break,
                "returns" => drop(self.params(DEPTH_MAX)?),
                word => ATTRIBUTES.contains(&word).then_some(())?,
            }
        }
        self.take(';');
        Some(())
    }
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| is_word(c) && !c.is_ascii_digit())
}

/// The canonical name of an elementary type.
fn elementary(word: &str) -> Option<String> {
    let known = match word {
        "address" | "bool" | "string" | "bytes" | "function" => true,
        "uint" | "int" => return Some(format!("{word}256")),
        _ => sized(word),
    };
    known.then(|| word.to_owned())
}

/// `uint8` to `uint256`, `int8` to `int256`, `bytes1` to `bytes32`.
fn sized(word: &str) -> bool {
    let canonical = |digits: &str| digits.parse::<u16>().ok().filter(|n| n.to_string() == digits);
    let bits = word.strip_prefix("uint").or_else(|| word.strip_prefix("int"));
    let bytes = word.strip_prefix("bytes");
    bits.and_then(canonical).is_some_and(|n| (8..=256).contains(&n) && n.is_multiple_of(8))
        || bytes.and_then(canonical).is_some_and(|n| (1..=32).contains(&n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        let found = parse(text).map(|function| function.signature());
        assert_eq!(found.as_deref(), expect, "{text}");
    }

    #[test]
    fn a_signature_is_read_as_people_write_it() {
        check("deposit()", Some("deposit()"));
        check("transfer(address to, uint amount)", Some("transfer(address,uint256)"));
        check(
            "function f ( int[2][] calldata x ) external payable returns (bool, (int a) b);",
            Some("f(int256[2][])"),
        );
        check(
            "f((address a, (bytes4 s, string t)[3] c)[] p, bool)",
            Some("f((address,(bytes4,string)[3])[],bool)"),
        );
        check("f(tuple(address payable a)[] p)", Some("f((address)[])"));
        check("$_x1(bytes32)", Some("$_x1(bytes32)"));
    }

    #[test]
    fn what_is_not_a_signature_is_refused() {
        for text in [
            "",
            "f",
            "f(",
            "f(uint",
            "(uint)",
            "1f()",
            "f()x",
            "f(uint,)",
            "f(,uint)",
            "f(uint a b)",
            "f(Foo x)",
            "f(uint7)",
            "f(uint264)",
            "f(uint08)",
            "f(bytes0)",
            "f(bytes33)",
            "f(fixed)",
            "f(() x)",
            "f(uint[0])",
            "f(uint[-1])",
            "f(uint[)",
            "f(uint 1a)",
            "f() returns",
            "f(uint é)",
            "f(mapping(address => uint) m)",
            "f() f()",
        ] {
            check(text, None);
        }
        check(&format!("f{}uint{}", "(".repeat(400), ")".repeat(400)), None);
    }

    #[test]
    fn the_fields_own_parser_agrees_where_it_reads_a_signature() {
        for text in ["f(uint8[2][] a,address b)", "g((uint256,bytes)[] x)", "h(string)"] {
            let theirs = Function::parse(text).unwrap();
            let ours = parse(text).unwrap();
            assert_eq!(ours.selector(), theirs.selector());
            assert_eq!(ours.inputs, theirs.inputs);
        }
    }
}
