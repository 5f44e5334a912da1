//! HTTP/1.1: connections, limits, keys, and the bodies in both directions.

use super::jsonrpc::{self, Answer, Body, Failure, Request as Call};
use super::metrics::label;
use super::reply::Group;
use super::service::{Gathered, Service};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The longest time that a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bodies are counted in units of so many bytes.
const UNIT: u64 = 1024;
/// So many bodies of the largest size may be in memory at once; more wait.
const LARGE_BODIES: u64 = 16;

/// What a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: u64,
    /// Requests of a batch.
    pub batch: usize,
}

/// Room for the bodies that are in memory.
#[derive(Debug)]
pub struct Room(Semaphore);

impl Room {
    /// Room for bodies of these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let units = limits.body.div_ceil(UNIT).saturating_mul(LARGE_BODIES);
        Self(Semaphore::new(usize::try_from(units).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)))
    }

    async fn take(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        self.0.acquire_many(u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)).await.ok()
    }
}

type Reply = Response<Full<Bytes>>;

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An error that is about no request in particular.
fn refusal(status: StatusCode, failure: &Failure) -> Reply {
    let mut out = Vec::new();
    jsonrpc::write_answer(&mut out, None, &Err(failure.clone()));
    reply(status, "application/json", out)
}

/// Answers a request.
pub async fn answer(service: Arc<Service>, peer: SocketAddr, request: Request<Incoming>) -> Reply {
    let refuse = |reason: &'static str, status: StatusCode, failure: Failure| {
        service.metrics.refuse(reason);
        refusal(status, &failure)
    };
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET, "/health") => {
            let (healthy, text) = service.health();
            let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            return reply(status, "application/json", text);
        }
        // It tells the tenants' names: for whoever is on this machine.
        (&Method::GET, "/metrics") if is_local(peer.ip()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            return reply(StatusCode::OK, kind, service.metrics.text());
        }
        (&Method::POST, _) => {}
        _ => {
            let failure =
                Failure::invalid_request(format!("expected POST with a JSON-RPC body, got {}", request.method()));
            return refuse("method", StatusCode::METHOD_NOT_ALLOWED, failure);
        }
    }
    if !service.tenants.need_keys() && !is_own_host(request.headers()) {
        // A page in a browser may have its own name lead here.
        let failure =
            Failure::invalid_request("expected the Host to be an IP address or localhost, as no key is needed");
        return refuse("host", StatusCode::FORBIDDEN, failure);
    }
    if !is_json(request.headers()) {
        let failure = Failure::invalid_request("expected the content type application/json");
        return refuse("content_type", StatusCode::UNSUPPORTED_MEDIA_TYPE, failure);
    }
    let Some(tenant) = service.tenants.of_key(key_of(request.headers(), path)) else {
        let failure = Failure::server(
            "no such API key: send one as `Authorization: Bearer KEY`, as `X-API-Key: KEY` or as the path /KEY",
        );
        let mut response = refuse("key", StatusCode::UNAUTHORIZED, failure);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    let most = service.limits.body;
    let too_large = || Failure::invalid_request(format!("content length too large: expected at most {most} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > most) {
        return refuse("body_size", StatusCode::PAYLOAD_TOO_LARGE, too_large());
    }
    let Some(_room) = service.room.take(announced.unwrap_or(most)).await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, &Failure::server("the server stops"));
    };
    let body = Limited::new(request.into_body(), usize::try_from(most).unwrap_or(usize::MAX)).collect();
    let body = match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return refuse("body_size", StatusCode::PAYLOAD_TOO_LARGE, too_large());
        }
        Ok(Err(error)) => {
            let failure = Failure::invalid_request(format!("the body did not arrive whole: {error}"));
            return refuse("body", StatusCode::BAD_REQUEST, failure);
        }
        Err(_) => {
            let failure = Failure::invalid_request("the body did not arrive in time");
            return refuse("body", StatusCode::REQUEST_TIMEOUT, failure);
        }
    };
    match jsonrpc::read(&body, service.limits.batch) {
        Err(failure) => refuse("request", StatusCode::OK, failure),
        Ok(Body::One(request)) => one(&service, tenant, request).await,
        Ok(Body::Batch(requests)) => batch(&service, tenant, requests).await,
    }
}

async fn one(service: &Arc<Service>, tenant: usize, request: Call<'_>) -> Reply {
    let is_limit = |answer: &Answer| matches!(answer, Err(failure) if failure.code == jsonrpc::LIMIT_EXCEEDED);
    let answers = all(service, tenant, vec![Ok(request)]).await;
    let Some((id, answer)) = answers.first() else {
        return reply(StatusCode::OK, "application/json", Bytes::new());
    };
    let mut out = Vec::with_capacity(256);
    jsonrpc::write_answer(&mut out, *id, answer);
    let status = if is_limit(answer) { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    reply(status, "application/json", out)
}

async fn batch(service: &Arc<Service>, tenant: usize, requests: Vec<Result<Call<'_>, Failure>>) -> Reply {
    let answers = all(service, tenant, requests).await;
    if answers.is_empty() {
        // Notifications alone.
        return reply(StatusCode::OK, "application/json", Bytes::new());
    }
    let mut out = Vec::with_capacity(answers.len() * 128);
    out.push(b'[');
    for (index, (id, answer)) in answers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        jsonrpc::write_answer(&mut out, *id, answer);
    }
    out.push(b']');
    reply(StatusCode::OK, "application/json", out)
}

/// The answers to some requests, in their order; notifications have none.
async fn all<'a>(
    service: &Arc<Service>,
    tenant: usize,
    requests: Vec<Result<Call<'a>, Failure>>,
) -> Vec<(Option<&'a RawValue>, Answer)> {
    let start = Instant::now();
    let admitted = service.admit(tenant, requests.len());
    let (waiting, slots) = Group::of(requests.len());
    let (mut about, mut gathered) = (Vec::with_capacity(requests.len()), Gathered::default());
    for (request, slot) in requests.into_iter().zip(slots) {
        let request = request.and_then(|request| request.check().map(|()| request));
        match request {
            Err(failure) => {
                about.push((Some(RawValue::NULL), "other"));
                slot.answer(Err(failure));
            }
            Ok(request) => {
                let method = match about.last() {
                    // Mostly they are all the same.
                    Some((_, last)) if *last == request.method => *last,
                    _ => label(&request.method),
                };
                about.push((request.id, method));
                match &admitted {
                    Ok(_) => service.submit(tenant, &request, slot, &mut gathered),
                    Err(failure) => slot.answer(Err(failure.clone())),
                }
            }
        }
    }
    service.queue_all(gathered);
    let group = waiting.answers().await;
    drop(admitted);
    let took = start.elapsed();
    let mut by_method: BTreeMap<&'static str, Vec<&Answer>> = BTreeMap::new();
    for ((_, method), answer) in about.iter().zip(group.iter()) {
        by_method.entry(method).or_default().push(answer);
    }
    let name = service.tenants.list().get(tenant).map_or("", |tenant| &tenant.name);
    for (method, answers) in by_method {
        service.metrics.answered(name, method, &answers, took);
    }
    let answers = group.take();
    about.into_iter().zip(answers).filter_map(|((id, _), answer)| Some((Some(id?), answer))).collect()
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether the request is for an address or this machine, and not for a name that somebody else made lead here.
fn is_own_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/json-rpc", "application/jsonrequest"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

fn key_of<'a>(headers: &'a HeaderMap, path: &'a str) -> Option<&'a str> {
    if let Some(bearer) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        let (scheme, key) = bearer.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim());
    }
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok();
    }
    path.strip_prefix('/').filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn keys_are_where_callers_put_them() {
        assert_eq!(key_of(&headers(&[("authorization", "Bearer abc")]), "/"), Some("abc"));
        assert_eq!(key_of(&headers(&[("authorization", "bearer abc")]), "/other"), Some("abc"));
        assert_eq!(key_of(&headers(&[("authorization", "Basic abc")]), "/abc"), None);
        assert_eq!(key_of(&headers(&[("x-api-key", "abc")]), "/"), Some("abc"));
        assert_eq!(key_of(&headers(&[]), "/abc"), Some("abc"));
        assert_eq!(key_of(&headers(&[]), "/"), None);
    }

    #[test]
    fn hosts_that_a_page_could_have_made_up() {
        for own in ["127.0.0.1:8545", "localhost:8545", "[::1]:8545", "[::1]", "10.0.0.7", "LOCALHOST"] {
            assert!(is_own_host(&headers(&[("host", own)])), "{own}");
        }
        for other in ["evil.example:8545", "localhost.evil.example", "127.0.0.1.evil.example:8545"] {
            assert!(!is_own_host(&headers(&[("host", other)])), "{other}");
        }
    }
}
