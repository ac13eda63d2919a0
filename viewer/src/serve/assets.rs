//! The pages and the chart library, embedded by `build.rs`: what lies in `assets/` is served, and plotly.js.

use std::io::Read;

use axum::body::Bytes;
use flate2::read::GzDecoder;

/// An embedded file.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its name in a page's address.
    pub(super) name: &'static str,
    /// The file, compressed.
    gzip: &'static [u8],
    /// Its length uncompressed.
    bytes: usize,
}

/// Every file, the chart library first.
pub(super) const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

impl Asset {
    /// The file of this name.
    pub(super) fn named(name: &str) -> Option<&'static Asset> {
        ASSETS.iter().find(|asset| asset.name == name)
    }

    /// What a browser takes it for; with `nosniff` it does nothing else with it.
    pub(super) fn media_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js" | "mjs") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            Some("json") => "application/json",
            _ => "application/octet-stream",
        }
    }

    /// The file as gzip.
    pub(super) fn gzip(&self) -> Bytes {
        Bytes::from_static(self.gzip)
    }

    /// The file as it is, for clients that do not take gzip.
    pub(super) fn plain(&self) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(self.bytes);
        GzDecoder::new(self.gzip).read_to_end(&mut plain)?;
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_file_of_the_pages_is_served_as_it_is() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/serve/assets");
        let mut names = vec!["plotly.min.js".to_owned()];
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let asset = Asset::named(&name).expect("embedded");
            assert_eq!(asset.plain().unwrap(), fs::read(entry.path()).unwrap(), "{name}");
            assert_ne!(asset.media_type(), "application/octet-stream", "{name}");
            names.push(name);
        }
        assert_eq!(ASSETS.len(), names.len(), "{names:?}");
    }

    #[test]
    fn the_chart_library_is_plotly_alone() {
        let library = String::from_utf8(Asset::named("plotly.min.js").unwrap().plain().unwrap()).unwrap();
        assert!(library.starts_with("/**\n* plotly.js v") && library.len() < 5_000_000, "{}", library.len());
        // What MathJax begins with in the crate.
        assert!(!library.contains("__webpack_modules__"));
    }
}
