//! Rebuilds when a migration changes, and packs Swagger UI so that the docs need no network.

use std::{
    env,
    error::Error,
    fs,
    io::{Cursor, Read as _, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};

const ASSETS: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MINI_API_REVISION");
    let revision = env::var("MINI_API_REVISION").unwrap_or_else(|_| "unknown".into());
    println!("cargo::rustc-env=MINI_API_REVISION={revision}");
    pack_swagger_ui(&PathBuf::from(env::var("OUT_DIR")?))
}

// Compressed once here rather than at every request; no time stamp, so that the same source gives the same bytes.
fn pack_swagger_ui(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED))?;
    for asset in ASSETS {
        let name = archive
            .file_names()
            .find(|name| name.ends_with(&format!("/dist/{asset}")))
            .map(str::to_owned)
            .ok_or_else(|| format!("the Swagger UI archive has no {asset}"))?;
        let mut content = Vec::new();
        archive.by_name(&name)?.read_to_end(&mut content)?;
        let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        encoder.write_all(&content)?;
        fs::write(out.join(format!("{asset}.gz")), encoder.finish()?)?;
    }
    Ok(())
}
