//! JSON-RPC 2.0 as Ethereum's nodes speak it: requests as they come, answers as they go.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The text is no JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is no request.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method, or not for this caller.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are not what the method takes.
pub const INVALID_PARAMS: i64 = -32602;
/// A defect of isolane.
pub const INTERNAL_ERROR: i64 = -32603;
/// What a node answers where nothing more precise is agreed upon.
pub const SERVER_ERROR: i64 = -32000;
/// A limit of the server or of the tenant (EIP-1474).
pub const LIMIT_EXCEEDED: i64 = -32005;
/// An execution that reverted; the data is what it returned.
pub const REVERTED: i64 = 3;

/// A request. What is not needed yet stays text.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    /// Must be "2.0" where it is there; nodes do not insist on it.
    #[serde(borrow, default)]
    pub jsonrpc: Option<Cow<'a, str>>,
    /// A number, a text or null, which the answer repeats; absent in a notification, which gets none.
    #[serde(borrow, default, deserialize_with = "even_null")]
    pub id: Option<&'a RawValue>,
    /// The method.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The parameters: an array, or nothing.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}

/// A request that is an object: what is derived takes an array of its fields as well.
struct Object<'a>(Request<'a>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Request::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A null that is there is not absent.
pub(super) fn even_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Request<'_> {
    /// The text of the parameters.
    #[must_use]
    pub fn params(&self) -> &str {
        self.params.map_or("[]", RawValue::get)
    }

    /// That the request is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Failure> {
        if let Some(version) = self.jsonrpc.as_deref()
            && version != "2.0"
        {
            let version: String = version.chars().take(20).collect();
            return Err(Failure::invalid_request(format!("expected \"jsonrpc\": \"2.0\", got {version:?}")));
        }
        let id = self.id.map_or("null", RawValue::get);
        let scalar = !id.starts_with(['{', '[', 't', 'f']);
        if !scalar {
            return Err(Failure::invalid_request("expected an id that is a number or a text, got something else"));
        }
        if id.len() > 256 {
            return Err(Failure::invalid_request("expected an id of at most 256 characters"));
        }
        Ok(())
    }
}

/// What a body holds.
#[derive(Debug)]
pub enum Body<'a> {
    /// One request.
    One(Request<'a>),
    /// Several, each of which may be none.
    Batch(Vec<Result<Request<'a>, Failure>>),
}

/// Reads a body.
///
/// # Errors
/// When it is no JSON, no request, an empty batch or one of more than `most` requests.
pub fn read(body: &[u8], most: usize) -> Result<Body<'_>, Failure> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Failure::parse(format!("expected UTF-8, which ends at offset {}", error.valid_up_to())))?;
    if !text.trim_ascii_start().starts_with('[') {
        return one(text).map(Body::One);
    }
    let too_many = |count: usize| {
        Failure::new(INVALID_REQUEST, format!("batch too large: expected at most {most} requests, got {count}"))
    };
    // Nearly all batches are well-formed throughout; of the others each request is read alone.
    if let Ok(list) = serde_json::from_str::<Vec<Object<'_>>>(text) {
        return match list.len() {
            0 => Err(Failure::invalid_request("empty batch")),
            count if count > most => Err(too_many(count)),
            _ => Ok(Body::Batch(list.into_iter().map(|object| Ok(object.0)).collect())),
        };
    }
    let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| Failure::parse(error.to_string()))?;
    if list.len() > most {
        return Err(too_many(list.len()));
    }
    Ok(Body::Batch(list.into_iter().map(|item| one(item.get())).collect()))
}

fn one(text: &str) -> Result<Request<'_>, Failure> {
    serde_json::from_str(text).map(|object: Object<'_>| object.0).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Failure::invalid_request(format!("invalid request: {error}")),
        _ => Failure::parse(error.to_string()),
    })
}

/// An error object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub code: i64,
    /// The message: what, expected, got.
    pub message: String,
    /// More of it, as JSON.
    pub data: Option<String>,
}

impl Failure {
    /// An error without data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// What cannot be read as JSON.
    #[must_use]
    pub fn parse(message: impl fmt::Display) -> Self {
        Self::new(PARSE_ERROR, format!("parse error: {message}"))
    }

    /// What is no request.
    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    /// Parameters that the method does not take.
    #[must_use]
    pub fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// What a node says where nothing more precise is agreed upon.
    #[must_use]
    pub fn server(message: impl Into<String>) -> Self {
        Self::new(SERVER_ERROR, message)
    }

    /// A limit that was reached.
    #[must_use]
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(LIMIT_EXCEEDED, message)
    }

    /// A defect of isolane.
    #[must_use]
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(INTERNAL_ERROR, format!("internal error (please report it): {message}"))
    }

    /// An error of a method that the server does not have.
    #[must_use]
    pub fn no_method(method: &str) -> Self {
        let method: String = method.chars().take(100).collect();
        Self::new(METHOD_NOT_FOUND, format!("the method {method} does not exist/is not available"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl std::error::Error for Failure {}

/// What a request came to: a result as JSON text, or an error.
pub type Answer = Result<String, Failure>;

/// Appends the answer to a request.
pub fn write_answer(out: &mut Vec<u8>, id: Option<&RawValue>, answer: &Answer) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.map_or("null", RawValue::get).as_bytes());
    match answer {
        Ok(result) => {
            out.extend_from_slice(b",\"result\":");
            out.extend_from_slice(result.as_bytes());
        }
        Err(failure) => {
            out.extend_from_slice(b",\"error\":");
            write_failure(out, failure);
        }
    }
    out.push(b'}');
}

/// Appends an error object.
pub fn write_failure(out: &mut Vec<u8>, failure: &Failure) {
    out.extend_from_slice(format!("{{\"code\":{},\"message\":", failure.code).as_bytes());
    // Text always serializes.
    let message = serde_json::to_string(&failure.message).unwrap_or_else(|_| "\"\"".to_owned());
    out.extend_from_slice(message.as_bytes());
    if let Some(data) = &failure.data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_bytes());
    }
    out.push(b'}');
}

/// Bytes as a JSON text.
#[must_use]
pub fn hex_text(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2 + 4];
    text[..3].copy_from_slice(b"\"0x");
    let end = text.len() - 1;
    text[end] = b'"';
    // The slice has the length that it needs.
    let _ = alloy_primitives::hex::encode_to_slice(bytes, &mut text[3..end]);
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> Option<i64> {
        read(body.as_bytes(), 3).err().map(|failure| failure.code)
    }

    #[test]
    fn bodies_that_are_none() {
        assert_eq!(code("{"), Some(PARSE_ERROR));
        assert_eq!(code("nonsense"), Some(PARSE_ERROR));
        assert_eq!(code("[1,"), Some(PARSE_ERROR));
        assert_eq!(code("{} {}"), Some(INVALID_REQUEST));
        assert_eq!(code("7"), Some(INVALID_REQUEST));
        assert_eq!(code("{\"id\":1}"), Some(INVALID_REQUEST));
        assert_eq!(code("[]"), Some(INVALID_REQUEST));
        let fields = read(br#"[["2.0",1,"eth_call",[]]]"#, 3);
        assert!(matches!(fields, Ok(Body::Batch(list)) if list[0].is_err()), "an array of fields is no request");
        assert_eq!(code("[1,2,3,4]"), Some(INVALID_REQUEST));
        assert_eq!(read(b"\"\xff\"", 3).expect_err("no text").code, PARSE_ERROR);
    }

    #[test]
    fn a_batch_with_something_wrong_in_it_keeps_the_rest() {
        let body = r#"[{"id":1,"method":"a"}, 7, {"id":"x","method":"b","params":[1]}]"#;
        let Ok(Body::Batch(list)) = read(body.as_bytes(), 3) else { panic!("a batch") };
        assert_eq!(list[0].as_ref().map(|request| request.method.as_ref()), Ok("a"));
        assert_eq!(list[1].as_ref().err().map(|failure| failure.code), Some(INVALID_REQUEST));
        assert_eq!(list[2].as_ref().map(|request| request.params()), Ok("[1]"));
    }

    #[test]
    fn requests_are_checked() {
        for (body, good) in [
            (r#"{"id":1,"method":"a"}"#, true),
            (r#"{"jsonrpc":"2.0","id":"a","method":"a","params":null}"#, true),
            (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, false),
            (r#"{"id":{},"method":"a"}"#, false),
            (r#"{"id":[1],"method":"a"}"#, false),
            (r#"{"id":true,"method":"a"}"#, false),
        ] {
            let Ok(Body::One(request)) = read(body.as_bytes(), 3) else { panic!("{body}") };
            assert_eq!(request.check().is_ok(), good, "{body}");
        }
    }

    #[test]
    fn answers_are_json() {
        let id: Box<RawValue> = serde_json::from_str("\"q\"").expect("JSON");
        let mut out = Vec::new();
        write_answer(&mut out, Some(&id), &Ok(hex_text(&[1, 0xab])));
        assert_eq!(String::from_utf8_lossy(&out), r#"{"jsonrpc":"2.0","id":"q","result":"0x01ab"}"#);
        out.clear();
        let failure = Failure { data: Some(hex_text(&[])), ..Failure::new(REVERTED, "a \"quoted\" text") };
        write_answer(&mut out, None, &Err(failure));
        let shown = r#"{"jsonrpc":"2.0","id":null,"error":{"code":3,"message":"a \"quoted\" text","data":"0x"}}"#;
        assert_eq!(String::from_utf8_lossy(&out), shown);
    }
}
