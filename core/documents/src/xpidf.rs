//! XPIDF: presence information as Windows Messenger 4.7 reads it, after draft-rosenberg-impp-pidf-00 with Microsoft's `msnsubstatus`.
//!
//! It knows one address per atom, whether that is open, and a word for what its user does. Nothing reads it but such clients, so there is only a
//! writer.

use crate::data_model::Presence;
use crate::pidf::{Basic, Pidf, Tuple};
use crate::rpid::Activity;
use crate::xml::push_attribute;

pub const CONTENT_TYPE: &str = "application/xpidf+xml";

/// Appends a whole document about the presentity of that URI: `sip:alice@example.com`. One of which nothing is known has one closed atom.
pub fn write(pidf: &Pidf, presentity: &str, out: &mut String) {
    out.push_str("<?xml version=\"1.0\"?>\n");
    out.push_str(
        "<!DOCTYPE presence PUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\">\n<presence>\n<presentity",
    );
    push_attribute(out, "uri", &[presentity, ";method=SUBSCRIBE"].concat());
    out.push_str("/>\n");
    let substatus = open_substatus(pidf);
    for tuple in &pidf.tuples {
        write_atom(tuple, presentity, substatus, out);
    }
    if pidf.tuples.is_empty() {
        write_atom(&Tuple { id: "none".to_owned(), ..Tuple::default() }, presentity, substatus, out);
    }
    out.push_str("</presence>\n");
}

fn write_atom(tuple: &Tuple, presentity: &str, (open, substatus): (&str, &str), out: &mut String) {
    let (status, substatus) = match tuple.basic {
        Some(Basic::Open) => (open, substatus),
        _ => ("closed", "offline"),
    };
    out.push_str("<atom");
    push_attribute(out, "id", &tuple.id);
    out.push_str(">\n<address");
    // Every atom has an address; a tuple need not have one.
    push_attribute(out, "uri", tuple.contact.as_ref().map_or(presentity, |contact| &contact.uri));
    if let Some(priority) = tuple.contact.as_ref().and_then(|contact| contact.priority) {
        out.push_str(" priority=\"");
        priority.write(out);
        out.push('"');
    }
    out.push_str(">\n<status");
    push_attribute(out, "status", status);
    out.push_str("/>\n<msnsubstatus");
    push_attribute(out, "substatus", substatus);
    out.push_str("/>\n</address>\n</atom>\n");
}

/// Status and msnsubstatus of what is open, by what the person does and whether anything is in use.
fn open_substatus(pidf: &Pidf) -> (&'static str, &'static str) {
    let presence = Presence::of(pidf);
    let does = |activity: Activity| presence.persons.iter().any(|person| person.rpid.does(activity));
    if does(Activity::OnThePhone) {
        ("inuse", "onthephone")
    } else if does(Activity::Meal) || does(Activity::Lunch) || does(Activity::Dinner) || does(Activity::Breakfast) {
        ("inactive", "outtolunch")
    } else if does(Activity::Busy) || does(Activity::Meeting) || does(Activity::Appointment) {
        ("inuse", "busy")
    } else if does(Activity::Away) || does(Activity::Sleeping) || does(Activity::Vacation) {
        ("inactive", "away")
    } else if presence.is_idle() {
        ("inactive", "idle")
    } else {
        ("open", "online")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    fn written(inside: &str) -> String {
        let text = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='pres:alice@example.com'>{inside}</presence>"
        );
        let pidf = Pidf::parse(text.as_bytes(), &Limits::default()).unwrap();
        let mut out = String::new();
        write(&pidf, "sip:alice@example.com", &mut out);
        out
    }

    const OPEN: &str = "<tuple id='a'><status><basic>open</basic></status><contact priority='0.8'>sip:alice@there?a&amp;b</contact></tuple>";

    #[test]
    fn each_tuple_becomes_an_atom() {
        let text = written(&format!("{OPEN}<tuple id='b'><status><basic>closed</basic></status></tuple>"));
        assert_eq!(
            text,
            "<?xml version=\"1.0\"?>\n<!DOCTYPE presence PUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\">\n<presence>\n\
             <presentity uri=\"sip:alice@example.com;method=SUBSCRIBE\"/>\n\
             <atom id=\"a\">\n<address uri=\"sip:alice@there?a&amp;b\" priority=\"0.8\">\n<status status=\"open\"/>\n\
             <msnsubstatus substatus=\"online\"/>\n</address>\n</atom>\n\
             <atom id=\"b\">\n<address uri=\"sip:alice@example.com\">\n<status status=\"closed\"/>\n\
             <msnsubstatus substatus=\"offline\"/>\n</address>\n</atom>\n</presence>\n"
        );
    }

    #[test]
    fn what_the_person_does_is_told_in_the_words_of_the_client() {
        for (activity, status, substatus) in [
            ("on-the-phone", "inuse", "onthephone"),
            ("meeting", "inuse", "busy"),
            ("meal", "inactive", "outtolunch"),
            ("away", "inactive", "away"),
            ("travel", "open", "online"),
        ] {
            let person = format!("<dm:person id='p'><r:activities><r:{activity}/></r:activities></dm:person>");
            let text = written(&format!("{OPEN}{person}"));
            assert!(
                text.contains(&format!("status=\"{status}\"/>\n<msnsubstatus substatus=\"{substatus}\"")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_user_whose_devices_are_all_idle_is_idle() {
        let device = |id: &str, input: &str| {
            format!(
                "<dm:device id='{id}'><r:user-input>{input}</r:user-input><dm:deviceID>urn:{id}</dm:deviceID></dm:device>"
            )
        };
        let idle = written(&format!("{OPEN}{}", device("a", "idle")));
        assert!(idle.contains("status=\"inactive\"/>\n<msnsubstatus substatus=\"idle\""), "{idle}");
        let active = written(&format!("{OPEN}{}{}", device("a", "idle"), device("b", "active")));
        assert!(active.contains("substatus=\"online\""), "{active}");
    }

    #[test]
    fn of_nothing_one_closed_atom_is_made() {
        let text = written("<note>x</note>");
        assert!(text.contains("<atom id=\"none\">") && text.contains("status=\"closed\""), "{text}");
    }
}
