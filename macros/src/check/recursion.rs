//! Detects functions that call themselves unconditionally.
//!
//! The compiler has a lint for this, which looks at the function's own body but not into closures. So the body of such
//! a function is not moved. The detection is syntactic: a body with a call that only looks recursive (`self.name()`,
//! which may be an inherent method of the same name) is not moved either, at little cost.

use std::cell::Cell;

use syn::{BinOp, Block, Expr, ExprBlock, FnArg, Ident, Stmt, UnOp};

use crate::item_fn::{ItemFn, mentions};

/// Whether every path through the function contains a recursive call.
pub(crate) fn recurses(item: &ItemFn) -> bool {
    let Some(body) = &item.body else { return false };
    let function = Function {
        name: &item.sig.ident,
        method: matches!(item.sig.inputs.first(), Some(FnArg::Receiver(_))),
        operator: operator(&item.sig.ident),
        calls: Cell::new(false),
    };
    if !mentions(&body.stream(), function.name) && function.operator.is_none() {
        return false;
    }
    let braces = proc_macro2::TokenTree::Group(body.clone()).into();
    syn::parse2::<Block>(braces).is_ok_and(|block| function.block(&block) == Ok(true)) && function.calls.get()
}

struct Function<'a> {
    name: &'a Ident,
    method: bool,
    operator: Option<&'static str>,
    /// Whether it calls itself at all; a function that only panics does not.
    calls: Cell<bool>,
}

/// The function can return, or loop forever, without a call.
#[derive(PartialEq)]
struct WayOut;

/// Whether the code that follows is only reached after a call.
type Called = Result<bool, WayOut>;

impl Function<'_> {
    fn block(&self, block: &Block) -> Called {
        for statement in &block.stmts {
            let called = match statement {
                Stmt::Local(local) => match &local.init {
                    Some(init) => {
                        let called = self.expr(&init.expr)?;
                        if let (false, Some((_, diverge))) = (called, &init.diverge) {
                            self.expr(diverge)?;
                        }
                        called
                    }
                    None => false,
                },
                Stmt::Expr(expr, _) => self.expr(expr)?,
                Stmt::Macro(it) => never_returns(&it.mac.path),
                Stmt::Item(_) => false,
            };
            if called {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn expr(&self, expr: &Expr) -> Called {
        match expr {
            Expr::Call(call) => {
                Ok(self.expr(&call.func)? || self.each(&call.args)? || self.called(self.is_self(&call.func)))
            }
            Expr::MethodCall(call) => {
                let itself = self.method && call.method == *self.name && is_this(&call.receiver);
                Ok(self.expr(&call.receiver)? || self.each(&call.args)? || self.called(itself))
            }
            Expr::Binary(binary) => {
                let called = self.expr(&binary.left)?;
                if called || matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) {
                    return Ok(called);
                }
                let itself = self.operator.is_some_and(|of| symbol(binary.op) == Some(of)) && is_this(&binary.left);
                Ok(self.expr(&binary.right)? || self.called(itself))
            }
            Expr::Unary(unary) => {
                let itself =
                    matches!((unary.op, self.operator), (UnOp::Not(_), Some("not")) | (UnOp::Neg(_), Some("neg")))
                        && is_this(&unary.expr);
                Ok(self.expr(&unary.expr)? || self.called(itself))
            }
            Expr::If(it) => {
                if self.expr(&it.cond)? {
                    return Ok(true);
                }
                let then = self.block(&it.then_branch)?;
                let otherwise = it.else_branch.as_ref().map_or(Ok(false), |(_, branch)| self.expr(branch))?;
                Ok(then && otherwise)
            }
            Expr::Match(it) => {
                if self.expr(&it.expr)? {
                    return Ok(true);
                }
                let mut all = true;
                for arm in &it.arms {
                    all &= self.expr(&arm.body)?;
                }
                Ok(all)
            }
            Expr::ForLoop(it) => self.before_a_loop(&it.expr),
            Expr::While(it) => self.before_a_loop(&it.cond),
            Expr::Loop(it) => {
                if self.block(&it.body)? {
                    Ok(true)
                } else {
                    Err(WayOut)
                }
            }
            Expr::Return(it) => {
                let called = it.expr.as_ref().map_or(Ok(false), |expr| self.expr(expr))?;
                if called { Ok(true) } else { Err(WayOut) }
            }
            Expr::Try(it) => {
                if self.expr(&it.expr)? {
                    Ok(true)
                } else {
                    Err(WayOut)
                }
            }
            Expr::Break(_) | Expr::Continue(_) | Expr::Yield(_) | Expr::TryBlock(_) | Expr::Verbatim(_) => Err(WayOut),
            Expr::Block(ExprBlock { label: None, block, .. }) => self.block(block),
            Expr::Unsafe(it) => self.block(&it.block),
            Expr::Macro(it) => Ok(never_returns(&it.mac.path)),
            Expr::Let(it) => self.expr(&it.expr),
            Expr::Assign(it) => Ok(self.expr(&it.right)? || self.expr(&it.left)?),
            Expr::Index(it) => Ok(self.expr(&it.expr)? || self.expr(&it.index)?),
            Expr::Range(it) => {
                let start = it.start.as_ref().map_or(Ok(false), |expr| self.expr(expr))?;
                Ok(start || it.end.as_ref().map_or(Ok(false), |expr| self.expr(expr))?)
            }
            Expr::Struct(it) => Ok(self.each(it.fields.iter().map(|field| &field.expr))?
                || it.rest.as_ref().map_or(Ok(false), |expr| self.expr(expr))?),
            Expr::Array(it) => self.each(&it.elems),
            Expr::Tuple(it) => self.each(&it.elems),
            Expr::Paren(it) => self.expr(&it.expr),
            Expr::Group(it) => self.expr(&it.expr),
            Expr::Reference(it) => self.expr(&it.expr),
            Expr::RawAddr(it) => self.expr(&it.expr),
            Expr::Cast(it) => self.expr(&it.expr),
            Expr::Field(it) => self.expr(&it.base),
            Expr::Await(it) => self.expr(&it.base),
            _ => Ok(false),
        }
    }

    fn called(&self, itself: bool) -> bool {
        self.calls.set(self.calls.get() || itself);
        itself
    }

    fn before_a_loop(&self, expr: &Expr) -> Called {
        if self.expr(expr)? { Ok(true) } else { Err(WayOut) }
    }

    fn each<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Called {
        for expr in exprs {
            if self.expr(expr)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `name` in a function, `Self::name` in a method or an associated function.
    fn is_self(&self, callee: &Expr) -> bool {
        let Expr::Path(callee) = callee else { return false };
        let segments = &callee.path.segments;
        if segments.last().is_none_or(|last| last.ident != *self.name) {
            return false;
        }
        match segments.len() {
            1 => !self.method,
            2 => segments[0].ident == "Self",
            _ => false,
        }
    }
}

/// `self`, `*self` or `&self`.
fn is_this(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.path.is_ident("self"),
        Expr::Paren(it) => is_this(&it.expr),
        Expr::Group(it) => is_this(&it.expr),
        Expr::Reference(it) => is_this(&it.expr),
        Expr::Unary(it) => matches!(it.op, UnOp::Deref(_)) && is_this(&it.expr),
        _ => false,
    }
}

fn never_returns(path: &syn::Path) -> bool {
    let last = path.segments.last().map(|last| last.ident.to_string());
    matches!(last.as_deref(), Some("panic" | "unreachable" | "todo" | "unimplemented"))
}

const OPERATORS: &[&str] = &[
    "add",
    "sub",
    "mul",
    "div",
    "rem",
    "bitand",
    "bitor",
    "bitxor",
    "shl",
    "shr",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "not",
    "neg",
    "add_assign",
    "sub_assign",
    "mul_assign",
    "div_assign",
    "rem_assign",
    "bitand_assign",
    "bitor_assign",
    "bitxor_assign",
    "shl_assign",
    "shr_assign",
];

/// The operator that the method implements, by its name.
fn operator(name: &Ident) -> Option<&'static str> {
    OPERATORS.iter().find(|operator| name == **operator).copied()
}

/// The method of a binary operator.
fn symbol(op: BinOp) -> Option<&'static str> {
    Some(match op {
        BinOp::Add(_) => "add",
        BinOp::Sub(_) => "sub",
        BinOp::Mul(_) => "mul",
        BinOp::Div(_) => "div",
        BinOp::Rem(_) => "rem",
        BinOp::BitAnd(_) => "bitand",
        BinOp::BitOr(_) => "bitor",
        BinOp::BitXor(_) => "bitxor",
        BinOp::Shl(_) => "shl",
        BinOp::Shr(_) => "shr",
        BinOp::Eq(_) => "eq",
        BinOp::Ne(_) => "ne",
        BinOp::Lt(_) => "lt",
        BinOp::Le(_) => "le",
        BinOp::Gt(_) => "gt",
        BinOp::Ge(_) => "ge",
        BinOp::AddAssign(_) => "add_assign",
        BinOp::SubAssign(_) => "sub_assign",
        BinOp::MulAssign(_) => "mul_assign",
        BinOp::DivAssign(_) => "div_assign",
        BinOp::RemAssign(_) => "rem_assign",
        BinOp::BitAndAssign(_) => "bitand_assign",
        BinOp::BitOrAssign(_) => "bitor_assign",
        BinOp::BitXorAssign(_) => "bitxor_assign",
        BinOp::ShlAssign(_) => "shl_assign",
        BinOp::ShrAssign(_) => "shr_assign",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
