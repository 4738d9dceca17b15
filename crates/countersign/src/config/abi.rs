//! `abis:` — a folder of JSON ABIs, one file per contract: `router.json` for the contract that the
//! configuration calls `router`, `0x….json` for an address on every chain.
//!
//! A file is an ABI as compilers write it, or an artifact with its ABI under `abi`. Only functions are
//! taken from it.

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use countersign_core::abi::AbiFunction;

use super::{
    chain,
    model::ContractEntry,
    problem::{Place, Problem, Report},
    read::path,
    text_of,
    yaml::{self, Node, Value},
};

/// How many files a folder may have.
const FILES_MAX: usize = 1024;

/// What `abis` names.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Abis {
    pub(crate) folder: Option<PathBuf>,
    pub(crate) files: Vec<AbiFile>,
}

/// A function, and where its file says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AbiLine {
    pub(crate) place: Place,
    pub(crate) function: AbiFunction,
}

/// One file of the folder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AbiFile {
    pub(crate) file: PathBuf,
    pub(crate) of: Subject,
    pub(crate) lines: Vec<AbiLine>,
}

/// Whose ABI it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// What the configuration calls so, on any chain.
    Contract(String),
    /// What lies at this address, on every chain.
    Address(Address),
}

impl AbiFile {
    /// Whether it is the ABI of this contract.
    pub(crate) fn is_of(&self, contract: &ContractEntry) -> bool {
        match &self.of {
            Subject::Contract(id) => *id == contract.id,
            Subject::Address(address) => *address == contract.address,
        }
    }

    /// Adds its functions to those that are known, and refuses what cannot stand beside them.
    fn add_to(&self, known: &mut Vec<AbiFunction>, report: &Report) {
        for AbiLine { place, function } in &self.lines {
            match twin(known, function) {
                Some(message) => report.refuse_all([self.problem(*place, message)]),
                None => known.push(function.clone()),
            }
        }
    }

    fn problem(&self, place: Place, message: String) -> Problem {
        Problem { file: self.file.clone(), place, message }
    }
}

/// The ABIs of a folder. Hidden files are nobody's; anything else that is no JSON file is refused.
pub(crate) fn folder(report: &Report, node: &Node, base: &Path) -> Option<Abis> {
    let folder = path(report, node, base)?;
    let entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let Ok(entries) = entries else {
        report.refuse(node.place, format!("there is no folder `{}`", folder.display()));
        return None;
    };
    if entries.len() > FILES_MAX {
        report.refuse(node.place, format!("more than {FILES_MAX} files in one folder of ABIs"));
        return None;
    }
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    let files = files.into_iter().filter_map(|file| self::file(report, file)).collect();
    Some(Abis { folder: Some(folder), files })
}

fn file(report: &Report, file: PathBuf) -> Option<AbiFile> {
    let name = file.file_name()?.to_str().unwrap_or_default().to_owned();
    if name.starts_with('.') {
        return None;
    }
    let refuse = |place, message: String| {
        report.refuse_all([Problem { file: file.clone(), place, message }]);
    };
    let Some(stem) = name.strip_suffix(".json") else {
        refuse(Place::default(), "is not an ABI: expected NAME.json or 0x….json".to_owned());
        return None;
    };
    let of = match subject(stem) {
        Ok(of) => of,
        Err(message) => {
            refuse(Place::default(), message);
            return None;
        }
    };
    let text = text_of(&file).map_err(|message| refuse(Place::default(), message)).ok()?;
    // JSON is YAML but for its tabs, and those never stand inside its strings
    let text = text.replace('\t', " ");
    let root = yaml::parse(&text).map_err(|broken| refuse(broken.place, broken.message)).ok()?;
    let lines = lines(&root, &refuse)?;
    Some(AbiFile { file, of, lines })
}

fn subject(stem: &str) -> Result<Subject, String> {
    if stem.starts_with("0x") || stem.starts_with("0X") {
        chain::checksummed(stem).map(Subject::Address)
    } else {
        Ok(Subject::Contract(stem.to_owned()))
    }
}

/// The functions of an ABI; everything that is wrong is told.
fn lines(root: &Node, refuse: &dyn Fn(Place, String)) -> Option<Vec<AbiLine>> {
    let list = match &root.value {
        Value::List(items) => Some(items),
        Value::Map(_) => match member(root, "abi").map(|node| &node.value) {
            Some(Value::List(items)) => Some(items),
            Some(Value::Null | Value::Text(_) | Value::Map(_)) | None => None,
        },
        Value::Null | Value::Text(_) => None,
    };
    let Some(items) = list else {
        let message = "expected an ABI: a list, or an artifact with a list under `abi`";
        refuse(root.place, message.to_owned());
        return None;
    };
    let read = |item: &Node| match line(item) {
        Ok(line) => line,
        Err((place, message)) => {
            refuse(place, message);
            None
        }
    };
    Some(items.iter().filter_map(read).collect())
}

type Wrong = (Place, String);

/// One entry; `None` if it is no function.
fn line(item: &Node) -> Result<Option<AbiLine>, Wrong> {
    match text(item, "type")? {
        "function" => {}
        "constructor" | "event" | "error" | "fallback" | "receive" => return Ok(None),
        other => return Err((item.place, format!("`{other}` is no kind of ABI entry"))),
    }
    let signature = format!("{}{}", text(item, "name")?, parameters(item, "inputs")?);
    let function =
        AbiFunction::parse(&signature).map_err(|error| (item.place, error.to_string()))?;
    Ok(Some(AbiLine { place: item.place, function }))
}

fn parameters(item: &Node, key: &str) -> Result<String, Wrong> {
    let Some(Node { value: Value::List(inputs), .. }) = member(item, key) else {
        return Err((item.place, format!("an ABI entry lacks the list `{key}`")));
    };
    let inputs = inputs.iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("({})", inputs.join(",")))
}

fn parameter(input: &Node) -> Result<String, Wrong> {
    let (ty, name) = (text(input, "type")?, text(input, "name")?);
    match ty.strip_prefix("tuple") {
        Some(sizes) => Ok(format!("{}{sizes} {name}", parameters(input, "components")?)),
        None => Ok(format!("{ty} {name}")),
    }
}

fn text<'n>(item: &'n Node, key: &str) -> Result<&'n str, Wrong> {
    match member(item, key).map(|node| &node.value) {
        Some(Value::Text(text)) => Ok(text),
        Some(Value::Null | Value::List(_) | Value::Map(_)) | None => {
            Err((item.place, format!("an ABI entry lacks the text `{key}`")))
        }
    }
}

fn member<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(found, _)| found.text == key).map(|(_, node)| node)
}

/// Gives every contract the functions that the folder has for it, and refuses a file for a contract that
/// nobody named, and functions of one contract that cannot be told apart.
pub(crate) fn settle<'c>(
    report: &Report,
    files: &[AbiFile],
    contracts: impl Iterator<Item = &'c mut ContractEntry>,
) {
    let mut used = vec![false; files.len()];
    for contract in contracts {
        let mut known: Vec<AbiFunction> = Vec::new();
        for function in std::mem::take(&mut contract.abi) {
            match twin(&known, &function) {
                Some(message) => report.refuse(contract.place, message),
                None => known.push(function),
            }
        }
        for (file, used) in files.iter().zip(&mut used).filter(|(file, _)| file.is_of(contract)) {
            *used = true;
            file.add_to(&mut known, report);
        }
        contract.abi = known;
    }
    for (file, _) in files.iter().zip(used).filter(|(_, used)| !used) {
        match &file.of {
            Subject::Address(_) => file.add_to(&mut Vec::new(), report),
            Subject::Contract(id) => {
                let message = format!(
                    "no chain has a contract `{id}`: name one so, or the file after its address"
                );
                report.refuse_all([file.problem(Place::default(), message)]);
            }
        }
    }
}

/// Why a function cannot stand beside those that are known.
fn twin(known: &[AbiFunction], function: &AbiFunction) -> Option<String> {
    let twin = known.iter().find(|known| known.selector() == function.selector())?;
    (twin != function).then(|| {
        let (first, second) = (twin.signature(), function.signature());
        if first == second {
            format!("`{first}` stands here twice with other names of its parameters")
        } else {
            format!("`{first}` and `{second}` have the same selector: a call could be either")
        }
    })
}
