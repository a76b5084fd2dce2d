use super::shape::is_index;
use super::*;

fn function(text: &str) -> ItemFn {
    ItemFn::parse(text.parse().unwrap()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Sync => "sync",
        Shape::Async => "async",
        Shape::InPlace => "in place",
        Shape::Future(Wrapped::Impl) => "impl",
        Shape::Future(Wrapped::Boxed) => "boxed",
        Shape::FutureInBox => "in its box",
        Shape::Stream(Wrapped::Impl) => "impl stream",
        Shape::Stream(Wrapped::Boxed) => "boxed stream",
        Shape::AsyncStream => "async stream",
        Shape::Spawn(_) => "job",
    }
}

#[test]
fn returns_of_closures_and_inner_functions_do_not_count() {
    for (body, expected) in [
        ("1", false),
        ("return 1;", true),
        ("if a { return } b", true),
        ("a(return)", true),
        ("made!(return 1); made!(a)", true),
        ("made!(a, { b(return) })", true),
        ("made!(a)", false),
        ("let a = || return 1;", false),
        ("let a = || made!(return 1);", false),
        ("async { return 1 }", false),
        ("fn a() { return }", false),
        // Bodies that do not parse.
        ("a b return", true),
        ("a b", false),
    ] {
        assert_eq!(returns_early(&function(&format!("fn f() {{ {body} }}"))), expected, "{body}");
    }
}

#[test]
fn methods_of_index_are_recognized_by_their_signature() {
    for (text, expected) in [
        ("fn index(&self, at: usize) -> &u8 {}", true),
        ("fn index_mut(&mut self, at: usize) -> &mut u8 {}", true),
        ("fn index(&mut self, at: usize) -> &mut u8 {}", false),
        ("fn index_mut(&self, at: usize) -> &u8 {}", false),
        ("fn index(self, at: usize) -> &'static u8 {}", false),
        ("fn index(&self, at: usize) -> u8 {}", false),
        ("fn index(&self) -> &u8 {}", false),
        ("fn index(&self, at: usize, other: usize) -> &u8 {}", false),
        ("fn index(a: &u8, at: usize) -> &u8 {}", false),
        ("pub fn index(&self, at: usize) -> &u8 {}", false),
        ("fn get(&self, at: usize) -> &u8 {}", false),
    ] {
        assert_eq!(is_index(&function(text)), expected, "{text}");
    }
}

#[test]
fn naked_functions_are_recognized_by_their_attribute() {
    for (attribute, expected) in [
        ("#[naked]", true),
        ("#[unsafe(naked)]", true),
        ("#[unsafe(no_mangle)]", false),
        ("#[cold]", false),
        ("#[doc = \"naked\"]", false),
        ("#[repr(naked)]", false),
    ] {
        let function = function(&format!("{attribute} fn f() {{}}"));
        assert_eq!(function.attrs.iter().any(is_naked), expected, "{attribute}");
    }
}

#[test]
fn methods_of_async_trait_are_recognized_by_its_lifetime() {
    for (text, expected) in [
        ("fn f<'async_trait>() -> Pin<Box<dyn Future<Output = ()> + 'async_trait>> {}", true),
        ("fn f<'a, 'async_trait>() {}", true),
        ("async fn f<'async_trait>() {}", false),
        ("fn f<'a>() {}", false),
        ("async fn f() {}", false),
    ] {
        assert_eq!(is_of_async_trait(&function(text)), expected, "{text}");
    }
}

#[test]
fn a_wrapper_is_opaque_or_a_pinned_box() {
    for (text, expected) in [
        ("fn f() {}", "sync"),
        ("async fn f() {}", "async"),
        ("#[track_caller] fn f() {}", "in place"),
        ("fn f() -> impl Future<Output = u8> {}", "impl"),
        ("fn f() -> impl Send + Future<Output = u8> {}", "impl"),
        ("fn f() -> impl Future<Output = u8> + Clone {}", "sync"),
        ("fn f() -> impl FusedFuture<Output = u8> + Future {}", "sync"),
        ("fn f() -> (impl Future<Output = u8>) {}", "impl"),
        ("#[track_caller] fn f() -> impl Future { g() }", "impl"),
        ("#[track_caller] fn f() -> impl Future { return g(); }", "in place"),
        ("fn f() -> impl Future { return g(); }", "impl"),
        ("fn f() -> Pin<Box<dyn Future<Output = u8>>> {}", "boxed"),
        ("fn f() -> Pin<Box<impl Future<Output = u8>>> {}", "boxed"),
        ("fn f() -> BoxFuture<'static, u8> {}", "boxed"),
        ("fn f() -> LocalBoxFuture<'static, u8> {}", "boxed"),
        ("fn f<T>() -> BoxFuture<'static, T> {}", "sync"),
        ("#[track_caller] fn f<T>() -> BoxFuture<'static, T> {}", "in place"),
        ("fn f<T>() -> BoxFuture<'static, T> { Box::pin(async move { g() }) }", "in its box"),
        ("#[track_caller] fn f<T>() -> BoxFuture<'static, T> { Box::pin(async move { g() }) }", "in place"),
        ("fn f<T>() -> BoxFuture<'static, T> { async move { g() }.boxed() }", "in its box"),
        ("fn f<T>() -> BoxFuture<'static, T> { Box::pin(g()) }", "sync"),
        ("fn f() -> Self::Future { Box::pin(async move { g() }) }", "in its box"),
        ("fn f() -> <Self as Service<A>>::Future { Box::pin(async move { g() }) }", "in its box"),
        ("fn f() -> ReplyFut<'_> { Box::pin(async move { g() }) }", "in its box"),
        ("fn f() -> Self::Future { g() }", "sync"),
        ("fn f() -> Self::Reply { Box::pin(async move { g() }) }", "sync"),
        ("fn f() -> impl Future + Clone { Box::pin(async move { g() }) }", "sync"),
        ("fn f() -> BoxFuture<'static, u8> { Box::pin(async move { g() }) }", "boxed"),
        ("fn f() -> Box<dyn Future<Output = u8>> {}", "sync"),
        ("fn f() -> Pin<Box<dyn Future<Output = u8>>, A> {}", "sync"),
        ("fn f() -> Pin<&'static mut dyn Future<Output = u8>> {}", "sync"),
        ("fn f() -> Rc<Box<dyn Future<Output = u8>>> {}", "sync"),
        ("fn f() -> impl Fn(&str) -> u8 {}", "in place"),
        ("fn f() -> (u8, impl FnOnce()) {}", "in place"),
        ("fn f() -> impl Handler { |request| answer(request) }", "in place"),
        ("fn f() -> impl Handler { |request| answer(request); Other }", "sync"),
        ("fn f() -> u8 { f() }", "in place"),
    ] {
        assert_eq!(name(&plain_shape(&function(text), None)), expected, "{text}");
    }
}

#[test]
fn without_an_option_a_stream_is_recognized_by_its_type() {
    for (text, expected) in [
        ("fn f() -> impl Stream<Item = u8> {}", "impl stream"),
        ("fn f() -> Pin<Box<impl Stream<Item = u8>>> {}", "boxed stream"),
        ("fn f() -> Pin<Box<dyn Stream<Item = u8>>> {}", "boxed stream"),
        ("fn f() -> BoxStream<'static, u8> {}", "boxed stream"),
        ("async fn f() -> impl Stream<Item = u8> {}", "async stream"),
        ("async fn f() -> BoxStream<'static, u8> {}", "async"),
        ("fn f<T>() -> BoxStream<'static, T> {}", "sync"),
        ("fn f() -> impl Stream {}", "sync"),
        ("async fn f() -> impl Stream {}", "async"),
        ("fn f() -> impl Stream<Item = u8> + Clone {}", "sync"),
        ("fn f() -> impl Future<Output = u8> {}", "impl"),
        ("fn f() -> Vec<u8> {}", "sync"),
    ] {
        let report = Report::default();
        assert_eq!(name(&biz_tags(None, Vec::new(), function(text), &report).shape), expected, "{text}");
        assert!(report.is_empty(), "{text}");
    }
}
