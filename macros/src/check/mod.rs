//! Rules that depend on both the options and the function. The result is a model.

use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, Meta, Type};

mod arguments;
mod borrowed;
mod boxed;
mod entry;
mod leaving;
mod recursion;
mod shape;

use self::arguments::arguments;
use self::borrowed::borrowed;
use self::boxed::can_be_boxed_again;
pub(crate) use self::boxed::may_borrow;
use self::entry::entry_point;
pub(crate) use self::entry::is_entry_point;
use self::leaving::{leaving, leaving_tags};
pub(crate) use self::recursion::recurses;
pub(crate) use self::shape::{is_of_async_trait, returns_early};
use self::shape::{plain_shape, stream_shape};
use crate::item_fn::{ItemFn, Returns};
use crate::model::{Links, Mode, Name, Parent, Place, Shape, Spawn, TagSets, Tagged, Traced};
use crate::options::{ErrMode, Options, RetMode, Spanned};
use crate::report::Report;
use crate::runtime_path::Runtime;
use crate::tag::Tag;
use crate::types::{STREAMS, Wrapped, associated, is_unit, peel, pinned_opaque, resolved, wrapped};

/// `#[traced]` on a function.
pub(crate) fn traced(options: Options, biz: Vec<Tag>, item: ItemFn, report: &Report) -> Traced {
    body(&item, "#[traced]", options.home.is_some(), report);
    if let (Some(skip), true) = (&options.skip, report.is_empty()) {
        let message = if options.home.is_some() {
            "`skip` excludes the method, so no other option applies; remove them, or remove `skip`"
        } else {
            "`skip` excludes a method of a traced `impl` block; here, remove the attribute"
        };
        report.error(&skip.key, message);
    }
    let shape = match &options.stream {
        Some(stream) => stream_shape(&item, stream, options.may_borrow.as_deref(), report),
        None => plain_shape(&item, options.may_borrow.as_deref()),
    };
    origin_conflicts(&options, report);
    if let (Some(cancel), Shape::Sync | Shape::InPlace) = (&options.cancel, &shape) {
        report.error(
            &cancel.key,
            "`cancel` applies to futures and streams; a synchronous `fn` cannot be cancelled; remove `cancel`",
        );
    }
    build(options, biz, item, shape, report)
}

/// `#[traced_spawn]` on a function.
pub(crate) fn traced_spawn(options: Options, biz: Vec<Tag>, item: ItemFn, report: &Report) -> Traced {
    // A mistyped option may be the one that is reported as missing below.
    let understood = report.is_empty() && item.body.is_some();
    let is_of_async_trait = is_of_async_trait(&item);
    body(&item, "#[traced_spawn]", options.home.is_some(), report);
    origin_conflicts(&options, report);
    let modes = [("link", &options.link_mode), ("root", &options.root)];
    conflict(&modes, "a job has one relation to the trace of its caller", report);
    if let (Some(link), Some(_)) = (&options.link_mode, &options.parent) {
        report.error(&link.key, "`link` conflicts with `parent`: one starts a new trace, the other continues one");
    }
    let places = [("blocking", &options.blocking), ("thread", &options.thread), ("local", &options.local)];
    let one_place = !conflict(&places, "a job runs in one place only", report);
    if let Some(on) = &options.on {
        for (name, place) in &places[1..] {
            if place.is_some() {
                report.error(
                    &on.key,
                    format_args!(
                        "`on` conflicts with `{name}`: a runtime handle spawns on the threads of that runtime"
                    ),
                );
            }
        }
    }
    if entry_point(&item, report) || !one_place {
        // It is unclear which kind of function is meant.
    } else if item.sig.asyncness.is_some() {
        for (name, place) in &places[..2] {
            if let Some(place) = place {
                let message = format!("`{name}` runs a synchronous `fn`; remove `async`, or remove `{name}`");
                report.error(&place.key, message);
            }
        }
    } else if let Some(local) = &options.local {
        report.error(&local.key, "`local` runs an `async fn`; add `async`, or use `blocking` or `thread`");
    } else if understood && options.blocking.is_none() && options.thread.is_none() {
        let message = if is_of_async_trait {
            "`#[traced_spawn]` needs an `async fn`, and `#[async_trait]` makes a method one that returns a future; move the job to a function outside of the trait, and call it here"
        } else {
            "`#[traced_spawn]` needs an `async fn`; for a synchronous `fn` write `#[traced_spawn(blocking)]` or `#[traced_spawn(thread)]`"
        };
        report.error(item.sig.fn_token, message);
    }
    if !is_of_async_trait && item.body.is_some() {
        borrowed(&item, report);
    }

    let mode = match (&options.link_mode, &options.root) {
        (Some(_), _) => Mode::Link,
        (None, Some(_)) => Mode::Root,
        (None, None) => Mode::Child,
    };
    let on = options.on.as_ref().map(|on| on.value.clone());
    let place = if options.thread.is_some() {
        Place::Thread
    } else if options.local.is_some() {
        Place::Local
    } else {
        match (options.blocking.is_some(), on) {
            (true, Some(handle)) => Place::BlockingOn(handle),
            (true, None) => Place::Blocking,
            (false, Some(handle)) => Place::TaskOn(handle),
            (false, None) => Place::Task,
        }
    };
    build(options, biz, item, Shape::Spawn(Spawn { mode, place }), report)
}

/// `#[biz_tags]` without another attribute.
pub(crate) fn biz_tags(krate: Option<&syn::Path>, biz: Vec<Tag>, item: ItemFn, report: &Report) -> Tagged {
    body(&item, "#[biz_tags]", false, report);
    let tags = TagSets { own: Vec::new(), scoped: biz };
    arguments(&tags, &item, report);
    leaving_tags(&tags, report);
    // `impl Stream` without an item type is useless as a stream, so it is another trait of that name.
    let is_stream = |ty: &Type| {
        let ty = pinned_opaque(ty).unwrap_or(ty);
        !matches!(peel(ty), Type::ImplTrait(_)) || associated(ty, "Item").is_some()
    };
    let stream = match item.returns() {
        Returns::Value(ty) if is_stream(ty) => wrapped(ty, "Stream", STREAMS),
        _ => None,
    };
    let reboxed = || matches!(item.returns(), Returns::Value(ty) if can_be_boxed_again(&item, ty, None));
    let shape = match stream {
        Some(wrapped) if item.sig.asyncness.is_none() && (wrapped == Wrapped::Impl || reboxed()) => {
            Shape::Stream(wrapped)
        }
        Some(Wrapped::Impl) => Shape::AsyncStream,
        _ => plain_shape(&item, None),
    };
    Tagged { runtime: Runtime::new(krate), item, tags, shape }
}

fn build(options: Options, biz: Vec<Tag>, item: ItemFn, shape: Shape, report: &Report) -> Traced {
    leaving(&options, report);
    let tags = TagSets { own: options.tags.map(|tags| tags.value).unwrap_or_default(), scoped: biz };
    arguments(&tags, &item, report);
    leaving_tags(&tags, report);
    for tag in &tags.scoped {
        if tags.own.iter().any(|own| own.key == tag.key) {
            report.push(syn::Error::new(
                tag.key_span,
                format!("duplicate tag `{}`, which is also in `tags(…)`", tag.key),
            ));
        }
    }
    if let Some(Spanned { key, value: mode }) = &options.ret {
        match item.returns() {
            Returns::Unit => report.error(key, "`ret` has nothing to record: the function returns `()`; remove `ret`"),
            Returns::Never => {
                report.error(key, "`ret` has nothing to record: the function never returns; remove `ret`");
            }
            Returns::Value(_) if matches!(shape, Shape::Stream(_) | Shape::AsyncStream) => {
                report.error(key, "`ret` conflicts with `stream`: a stream has items, not a return value");
            }
            Returns::Value(ty) if matches!(mode, RetMode::Value) && is_unit(resolved(ty).unwrap_or(ty)) => {
                report.error(key, "`ret` has nothing to record: the value is `()`; remove `ret`");
            }
            Returns::Value(_) => {}
        }
    }
    // `err = off` is allowed with any return value, but without one it has no effect.
    let is_quiet = |mode| matches!((mode, item.returns()), (ErrMode::Off, Returns::Value(_)));
    if let Some(Spanned { key, .. }) = options.err.as_ref().filter(|err| !item.may_fail() && !is_quiet(err.value)) {
        report.error(key, "`err` has no effect: the function does not return a `Result`; remove `err`");
    }

    if let Some(Spanned { value: Expr::Path(path), .. }) = &options.name {
        if let Some(name) = item.bindings().iter().find(|name| path.path.is_ident(*name)) {
            let message = "the span name must be a constant; record variable parts as tags";
            report.error(path, format_args!("{message}: `tags({name})`"));
        }
    }

    let method = item.sig.ident.unraw().to_string();
    let function = match &options.home {
        Some(self_type) => format!("{}::{method}", self_type.unraw()),
        None => method,
    };
    let mut links = Vec::new();
    links.extend(options.link.map(|link| Links::One(link.value)));
    links.extend(options.links.map(|all| Links::All(all.value)));
    Traced {
        runtime: Runtime::new(options.krate.as_ref().map(|krate| &krate.value)),
        name: match options.name {
            Some(name) => Name::Expr(name.value),
            None => Name::Text(function.clone()),
        },
        function,
        kind: options.kind.map(|kind| kind.value),
        parent: match (options.root, options.parent) {
            (_, Some(parent)) => Parent::Given(parent.value),
            (Some(_), None) => Parent::Root,
            (None, None) => Parent::Current,
        },
        links,
        tags,
        err: options.err.map(|err| err.value).unwrap_or_default(),
        ret: options.ret,
        cancel: options.cancel.as_ref().or(options.cancel_of_block.as_ref()).is_none_or(|cancel| cancel.value),
        item,
        shape,
    }
}

fn body(item: &ItemFn, attribute: &str, in_impl: bool, report: &Report) {
    if item.body.is_none() {
        let place = if item.sig.receiver().is_some() {
            "put it on the method of the `impl`, or give the method a default"
        } else {
            "put it on the function of the `impl`, or give the function a default; for a foreign function, put it on one that calls it"
        };
        report.error(&item.sig.ident, format_args!("`{attribute}` needs a body; {place}"));
        return;
    }
    if let Some(constness) = &item.sig.constness {
        let way_out = if in_impl {
            "remove `const`, or exclude the method with `#[traced(skip)]`"
        } else {
            "remove `const`, or the attribute"
        };
        let message = format!("`{attribute}` does not support `const fn`: no spans exist at compile time; {way_out}");
        report.error(constness, message);
    }
    if let Some(naked) = item.attrs.iter().find(|attr| is_naked(attr)) {
        report
            .error(naked, format_args!("`{attribute}` does not support naked functions, whose body is assembly alone"));
    }
    if let Some(variadic) = &item.sig.variadic {
        report.error(variadic, format_args!("`{attribute}` does not support variadic functions"));
    }
}

/// `#[naked]`, `#[unsafe(naked)]`.
fn is_naked(attr: &Attribute) -> bool {
    match &attr.meta {
        Meta::Path(path) => path.is_ident("naked"),
        Meta::List(list) => list.path.is_ident("unsafe") && list.tokens.to_string() == "naked",
        Meta::NameValue(_) => false,
    }
}

fn origin_conflicts(options: &Options, report: &Report) {
    if let (Some(root), Some(_)) = (&options.root, &options.parent) {
        report.error(&root.key, "`root` conflicts with `parent`: one starts a new trace, the other continues one");
    }
}

/// Reports an error if more than one of `all` is given, and returns whether this is so.
fn conflict(all: &[(&str, &Option<Spanned<()>>)], why: &str, report: &Report) -> bool {
    let mut found = false;
    let mut given = all.iter().filter_map(|(name, option)| option.as_ref().map(|option| (name, option)));
    if let Some((first, _)) = given.next() {
        for (name, option) in given {
            report.error(&option.key, format_args!("`{name}` conflicts with `{first}`: {why}"));
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests;
