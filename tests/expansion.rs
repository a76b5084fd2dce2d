//! Both files of every pair in `expand/` compile: the source and its expansion. `macros/src/expand/pairs.rs` tests that
//! the attributes expand one to the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

macro_rules! pairs {
    ($($name:ident)*) => {
        #[allow(
            dead_code,
            unused_variables,
            clippy::all,
            clippy::pedantic,
            reason = "the pairs are documentation, and are not called"
        )]
        mod written {
            $(mod $name {
                include!(concat!("expand/", stringify!($name), ".rs"));
            })*
        }

        #[allow(
            dead_code,
            unused_braces,
            unused_imports,
            unused_variables,
            clippy::all,
            clippy::pedantic,
            reason = "generated code, which imports attributes that have been expanded"
        )]
        mod expanded {
            $(mod $name {
                include!(concat!("expand/", stringify!($name), ".expanded.rs"));
            })*
        }

        const PAIRS: &[&str] = &[$(stringify!($name)),*];
    };
}

pairs! {
    biz_tags_alone_async
    biz_tags_alone_sync
    biz_tags_forms
    biz_tags_with_traced
    crate_path
    for_clippy
    patterns
    spawn_async
    spawn_blocking
    spawn_local
    spawn_thread
    spawn_with_biz_tags
    traced_async
    traced_future
    traced_impl
    traced_never
    traced_options
    traced_stream
    traced_sync
    traced_track_caller
    traced_trait
}

#[test]
fn every_pair_is_compiled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expand");
    let files: BTreeSet<_> = fs::read_dir(folder)
        .expect("the folder of the pairs")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    let pairs: BTreeSet<_> =
        PAIRS.iter().flat_map(|name| [format!("{name}.rs"), format!("{name}.expanded.rs")]).collect();
    assert_eq!(files, pairs);
}
