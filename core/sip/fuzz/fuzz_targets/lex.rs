//! Lists, parameters and quoted strings: no text makes them panic, and quoting is undone by unquoting.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::lex::{self, Params};

fuzz_target!(|text: &str| {
    for item in lex::split_list(text) {
        assert!(!item.is_empty());
        assert_eq!(lex::trim(item), item);
    }
    let params = Params::new(text);
    let valid = params.is_valid();
    for (name, value) in params.iter() {
        assert!(params.flag(name));
        if valid {
            assert!(lex::is_token(name) && value != Some(""));
        }
    }
    let mut quoted = String::new();
    lex::quote(text, &mut quoted);
    assert_eq!(lex::end_of_quoted(&quoted, 0), Some(quoted.len()));
    assert_eq!(lex::unquote(&quoted), text.replace(['\r', '\n'], " "));
    assert_eq!(lex::split_list(&quoted).count(), 1);
    let _ = (lex::unquote(text), lex::split_token(text), lex::decimal(text));
});
