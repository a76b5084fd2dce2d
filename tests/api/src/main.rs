//! Lists the public API of the published crates, and what it exposes of other crates.
//!
//! `throughline-api OUTPUT CRATE…` reads the JSON that rustdoc has written to the target folder, and writes to the
//! folder `OUTPUT`:
//!
//! - `<package>.txt` for each package whose folder is a `CRATE`: its public items, one per line,
//! - `README.md`, which explains how to read and update them,
//! - `exposed`, the table for docs/decisions.md.
//!
//! `.ci/api` runs it, and compares.

mod exposed;
mod listing;
mod packages;
mod paths;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use packages::Packages;
use paths::Paths;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    if let Err(error) = run() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let output = arguments.next().ok_or("usage: throughline-api OUTPUT CRATE…")?;
    let output = Path::new(&output);
    let packages = Packages::read()?;
    let (mut crates, mut paths) = (Vec::new(), Paths::default());
    for folder in arguments {
        let package = packages.in_folder(&folder)?;
        let json = packages.rustdoc_json(package)?;
        let krate = listing::read(&json)?;
        let api = public_api::Builder::from_rustdoc_json(&json).build()?;
        paths.add(&krate, &api);
        crates.push((package, krate, api));
    }
    let mut table = exposed::Table::default();
    for (package, krate, api) in &crates {
        fs::write(output.join(format!("{}.txt", package.name)), listing::of(krate, api, &paths)?)?;
        table.add(&packages, package, krate, api)?;
    }
    fs::write(output.join("exposed"), table.to_string())?;
    fs::write(output.join("README.md"), readme()?)?;
    Ok(())
}

/// The page next to the listings. It names the toolchain, because another one may format the same API differently.
fn readme() -> Result<String> {
    let toolchain = Command::new("rustc").arg("-V").output()?.stdout;
    let toolchain = String::from_utf8(toolchain)?;
    Ok(format!(
        "\
# Public API

One file per published crate lists every public item with its signature, one per line, with all features. They exist for
review: a change of the public API is a change of these files.

Not listed: `#[doc(hidden)]` items, methods of trait implementations, blanket implementations
(`impl<T> From<T> for T`), and auto traits. Of these, `Send`, `Sync` and `Unpin` are listed where they are not
implemented (`impl !Send`) or have a condition (`impl Send … where`).

`.ci/run api` compares them with the code. To update them, and the table of exposed crates in
[decisions.md](../decisions.md):

```sh
.ci/api --bless
```

Made with {}.
",
        toolchain.trim()
    ))
}
