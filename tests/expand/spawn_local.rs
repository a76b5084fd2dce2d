use std::rc::Rc;

use throughline::traced_spawn;

#[traced_spawn(local)]
async fn render(page: Rc<str>) -> usize {
    page.len()
}
