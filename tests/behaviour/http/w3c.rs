//! W3C Trace Context, levels 1 and 2, in the headers of a request: extraction and injection.

use axum::Router;
use axum::routing::get as on_get;
use http::{HeaderMap, HeaderValue, Request};
use throughline::testing::Capture;
use throughline_http::{ClientLayer, ServerLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{PARENT, TRACE, send};

/// The headers that a service with these request headers sends: the trace ID, the parent ID, the flags and the trace
/// state.
async fn through(headers: &[(&str, &[u8])]) -> (String, String, String, Vec<String>) {
    async fn call_on() -> (HeaderMap, &'static str) {
        let echo = service_fn(|request: Request<()>| async move {
            Ok::<_, std::convert::Infallible>(http::Response::new(request.headers().clone()))
        });
        let sent = ClientLayer::new().layer(echo).oneshot(Request::new(())).await.expect("an answer").into_body();
        (sent, "ok")
    }
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let router = Router::new().route("/", on_get(call_on)).layer(ServerLayer::new());
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let response = send(&Capture::new(), router, request).await;
    let all = |name: &str| -> Vec<String> {
        let values = response.headers().get_all(name).iter();
        values.map(|value| value.to_str().expect("text").to_owned()).collect()
    };
    let identity = all("traceparent");
    assert_eq!(identity.len(), 1, "one and only one goes out: {identity:?}");
    let parts: Vec<_> = identity[0].split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { panic!("four parts: {identity:?}") };
    assert_eq!((version, trace.len(), parent.len(), flags.len()), ("00", 32, 16, 2));
    (trace.to_owned(), parent.to_owned(), flags.to_owned(), all("tracestate"))
}

fn identity(text: &str) -> (&'static str, Vec<u8>) {
    ("traceparent", text.replace('T', TRACE).replace('P', PARENT).into_bytes())
}

#[tokio::test]
async fn identities_that_are_continued() {
    for (text, flags) in [
        ("00-T-P-01", "01"),
        ("00-T-P-00", "00"),
        ("00-T-P-02", "02"),
        ("00-T-P-fe", "02"),
        ("00-T-P-03", "03"),
        ("00-T-P-ff", "03"),
        ("  00-T-P-01\t", "01"),
        ("01-T-P-01", "01"),
        ("cc-T-P-01", "01"),
        ("cc-T-P-01-what-comes-later", "01"),
        ("fe-T-P-01-", "01"),
    ] {
        let (name, value) = identity(text);
        let (trace, parent, sent, _) = through(&[(name, &value)]).await;
        assert_eq!(trace, TRACE, "{text}");
        assert_ne!(parent, PARENT, "{text}: it names its own span");
        assert_eq!(sent, flags, "{text}");
    }
    let (name, value) = identity("00-T-P-01");
    assert_eq!(through(&[(&name.to_uppercase(), &value)]).await.0, TRACE, "names have no case");
}

#[tokio::test]
async fn identities_that_are_not() {
    for text in [
        "",
        "-",
        "00",
        "00-T-P",
        "00-T-P-",
        "00-T-P-1",
        "00-T-P-001",
        "00-T-P-01-",
        "00-T-P-01-more",
        "00-T-P-01.",
        "cc-T-P-01.more",
        "cc-T-P-011",
        "ff-T-P-01",
        "ff-T-P-01-more",
        "0-T-P-01",
        "000-T-P-01",
        "0000-T-P-01",
        ".0-T-P-01",
        "0.-T-P-01",
        "0G-T-P-01",
        "CC-T-P-01",
        "00_T_P_01",
        "00-T-P-.0",
        "00-T-P-0.",
        "00-T-P-0A",
        "00-T-P-+1",
        "00-00000000000000000000000000000000-P-01",
        "00-T-0000000000000000-01",
        "00-.af7651916cd43dd8448eb211c80319c-P-01",
        "00-0af7651916cd43dd8448eb211c80319.-P-01",
        "00-0AF7651916CD43DD8448EB211C80319C-P-01",
        "00-0af7651916cd43dd8448eb211c80319cc-P-01",
        "00-0af7651916cd43dd8448eb211c80319-P-01",
        "00-T-.7ad6b7169203331-01",
        "00-T-b7ad6b716920333.-01",
        "00-T-b7ad6b71692033311-01",
        "00-T-b7ad6b716920333-01",
        "00-T-B7AD6B7169203331-01",
        "00-T-P-01,00-T-P-01",
    ] {
        let (name, value) = identity(text);
        let (trace, _, flags, state) = through(&[(name, &value), ("tracestate", b"a=1")]).await;
        assert_ne!(trace, TRACE, "{text}");
        assert_ne!(trace, "0".repeat(32), "{text}");
        assert_eq!(flags, "01", "{text}: the root of a new trace is sampled here");
        assert!(state.is_empty(), "{text}: the state is that of another trace");
    }
    assert_ne!(through(&[("traceparent", b"\xff")]).await.0, TRACE);
}

#[tokio::test]
async fn wrong_names_are_other_headers() {
    let (_, value) = identity("00-T-P-01");
    for name in ["trace-parent", "trace.parent", "x-traceparent"] {
        assert_ne!(through(&[(name, &value)]).await.0, TRACE);
    }
}

#[tokio::test]
async fn two_identities_are_none() {
    let (name, value) = identity("00-T-P-01");
    assert_ne!(through(&[(name, &value), (name, &value)]).await.0, TRACE);
    assert_ne!(through(&[(name, &value), (name, b"\xff")]).await.0, TRACE);
}

async fn state(headers: &[&[u8]]) -> Vec<String> {
    let (name, value) = identity("00-T-P-01");
    let mut all = vec![(name, &value[..])];
    all.extend(headers.iter().map(|&value| ("tracestate", value)));
    let (trace, .., state) = through(&all).await;
    assert_eq!(trace, TRACE, "the state does not matter to the identity");
    state
}

#[tokio::test]
async fn states_that_are_propagated() {
    let members = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
    let (long_key, long_tenant) = ("k".repeat(256), "t".repeat(241));
    for (headers, expected) in [
        (vec!["a=1"], "a=1".to_owned()),
        (vec!["a=1,b=2"], "a=1,b=2".to_owned()),
        (vec!["a=1", "b=2", "c=3"], "a=1,b=2,c=3".to_owned()),
        (vec![" a=1\t, \tb=2 "], "a=1,b=2".to_owned()),
        (vec!["a=1,", "", ",b=2,,"], "a=1,b=2".to_owned()),
        (vec!["a= 1"], "a= 1".to_owned()),
        (vec!["a=1 2"], "a=1 2".to_owned()),
        (vec!["0a=1"], "0a=1".to_owned()),
        (vec!["a_-*/=1"], "a_-*/=1".to_owned()),
        (vec!["0tenant@system=1"], "0tenant@system=1".to_owned()),
        (vec!["t@system89012345=1"], "t@system89012345=1".to_owned()),
        (vec![&*format!("{long_key}=1")], format!("{long_key}=1")),
        (vec![&*format!("{long_tenant}@s=1")], format!("{long_tenant}@s=1")),
        (vec![&*format!("t{long_tenant}@s=1")], format!("t{long_tenant}@s=1")),
        (vec!["t@system890123456=1"], "t@system890123456=1".to_owned()),
        (vec!["foo@=1,bar=2"], "foo@=1,bar=2".to_owned()),
        (vec!["foo@@bar=1,bar=2"], "foo@@bar=1,bar=2".to_owned()),
        (vec!["foo@bar@baz=1,bar=2"], "foo@bar@baz=1,bar=2".to_owned()),
        (vec!["a=1,a=1"], "a=1".to_owned()),
        (vec!["a=1,b=2,a=3"], "a=1,b=2".to_owned()),
        (vec!["a=1", "a=2"], "a=1".to_owned()),
        (vec![&*format!("a={}", "v".repeat(256))], format!("a={}", "v".repeat(256))),
        (vec![&*members(32)], members(32)),
        (vec!["a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"], "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~".to_owned()),
    ] {
        let bytes: Vec<_> = headers.iter().map(|header| header.as_bytes()).collect();
        assert_eq!(state(&bytes).await, [expected], "{headers:?}");
    }
}

#[tokio::test]
async fn states_that_are_discarded_as_a_whole() {
    let members = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
    for header in [
        "a",
        "=",
        "=1",
        "a=",
        "a=1=2",
        "a=1;b=2",
        "a =1",
        "a\t=1",
        "A=1",
        "a=1,B=2",
        "_a=1",
        "a.b=1",
        "@a=1",
        "a@b.c=1",
        "a@B=1",
        "a=1,a=",
        "a=\u{e9}",
        &format!("{}=1", "k".repeat(257)),
        &format!("{}@s=1", "t".repeat(255)),
        &format!("a={}", "v".repeat(257)),
        &members(33),
    ] {
        let state = state(&[b"good=1", header.as_bytes()]).await;
        assert!(state.is_empty(), "{header}: {state:?}");
    }
    assert!(state(&[b"a=1", b"b=\xff"]).await.is_empty());
}

#[tokio::test]
async fn an_empty_state_is_not_sent() {
    for headers in [&[][..], &[&b""[..]], &[b"", b""], &[b" ,\t, "]] {
        assert!(state(headers).await.is_empty());
    }
}
