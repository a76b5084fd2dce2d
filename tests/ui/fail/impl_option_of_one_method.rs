use throughline::traced;

struct A;
struct B;
struct C;
struct D;
struct E;
struct F;
struct G;
struct H;

#[traced(name = "order")]
impl A {
    fn new() -> Self {
        Self
    }
}

#[traced("order")]
impl B {
    fn new() -> Self {
        Self
    }
}

#[traced(parent = message)]
impl C {
    fn new() -> Self {
        Self
    }
}

#[traced(link = message)]
impl D {
    fn new() -> Self {
        Self
    }
}

#[traced(links = messages)]
impl E {
    fn new() -> Self {
        Self
    }
}

#[traced(ret)]
impl F {
    fn new() -> Self {
        Self
    }
}

#[traced(stream)]
impl G {
    fn new() -> Self {
        Self
    }
}

#[traced(skip)]
impl H {
    fn new() -> Self {
        Self
    }
}

fn main() {
    let _ = (A::new(), B::new(), C::new(), D::new(), E::new(), F::new(), G::new(), H::new());
}
