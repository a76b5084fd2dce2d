use throughline::traced_spawn;

#[traced_spawn(thread, root)]
fn watch(path: String) -> usize {
    path.len()
}
