//! No name in generated code can be shadowed.

#![no_implicit_prelude]
#![deny(warnings)]

mod core {}
mod std {}
mod tokio {}
mod opentelemetry {}

#[allow(unused_macros, reason = "they only shadow other names")]
macro_rules! concat {
    () => {};
}
#[allow(unused_macros, reason = "they only shadow other names")]
macro_rules! module_path {
    () => {};
}
#[allow(unused_imports, reason = "they only shadow other names")]
pub(crate) use {concat, module_path};

#[allow(dead_code, reason = "they only shadow other names")]
mod shadows {
    pub(crate) struct Result;
    pub(crate) struct Option;
    pub(crate) struct String;
    pub(crate) struct Box;
    pub(crate) struct Some;
    pub(crate) struct Ok;
    pub(crate) struct Context;
}
#[allow(unused_imports, reason = "they only shadow other names")]
use shadows::*;

#[::throughline::traced(kind = server, ret, tags(result, span = tags))]
fn names_of_generated_code(result: u64, tags: u64, span: u64) -> u64 {
    let arg0 = result + tags;
    arg0 + span
}

#[::throughline::biz_tags(tenant = tenant else "nobody")]
#[::throughline::traced]
async fn later((tenant, _): (::std::option::Option<u64>, u64)) -> bool {
    tenant.is_some()
}

#[::throughline::traced_spawn(blocking)]
fn job(no: u64) -> u64 {
    no
}

#[::throughline::traced_spawn(on = handle)]
async fn task(handle: ::tokio::runtime::Handle, no: u64) -> ::std::result::Result<u64, ::std::string::String> {
    ::std::mem::drop(handle);
    ::std::result::Result::Ok(no)
}

/// A stream of bytes, which has no items.
trait Stream: ::std::io::Read + ::std::io::Write {}
impl<T: ::std::io::Read + ::std::io::Write> Stream for T {}

#[::throughline::traced]
fn labelled(early: bool) -> impl ::core::fmt::Debug {
    '__body: {
        if early {
            break '__body 1;
        }
        2
    }
}

#[::throughline::biz_tags(no)]
fn connect(no: u64) -> impl Stream {
    ::std::io::Cursor::new([0_u8; 4])
}

#[::throughline::biz_tags(no)]
async fn connect_later(no: u64) -> impl Stream + ::core::marker::Send {
    ::std::io::Cursor::new([0_u8; 4])
}

fn main() {
    ::std::assert_eq!(::std::io::Write::write(&mut connect(1), &[1]).unwrap(), 1);
    ::std::assert_eq!(names_of_generated_code(1, 2, 3), 6);
    ::std::assert_eq!(::std::format!("{:?}", labelled(true)), "1");
    let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        ::std::assert!(!later((::std::option::Option::None, 1)).await);
        ::std::assert_eq!(::std::io::Write::write(&mut connect_later(1).await, &[1]).unwrap(), 1);
        ::std::assert_eq!(job(1).await.unwrap(), 1);
        ::std::assert_eq!(task(::tokio::runtime::Handle::current(), 2).await.unwrap().unwrap(), 2);
    });
}
