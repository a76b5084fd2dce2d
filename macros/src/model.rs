//! The model of the code to generate: fully resolved, independent of parsing and of `quote!`.

use syn::Expr;

use crate::item_fn::ItemFn;
use crate::options::{ErrMode, RetMode, Spanned};
use crate::runtime_path::Runtime;
use crate::tag::Tag;
use crate::types::Wrapped;

/// One function, with everything its attributes ask for.
pub(crate) struct Traced {
    pub(crate) runtime: Runtime,
    pub(crate) item: ItemFn,
    pub(crate) name: Name,
    /// The function's name for `code.function.name`, after the module's path.
    pub(crate) function: String,
    pub(crate) kind: Option<&'static str>,
    pub(crate) parent: Parent,
    pub(crate) links: Vec<Links>,
    pub(crate) tags: TagSets,
    pub(crate) err: ErrMode,
    pub(crate) ret: Option<Spanned<RetMode>>,
    /// Whether cancellation is recorded.
    pub(crate) cancel: bool,
    pub(crate) shape: Shape,
}

/// Tags alone, without a span of their own.
pub(crate) struct Tagged {
    pub(crate) runtime: Runtime,
    pub(crate) item: ItemFn,
    pub(crate) tags: TagSets,
    pub(crate) shape: Shape,
}

pub(crate) enum Name {
    /// Known here.
    Text(String),
    /// A constant expression of the user's.
    Expr(Expr),
}

pub(crate) enum Parent {
    Current,
    Root,
    Given(Expr),
}

pub(crate) enum Links {
    One(Expr),
    All(Expr),
}

#[derive(Default)]
pub(crate) struct TagSets {
    /// `tags(…)`: attributes of the one span.
    pub(crate) own: Vec<Tag>,
    /// `#[biz_tags(…)]`: attributes of the span and of all below.
    pub(crate) scoped: Vec<Tag>,
}

/// How the body is run in the span.
pub(crate) enum Shape {
    Sync,
    /// Synchronous, but the body must not move into a closure.
    InPlace,
    Async,
    Future(Wrapped),
    /// The body ends with a box of an async block, which is wrapped inside of the box.
    FutureInBox,
    Stream(Wrapped),
    /// An `async fn` that returns a stream.
    AsyncStream,
    Spawn(Spawn),
}

pub(crate) struct Spawn {
    pub(crate) mode: Mode,
    pub(crate) place: Place,
}

/// The job's relation to the caller's trace.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Child,
    Link,
    Root,
}

pub(crate) enum Place {
    Task,
    TaskOn(Expr),
    Local,
    Blocking,
    BlockingOn(Expr),
    Thread,
}
