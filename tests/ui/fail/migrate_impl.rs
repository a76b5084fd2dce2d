use throughline::traced;

struct Orders;

#[traced(level = "debug", skip_all)]
impl Orders {
    #[traced(skip(self))]
    fn place(&self) {}

    fn load(&self) {}
}

#[traced]
impl Orders {
    #[traced(skip(self))]
    fn cancel(&self) {}
}

fn main() {
    Orders.place();
    Orders.load();
    Orders.cancel();
}
