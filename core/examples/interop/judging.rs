//! What the cases expect, and what they say when something else comes.

use std::fmt::Display;

use linkspan_core::{CallError, CallOptions, Channel, Code, Metadata, RpcError, Status, StreamCall};

pub(crate) type Outcome = Result<(), String>;

pub(crate) fn start(channel: &Channel, method: &str) -> Result<StreamCall, String> {
    channel.stream(method, CallOptions::default()).map_err(told)
}

pub(crate) async fn next(call: &mut StreamCall) -> Result<bytes::Bytes, String> {
    call.message().await.map_err(told)?.ok_or_else(|| "a message was expected and the call ended OK".to_owned())
}

pub(crate) async fn ends_ok(call: &mut StreamCall) -> Outcome {
    match call.message().await.map_err(told)? {
        None => Ok(()),
        Some(message) => Err(format!("the end was expected and a message of {} bytes came", message.len())),
    }
}

pub(crate) fn failed_as<T>(outcome: Result<T, CallError>, code: Code, text: Option<&str>) -> Outcome {
    match outcome {
        Ok(_) => Err(format!("{code} was expected and the call ended OK")),
        Err(CallError::Refused(error)) => Err(told(error)),
        Err(CallError::Rpc(failure)) => is_status(failure.status(), code, text),
    }
}

pub(crate) fn stream_failed_as<T>(outcome: Result<T, RpcError>, code: Code, text: Option<&str>) -> Outcome {
    match outcome {
        Ok(_) => Err(format!("{code} was expected and the call went on or ended OK")),
        Err(failure) => is_status(failure.status(), code, text),
    }
}

fn is_status(status: &Status, code: Code, text: Option<&str>) -> Outcome {
    if status.code() == code && text.is_none_or(|text| status.message() == text) {
        return Ok(());
    }
    Err(format!("{code} {text:?} was expected and {} {:?} came", status.code(), status.message()))
}

pub(crate) fn has_once(metadata: &Metadata, key: &str, value: &[u8]) -> Outcome {
    let values: Vec<_> = metadata.iter().filter(|(name, _)| *name == key).map(|(_, value)| value).collect();
    if values.len() == 1 && values[0] == value {
        return Ok(());
    }
    Err(format!("{key}: {value:?} was expected once and {values:?} came"))
}

pub(crate) fn expect<T: PartialEq + Display>(what: &str, is: T, wanted: T) -> Outcome {
    if is == wanted { Ok(()) } else { Err(format!("{what}: {wanted} was expected and {is} came")) }
}

pub(crate) fn told(cause: impl Display) -> String {
    cause.to_string()
}

pub(crate) fn not_sent(cause: linkspan_core::SendError) -> String {
    format!("a message was not taken: {cause:?}")
}
