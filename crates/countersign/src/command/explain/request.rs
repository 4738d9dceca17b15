//! What is asked about: a request as the agents' door takes it, or a call in parts.

use std::path::Path;

use alloy_primitives::{Address, Bytes, U256, utils::parse_units};
use countersign_core::{
    bundle::BundleHandle,
    draft,
    identity::ChainId,
    intent::Method,
    json::{Json, Limits},
    raw::RawTransaction,
};
use countersign_server::Asked;

use super::place::Place;
use crate::{cli::ExplainArgs, failure::Failure, files};

/// What stands for the standard input.
const STDIN: &str = "-";

/// A request, and whose it is where the command line says so.
pub(super) struct Request {
    wallet: Option<Address>,
    what: What,
}

enum What {
    /// As an agent writes it, with the option or the file that it comes from.
    Told(Json, String),
    /// A call; its value is in whole units of the chain's currency.
    Parts { to: Option<Address>, value: Option<String>, data: Bytes },
}

impl Request {
    /// Reads what the command line names; `None` where it names nothing but policies.
    pub(super) fn of(args: &ExplainArgs) -> Result<Option<Self>, Failure> {
        let wallet = args.wallet.as_deref().map(draft::address).transpose();
        let wallet = wallet.map_err(|error| of_option("--wallet", error))?;
        Ok(What::of(args)?.map(|what| Self { wallet, what }))
    }

    /// Whose it is, as far as it can be seen before it is read.
    pub(super) fn from(&self) -> Option<Address> {
        let said = match &self.what {
            What::Told(json, _) => json.get("from").and_then(Json::as_text),
            What::Parts { .. } => None,
        };
        self.wallet.or_else(|| said.and_then(|from| draft::address(from).ok()))
    }

    /// The chain that it names.
    pub(super) fn chain(&self) -> Option<ChainId> {
        let What::Told(json, _) = &self.what else { return None };
        let first = json.get("params").and_then(Json::as_list).and_then(<[Json]>::first);
        let told = first.unwrap_or(json);
        if let Some(raw) = told.as_text().filter(|_| is_raw(json)) {
            let raw = draft::bytes(raw).ok().and_then(|raw| RawTransaction::parse(&raw).ok())?;
            return Some(raw.transaction().plan.chain);
        }
        let id = draft::quantity(told.get("chainId").and_then(Json::as_text)?).ok()?;
        u64::try_from(id).ok().map(ChainId)
    }

    /// Reads it as the door there does. What names no account is of that place.
    pub(super) fn asked(&self, place: &Place<'_>) -> Result<Asked, Failure> {
        let (json, source) = match &self.what {
            What::Told(json, source) => (self.with_account(json, place), source.as_str()),
            What::Parts { to, value, data } => {
                let units = |text: &String| whole_units(text, place.native.decimals);
                let value = value.as_ref().map(units).transpose();
                let value = value.map_err(|error| of_option("--value", error))?.unwrap_or_default();
                let text = |text: String| Some(Json::Text(text));
                let members = [
                    ("from", text(place.address.to_string())),
                    ("to", to.and_then(|to| text(to.to_string()))),
                    ("value", text(format!("{value:#x}"))),
                    ("data", text(data.to_string())),
                ];
                let member = |(name, json): (&str, Option<Json>)| Some((name.to_owned(), json?));
                (Json::Object(members.into_iter().filter_map(member).collect()), "the call")
            }
        };
        let handle = BundleHandle::from_random(Default::default());
        let asked = Asked::parse(&json, place.chain, handle);
        let asked = asked.map_err(|error| of_option(source, error))?;
        match (self.wallet, asked.draft.from()) {
            (Some(wallet), Some(from)) if wallet != from => {
                let reason = format!("the request says itself that it is of {from}");
                Err(of_option("--wallet", reason))
            }
            _ => Ok(asked),
        }
    }

    /// A call says for itself whose account it is; what is no call may leave that open.
    fn with_account(&self, json: &Json, place: &Place<'_>) -> Json {
        let Json::Object(members) = json else { return json.clone() };
        let names = |member: &str| members.iter().any(|(name, _)| name == member);
        if names("method") || names("from") && self.wallet.is_none() {
            return json.clone();
        }
        let from = ("from".to_owned(), Json::Text(place.address.to_string()));
        let others = members.iter().filter(|(name, _)| name != "from").cloned();
        Json::Object(std::iter::once(from).chain(others).collect())
    }
}

impl What {
    fn of(args: &ExplainArgs) -> Result<Option<Self>, Failure> {
        let ExplainArgs { request, raw, tx, typed_data, message, to, value, calldata, .. } = args;
        let alone = |name: &str, value: Json| Json::Object(vec![(name.to_owned(), value)]);
        if let Some(file) = request {
            let source = if file.as_os_str() == STDIN { "the request".into() } else { named(file) };
            return parse(&text_of(file)?, &source).map(Some);
        }
        if let Some(raw) = raw {
            let method = Json::Text(Method::SendRawTransaction.name().to_owned());
            let params = Json::List(vec![Json::Text(raw.trim().to_owned())]);
            let call = vec![("method".to_owned(), method), ("params".to_owned(), params)];
            return Ok(Some(Self::Told(Json::Object(call), "--raw".into())));
        }
        if let Some(text) = tx {
            return parse(text, "--tx").map(Some);
        }
        if let Some(file) = typed_data {
            let data = alone("typedData", Json::Text(text_of(file)?));
            return Ok(Some(Self::Told(data, named(file))));
        }
        if let Some(text) = message {
            return Ok(Some(Self::Told(
                alone("message", Json::Text(text.clone())),
                "--message".into(),
            )));
        }
        if to.is_none() && value.is_none() && calldata.is_none() {
            return Ok(None);
        }
        let to = to.as_deref().map(draft::address).transpose();
        let data = calldata.as_deref().map(draft::bytes).transpose();
        Ok(Some(Self::Parts {
            to: to.map_err(|error| of_option("--to", error))?,
            value: value.clone(),
            data: data.map_err(|error| of_option("--calldata", error))?.unwrap_or_default(),
        }))
    }
}

fn parse(text: &str, source: &str) -> Result<What, Failure> {
    let json = Json::parse(text.as_bytes(), Limits::REQUEST);
    let json = json.map_err(|error| of_option(source, error))?;
    if json.as_list().is_some() {
        let reason = "is an array: of a batch, explain one call at a time";
        return Err(of_option(source, reason));
    }
    Ok(What::Told(json, source.to_owned()))
}

fn is_raw(json: &Json) -> bool {
    json.get("method").and_then(Json::as_text) == Some(Method::SendRawTransaction.name())
}

fn text_of(file: &Path) -> Result<String, Failure> {
    let most = Limits::REQUEST.bytes;
    let text = if file.as_os_str() == STDIN {
        files::text_in(std::io::stdin(), most)
    } else {
        files::text_of(file, most)
    };
    text.map_err(|error| of_option(&named(file), error))
}

fn named(file: &Path) -> String {
    file.display().to_string()
}

fn of_option(option: &str, reason: impl std::fmt::Display) -> Failure {
    Failure::refused(format!("{option}: {reason}"))
}

fn whole_units(text: &str, decimals: u8) -> Result<U256, String> {
    let wrong = || format!("`{text}` is not an amount: expected whole units, as in 0.2");
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let units = parse_units(text, decimals).ok().filter(|_| plain).ok_or_else(wrong)?;
    Ok(units.into())
}
