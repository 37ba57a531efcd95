//! Versions that libraries tell themselves: by functions and data they export for that.

use serde::{Deserialize, Serialize};

use crate::audit::components::version::in_text;
use crate::elf::constants::{Constants, constants};

/// A symbol that stands for the version of a component.
#[derive(Debug, PartialEq, Eq)]
struct Teller {
    symbol: &'static str,
    name: &'static str,
    shape: Shape,
}

/// How the version is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// The first text that has a version.
    Text,
    /// The first text that is a version and a date, as PCRE writes it.
    Dated,
    /// A number: how many bits the middle and the last part have.
    Bits(u32, u32),
    /// A decimal number: the middle and the last part have three digits.
    Thousands,
    /// A decimal number: the last part has four digits (PostgreSQL since 10).
    Postgres,
}

const fn teller(symbol: &'static str, name: &'static str, shape: Shape) -> Teller {
    Teller { symbol, name, shape }
}

/// Each was called in a library of the component, and returned what it is taken for here.
static TELLERS: [Teller; 53] = [
    teller("BZ2_bzlibVersion", "bzip2", Shape::Text),
    teller("BrotliDecoderVersion", "brotli", Shape::Bits(12, 12)),
    teller("BrotliEncoderVersion", "brotli", Shape::Bits(12, 12)),
    teller("GEOSversion", "geos", Shape::Text),
    teller("JxlDecoderVersion", "libjxl", Shape::Thousands),
    teller("JxlEncoderVersion", "libjxl", Shape::Thousands),
    teller("LZ4_versionString", "lz4", Shape::Text),
    teller("PQlibVersion", "postgresql", Shape::Postgres),
    teller("SharpYuvGetVersion", "sharpyuv", Shape::Bits(8, 16)),
    teller("TIFFGetVersion", "libtiff", Shape::Text),
    teller("WebPGetDecoderVersion", "libwebp", Shape::Bits(8, 8)),
    teller("WebPGetDemuxVersion", "libwebp", Shape::Bits(8, 8)),
    teller("WebPGetMuxVersion", "libwebp", Shape::Bits(8, 8)),
    teller("XML_ExpatVersion", "expat", Shape::Text),
    teller("ZSTD_versionString", "zstd", Shape::Text),
    teller("__gmp_version", "gmp", Shape::Text),
    teller("_libunistring_version", "libunistring", Shape::Bits(8, 8)),
    teller("aom_codec_version_str", "aom", Shape::Text),
    teller("av_codec_ffversion", "ffmpeg", Shape::Text),
    teller("av_device_ffversion", "ffmpeg", Shape::Text),
    teller("av_filter_ffversion", "ffmpeg", Shape::Text),
    teller("av_format_ffversion", "ffmpeg", Shape::Text),
    teller("av_version_info", "ffmpeg", Shape::Text),
    teller("avifVersion", "libavif", Shape::Text),
    teller("blosc2_get_version_string", "c-blosc2", Shape::Text),
    teller("blosc_get_version_string", "c-blosc", Shape::Text),
    teller("charls_get_version_string", "charls", Shape::Text),
    teller("dav1d_version", "dav1d", Shape::Text),
    teller("get_lame_version", "lame", Shape::Text),
    teller("gnutls_check_version", "gnutls", Shape::Text),
    teller("hb_version_string", "harfbuzz", Shape::Text),
    teller("idn2_check_version", "libidn2", Shape::Text),
    teller("json_c_version", "json-c", Shape::Text),
    teller("keyutils_version_string", "keyutils", Shape::Text),
    teller("libssh2_version", "libssh2", Shape::Text),
    teller("lzma_version_string", "xz", Shape::Text),
    teller("nc_inq_libvers", "netcdf", Shape::Text),
    teller("nghttp2_version", "nghttp2", Shape::Text),
    teller("nghttp3_version", "nghttp3", Shape::Text),
    teller("ngtcp2_version", "ngtcp2", Shape::Text),
    teller("opj_version", "openjpeg", Shape::Text),
    teller("opus_get_version_string", "opus", Shape::Text),
    teller("pcre2_config_8", "pcre2", Shape::Dated),
    teller("pcre_version", "pcre", Shape::Dated),
    teller("png_get_libpng_ver", "libpng", Shape::Text),
    teller("psl_get_version", "libpsl", Shape::Text),
    teller("snd_asoundlib_version", "alsa-lib", Shape::Text),
    teller("sodium_version_string", "libsodium", Shape::Text),
    teller("sqlite3_libversion", "sqlite", Shape::Text),
    teller("sqlite3_version", "sqlite", Shape::Text),
    teller("svt_av1_get_version", "svt-av1", Shape::Text),
    teller("swr_ffversion", "ffmpeg", Shape::Text),
    teller("vpx_codec_version_str", "libvpx", Shape::Text),
];

/// A version, and the symbol that tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) symbol: String,
    pub(super) version: String,
}

/// What the symbols of a compiled file tell, in the order of the table.
pub(super) fn told(bytes: &[u8]) -> Vec<Told> {
    let symbols = TELLERS.each_ref().map(|teller| teller.symbol);
    let mut found = constants(bytes, &symbols);
    found.sort_by_key(|(index, _)| *index);
    let told = |(index, constants): (usize, Constants)| {
        let Teller { symbol, name, shape } = &TELLERS[index];
        let version = version(&constants, *shape)?;
        Some(Told { name: (*name).to_owned(), symbol: (*symbol).to_owned(), version })
    };
    found.into_iter().filter_map(told).collect()
}

fn version(constants: &Constants, shape: Shape) -> Option<String> {
    let number = constants.number.unwrap_or(0);
    let version = match shape {
        Shape::Text => return constants.texts.iter().find_map(|text| in_text(text)),
        Shape::Dated => return constants.texts.iter().find_map(|text| dated(text)),
        Shape::Bits(middle, last) => {
            let part = |bits: u32, from: u32| (number >> from) & ((1 << bits) - 1);
            [number >> (middle + last), part(middle, last), part(last, 0)]
        }
        Shape::Thousands => [number / 1_000_000, number / 1000 % 1000, number % 1000],
        Shape::Postgres => {
            return (number >= 100_000).then(|| format!("{}.{}", number / 10_000, number % 10_000));
        }
    };
    let [first, middle, last] = version;
    (number > 0).then(|| format!("{first}.{middle}.{last}"))
}

/// The version in a text such as `10.47 2025-10-21`.
fn dated(text: &str) -> Option<String> {
    let (version, date) = text.split_once(' ')?;
    let parts: Vec<_> = date.split('-').map(str::len).collect();
    let is_date = parts == [4, 2, 2] && date.bytes().all(|at| at.is_ascii_digit() || at == b'-');
    is_date.then(|| in_text(version)).flatten()
}

#[cfg(test)]
mod tests {
    use crate::audit::components::functions::{Shape, TELLERS, version};
    use crate::elf::constants::Constants;

    #[test]
    fn the_table_is_sorted() {
        assert!(TELLERS.windows(2).all(|pair| pair[0].symbol < pair[1].symbol));
    }

    #[test]
    fn shapes() {
        let check = |shape, texts: &[&str], number, expected: Option<&str>| {
            let texts = texts.iter().map(|text| (*text).to_owned()).collect();
            let told = version(&Constants { texts, number }, shape);
            assert_eq!(told.as_deref(), expected);
        };
        check(Shape::Text, &["usage", "libopus 1.6.1"], None, Some("1.6.1"));
        check(Shape::Text, &["LIBTIFF, Version 4.7.1\nCopyright (c) 1988"], None, Some("4.7.1"));
        check(Shape::Text, &[], Some(7), None);
        check(Shape::Dated, &["16.0.0", "10.47 2025-10-21"], None, Some("10.47"));
        check(Shape::Bits(8, 8), &[], Some(0x10600), Some("1.6.0"));
        check(Shape::Bits(12, 12), &[], Some(0x100_2000), Some("1.2.0"));
        check(Shape::Bits(8, 16), &[], Some(0x4_0002), Some("0.4.2"));
        check(Shape::Bits(8, 8), &[], Some(0), None);
        check(Shape::Thousands, &[], Some(11_002), Some("0.11.2"));
        check(Shape::Postgres, &[], Some(170_011), Some("17.11"));
        check(Shape::Postgres, &[], Some(90_624), None);
        check(Shape::Postgres, &[], None, None);
    }
}
