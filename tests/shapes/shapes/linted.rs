//! Functions to which a lint applies, or just does not. They are only linted, by `tests/lints/compare`.

#[cfg(not(linted = "plain"))]
use throughline::traced;
#[cfg(linted = "plain")]
use throughline_plain::traced;

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Add, Deref, Neg, Not};
use std::path::PathBuf;
use std::rc::Rc;

// `ptr_arg`: depends on how the body uses them.
#[traced] pub fn capacities(text: &String, list: &Vec<u8>, path: &PathBuf) -> usize { text.capacity() + list.capacity() + path.capacity() }
#[traced] pub fn lengths(text: &String, list: &Vec<u8>, path: &PathBuf) -> usize { text.len() + list.len() + path.as_os_str().len() }
#[traced] pub fn pushed(text: &mut String, list: &mut Vec<u8>) { text.push('a'); list.push(1); }
#[traced] pub fn changed(list: &mut Vec<u8>) { list[0] = 1; }
#[traced] pub fn handed_on(text: &String, list: &mut Vec<u8>) -> usize { pushed(&mut text.clone(), list); lengths(text, list, &PathBuf::new()) }
#[traced] pub async fn later(text: &String, list: &Vec<u8>) -> usize { text.len() + list.len() }
#[traced] pub async fn later_capacity(text: &String, list: &mut Vec<u8>) -> usize { list.push(1); text.capacity() }

// Arguments that are only read, only borrowed, or not used.
#[traced] pub fn read_only(list: &mut Vec<u8>) -> usize { list.len() }
#[traced] pub fn borrowed(list: Vec<u8>, text: String, shared: Rc<str>) -> usize { list.len() + text.len() + shared.len() }
#[traced] pub fn boxed(value: Box<[u8; 4]>) -> u8 { value[0] }
#[traced] pub fn small(value: &u8, flag: &bool) -> u8 { if *flag { *value } else { 0 } }
#[traced] pub fn option(value: &Option<String>) -> bool { value.is_some() }
#[traced] pub fn flags(a: bool, b: bool, c: bool, d: bool) -> bool { a && b && c && d }
#[traced] pub fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 { a + b + c + d + e + f + g + h }
#[traced] pub fn shadowed(value: u8) -> u8 { let value = value + 1; let value = value * 2; value }
#[traced] pub fn underscored(_value: u8) -> u8 { _value }
#[traced] pub fn by_reference(ref value: String) -> usize { value.len() }
#[traced] pub fn unused(value: u8, mut list: Vec<u8>, (a, b): (u8, u8)) -> u8 { a }
#[traced] pub fn assigned(mut value: u8) { value = 1; }
#[traced] pub fn assigned_tuple((mut a, b): (u8, String)) -> String { a += 1; b }
#[traced] pub async fn assigned_later(mut value: String) { value = String::new(); }

// References that are only used in unreachable statements.
#[traced] pub fn unreached(list: &mut Vec<u8>) { todo!(); list.push(1); }
#[traced] pub async fn unreached_later(list: &mut Vec<u8>, text: &str) { unimplemented!("later"); list.extend(text.bytes()); }
#[traced] pub fn unreached_behind_a_loop(list: &mut Vec<u8>) { loop {} list.push(1); }
#[traced] pub fn unreached_behind_a_return(list: &mut Vec<u8>, n: u8) -> u8 { return n; list.push(n); n }
#[traced] pub fn unreached_behind_a_match(never: Infallible, list: &[u8]) -> usize { match never {} list.len() }
#[traced] pub fn unused_and_unreached(list: &mut Vec<u8>, text: &str) { todo!(); list.push(1); }

// Return values.
#[traced] pub fn wrapped(value: u8) -> Option<u8> { Some(value) }
#[traced] pub fn never_fails(value: u8) -> Result<u8, String> { Ok(value) }
#[traced] pub fn returned(value: u8) -> u8 { return value; }
#[traced] pub fn let_and_returned(value: u8) -> u8 { let sum = value + 1; sum }
#[traced] pub fn lifetimes<'a>(text: &'a str) -> &'a str { text }
#[traced] pub fn unused_lifetime<'a, T>(value: u8) -> u8 { value }
#[traced] pub fn by_hand(value: u8) -> impl Future<Output = u8> { async move { value } }
#[traced] pub async fn waits_for_nothing(value: u8) -> u8 { value }
#[traced] pub fn question(value: Option<u8>) -> Option<u8> { let value = value?; Some(value) }
#[traced] pub fn questioned(value: Option<u8>) -> Option<u8> { Some(value?) }
#[traced] pub fn unwrapped(value: Option<u8>) -> Result<u8, String> { if value.is_none() { panic!("none") } Ok(value.unwrap()) }
#[traced] pub fn unit_error(value: u8) -> Result<u8, ()> { if value == 0 { Err(()) } else { Ok(value) } }
#[traced] pub fn converted(text: String) -> String { String::from(text) }
#[traced] pub fn iterated(list: Vec<u8>) -> Vec<u8> { list.into_iter().into_iter().collect() }
#[traced] pub fn found(list: Vec<u8>) -> Option<u8> { for item in list { if item > 1 { return Some(item); } } None }
#[traced] pub fn from_pointer(pointer: *const u8) -> u8 { unsafe { *pointer } }
#[traced] pub fn from_shared(value: &u8) -> &mut u8 { Box::leak(Box::new(*value)) }
#[traced] pub fn looped() -> u8 { loop {} }

// Recursion.
#[traced] pub fn for_ever(value: u8) -> u8 { for_ever(value) }
#[traced] pub fn either_way(value: u8) -> u8 { if value > 1 { 1 + either_way(value) } else { return either_way(1); } }
#[traced] pub fn never_ends() -> ! { never_ends() }
#[traced] pub fn never_gets_there(value: u8) -> u8 { never_gets_there(value); panic!("there") }
#[traced] pub fn never_gets_anywhere(value: u8) { never_gets_anywhere(value); panic!("there") }
#[traced] pub fn ends_after_another(value: u8) -> u8 { others::ends_after_another(value); panic!("there") }
#[traced] pub fn ends_without_value(value: u8) -> ! { others::ends_without_value(value); panic!("there") }

mod others {
    pub(super) fn ends_after_another(_: u8) {}
    pub(super) fn ends_without_value(_: u8) {}
}
#[traced] pub fn not_for_ever(value: u8) -> u8 { if value > 1 { not_for_ever(value - 1) } else { 0 } }
#[traced] pub fn only_handed_on(value: u8, also: u8) -> u8 { if value > 1 { only_handed_on(value - 1, also) } else { 0 } }

/// With a `Drop`.
pub struct Guard(pub u8, pub Vec<u8>);

impl Drop for Guard {
    #[traced] fn drop(&mut self) { self.1.clear(); }
}

impl Guard {
    #[traced] pub fn forget(mut self) { self.0 = 0; }
    #[traced] pub async fn forget_later(mut self) { self.0 = 0; }
    #[traced] pub fn forget_if(mut self, flag: bool) { if flag { self.0 = 0; return; } self.0 = 1; }
    #[traced] pub fn itself(&self) -> u8 { self.itself() }
    #[traced] pub fn of_type(&self) -> u8 { Self::of_type(self) }
    #[traced] pub fn other(&self) -> u8 { self.0 }
    #[traced] pub fn to_something(self) -> u8 { self.0 }
    #[traced] pub fn is_something(&mut self) -> bool { self.0 = 1; true }
    #[traced] pub fn new() -> u8 { 1 }
    #[traced] pub fn unused_self(&self, value: u8) -> u8 { value }
    #[traced] pub fn boxed_self(self: Box<Self>) -> u8 { self.0 }
}

/// Without one.
#[derive(Debug)]
pub struct Plain<T>(pub u8, pub PhantomData<T>);

impl<T> Plain<T> {
    #[traced] pub fn forget(mut self) { self.0 = 0; }
    #[traced] pub fn with<U: fmt::Debug>(mut self, value: u8) -> Self { self.0 = value; self }
    #[traced] pub fn new() -> Self { Self(0, PhantomData) }
    #[traced] pub fn to_string(&self) -> String { String::new() }
}

impl<T> Clone for Plain<T> {
    #[traced] fn clone(&self) -> Self { *self }
}
impl<T> Copy for Plain<T> {}
impl<T> PartialEq for Plain<T> {
    #[traced] fn eq(&self, other: &Self) -> bool { *self == *other }
}
impl<T> Eq for Plain<T> {}
impl<T> PartialOrd for Plain<T> {
    #[traced] fn partial_cmp(&self, other: &Self) -> Option<Ordering> { Some(self.cmp(other)) }
}
impl<T> Ord for Plain<T> {
    #[traced] fn cmp(&self, other: &Self) -> Ordering { self.0.cmp(&other.0) }
}
impl<T> Default for Plain<T> {
    #[traced] fn default() -> Self { Self::default() }
}
impl<T> Add for Plain<T> {
    type Output = Self;
    #[traced] fn add(self, other: Self) -> Self { self + other }
}
impl<T> Neg for Plain<T> {
    type Output = Self;
    #[traced] fn neg(self) -> Self { -self }
}
impl<T> Not for Plain<T> {
    type Output = bool;
    #[traced] fn not(self) -> bool { self.0 == 0 }
}
impl<T> Deref for Plain<T> {
    type Target = u8;
    #[traced] fn deref(&self) -> &u8 { &self.0 }
}
impl<T> fmt::Display for Plain<T> {
    #[traced] fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}", self) }
}
impl<T> From<Plain<T>> for u8 {
    #[traced] fn from(plain: Plain<T>) -> u8 { u8::try_from(plain.0).unwrap() }
}
impl<T> Iterator for Plain<T> {
    type Item = u8;
    #[traced] fn next(&mut self) -> Option<u8> { self.next() }
}
impl<T> Plain<T> {
    #[traced] pub fn unreached(&mut self, value: u8) { todo!(); self.0 = value; }
}

// Tags of a pattern, which the compiler would shorten.
pub struct Named { pub name: String, pub no: u8 }
#[traced(tags(name))] pub fn longhand(Named { name: ref name, .. }: Named) -> usize { name.len() }
#[traced(tags(name, no))] pub fn longhand_of_a_reference(&Named { name: ref name, no: no }: &Named) -> usize { name.len() + usize::from(no) }
#[traced(tags(no))] pub async fn longhand_later(Named { no: no, .. }: Named) -> u8 { no }
