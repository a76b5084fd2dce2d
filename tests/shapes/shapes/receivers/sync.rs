//! Methods that are not asynchronous.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use crate::shapes::harness::{Noisy, log, shape};

method!(
    by_reference,
    {
        fn f(&self, a: Noisy) -> u8 {
            self.n
        }
    },
    |this| this.f(Noisy("a"))
);

method!(
    by_mutable_reference,
    {
        fn f(&mut self, a: Noisy) -> u8 {
            self.n += 1;
            self.n
        }
    },
    |this| {
        let mut this = this;
        (this.f(Noisy("a")), this)
    }
);

method!(
    by_value,
    {
        fn f(self, a: Noisy, b: Noisy) -> u8 {
            log(self.name.0);
            self.n
        }
    },
    |this| this.f(Noisy("a"), Noisy("b"))
);

method!(
    by_value_unused,
    {
        fn f(self, a: Noisy) {}
    },
    |this| this.f(Noisy("a"))
);

method!(
    by_value_partly_moved,
    {
        fn f(self, a: Noisy) -> Noisy {
            self.name
        }
    },
    |this| this.f(Noisy("a"))
);

method!(
    by_value_returned,
    {
        fn f(self, a: Noisy) -> Self {
            Self { n: 7, ..self }
        }
    },
    |this| this.f(Noisy("a"))
);

method!(
    by_mutable_value,
    {
        fn f(mut self, a: Noisy) -> Self {
            self.n += 1;
            self.name = Noisy("new");
            self
        }
    },
    |this| this.f(Noisy("a"))
);

// The return value borrows through `self`.
shape!(
    by_mutable_value_that_borrows,
    "├── first\n└── skipped\n    └── rest",
    {
        #[derive(Debug)]
        struct S<'a>(&'a mut [u8]);
        impl<'a> S<'a> {
            #[traced]
            fn first(mut self) -> &'a mut u8 {
                self.0[0] += 1;
                &mut self.0[0]
            }
            #[traced]
            fn rest(mut self, a: Noisy) -> Self {
                self.0[1] += 1;
                Self(&mut self.0[1..])
            }
            #[traced]
            fn skipped(mut self) -> impl Iterator<Item = &'a mut u8> {
                self = self.rest(Noisy("a"));
                self.0.iter_mut()
            }
        }
    },
    {
        let (mut one, mut more) = ([1, 2], [3, 4]);
        *S(&mut one).first() += 1;
        S(&mut more).skipped().for_each(|n| *n += 1);
        (one, more)
    }
);

method!(
    by_box,
    {
        fn f(self: Box<Self>, a: Noisy) -> u8 {
            self.n
        }
    },
    |this| Box::new(this).f(Noisy("a"))
);

method!(
    by_box_moved_out,
    {
        fn f(self: Box<Self>, a: Noisy) -> Noisy {
            self.name
        }
    },
    |this| Box::new(this).f(Noisy("a"))
);

method!(
    by_rc,
    {
        fn f(self: Rc<Self>, a: Noisy) -> u8 {
            self.n
        }
    },
    |this| Rc::new(this).f(Noisy("a"))
);

method!(
    by_arc,
    {
        fn f(self: Arc<Self>, a: Noisy) -> Arc<Self> {
            Arc::clone(&self)
        }
    },
    |this| Arc::new(this).f(Noisy("a"))
);

method!(
    by_arc_reference,
    {
        fn f(self: &Arc<Self>, a: Noisy) -> usize {
            Arc::strong_count(self)
        }
    },
    |this| Arc::new(this).f(Noisy("a"))
);

method!(
    by_typed_reference,
    {
        fn f(self: &Self, a: Noisy) -> u8 {
            self.n
        }
    },
    |this| this.f(Noisy("a"))
);

method!(
    by_mutable_box,
    {
        fn f(mut self: Box<Self>) -> Box<Self> {
            self.n = 9;
            self
        }
    },
    |this| Box::new(this).f()
);

method!(
    by_pinned_reference,
    {
        fn f(self: Pin<&mut Self>, a: Noisy) -> u8 {
            self.n
        }
    },
    |this| Box::pin(this).as_mut().f(Noisy("a"))
);

method!(
    by_mutable_pinned_reference,
    {
        fn f(mut self: Pin<&mut Self>) -> u8 {
            self.as_mut().n = 4;
            self.n
        }
    },
    |this| Box::pin(this).as_mut().f()
);

method!(
    by_pinned_box,
    {
        fn f(self: Pin<Box<Self>>, a: Noisy) -> u8 {
            self.n
        }
    },
    |this| Box::pin(this).f(Noisy("a"))
);

method!(
    with_lifetimes,
    {
        fn f<'a>(&'a mut self, _: &str) -> &'a mut u8 {
            &mut self.n
        }
    },
    |this| {
        let mut this = this;
        *this.f("x") += 1;
        this
    }
);

method!(
    elided,
    {
        fn f(&self, _: &str) -> &Noisy {
            &self.name
        }
    },
    |this| this.f("x").0
);

method!(
    without_self,
    {
        fn f(n: u8, a: Noisy) -> Self {
            Self { name: a, n }
        }
    },
    |this| S::f(this.n, Noisy("a"))
);

method!(
    called_by_path,
    {
        fn f(&self, other: &Self) -> u8 {
            self.n + other.n
        }
    },
    |this| S::f(&this, &this)
);

method!(
    self_in_a_closure,
    {
        fn f(&mut self) -> u8 {
            let mut add = || {
                self.n += 1;
                self.n
            };
            add();
            add()
        }
    },
    |this| {
        let mut this = this;
        this.f()
    }
);

method!(
    self_in_a_nested_call,
    {
        fn f(self, other: Option<Self>) -> u8 {
            Self::sum(&[self.n, other.map_or(0, |other| other.n)])
        }
        fn sum(of: &[u8]) -> u8 {
            of.iter().sum()
        }
    },
    |this| this.f(None)
);
