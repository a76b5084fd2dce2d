//! Names that the body binds, generates or shadows.

use std::collections::BTreeMap;

use crate::shapes::harness::{Noisy, both};

both!(
    collected,
    "f",
    {},
    {
        fn f(n: u8) -> BTreeMap<u8, String> {
            pause!();
            (0..n).map(|n| (n, n.to_string())).collect()
        }
    },
    f(2)
);

both!(
    result_collected_with_question_marks,
    "f",
    {},
    {
        fn f(list: &'static [&'static str]) -> Result<Vec<u8>, std::num::ParseIntError> {
            pause!();
            list.iter().map(|text| Ok(text.parse::<u8>()? + 1)).collect()
        }
    },
    f(&["1", "2"])
);

both!(
    generated_by_a_macro,
    "f",
    {
        macro_rules! body {
            ($n:ident) => {{
                if $n > 1 {
                    return $n;
                }
                $n + 10
            }};
        }
    },
    {
        fn f(n: u8) -> u8 {
            pause!();
            body!(n)
        }
    },
    f(5)
);

both!(
    late_initialization,
    "f",
    {},
    {
        fn f(yes: bool, a: Noisy) -> u8 {
            let n;
            if yes {
                n = 1
            } else {
                n = 2
            }
            pause!();
            n
        }
    },
    f(true, Noisy("a"))
);

both!(
    shadowed_prelude,
    "f",
    {
        #[allow(non_camel_case_types, reason = "the names are those of the prelude")]
        struct Some;
        struct Result;
        struct Box;
        fn drop() {}
    },
    {
        fn f(_: Some, _: Result) -> Box {
            pause!();
            drop();
            Box
        }
    },
    f(Some, Result),
    |made| matches!(made, Box)
);
