//! Digest credentials (RFC 7616: MD5, SHA-256; qop=auth or none), with nonce reuse.

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::sip;

#[derive(Clone)]
pub(crate) struct Cred {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    qop: bool,
    sha256: bool,
    proxy: bool,
    nc: u32,
}

fn hex(b: &[u8]) -> String {
    b.iter().map(|c| format!("{c:02x}")).collect()
}

impl Cred {
    pub(crate) fn from_challenge(v: &[u8], proxy: bool) -> Option<Self> {
        let s = |n| sip::auth_param(v, n).map(|x| String::from_utf8_lossy(x).into_owned());
        Some(Self {
            realm: s("realm")?,
            nonce: s("nonce")?,
            opaque: s("opaque"),
            qop: s("qop").is_some_and(|q| q.split(',').any(|x| x.trim() == "auth")),
            sha256: s("algorithm").is_some_and(|a| a.eq_ignore_ascii_case("SHA-256")),
            proxy,
            nc: 0,
        })
    }

    fn h(&self, s: &str) -> String {
        if self.sha256 { hex(&Sha256::digest(s.as_bytes())) } else { hex(&Md5::digest(s.as_bytes())) }
    }

    /// The complete Authorization header line for one request.
    pub(crate) fn header(&mut self, user: &str, pass: &str, method: &str, uri: &str) -> String {
        self.nc += 1;
        let ha1 = self.h(&format!("{user}:{}:{pass}", self.realm));
        let ha2 = self.h(&format!("{method}:{uri}"));
        let name = if self.proxy { "Proxy-Authorization" } else { "Authorization" };
        let alg = if self.sha256 { "SHA-256" } else { "MD5" };
        let mut out = format!(
            "{name}: Digest username=\"{user}\",realm=\"{}\",nonce=\"{}\",uri=\"{uri}\",algorithm={alg}",
            self.realm, self.nonce
        );
        if let Some(o) = &self.opaque {
            out += &format!(",opaque=\"{o}\"");
        }
        let resp = if self.qop {
            let (nc, cn) = (format!("{:08x}", self.nc), "6c6f616467656e");
            out += &format!(",qop=auth,nc={nc},cnonce=\"{cn}\"");
            self.h(&format!("{ha1}:{}:{nc}:{cn}:auth:{ha2}", self.nonce))
        } else {
            self.h(&format!("{ha1}:{}:{ha2}", self.nonce))
        };
        out += &format!(",response=\"{resp}\"\r\n");
        out
    }
}
