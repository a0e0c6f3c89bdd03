//! Date: when the message was first sent (RFC 3261 §20.17).

use std::fmt;
use std::time::SystemTime;

use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::{Header, HeaderError, HeaderName};
use crate::lex;

/// A moment, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub SystemTime);

/// `rfc1123-date`. The weekday is printed, and not checked when read.
const FORMAT: StaticFormatDescription = format_description!(
    "[weekday repr:short case_sensitive:false], [day] [month repr:short case_sensitive:false] [year] [hour]:[minute]:[second]"
);

impl<'a> Header<'a> for Date {
    const NAME: HeaderName = HeaderName::Date;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let value = lex::trim(value);
        // §20.17: "the time zone is restricted to GMT", whatever the case.
        let (date, zone) = value.rsplit_once(' ').ok_or_else(|| HeaderError::new(Self::NAME, "not a date"))?;
        if !zone.eq_ignore_ascii_case("GMT") {
            return Err(HeaderError::new(Self::NAME, "the time zone is not GMT"));
        }
        let date = PrimitiveDateTime::parse(lex::trim(date), FORMAT);
        let date = date.map_err(|_| HeaderError::new(Self::NAME, "not a date as in RFC 1123"))?;
        Ok(Self(date.assume_utc().into()))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = OffsetDateTime::from(self.0);
        f.write_str(&date.format(FORMAT).map_err(|_| fmt::Error)?)?;
        f.write_str(" GMT")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_example_of_rfc_3261_is_read_and_printed() {
        let text = "Sat, 13 Nov 2010 23:29:00 GMT";
        let date = Date::parse(text).unwrap();
        assert_eq!(date.0, SystemTime::UNIX_EPOCH + Duration::from_secs(1_289_690_940));
        assert_eq!(date.to_string(), text);
    }

    #[test]
    fn other_zones_and_other_formats_are_refused() {
        for text in
            ["", "GMT", "Fri, 01 Jan 2010 16:00:00 EST", "Fri, 32 Jan 2010 16:00:00 GMT", "2010-01-01T16:00:00 GMT"]
        {
            assert!(Date::parse(text).is_err(), "{text}");
        }
    }
}
