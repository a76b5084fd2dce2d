//! Patterns as arguments, including parts that remain unbound.

use super::harness::{Noisy, both, log, shape};

both!(
    tuple,
    "f",
    {},
    {
        fn f((a, b): (Noisy, Noisy), c: Noisy) {
            pause!();
            log("body");
        }
    },
    f((Noisy("a"), Noisy("b")), Noisy("c"))
);

// The example of the Rust Reference, "Scopes of function parameters".
both!(
    of_the_reference,
    "patterns_in_parameters",
    {},
    {
        fn patterns_in_parameters((x, _): (Noisy, Noisy), (_, y): (Noisy, Noisy)) {
            pause!();
        }
    },
    patterns_in_parameters((Noisy("0"), Noisy("1")), (Noisy("2"), Noisy("3")))
);

both!(
    wildcards,
    "f",
    {},
    {
        fn f(_: Noisy, a: Noisy, _: Noisy, _: Noisy) {
            pause!();
            log("body");
        }
    },
    f(Noisy("first"), Noisy("a"), Noisy("third"), Noisy("fourth"))
);

both!(
    rest_of_a_tuple,
    "f",
    {},
    {
        fn f((a, .., z): (Noisy, Noisy, Noisy, Noisy), last: Noisy) {
            pause!();
            log("body");
        }
    },
    f((Noisy("a"), Noisy("b"), Noisy("c"), Noisy("z")), Noisy("last"))
);

both!(
    structure,
    "f",
    {
        struct Two {
            one: Noisy,
            two: Noisy,
        }
    },
    {
        fn f(Two { two, one }: Two, last: Noisy) {
            pause!();
            log("body");
        }
    },
    f(Two { one: Noisy("one"), two: Noisy("two") }, Noisy("last"))
);

both!(
    structure_with_rest,
    "f",
    {
        struct Three {
            a: Noisy,
            b: Noisy,
            c: Noisy,
        }
    },
    {
        fn f(first: Noisy, Three { b, .. }: Three, last: Noisy) {
            pause!();
            log("body");
        }
    },
    f(Noisy("first"), Three { a: Noisy("a"), b: Noisy("b"), c: Noisy("c") }, Noisy("last"))
);

both!(
    structure_renamed,
    "f",
    {
        struct Two {
            one: Noisy,
            two: u8,
        }
    },
    {
        fn f(Two { one: first, two: mut n }: Two) -> u8 {
            n += 1;
            pause!();
            n
        }
    },
    f(Two { one: Noisy("one"), two: 1 })
);

both!(
    tuple_structure,
    "f",
    {
        struct Json<T>(T);
        struct Path<T>(T);
    },
    {
        fn f(Path((id, name)): Path<(u8, String)>, Json(body): Json<Noisy>) -> String {
            pause!();
            format!("{id}{name}{}", body.0)
        }
    },
    f(Path((1, "n".into())), Json(Noisy("body")))
);

both!(
    nested,
    "f",
    {
        struct Wrap<T>(T);
    },
    {
        fn f((Wrap((a, _)), [b, mut c]): (Wrap<(Noisy, Noisy)>, [Noisy; 2]), Wrap(Wrap(d)): Wrap<Wrap<Noisy>>) {
            pause!();
            c = Noisy("new c");
            log("body");
        }
    },
    f((Wrap((Noisy("a"), Noisy("beside a"))), [Noisy("b"), Noisy("c")]), Wrap(Wrap(Noisy("d"))))
);

both!(
    array,
    "f",
    {},
    {
        fn f([a, b, _]: [Noisy; 3]) {
            pause!();
            log("body");
        }
    },
    f([Noisy("a"), Noisy("b"), Noisy("c")])
);

both!(
    array_with_rest,
    "f",
    {},
    {
        fn f([first, rest @ ..]: [Noisy; 3]) {
            pause!();
            log("body");
        }
    },
    f([Noisy("a"), Noisy("b"), Noisy("c")])
);

both!(
    by_reference,
    "f",
    {},
    {
        fn f(ref a: Noisy, ref mut b: Vec<Noisy>, c: Noisy) -> usize {
            b.push(Noisy("pushed"));
            pause!();
            a.0.len() + b.len()
        }
    },
    f(Noisy("a"), vec![Noisy("b")], Noisy("c"))
);

both!(
    part_by_reference,
    "f",
    {},
    {
        fn f((ref a, b, ref mut c): (Noisy, Noisy, Noisy), last: Noisy) {
            *c = Noisy("new c");
            pause!();
            log(a.0);
        }
    },
    f((Noisy("a"), Noisy("b"), Noisy("c")), Noisy("last"))
);

both!(
    bound_whole,
    "f",
    {},
    {
        fn f(whole @ (a, _): (u8, u8), last: Noisy) -> (u8, u8) {
            pause!();
            (a, whole.1)
        }
    },
    f((1, 2), Noisy("last"))
);

both!(
    bound_whole_by_reference,
    "f",
    {},
    {
        fn f(ref whole @ (ref a, _): (Noisy, Noisy), last: Noisy) -> usize {
            pause!();
            a.0.len() + whole.1.0.len()
        }
    },
    f((Noisy("a"), Noisy("b")), Noisy("last"))
);

both!(
    dereferenced,
    "f",
    {},
    {
        fn f(&x: &'static u8, &(a, ref b): &'static (u8, String), &mut y: &mut u8) -> (u8, usize, u8) {
            pause!();
            (x + a, b.len(), y)
        }
    },
    f(&1, const { &(2, String::new()) }, Box::leak(Box::new(3)))
);

both!(
    dereferenced_and_mutable,
    "f",
    {},
    {
        fn f(&(mut a, b): &'static (u8, u8), last: Noisy) -> u8 {
            a += b;
            pause!();
            a
        }
    },
    f(&(1, 2), Noisy("last"))
);

both!(
    through_a_borrow,
    "f",
    {},
    {
        fn f((a, b): &'static (u8, String), [c, ..]: &'static [u8; 3]) -> (u8, usize) {
            pause!();
            (a + c, b.len())
        }
    },
    f(const { &(1, String::new()) }, &[1, 2, 3])
);

both!(
    mutable_inside,
    "f",
    {},
    {
        fn f((mut a, b): (u8, Noisy), (c, mut d): (Noisy, Noisy)) -> u8 {
            a += 1;
            d = Noisy("new d");
            pause!();
            a
        }
    },
    f((1, Noisy("b")), (Noisy("c"), Noisy("d")))
);

both!(
    parentheses,
    "f",
    {},
    {
        fn f((a): Noisy, ((b), (_)): (Noisy, Noisy)) {
            pause!();
            log("body");
        }
    },
    f(Noisy("a"), (Noisy("b"), Noisy("c")))
);

both!(
    constants_and_unit_structures,
    "f",
    {
        struct Unit;
        struct Pair(Unit, Noisy);
    },
    {
        fn f(Unit: Unit, Pair(Unit, a): Pair, (): ()) {
            pause!();
            log("body");
        }
    },
    f(Unit, Pair(Unit, Noisy("a")), ())
);

both!(
    only_variant,
    "f",
    {
        enum Only {
            This(Noisy, u8),
        }
    },
    {
        fn f((Only::This(a, n) | Only::This(a, n)): Only) -> u8 {
            pause!();
            n
        }
    },
    f(Only::This(Noisy("a"), 1))
);

both!(
    moved_parts,
    "f",
    {},
    {
        fn f((a, _): (Noisy, Noisy), (b, c): (Noisy, Noisy), d: Noisy) {
            drop(a);
            pause!();
            let kept = c;
            log("body");
        }
    },
    f((Noisy("a"), Noisy("beside a")), (Noisy("b"), Noisy("c")), Noisy("d"))
);

both!(
    copied_parts,
    "f",
    {},
    {
        fn f((n, _): (u8, Noisy), _: Noisy) -> u8 {
            pause!();
            n
        }
    },
    f((1, Noisy("beside n")), Noisy("_"))
);

shape!(
    of_a_method,
    "f",
    {
        struct S(Noisy);
        impl S {
            #[traced]
            fn f(self, (a, _): (Noisy, Noisy), mut b: Noisy) -> usize {
                b = Noisy("new b");
                a.0.len()
            }
        }
    },
    S(Noisy("self")).f((Noisy("a"), Noisy("beside a")), Noisy("b"))
);

shape!(of_an_async_method, "f", {
    struct S(Noisy);
    impl S {
        #[traced]
        async fn f(self, (a, _): (Noisy, Noisy), mut b: Noisy) -> usize {
            super::super::super::harness::pause().await;
            b = Noisy("new b");
            a.0.len()
        }
    }
}, future S(Noisy("self")).f((Noisy("a"), Noisy("beside a")), Noisy("b")));

both!(
    beside_the_name_of_a_replaced_one,
    "f",
    {},
    {
        fn f((a, _): (Noisy, Noisy), __arg0: Noisy, [b, ..]: [u8; 2]) -> (usize, usize, u8) {
            pause!();
            (a.0.len(), __arg0.0.len(), b)
        }
    },
    f((Noisy("a"), Noisy("beside a")), Noisy("__arg0"), [1, 2])
);

both!(
    borrow_of_a_borrow,
    "f",
    {},
    {
        fn f(ref text: &'static str, _: Noisy) -> usize {
            pause!();
            text.len()
        }
    },
    f("text", Noisy("_"))
);

shape!(
    borrowed_below_a_reference,
    "f",
    {
        struct S(u8);
        impl S {
            #[traced(tags(name))]
            fn f(mut self, &(n, ref name): &(u8, String)) -> u8 {
                self.0 += n;
                self.0 + u8::try_from(name.len()).unwrap_or_default()
            }
        }
    },
    S(1).f(&(2, String::from("a")))
);
