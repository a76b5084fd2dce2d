use throughline as telemetry;

#[telemetry::traced(crate = throughline)]
fn place(order_no: u64) -> u64 {
    order_no
}
