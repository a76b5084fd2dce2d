use throughline::traced_spawn;
use tokio::runtime::Handle;

#[traced_spawn(blocking)]
fn thumbnail(image: Vec<u8>) -> usize {
    image.len()
}

#[traced_spawn(blocking, on = handle)]
fn elsewhere(handle: Handle, image: Vec<u8>) -> usize {
    drop(handle);
    image.len()
}
