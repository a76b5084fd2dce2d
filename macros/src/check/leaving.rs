//! Expressions in an attribute are evaluated outside of the function's body, so they cannot return from the function.

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::Expr;
use syn::visit::{self, Visit};

use crate::model::TagSets;
use crate::options::Options;
use crate::report::Report;

/// Reports `?` and `return` in options. The compiler's error would be about a closure that the user has not written.
pub(super) fn leaving(options: &Options, report: &Report) {
    let given = [("parent", &options.parent), ("link", &options.link), ("links", &options.links), ("on", &options.on)];
    for (name, option) in given {
        if let Some(exit) = option.as_ref().and_then(|option| exit_of(&option.value)) {
            let message = format!("the expression of `{name}` cannot return from the function{}", advice(name));
            report.error(exit, message);
        }
    }
}

fn advice(name: &str) -> &'static str {
    match name {
        "parent" | "link" => "; an `Option` is accepted: `.ok()` instead of `?`",
        _ => "",
    }
}

/// Reports `?` and `return` in tags.
pub(super) fn leaving_tags(tags: &TagSets, report: &Report) {
    use crate::tag::Source;

    for tag in tags.own.iter().chain(&tags.scoped) {
        let value = match &tag.source {
            Source::Expr(value) => Some(value),
            Source::Argument(_) => None,
        };
        if let Some(exit) = value.into_iter().chain(&tag.fallback).find_map(exit_of) {
            report.error(
                exit,
                "the expression of a tag cannot return from the function; `None` omits the tag: `.ok()` instead of `?`",
            );
        }
    }
}

/// The first `?` or `return` that would leave the function around the expression.
fn exit_of(expr: &Expr) -> Option<TokenStream> {
    struct Finder(Option<TokenStream>);

    impl<'ast> Visit<'ast> for Finder {
        fn visit_expr_return(&mut self, it: &'ast syn::ExprReturn) {
            self.0.get_or_insert_with(|| it.return_token.to_token_stream());
        }

        fn visit_expr_try(&mut self, it: &'ast syn::ExprTry) {
            visit::visit_expr_try(self, it);
            self.0.get_or_insert_with(|| it.question_token.to_token_stream());
        }

        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}
        fn visit_expr_try_block(&mut self, _: &'ast syn::ExprTryBlock) {}
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    }

    let mut finder = Finder(None);
    finder.visit_expr(expr);
    finder.0
}
