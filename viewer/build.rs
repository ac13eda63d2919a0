//! Prepares what `plimsoll serve` sends: the chart library, cut out of the crate that ships it, and the files of the
//! pages. All are compressed here once, and embedded; a plain `cargo build` needs neither node nor the network.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Where the files of the pages are.
const PAGES: &str = "src/serve/assets";
/// The chart library, as pages name it.
const CHARTS: &str = "plotly.min.js";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={PAGES}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets no OUT_DIR"))?);
    let mut table = String::from("&[\n");
    // Slow to compress unless dependencies are optimised, and large either way.
    let level = if env::var_os("DEBUG").is_some_and(|debug| debug == "true") { 5 } else { 9 };
    embed(&out, CHARTS, chart_library()?.as_bytes(), level, &mut table)?;
    let mut names: Vec<PathBuf> = fs::read_dir(PAGES)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    names.sort();
    for path in names {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::other(format!("{}: not a name of a page's file", path.display())))?;
        embed(&out, name, &fs::read(&path)?, level, &mut table)?;
    }
    table.push_str("]\n");
    fs::write(out.join("assets.rs"), table)
}

/// Writes a file, compressed, and the line that embeds it.
fn embed(out: &Path, name: &str, bytes: &[u8], level: u32, table: &mut String) -> io::Result<()> {
    let path = out.join(format!("{name}.gz"));
    let mut encoder = GzEncoder::new(fs::File::create(&path)?, Compression::new(level));
    encoder.write_all(bytes)?;
    encoder.finish()?;
    let line =
        writeln!(table, "    Asset {{ name: {name:?}, gzip: include_bytes!({path:?}), bytes: {} }},", bytes.len());
    line.map_err(io::Error::other)
}

/// plotly.js as the crate embeds it into pages: the first of two scripts. The second, which sets formulas, is left out.
fn chart_library() -> io::Result<String> {
    let scripts = plotly::Plot::offline_js_sources();
    let begin = "<script type=\"text/javascript\">";
    let first = scripts.strip_prefix(begin).and_then(|rest| rest.split_once("</script>\n"));
    let (library, _) =
        first.ok_or_else(|| io::Error::other("the plotly crate embeds its library in another way now"))?;
    match library.starts_with("/**\n* plotly.js v") {
        true => Ok(library.to_owned()),
        false => Err(io::Error::other("the plotly crate's first script is not plotly.js")),
    }
}
