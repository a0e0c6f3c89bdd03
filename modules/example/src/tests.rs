use signalbox::module::export;

use super::*;

#[test]
fn a_user_who_sends_too_much_waits_for_the_next_minute() {
    let start = Instant::now();
    let module = Example { per_minute: 2, sent: Mutex::new((start, HashMap::new())) };
    let count = |user: &str, seconds| {
        let sender = Aor::parse(&format!("sip:{user}@example.com")).unwrap();
        module.count(sender, start + Duration::from_secs(seconds)).is_ok()
    };
    assert!(count("alice", 0) && count("alice", 1) && !count("alice", 59));
    assert!(count("bob", 59));
    assert!(count("alice", 60));
}

#[test]
fn the_guide_shows_this_module_as_it_is() {
    let guide = include_str!("../../README.md");
    let source = include_str!("lib.rs");
    assert!(guide.contains(&format!("```rust\n{source}```")), "put src/lib.rs into modules/README.md");
    assert!(source.lines().count() < 60, "an example that is too long is none");
}

#[test]
fn the_tables_have_what_the_guide_says() {
    let tables = export::entry::<Example>().tables();
    assert_eq!(tables.functions[0].name, "within_limit");
    assert_eq!(tables.parameters[0].name, "per_minute");
}
