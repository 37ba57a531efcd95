//! Package URLs: how a package of any kind is named in one line (purl specification, ECMA-427).

use std::fmt::Write as _;

/// The URL of a package: its type, name, version and qualifiers, which must be sorted. An empty version is left out.
pub fn purl(kind: &str, name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let mut url = format!("pkg:{kind}/{}", encoded(name));
    if !version.is_empty() {
        url.push('@');
        url += &encoded(version);
    }
    let qualifiers = qualifiers.iter().filter(|(_, value)| !value.is_empty());
    for (number, (key, value)) in qualifiers.enumerate() {
        let before = if number == 0 { '?' } else { '&' };
        let _ = write!(url, "{before}{key}={}", encoded(value));
    }
    url
}

/// "All characters MUST be percent-encoded except: the alphanumerics, `.`, `-`, `_`, `~`, and the colon" (5.4).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Whether a text of unknown origin looks like a package URL.
pub fn is_purl(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"<>\"'`\\{}|^".contains(&byte);
    let rest = text.strip_prefix("pkg:");
    let named = rest.and_then(|rest| rest.split_once('/'));
    named.is_some_and(|(kind, rest)| {
        !kind.is_empty() && !rest.is_empty() && text.len() < 1024 && text.bytes().all(allowed)
    })
}

#[cfg(test)]
mod tests {
    use crate::sbom::purl::{is_purl, purl};

    #[test]
    fn urls() {
        let check = |kind, name, version, qualifiers: &[(&str, &str)], expected| {
            assert_eq!(purl(kind, name, version, qualifiers), expected);
        };
        check("pypi", "zope-interface", "7.2", &[], "pkg:pypi/zope-interface@7.2");
        check("pypi", "torch", "2.9.0+cpu", &[], "pkg:pypi/torch@2.9.0%2Bcpu");
        check("pypi", "a", "1!2.0", &[], "pkg:pypi/a@1%212.0");
        let amd64 = [("arch", "amd64"), ("distro", "debian-12")];
        let expected = "pkg:deb/g%2B%2B@1:2.0~rc1%2Bb1-1?arch=amd64&distro=debian-12";
        check("deb", "g++", "1:2.0~rc1+b1-1", &amd64, expected);
        let epoch = [("arch", "x86_64"), ("distro", ""), ("epoch", "1")];
        check("rpm", "a", "2.0^1-1.el9", &epoch, "pkg:rpm/a@2.0%5E1-1.el9?arch=x86_64&epoch=1");
        check("generic", "ä/b c", "", &[], "pkg:generic/%C3%A4%2Fb%20c");
    }

    #[test]
    fn urls_of_strangers() {
        for good in ["pkg:cargo/libc@0.2", "pkg:rpm/almalinux/pcre2@10.32-3.el8_6?arch=x86_64"] {
            assert!(is_purl(good), "{good}");
        }
        for bad in ["", "pkg:", "pkg:/x", "pkg:x/", "https://x.example", "pkg:a/<b>", "pkg:a/b c"] {
            assert!(!is_purl(bad), "{bad}");
        }
    }
}
