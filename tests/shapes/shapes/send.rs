//! A traced future is `Send`, `Sync`, `Unpin`, `UnwindSafe` or `'static` where the plain one is, and nowhere else.

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;

use super::harness::{Noisy, pause, shape};

/// Whether the type of a value implements some traits, resolved where the macro is called.
macro_rules! traits {
    ($value:expr) => {{
        struct Probe<T>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "a type that implements the trait does not fall back to it")]
        trait Not {
            fn send(&self) -> bool {
                false
            }
            fn sync(&self) -> bool {
                false
            }
            fn unpin(&self) -> bool {
                false
            }
            fn unwind_safe(&self) -> bool {
                false
            }
            fn ref_unwind_safe(&self) -> bool {
                false
            }
        }
        impl<T> Not for Probe<T> {}
        impl<T: Send> Probe<T> {
            fn send(&self) -> bool {
                true
            }
        }
        impl<T: Sync> Probe<T> {
            fn sync(&self) -> bool {
                true
            }
        }
        impl<T: Unpin> Probe<T> {
            fn unpin(&self) -> bool {
                true
            }
        }
        impl<T: UnwindSafe> Probe<T> {
            fn unwind_safe(&self) -> bool {
                true
            }
        }
        impl<T: RefUnwindSafe> Probe<T> {
            fn ref_unwind_safe(&self) -> bool {
                true
            }
        }
        fn of<T>(_: &T) -> Probe<T> {
            Probe(std::marker::PhantomData)
        }
        match of(&$value) {
            probe => (probe.send(), probe.sync(), probe.unpin(), probe.unwind_safe(), probe.ref_unwind_safe()),
        }
    }};
}

fn is_static<T: 'static>(value: T) -> T {
    value
}

shape!(
    all,
    "",
    {
        #[traced]
        async fn f(a: Noisy, b: &'static str) -> Noisy {
            pause().await;
            a
        }
    },
    traits!(is_static(f(Noisy("a"), "b")))
);

shape!(
    not_send_by_an_argument,
    "",
    {
        #[traced]
        async fn f(a: Rc<Noisy>) -> usize {
            pause().await;
            a.0.len()
        }
    },
    traits!(f(Rc::new(Noisy("a"))))
);

shape!(
    not_send_by_a_local,
    "",
    {
        #[traced]
        async fn f(a: Noisy) -> usize {
            let rc = Rc::new(a);
            pause().await;
            rc.0.len()
        }
    },
    traits!(f(Noisy("a")))
);

shape!(
    not_send_by_a_borrow,
    "",
    {
        #[traced]
        async fn f(a: &Cell<u8>) -> u8 {
            pause().await;
            a.get()
        }
    },
    traits!(f(&Cell::new(1)))
);

shape!(
    send_and_not_sync,
    "",
    {
        #[traced]
        async fn f(a: Cell<u8>) -> u8 {
            pause().await;
            a.get()
        }
    },
    traits!(f(Cell::new(1)))
);

shape!(
    rc_given_up_before_waiting,
    "",
    {
        #[traced]
        async fn f(n: u8) -> u8 {
            {
                let rc = Rc::new(n);
            }
            pause().await;
            n
        }
    },
    traits!(f(1))
);

shape!(
    by_the_result,
    "",
    {
        #[traced]
        async fn f(n: u8) -> Rc<u8> {
            pause().await;
            Rc::new(n)
        }
    },
    traits!(f(1))
);

shape!(
    guard_in_the_tail,
    "",
    {
        #[traced]
        async fn f(a: Arc<Mutex<u8>>) -> u8 {
            pause().await;
            *a.lock().unwrap()
        }
    },
    traits!(f(Arc::default()))
);

shape!(
    generic,
    "",
    {
        #[traced]
        async fn f<T: Clone>(t: T) -> T {
            pause().await;
            t.clone()
        }
    },
    (traits!(f(1)), traits!(f(Rc::new(1))))
);

shape!(
    of_a_method,
    "",
    {
        struct S(Cell<u8>);
        impl S {
            #[traced]
            async fn f(&mut self) -> u8 {
                pause().await;
                self.0.get()
            }
        }
    },
    traits!(S(Cell::new(1)).f())
);

shape!(
    opaque,
    "f !cancelled",
    {
        #[traced]
        fn f(n: u8) -> impl Future<Output = u8> {
            async move {
                pause().await;
                n
            }
        }
    },
    traits!(f(1))
);

shape!(
    opaque_unpin,
    "f !cancelled",
    {
        #[traced]
        fn f(n: u8) -> impl Future<Output = u8> {
            std::future::ready(n)
        }
    },
    traits!(f(1))
);

shape!(
    opaque_not_send,
    "f !cancelled",
    {
        #[traced]
        fn f(a: Rc<u8>) -> impl Future<Output = u8> {
            async move {
                pause().await;
                *a
            }
        }
    },
    traits!(f(Rc::new(1)))
);

shape!(
    pinned_argument,
    "",
    {
        #[traced]
        async fn f(a: PhantomPinned) {
            pause().await;
            let b = &a;
        }
    },
    traits!(f(PhantomPinned))
);

shape!(boxed, "f", { #[traced] fn f(n: u8) -> BoxFuture<'static, u8> { Box::pin(async move { pause().await; n }) } }, started f(1));

// `Send` is required where the types are still generic.
shape!(send_below_a_bound, "f", {
    #[traced]
    async fn f<T: Send>(t: T) -> T { pause().await; t }
    fn boxed<T: Send + 'static>(t: T) -> BoxFuture<'static, T> { Box::pin(f(t)) }
}, block boxed(1).await);

shape!(
    spawned,
    "f",
    {
        #[traced]
        async fn f(a: Arc<Noisy>) -> usize {
            pause().await;
            a.0.len()
        }
    },
    {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let snapshot = throughline::Snapshot::capture();
        runtime.block_on(async { tokio::spawn(snapshot.run_async(f(Arc::new(Noisy("a"))))).await.unwrap() })
    }
);

// The temporaries of an option's expression are dropped before the body runs.
shape!(lock_of_the_parent, "f", {
    #[traced(parent = m.lock().unwrap().clone())]
    async fn f(m: Arc<Mutex<throughline::Snapshot>>) -> bool { pause().await; m.try_lock().is_ok() }
    fn send<T: Send>(t: T) -> T { t }
}, future send(f(Arc::new(Mutex::new(throughline::Snapshot::capture())))));

shape!(
    lock_of_the_parent_sync,
    "f",
    {
        #[traced(parent = &*m.lock().unwrap())]
        fn f(m: &Mutex<throughline::Snapshot>) -> bool {
            m.try_lock().is_ok()
        }
    },
    f(&Mutex::new(throughline::Snapshot::capture()))
);

// A tag does not keep what it uses alive for the rest of the body.
shape!(
    send_with_a_tag_of_a_pattern,
    "",
    {
        #[traced(tags(n = a.get()))]
        async fn f(ref a: Cell<u8>, _: u8) {
            a.set(2);
            pause().await;
        }
    },
    traits!(f(Cell::new(1), 2))
);

shape!(
    unwind_safe_with_a_tag_of_a_pattern,
    "",
    {
        #[traced(tags(n = a.first()))]
        async fn f((ref mut a, _): (Vec<u8>, u8)) {
            a.push(2);
            pause().await;
        }
    },
    traits!(f((Vec::new(), 2)))
);
