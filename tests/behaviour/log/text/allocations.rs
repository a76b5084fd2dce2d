//! The cost of a line.

use allocation_counter::measure;
use throughline::log::{Text, current};
use throughline::testing::Capture;
use throughline::{biz_tags, traced};
use tracing::info;

use super::subscriber;
use crate::log::Noon;

#[test]
fn a_line_allocates_nothing_besides_its_buffer() {
    #[traced]
    #[biz_tags(tenant_id, order_no = 7, share = 0.5, names = ["a b", "c"])]
    fn place(tenant_id: &str) {
        let _ = tenant_id;
        assert_eq!(in_lines(), 0);
    }
    /// The first line fills the buffer of the thread.
    fn in_lines() -> u64 {
        let line = || info!(sku = "A-7", count = 2, "placed");
        line();
        let counted = measure(|| (0..10).for_each(|_| line()));
        counted.count_total
    }
    let format = Text::new().with_timer(Noon);
    for ansi in [false, true] {
        let subscriber = subscriber().with_ansi(ansi).event_format(format.clone()).with_writer(std::io::sink).finish();
        crate::subscriber::with_default(subscriber, || {
            assert_eq!(in_lines(), 0);
            Capture::new().run(|| place("acme"));
        });
    }
    assert_eq!(measure(|| assert!(current().is_empty())).count_total, 0);
    // The counter counts.
    assert!(measure(|| drop(current().to_string() + "x")).count_total > 0);
}
