//! From bytes to calls: the envelope of JSON-RPC 2.0, strictly.

use countersign_core::{
    draft::harmless,
    json::{Json, Limits},
};

use crate::answer::{Fault, PARAMS, PARSE, REQUEST};

/// The most calls of a batch.
pub(crate) const BATCH_MAX: usize = 50;
/// The most calls of a batch whose refusals are told one by one.
const REFUSALS_MAX: usize = 1000;

/// One well-formed call. Whether the method exists is not asked here.
#[derive(Debug)]
pub(crate) struct RpcCall {
    /// `None` for a notification.
    pub(crate) id: Option<Json>,
    pub(crate) method: String,
    pub(crate) params: Vec<Json>,
}

/// A call that is none, with the id to answer under.
#[derive(Debug)]
pub(crate) struct BadCall {
    pub(crate) id: Json,
    pub(crate) fault: Fault,
}

/// What a body holds.
#[derive(Debug)]
pub(crate) enum Envelope {
    Single(Result<RpcCall, BadCall>),
    Batch(Vec<Result<RpcCall, BadCall>>),
}

impl Envelope {
    /// The id of a single call; `null` where there is none, or several.
    pub(crate) fn id(&self) -> Json {
        match self {
            Self::Single(Ok(call)) => call.id.clone().unwrap_or(Json::Null),
            Self::Single(Err(bad)) => bad.id.clone(),
            Self::Batch(_) => Json::Null,
        }
    }

    /// Reads a body. A batch that is empty or too long becomes refusals only: nothing of it is done.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        match Json::parse(bytes, Limits::REQUEST) {
            Err(error) => Self::Single(bad(Json::Null, PARSE, &error.to_string())),
            Ok(Json::List(items)) => Self::Batch(batch(items)),
            Ok(single) => Self::Single(RpcCall::parse(single)),
        }
    }
}

fn batch(items: Vec<Json>) -> Vec<Result<RpcCall, BadCall>> {
    let sentence = "a batch has at most 50 calls; none of these was looked at";
    if items.is_empty() {
        return vec![bad(Json::Null, REQUEST, "a batch has at least one call")];
    }
    match items.len() {
        ..=BATCH_MAX => items.into_iter().map(RpcCall::parse).collect(),
        count if count <= REFUSALS_MAX => {
            let id = |item: &Json| item.get("id").filter(|id| is_id(id)).cloned();
            items.iter().map(|i| bad(id(i).unwrap_or(Json::Null), REQUEST, sentence)).collect()
        }
        _ => vec![bad(Json::Null, REQUEST, sentence)],
    }
}

fn bad<T>(id: Json, code: i64, sentence: &str) -> Result<T, BadCall> {
    Err(BadCall { id, fault: Fault::new(code, sentence) })
}

/// `null`, a string or a number: what can be echoed.
pub(super) fn is_id(json: &Json) -> bool {
    match json {
        Json::Null | Json::Number(_) | Json::Text(_) => true,
        Json::Bool(_) | Json::List(_) | Json::Object(_) => false,
    }
}

impl RpcCall {
    fn parse(json: Json) -> Result<Self, BadCall> {
        let Json::Object(members) = json else {
            return bad(Json::Null, REQUEST, &format!("a call is an object, not {}", json.kind()));
        };
        let mut parts = Parts::default();
        let mut stranger = None;
        for (name, value) in members {
            match name.as_str() {
                "jsonrpc" => parts.version = Some(value),
                "id" => parts.id = Some(value),
                "method" => parts.method = Some(value),
                "params" => parts.params = Some(value),
                _ => stranger = stranger.or(Some(name)),
            }
        }
        parts.assemble(stranger.as_deref())
    }
}

#[derive(Default)]
struct Parts {
    version: Option<Json>,
    id: Option<Json>,
    method: Option<Json>,
    params: Option<Json>,
}

impl Parts {
    fn assemble(self, stranger: Option<&str>) -> Result<RpcCall, BadCall> {
        if self.id.as_ref().is_some_and(|id| !is_id(id)) {
            return bad(Json::Null, REQUEST, "`id`: must be a string, a number or null");
        }
        let echo = self.id.clone().unwrap_or(Json::Null);
        if let Some(name) = stranger {
            return bad(echo, REQUEST, &format!("`{}`: is not a member of a call", harmless(name)));
        }
        if self.version.as_ref().and_then(Json::as_text) != Some("2.0") {
            return bad(echo, REQUEST, "`jsonrpc`: must be \"2.0\"");
        }
        let Some(Json::Text(method)) = self.method else {
            return bad(echo, REQUEST, "`method`: must be a string");
        };
        match self.params {
            None | Some(Json::Null) => Ok(RpcCall { id: self.id, method, params: Vec::new() }),
            Some(Json::List(params)) => Ok(RpcCall { id: self.id, method, params }),
            Some(_) => bad(echo, PARAMS, "`params`: must be an array"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> (bool, Vec<Option<i64>>) {
        let code = |call: &Result<RpcCall, BadCall>| call.as_ref().err().map(|b| b.fault.code);
        match Envelope::parse(text.as_bytes()) {
            Envelope::Single(call) => (false, vec![code(&call)]),
            Envelope::Batch(calls) => (true, calls.iter().map(code).collect()),
        }
    }

    #[test]
    fn an_envelope_has_one_shape() {
        for (text, code) in [
            (r#"{"jsonrpc":"2.0","id":0,"method":"m"}"#, None),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m","params":null}"#, None),
            (r#"{"jsonrpc":"2.0","id":"7e1","method":"m","params":[]}"#, None),
            (r#"{"jsonrpc":"2.0","id":1e400,"method":"m"}"#, None),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#, Some(PARAMS)),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}"#, Some(PARAMS)),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, Some(REQUEST)),
            (r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#, Some(REQUEST)),
            (r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, Some(REQUEST)),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","Method":"n"}"#, Some(REQUEST)),
            (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, Some(REQUEST)),
            (r#"{"jsonrpc":"2.0","id":1}"#, Some(REQUEST)),
            (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, Some(REQUEST)),
            (r#"{"id":1,"method":"m"}"#, Some(REQUEST)),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}"#, Some(PARSE)),
            (r#""m""#, Some(REQUEST)),
            ("", Some(PARSE)),
        ] {
            assert_eq!(codes(text), (false, vec![code]), "{text}");
        }
    }

    #[test]
    fn a_batch_is_answered_by_an_array_whatever_is_in_it() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#;
        let many = |count: usize| format!("[{}]", vec![call; count].join(","));
        let refused = Some(REQUEST);
        assert_eq!(codes("[]"), (true, vec![refused]));
        assert_eq!(codes("[[]]"), (true, vec![refused]));
        assert_eq!(codes(r#"["eth_sendTransaction",[],1]"#), (true, vec![refused; 3]));
        assert_eq!(codes(&many(50)), (true, vec![None; 50]));
        assert_eq!(codes(&many(51)), (true, vec![refused; 51]));
        assert_eq!(codes(&many(1000)), (true, vec![refused; 1000]));
        assert_eq!(codes(&many(1001)), (true, vec![refused]));
        assert_eq!(codes(&format!("[{call},{{}}]")), (true, vec![None, refused]));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_parser_panic(text in "[\\[\\]{},:\"0-9a-z. ]{0,64}|\\PC{0,64}") {
            drop(Envelope::parse(text.as_bytes()));
        }
    }

    #[test]
    fn an_escaped_method_name_is_the_same_name() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"\u0065th_sendTransaction"}"#;
        let Envelope::Single(Ok(call)) = Envelope::parse(text.as_bytes()) else { panic!() };
        assert_eq!(call.method, "eth_sendTransaction");
    }
}
