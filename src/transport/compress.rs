//! Request bodies, compressed.

use std::io::Write;

use super::Encoding;

/// Fast levels: the body shares the user's cores.
const ZSTD_LEVEL: i32 = 1;
const GZIP_LEVEL: u32 = 1;

/// The body in this encoding; as it is if that failed, with the encoding that it then has.
pub fn compress(body: Vec<u8>, encoding: Encoding) -> (Vec<u8>, Encoding) {
    let compressed = match encoding {
        Encoding::Identity => None,
        Encoding::Zstd => zstd::bulk::compress(&body, ZSTD_LEVEL).ok(),
        Encoding::Gzip => gzip(&body).ok(),
    };
    match compressed {
        Some(compressed) => (compressed, encoding),
        None => (body, Encoding::Identity),
    }
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(body)?;
    encoder.finish()
}
