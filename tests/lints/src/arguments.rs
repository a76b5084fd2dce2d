//! Functions with all kinds of arguments.

use std::error::Error;
use std::fmt::{self, Display};
use std::process;
use std::rc::Rc;
use std::sync::Arc;

use throughline::{traced, traced_spawn};

/// What is paid for.
#[derive(Debug, Default, Clone)]
pub struct Order {
    /// Its number.
    pub number: u64,
    /// Its lines.
    pub lines: Vec<String>,
}

/// An error.
#[derive(Debug, Clone, Copy)]
pub struct Declined;

impl Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("declined")
    }
}

impl Error for Declined {}

/// Plain.
#[traced]
pub fn plain() {}

/// By value, by reference, and changed.
///
/// # Errors
///
/// If there are no lines.
#[traced]
pub fn pay(order: &mut Order, mut note: String, amount: u64, more: &str) -> Result<u64, Declined> {
    if order.lines.is_empty() {
        return Err(Declined);
    }
    note.push_str(more);
    order.lines.push(note);
    Ok(amount)
}

/// The same, later.
///
/// # Errors
///
/// If there are no lines.
#[traced]
pub async fn pay_later(order: &mut Order, mut note: String, amount: u64) -> Result<u64, Declined> {
    let paid = pay(order, String::new(), amount, "")?;
    note.clear();
    order.lines.push(note);
    Ok(paid)
}

/// Patterns.
#[traced]
#[must_use]
pub fn patterns((left, _): (u64, String), [first, ..]: [u64; 3], Order { number, .. }: Order, _: &str) -> u64 {
    left.saturating_add(first).saturating_add(number)
}

/// Patterns, later.
#[traced]
pub async fn patterns_later((left, mut right): (u64, u64), _: Vec<u8>) -> u64 {
    right = right.saturating_add(left);
    right
}

/// Unused arguments.
#[traced]
pub fn unused(_number: u64, _text: String) {}

/// An argument of which only the caller knows why.
#[traced]
pub fn unused_and_allowed(#[expect(unused_variables, reason = "for later")] number: u64) {}

/// Arguments of which only some builds make use.
#[traced]
#[must_use]
pub fn unused_under_a_condition(
    #[cfg_attr(all(), expect(unused_variables, reason = "for another build"))] text: &str,
    #[cfg_attr(any(), expect(unused_variables, reason = "for another build"))] _number: u64,
    #[expect(unused_mut, reason = "for later")] mut list: Vec<u8>,
) -> Vec<u8> {
    list
}

/// A choice of which some builds have no alternative.
#[derive(Clone, Copy, Debug)]
pub enum Format {}

/// References that are used only in statements that are not reached.
#[traced]
#[expect(unreachable_code, unused_variables, reason = "there is no format in this build")]
pub fn unreached(format: Format, input: &[u8], output: &mut Vec<u8>) {
    match format {}
    output.extend_from_slice(input);
}

/// The same.
#[traced]
#[expect(unreachable_code, unused_variables, reason = "there is no format in this build")]
pub async fn unreached_later(format: Format, input: &[u8], output: &mut Vec<u8>) {
    match format {
        #[cfg(any())]
        Format::Plain => {}
    }
    output.extend_from_slice(input);
}

/// Unused parts.
#[traced]
pub async fn unused_parts((_left, right): (u64, u64), [_, _last]: [String; 2]) -> u64 {
    right
}

/// Generic.
#[traced]
pub fn generic<'a, T, const N: usize>(list: &'a [T; N], show: impl Fn(&'a T) -> String) -> Vec<(String, &'a T)>
where
    T: Display,
{
    list.iter().map(|item| (show(item), item)).collect()
}

/// Nothing is returned, ever.
///
/// # Panics
///
/// Always.
#[traced]
pub fn never(order: &Order) -> ! {
    process::exit(i32::try_from(order.number).unwrap_or_default())
}

/// In place.
///
/// # Panics
///
/// Without a number.
#[traced]
#[track_caller]
#[must_use]
pub fn in_place(order: &Order) -> u64 {
    assert!(order.number > 0, "no order");
    order.number
}

/// In place, and it never gets there.
///
/// # Panics
///
/// Always.
#[traced]
#[track_caller]
#[must_use]
#[expect(clippy::panic, reason = "this is what it is for")]
pub fn in_place_panic(order: &Order) -> u64 {
    panic!("not {}", order.number)
}

/// It never gets there.
///
/// # Panics
///
/// Always.
#[traced]
#[expect(clippy::panic, reason = "this is what it is for")]
pub async fn panics_later(order: Order) -> u64 {
    panic!("not {}", order.number)
}

/// A function.
#[traced]
pub fn function(number: u64) -> impl Fn(&str) -> u64 {
    move |text| number.saturating_add(u64::from(text.is_empty()))
}

/// An iterator.
#[traced]
pub fn iterator(order: &Order) -> impl Iterator<Item = &String> {
    order.lines.iter()
}

/// Boxed.
#[traced]
#[must_use]
pub fn boxed(order: Arc<Order>) -> Box<dyn Fn(u64) -> u64> {
    Box::new(move |number| order.number.saturating_add(number))
}

/// Methods.
impl Order {
    /// By value.
    #[traced]
    #[must_use]
    pub fn by_value(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// By reference.
    #[traced]
    #[must_use]
    pub fn by_reference(&self) -> &[String] {
        &self.lines
    }

    /// Later.
    #[traced]
    pub async fn later(&mut self, number: u64) -> &mut u64 {
        self.number = number;
        &mut self.number
    }

    /// A job of a method.
    #[traced_spawn(tags(number = self.number))]
    pub async fn ship(self: Arc<Self>) -> u64 {
        self.number
    }

    /// By a pointer.
    #[traced]
    #[must_use]
    pub fn by_pointer(self: Rc<Self>) -> u64 {
        self.number
    }
}
