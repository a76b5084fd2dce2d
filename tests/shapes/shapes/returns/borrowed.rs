//! Values that borrow from an argument, and guards.

use std::cell::{Cell, Ref, RefCell};
use std::sync::{Mutex, MutexGuard};

use crate::shapes::harness::{pause, shape};

shape!(
    guard,
    "f",
    {
        #[traced]
        fn f<'a>(of: &'a Mutex<u8>, _: &str) -> MutexGuard<'a, u8> {
            of.lock().unwrap()
        }
    },
    {
        let of = Mutex::new(1);
        let n = *f(&of, "");
        n
    }
);

shape!(
    cell_guard,
    "f",
    {
        #[traced]
        fn f(of: &RefCell<Vec<u8>>) -> Option<Ref<'_, u8>> {
            if of.borrow().is_empty() {
                return None;
            }
            Some(Ref::map(of.borrow(), |list| &list[0]))
        }
    },
    {
        let of = RefCell::new(vec![1]);
        let n = f(&of).map(|n| *n);
        n
    }
);

shape!(
    borrow_of_an_argument,
    "f",
    {
        #[traced]
        fn f(list: &mut Vec<u8>) -> &mut u8 {
            list.push(1);
            list.last_mut().unwrap()
        }
    },
    {
        let mut list = vec![];
        *f(&mut list) += 1;
        list
    }
);

shape!(borrow_of_an_argument_async, "f", {
    #[traced]
    async fn f(list: &mut Vec<u8>) -> &mut u8 { list.push(1); pause().await; list.last_mut().unwrap() }
}, block { let mut list = vec![]; *f(&mut list).await += 1; list });

shape!(
    opaque_that_borrows,
    "f",
    {
        #[traced]
        fn f<'a>(list: &'a [u8], n: &u8) -> impl Iterator<Item = &'a u8> + use<'a> {
            let n = *n;
            list.iter().filter(move |&&item| item > n)
        }
    },
    {
        let list = [1, 2, 3];
        f(&list, &1).copied().collect::<Vec<_>>()
    }
);

shape!(
    object_that_borrows,
    "f",
    {
        #[traced]
        fn f(list: &[u8]) -> Box<dyn Iterator<Item = &u8> + '_> {
            Box::new(list.iter().rev())
        }
    },
    f(&[1, 2]).copied().collect::<Vec<_>>()
);

shape!(
    cells,
    "f",
    {
        #[traced]
        fn f(cells: &[Cell<u8>]) -> Option<&Cell<u8>> {
            let cell = cells.first()?;
            cell.set(2);
            Some(cell)
        }
    },
    f(&[Cell::new(1)]).map(Cell::get)
);
