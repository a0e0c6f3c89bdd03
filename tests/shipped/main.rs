//! What is shipped beside the program: the settings and scripts load, the generated stubs are those of the code.
//!
//! `make stubs` (this test with `WRITE_STUBS=1`) writes the stubs anew.

use std::fs;
use std::path::{Path, PathBuf};

use signalbox::functions;
use signalbox::module::export::{Exports, Tables};
use signalbox::module::{Loader, Signature};
use signalbox::script::{Limits, ScriptEngine, ScriptSource, settings, stubs};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder above tests/").to_owned()
}

/// All modules, linked in, whether they stand as libraries anywhere or not.
fn loader() -> Loader {
    let mut loader = Loader::empty();
    loader.register::<signalbox_auth::Auth>();
    loader.register::<signalbox_im_auth::ImAuth>();
    loader.register::<signalbox_registrar::Registrar>();
    loader.register::<signalbox_pa::PresenceAgent>();
    loader
}

fn modules() -> Vec<Tables> {
    let loader = loader();
    loader.known().iter().map(|name| loader.load(name).expect("a registered module").tables()).collect()
}

fn core_functions() -> Vec<Signature> {
    functions::signatures().iter().map(|signature| (**signature).clone()).collect()
}

#[test]
fn editor_stubs_are_those_of_the_code() {
    let folder = repository().join("scripts/meta");
    let mut files = vec![("core.lua".to_owned(), stubs::core(&core_functions()))];
    files.extend(modules().iter().map(|tables| (format!("{}.lua", tables.name), stubs::module(tables))));
    for (name, text) in files {
        let path = folder.join(&name);
        if std::env::var_os("WRITE_STUBS").is_some() {
            fs::write(&path, &text).expect("writing a stub");
        }
        let shipped = fs::read_to_string(&path).unwrap_or_default();
        assert!(shipped == text, "scripts/meta/{name} is stale: run make stubs");
    }
}

#[test]
fn the_shipped_settings_are_right() {
    let path = repository().join("etc/signalbox.lua");
    let settings = settings::read(&path, loader()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.modules.len(), 4);
    assert!(repository().join(settings.core.route_script).is_file());
}

/// What stands behind a comment as an example is as right as the rest.
#[test]
fn the_settings_that_are_commented_out_are_right_too() {
    let text = fs::read_to_string(repository().join("etc/signalbox.lua")).expect("the shipped settings");
    let mut all = String::new();
    for line in text.lines() {
        let setting = line.strip_prefix("-- ").filter(|rest| {
            let word: String =
                rest.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_' || *c == '1').collect();
            let next = rest.trim_start()[word.len()..].trim_start();
            (!word.is_empty() && (next.starts_with(['(', '{', '"', '='])) && !rest.contains(": "))
                || rest.starts_with('}')
        });
        all.push_str(setting.unwrap_or(line));
        all.push('\n');
    }
    assert!(all.contains("\nworkers(4)") && all.contains("\nlimits {") && all.contains("\n}"), "{all}");
    settings::run(&ScriptSource::new("etc/signalbox.lua", &all), loader()).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_shipped_scripts_load() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let host = signalbox::module::Host::new(runtime.handle().clone());
    for name in ["presence.lua", "proxy.lua"] {
        let source = ScriptSource::read(&repository().join("scripts").join(name)).expect("a script");
        let engine =
            ScriptEngine::new(&source, &Exports::inert(&modules()), Limits::default(), &host.counter("panics"));
        assert!(engine.is_ok_and(|engine| engine.has(signalbox::script::Route::Request)), "{name}");
    }
}
