//! Bodies, and the calls in them.

use alloy_primitives::hex;
use countersign_core::{
    bundle::BundleHandle, identity::ChainId, intent::Method, json::Json, message::Content,
    transaction::TransactionDraft,
};
use countersign_engine::submission::Draft;

use crate::agents::{
    asked,
    call::{BATCH_MAX, BadCall, Envelope, RpcCall},
    calls, message,
    route::{Local, Route, UNKNOWN, route},
    said::Said,
};

/// A body: written again, each of its calls is the same call, and asks for the same to be signed.
pub fn request(bytes: &[u8]) {
    match Envelope::parse(bytes) {
        Envelope::Single(call) => read(call),
        Envelope::Batch(calls) => {
            let all_are_bad = calls.iter().all(Result::is_err);
            assert!((1..=BATCH_MAX).contains(&calls.len()) || all_are_bad);
            calls.into_iter().for_each(read);
        }
    }
}

fn read(call: Result<RpcCall, BadCall>) {
    match call {
        Err(BadCall { id, fault }) => {
            assert!(can_be_echoed(&id));
            assert!(!fault.message.contains(char::is_control), "{}", fault.message);
        }
        Ok(call) => {
            assert!(call.id.as_ref().is_none_or(can_be_echoed));
            is_itself(&call);
            asks_for_the_same(&call);
        }
    }
}

const fn can_be_echoed(id: &Json) -> bool {
    match id {
        Json::Null | Json::Number(_) | Json::Text(_) => true,
        Json::Bool(_) | Json::List(_) | Json::Object(_) => false,
    }
}

fn is_itself(call: &RpcCall) {
    let text = |text: &str| Json::Text(text.to_owned());
    let mut members = vec![
        ("jsonrpc".to_owned(), text("2.0")),
        ("method".to_owned(), text(&call.method)),
        ("params".to_owned(), Json::List(call.params.clone())),
    ];
    members.extend(call.id.clone().map(|id| ("id".to_owned(), id)));
    let Envelope::Single(Ok(again)) = Envelope::parse(Json::Object(members).to_string().as_bytes())
    else {
        panic!("a call that is none when it is written")
    };
    assert!(again.id == call.id && again.method == call.method && again.params == call.params);
}

fn asks_for_the_same(call: &RpcCall) {
    let params = &call.params;
    match route(&call.method) {
        (name, Route::Refuse) => assert_eq!(name, UNKNOWN),
        (name, Route::Judge(method)) => {
            assert_eq!(name, call.method);
            judged(method, params);
        }
        (name, Route::Answer(Local::Simulate)) => {
            assert_eq!(name, call.method);
            if let Some(Ok(Some((method, draft)))) = params.first().map(message::in_object) {
                is_the_same_message(method, &draft);
            }
            let handle = BundleHandle::from_random([[1; 16], [2; 16]]);
            match asked::Told::read(params, (ChainId(31337), handle)) {
                Ok(told) => is_the_same_message(told.method, &told.drafted.0),
                Err(fault) => assert!(!fault.message.contains(char::is_control), "{fault:?}"),
            }
        }
        (name, Route::Answer(_) | Route::Subscription(_)) => assert_eq!(name, call.method),
        (name, Route::Forward(read)) => assert_eq!((name, read.method), (&*call.method, name)),
    }
}

fn judged(method: Method, params: &[Json]) {
    let read = match method {
        Method::SendTransaction | Method::SignTransaction => {
            asked::transaction(ChainId(31337), params)
        }
        Method::SendRawTransaction => asked::raw(ChainId(31337), params),
        Method::SendCalls => return bundled(params),
        Method::PersonalSign | Method::Sign | Method::SignTypedData => {
            message::parse(method, params)
        }
    };
    match read {
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
        Ok((draft, beside)) => {
            is_the_same_message(method, &draft);
            if let Draft::Transaction(draft) = &draft {
                let again = params.first().map(TransactionDraft::parse);
                assert_eq!(again, Some(Ok(draft.clone())));
            }
            if let Err(error) = Said::in_parameter(beside) {
                assert!(!error.to_string().contains(char::is_control), "{error}");
            }
        }
    }
}

fn bundled(params: &[Json]) {
    let handle = BundleHandle::from_random([[1; 16], [2; 16]]);
    if let Err(fault) = calls::parse(params, ChainId(31337), handle) {
        assert!(!fault.message.contains(char::is_control), "{fault:?}");
    }
}

/// In the order of its method, with its bytes in hex.
fn is_the_same_message(method: Method, draft: &Draft) {
    let Draft::Message { from, content } = draft else { return };
    let from_text = Json::Text(from.to_string());
    let params = match content {
        Content::Text(bytes) => {
            let bytes = Json::Text(format!("0x{}", hex::encode(bytes)));
            if method == Method::Sign { [from_text, bytes] } else { [bytes, from_text] }
        }
        Content::TypedData(text) => [from_text, Json::Text(text.clone())],
    };
    let again = message::parse(method, &params);
    assert_eq!(again.map(|(draft, _)| draft).as_ref(), Ok(draft));
}
