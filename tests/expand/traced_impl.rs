use throughline::{traced, traced_spawn};

struct Orders {
    open: Vec<u64>,
}

#[traced(kind = server, err = debug)]
impl Orders {
    const MAX: usize = 10;

    #[traced(skip)]
    const fn new() -> Self {
        Self { open: Vec::new() }
    }

    fn add(&mut self, order_no: u64) -> Result<(), String> {
        if self.open.len() == Self::MAX {
            return Err("full".to_owned());
        }
        self.open.push(order_no);
        Ok(())
    }

    #[traced(kind = client)]
    async fn close(self) -> usize {
        self.open.len()
    }

    #[traced_spawn(blocking)]
    fn audit(order_no: u64) -> u64 {
        order_no
    }
}
