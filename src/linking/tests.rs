use std::time::Instant;

use super::*;
use crate::catalog::template::own_text;

fn link(key: &str, version: i64, test: &str, variant: u32) -> PromptLink {
    PromptLink {
        prompt_key: Some(key.into()),
        prompt_version: Some(version),
        prompt_ab_test_key: Some(test.into()),
        prompt_variant_index: Some(variant),
    }
}

fn plain(key: &str, version: i64) -> PromptLink {
    PromptLink { prompt_key: Some(key.into()), prompt_version: Some(version), ..PromptLink::default() }
}

const NONE: PromptLink = PromptLink {
    prompt_key: None,
    prompt_version: None,
    prompt_ab_test_key: None,
    prompt_variant_index: None,
};

/// A prompt whose template is `template` was rendered to `text`.
fn rendered_from(linking: &Linking, key: &str, version: i64, template: &str, text: &str) {
    let _ = linking.rendered(key, version, [Rendering { text, own: own_text(template) }]);
}

fn rendered(linking: &Linking, key: &str, version: i64, text: &str) {
    rendered_from(linking, key, version, text, text);
}

fn assigned(linking: &Linking, session_id: &str, link: PromptLink) {
    let _ = linking.assigned(session_id, link);
}

fn of_call(linking: &Linking, session_id: &str, instructions: &[&str], messages: &[&str]) -> PromptLink {
    let mut search = linking.search(session_id);
    search.instructions(instructions);
    search.messages(messages);
    search.link(true)
}

const LONG: &str = "You help the customers of Acme, in a friendly tone.";
const LONGER: &str = "You help the customers of Acme, in a friendly tone. Never promise a refund.";

#[test]
fn a_call_is_linked_to_the_prompt_whose_rendering_it_used() {
    let linking = Linking::default();
    rendered(&linking, "support", 3, "You help Acme.\n");
    rendered(&linking, "empty", 1, "");
    assert_eq!(of_call(&linking, "s", &["You help Acme."], &["hello"]), plain("support", 3));
    assert_eq!(of_call(&linking, "s", &[], &["hello", " You help Acme. "]), plain("support", 3));
    assert_eq!(of_call(&linking, "s", &[""], &["hello", ""]), NONE);
}

#[test]
fn a_rendering_of_32_characters_is_found_inside_others_and_a_shorter_one_is_not() {
    let linking = Linking::default();
    let (exact, short) = ("é".repeat(32), "ä".repeat(31));
    rendered(&linking, "exact", 1, &exact);
    rendered(&linking, "short", 1, &short);
    assert_eq!(of_call(&linking, "s", &[&format!("Before. {exact}")], &[]), plain("exact", 1));
    assert_eq!(of_call(&linking, "s", &[], &[&format!("{exact} After.")]), plain("exact", 1));
    assert_eq!(of_call(&linking, "s", &[&format!("Before. {short}")], &[]), NONE);
    assert_eq!(of_call(&linking, "s", &[&short], &[]), plain("short", 1));
}

#[test]
fn of_renderings_that_hold_each_other_the_longest_counts_and_an_equal_one_before_all() {
    let linking = Linking::default();
    rendered(&linking, "long", 1, LONG);
    rendered(&linking, "longer", 1, LONGER);
    rendered(&linking, "part", 1, "the customers of Acme, in a friendly tone");
    assert_eq!(of_call(&linking, "s", &[&format!("{LONGER} {LONG}")], &[]), plain("longer", 1));
    assert_eq!(of_call(&linking, "s", &[&format!("{LONG} {LONGER}")], &[]), plain("longer", 1));
    assert_eq!(of_call(&linking, "s", &[LONG], &[LONGER]), plain("long", 1));
    assert_eq!(of_call(&linking, "s", &[&format!("{LONG} {LONG}")], &[]), plain("long", 1));
}

#[test]
fn instructions_decide_before_messages() {
    let linking = Linking::default();
    rendered(&linking, "system", 1, LONG);
    rendered(&linking, "first message", 1, "Greet Ada warmly.");
    let instructions = [&*format!("{LONG} Today is Monday.")];
    assert_eq!(of_call(&linking, "s", &instructions, &["Greet Ada warmly."]), plain("system", 1));
    assert_eq!(of_call(&linking, "s", &["Mine."], &["Greet Ada warmly."]), plain("first message", 1));
}

#[test]
fn a_text_that_is_all_variables_is_nobodys() {
    let linking = Linking::default();
    rendered_from(&linking, "question", 1, "{{question}}", "Where is my parcel, and when will it come?");
    rendered_from(&linking, "hello", 1, "Hi {{name}}", "Hi there");
    rendered_from(&linking, "greeting", 1, "Greet {{name}} warmly.", "Greet Ada warmly.");
    assert_eq!(of_call(&linking, "s", &[], &["Where is my parcel, and when will it come?"]), NONE);
    assert_eq!(of_call(&linking, "s", &[], &["Hi there"]), NONE);
    assert_eq!(of_call(&linking, "s", &["Hi there"], &[]), plain("hello", 1));
    assert_eq!(of_call(&linking, "s", &[], &["Greet Ada warmly."]), plain("greeting", 1));
}

#[test]
fn a_session_with_one_test_is_linked_to_its_variant_and_other_sessions_are_not() {
    let linking = Linking::default();
    assigned(&linking, "a", link("va", 1, "test", 0));
    assert_eq!(of_call(&linking, "a", &[], &[]), link("va", 1, "test", 0));
    assert_eq!(of_call(&linking, "b", &[], &[]), NONE);
}

#[test]
fn the_text_is_stronger_than_the_sessions_test() {
    let linking = Linking::default();
    assigned(&linking, "a", link("va", 1, "test", 0));
    rendered(&linking, "other", 2, "other text");
    assert_eq!(of_call(&linking, "a", &["other text"], &[]), plain("other", 2));
}

#[test]
fn the_text_of_a_variant_carries_its_test_in_that_session_only() {
    let linking = Linking::default();
    rendered(&linking, "va", 1, "variant text");
    assigned(&linking, "a", link("va", 1, "test", 0));
    assigned(&linking, "a", link("vb", 1, "second test", 1));
    assert_eq!(of_call(&linking, "a", &["variant text"], &[]), link("va", 1, "test", 0));
    assert_eq!(of_call(&linking, "b", &["variant text"], &[]), plain("va", 1));
}

#[test]
fn when_two_could_be_meant_there_is_none_rather_than_a_wrong_one() {
    let linking = Linking::default();
    for key in ["one", "two"] {
        rendered(&linking, key, 1, "same text");
        rendered(&linking, key, 1, &format!("The same long text: {LONG}"));
        rendered(&linking, key, 1, key);
    }
    for (key, test) in [("va", "test"), ("vb", "second test")] {
        assigned(&linking, "a", link(key, 1, test, 0));
    }
    assigned(&linking, "b", link("va", 1, "test", 0));
    for session in ["a", "b"] {
        assert_eq!(of_call(&linking, session, &["same text"], &[]), NONE);
        assert_eq!(of_call(&linking, session, &[&format!("x The same long text: {LONG}")], &[]), NONE);
        assert_eq!(of_call(&linking, session, &["one", "two"], &[]), NONE);
        assert_eq!(of_call(&linking, session, &[], &["one", "two", "one"]), NONE);
    }
    assert_eq!(of_call(&linking, "a", &["neither"], &[]), NONE);
}

#[test]
fn of_two_versions_with_one_text_the_rest_of_the_call_decides_then_the_session() {
    let linking = Linking::default();
    for version in [1, 2] {
        rendered(&linking, "p", version, "You are polite.");
        rendered(&linking, "p", version, &format!("Answer as version {version} does."));
    }
    let instructions = ["You are polite."];
    assert_eq!(of_call(&linking, "s", &instructions, &["Answer as version 2 does."]), plain("p", 2));
    assert_eq!(of_call(&linking, "s", &instructions, &["hello"]), NONE);
    let _ = linking.rendered_for("s", "p", 1);
    assert_eq!(of_call(&linking, "s", &instructions, &["hello"]), plain("p", 1));
    assert_eq!(of_call(&linking, "other", &instructions, &["hello"]), NONE);
    let _ = linking.rendered_for("s", "p", 2);
    assert_eq!(of_call(&linking, "s", &instructions, &["hello"]), NONE);
    assigned(&linking, "s", link("p", 2, "test", 1));
    assert_eq!(of_call(&linking, "s", &instructions, &["hello"]), link("p", 2, "test", 1));
}

#[test]
fn that_a_session_asked_for_a_prompt_links_nothing_by_itself() {
    let linking = Linking::default();
    rendered(&linking, "p", 1, "You are polite.");
    let _ = linking.rendered_for("s", "p", 1);
    assert_eq!(of_call(&linking, "s", &["Something else."], &["hello"]), NONE);
}

#[test]
fn a_sub_agent_is_linked_by_its_own_text_only() {
    let linking = Linking::default();
    rendered(&linking, "own", 1, "own text");
    assigned(&linking, "a", link("va", 1, "test", 0));
    let inside = |text| {
        let mut search = linking.search("a");
        search.instructions(&[text]);
        search.link(false)
    };
    assert_eq!(inside("no prompt's"), NONE);
    assert_eq!(inside("own text"), plain("own", 1));
}

#[test]
fn a_later_variant_of_the_same_test_takes_the_place_of_the_earlier() {
    let linking = Linking::default();
    assigned(&linking, "a", link("va", 1, "test", 0));
    assigned(&linking, "a", link("va", 2, "test", 0));
    assert_eq!(of_call(&linking, "a", &[], &[]), link("va", 2, "test", 0));
}

#[test]
fn the_table_is_bounded_and_forgets_what_was_used_least_recently() {
    let linking = Linking::default();
    let text = |i: usize| format!("You help customer number {i:6}, and nobody else.");
    for i in 0..MOST_RENDERINGS {
        rendered(&linking, "p", 1, &text(i));
    }
    // By a call that equals it, and by one that holds it.
    assert_eq!(of_call(&linking, "s", &[&text(0)], &[]), plain("p", 1));
    assert_eq!(of_call(&linking, "s", &[&format!("{} So.", text(1))], &[]), plain("p", 1));
    for i in 0..MOST_RENDERINGS - 2 {
        rendered(&linking, "p", 1, &text(MOST_RENDERINGS + i));
    }
    for (i, expected) in [(0, plain("p", 1)), (1, plain("p", 1)), (2, NONE), (MOST_RENDERINGS - 1, NONE)] {
        assert_eq!(of_call(&linking, "s", &[&text(i)], &[]), expected, "{i}");
        assert_eq!(of_call(&linking, "s", &[&format!("So: {}", text(i))], &[]), expected, "inside, {i}");
    }
    assert_eq!(linking.known.lock().renderings.len(), MOST_RENDERINGS);
}

#[test]
fn keys_of_any_length_and_notes_that_nobody_takes_in_stay_within_16_mib() {
    let linking = Linking::default();
    let key = "k".repeat(100_000);
    for i in 0..500 {
        rendered(&linking, &format!("{key}{i}"), 1, &format!("{LONG} {i}"));
    }
    assert!(linking.notes.lock().bytes <= MOST_BYTES);
    linking.settle();
    for i in 500..1000 {
        rendered(&linking, &format!("{key}{i}"), 1, &format!("{LONG} {i}"));
        linking.settle();
    }
    assert!(linking.known.lock().renderings.bytes() <= MOST_BYTES);
    assert!(of_call(&linking, "s", &[&format!("{LONG} 999")], &[]).prompt_key.is_some());
}

#[test]
fn a_prompt_is_rendered_without_waiting_for_a_search() {
    let linking = std::sync::Arc::new(Linking::default());
    let search = linking.search("s");
    let (done, waiting) = std::sync::mpsc::channel();
    let other = std::sync::Arc::clone(&linking);
    std::thread::spawn(move || {
        rendered(&other, "p", 1, "You are polite.");
        assigned(&other, "s", link("p", 1, "test", 0));
        done.send(other.any())
    });
    assert_eq!(waiting.recv_timeout(std::time::Duration::from_secs(5)), Ok(true));
    drop(search);
    assert_eq!(of_call(&linking, "s", &["You are polite."], &[]), link("p", 1, "test", 0));
}

#[test]
fn it_asks_to_be_settled_once_enough_was_noted() {
    let linking = Linking::default();
    let asks =
        |linking: &Linking| (0..3 * ENOUGH_NOTES).filter(|_| linking.rendered_for("s", "p", 1)).count();
    assert_eq!(asks(&linking), 1);
    linking.settle();
    assert_eq!(asks(&linking), 1);
}

/// What a search takes at worst; printed, and bounded loosely: a debug build on a busy machine.
#[test]
fn ten_thousand_renderings_of_one_template_and_256_kib_of_messages_take_no_second() {
    let linking = Linking::default();
    for i in 0..MOST_RENDERINGS {
        let text = format!("You help the customers of company {} in {}.", i, "x".repeat(i % 500));
        rendered_from(&linking, "p", 1, "You help the customers of company {{a}} in {{b}}.", &text);
    }
    linking.settle();
    let prose =
        "Where is my parcel? I have been waiting for it for a week, and nobody tells me. ".repeat(3277);
    let prefixes = "You help the customers of company ".repeat(7710);
    let same = "a".repeat(256 * 1024);
    rendered(&linking, "a", 1, &format!("{}b", "a".repeat(16 * 1024)));
    for (name, text) in [("prose", &prose), ("nothing but beginnings", &prefixes), ("one letter", &same)] {
        let started = Instant::now();
        assert_eq!(of_call(&linking, "s", &["Mine."], &[text]), NONE, "{name}");
        let took = started.elapsed();
        println!("{name}: {} KiB among {MOST_RENDERINGS} renderings in {took:?}", text.len() / 1024);
        assert!(took.as_millis() < 2000, "{name}: {took:?}");
    }
}
