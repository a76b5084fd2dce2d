//! How many allocations does a recorded span take on the calling thread?
//!
//! A span with two tags, one of them a text, below an open one, with the real pipeline behind it. The mean of a
//! thousand spans, so that buffers that grow now and then show as a fraction.
#![forbid(unsafe_code)]

use allocation_counter::measure;
use throughline_performance::calls::Mode;
use throughline_performance::rounds::{Bench, Variant, float};
use throughline_performance::stack::Setup;

fn main() {
    let count = |mode: Mode, call: &dyn Fn()| {
        let counted = mode.below_root(|| {
            call();
            measure(|| (0..1000).for_each(|_| call()))
        });
        println!("allocations\tcount\t{mode}\t{:.3}", float(counted.count_total) / 1000.0);
        println!("allocations\tbytes\t{mode}\t{:.0}", float(counted.bytes_total) / 1000.0);
    };
    let bench = Bench::new("allocations", &Setup::default());
    bench.with_each(&Mode::TRACED, |mode| count(mode, &|| _ = mode.leaf("acme", 1001)));
    bench.run(Vec::<Variant<'_>>::new());
}
