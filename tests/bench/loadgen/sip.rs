//! Just enough SIP parsing for a load generator: one pass over the header lines, slices into the
//! datagram, no allocation.

pub(crate) const MAX_MULTI: usize = 8;

#[derive(Default)]
pub(crate) struct Msg<'a> {
    pub(crate) is_request: bool,
    pub(crate) status: u16,
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) vias: [&'a [u8]; MAX_MULTI],
    pub(crate) nvia: usize,
    pub(crate) rrs: [&'a [u8]; MAX_MULTI],
    pub(crate) nrr: usize,
    pub(crate) from: &'a [u8],
    pub(crate) to: &'a [u8],
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: u32,
    pub(crate) cseq_method: &'a [u8],
    pub(crate) contact: &'a [u8],
    /// The whole header block, for values that may be spread over several lines.
    pub(crate) head: &'a [u8],
    pub(crate) etag: &'a [u8],
    /// The MD5 challenge where several algorithms are offered, else the last one.
    pub(crate) challenge: &'a [u8],
    pub(crate) retry_after: bool,
    pub(crate) event: &'a [u8],
    pub(crate) sub_state: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<'a> Msg<'a> {
    fn offer_challenge(&mut self, value: &'a [u8]) {
        let is_md5 = |v| auth_param(v, "algorithm").is_none_or(|a| a.eq_ignore_ascii_case(b"MD5"));
        if self.challenge.is_empty() || !is_md5(self.challenge) {
            self.challenge = value;
        }
    }
}

/// Offset of the first body byte, when the header block is complete.
pub(crate) fn header_end(b: &[u8]) -> Option<usize> {
    memchr::memmem::find(b, b"\r\n\r\n").map(|p| p + 4)
}

/// Content-Length of a complete header block (TCP framing).
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    for line in head.split(|&c| c == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = line[..colon].trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
            return Some(parse_u32(line[colon + 1..].trim_ascii())? as usize);
        }
    }
    None
}

pub(crate) fn parse_u32(b: &[u8]) -> Option<u32> {
    let mut n: u32 = 0;
    let mut any = false;
    for &c in b {
        if !c.is_ascii_digit() {
            break;
        }
        n = n.checked_mul(10)?.checked_add((c - b'0') as u32)?;
        any = true;
    }
    any.then_some(n)
}

pub(crate) fn parse_hex(b: &[u8]) -> Option<u32> {
    if b.is_empty() || b.len() > 8 {
        return None;
    }
    b.iter().try_fold(0u32, |n, &c| Some(n << 4 | (c as char).to_digit(16)?))
}

pub(crate) fn parse(b: &[u8]) -> Option<Msg<'_>> {
    let mut m = Msg::default();
    let eol = memchr::memchr(b'\n', b)?;
    let first = b[..eol].trim_ascii_end();
    if let Some(rest) = first.strip_prefix(b"SIP/2.0 ") {
        m.status = parse_u32(rest)? as u16;
    } else {
        m.is_request = true;
        let mut it = first.splitn(3, |&c| c == b' ');
        m.method = it.next()?;
        m.uri = it.next()?;
        if it.next()? != b"SIP/2.0" {
            return None;
        }
    }
    let mut pos = eol + 1;
    let mut content_len: Option<usize> = None;
    loop {
        let eol = pos + memchr::memchr(b'\n', b.get(pos..)?)?;
        let line = b[pos..eol].trim_ascii_end();
        pos = eol + 1;
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line)?;
        let name = line[..colon].trim_ascii_end();
        let val = line[colon + 1..].trim_ascii_start();
        let is = |s: &[u8]| name.eq_ignore_ascii_case(s);
        match name.first()?.to_ascii_lowercase() {
            b'v' if (is(b"via") || is(b"v")) && m.nvia < MAX_MULTI => {
                m.vias[m.nvia] = val;
                m.nvia += 1;
            }
            b'r' if is(b"retry-after") => m.retry_after = true,
            b'r' if is(b"record-route") && m.nrr < MAX_MULTI => {
                m.rrs[m.nrr] = val;
                m.nrr += 1;
            }
            b'f' if is(b"from") || is(b"f") => m.from = val,
            b't' if is(b"to") || is(b"t") => m.to = val,
            b'i' if is(b"i") => m.call_id = val,
            b'c' => {
                if is(b"call-id") {
                    m.call_id = val
                } else if is(b"cseq") {
                    m.cseq = parse_u32(val)?;
                    let sp = memchr::memrchr(b' ', val)?;
                    m.cseq_method = &val[sp + 1..];
                } else if is(b"contact") {
                    m.contact = val
                } else if is(b"content-length") {
                    content_len = Some(parse_u32(val)? as usize)
                }
            }
            b'm' if is(b"m") => m.contact = val,
            b'l' if is(b"l") => content_len = Some(parse_u32(val)? as usize),
            b's' => {
                if is(b"subscription-state") {
                    m.sub_state = val
                } else if is(b"sip-etag") {
                    m.etag = val
                }
            }
            b'e' if is(b"event") => m.event = val,
            b'o' if is(b"o") => m.event = val,
            b'w' if is(b"www-authenticate") => m.offer_challenge(val),
            b'p' if is(b"proxy-authenticate") => m.offer_challenge(val),
            _ => {}
        }
    }
    m.head = &b[..pos];
    m.body = match content_len {
        Some(n) => b.get(pos..pos + n)?,
        None => &b[pos..],
    };
    if m.nvia == 0 || m.call_id.is_empty() || m.from.is_empty() || m.to.is_empty() {
        return None;
    }
    Some(m)
}

/// The value of `;name=` in a header value.
pub(crate) fn param<'a>(v: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut start = 0;
    while let Some(p) = memchr::memchr(b';', &v[start..]) {
        let rest = &v[start + p + 1..];
        start += p + 1;
        if rest.len() > name.len() && rest[..name.len()].eq_ignore_ascii_case(name) && rest[name.len()] == b'=' {
            let val = &rest[name.len() + 1..];
            let end = val.iter().position(|&c| matches!(c, b';' | b',' | b' ' | b'>')).unwrap_or(val.len());
            return Some(&val[..end]);
        }
    }
    None
}

/// The URI inside a name-addr or addr-spec.
pub(crate) fn addr_uri(v: &[u8]) -> &[u8] {
    if let Some(a) = memchr::memchr(b'<', v) {
        let rest = &v[a + 1..];
        return &rest[..memchr::memchr(b'>', rest).unwrap_or(rest.len())];
    }
    &v[..v.iter().position(|&c| matches!(c, b';' | b',')).unwrap_or(v.len())]
}

/// A quoted or bare auth-param of a Digest challenge.
pub(crate) fn auth_param<'a>(v: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut i = 0;
    let n = name.as_bytes();
    while i + n.len() < v.len() {
        let boundary = i == 0 || matches!(v[i - 1], b' ' | b',' | b'\t');
        if boundary && v[i..].len() > n.len() && v[i..i + n.len()].eq_ignore_ascii_case(n) && v[i + n.len()] == b'=' {
            let val = &v[i + n.len() + 1..];
            if let Some(q) = val.strip_prefix(b"\"") {
                return Some(&q[..memchr::memchr(b'"', q)?]);
            }
            return Some(&val[..val.iter().position(|&c| c == b',').unwrap_or(val.len())]);
        }
        i += 1;
    }
    None
}
