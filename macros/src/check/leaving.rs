//! Expressions in an attribute are evaluated outside of the function's body, so they cannot return from the function.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::parse::{ParseStream, Parser as _};
use syn::visit::{self, Visit};
use syn::{Expr, Macro, Token};

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

        fn visit_macro(&mut self, mac: &'ast Macro) {
            self.0 = self.0.take().or_else(|| exit_of_macro(mac));
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

/// The same, of the arguments of a macro. What other macros make of theirs is not known.
fn exit_of_macro(mac: &Macro) -> Option<TokenStream> {
    let known = ["dbg", "format", "format_args", "matches", "vec"];
    if !known.iter().any(|name| mac.path.is_ident(name)) {
        return None;
    }
    let arguments = |input: ParseStream<'_>| {
        let mut exit = None;
        while let (None, Ok(argument)) = (&exit, input.parse::<Expr>()) {
            exit = exit_of(&argument);
            if input.peek(Token![,]) || input.peek(Token![;]) {
                input.parse::<TokenTree>()?;
            }
        }
        input.parse::<TokenStream>()?;
        Ok(exit)
    };
    arguments.parse2(mac.tokens.clone()).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_found_in_the_arguments_of_macros() {
        for (expr, expected) in [
            ("format!(\"{}\", a?)", Some("?")),
            ("format!(\"{b}\", b = { return 1 }).len()", Some("return")),
            ("vec![a?; 2]", Some("?")),
            ("vec![1, format!(\"{}\", a?)]", Some("?")),
            ("matches!(a?, Some(b) if b > 1)", Some("?")),
            ("matches!(a, Some(b) if b > 1)", None),
            ("format!(\"{a:?} {}\", (|| Some(b?))())", None),
            ("made!(a?)", None),
            ("vec![]", None),
        ] {
            let exit = exit_of(&syn::parse_str(expr).unwrap()).map(|token| token.to_string());
            assert_eq!(exit.as_deref(), expected, "{expr}");
        }
    }
}
