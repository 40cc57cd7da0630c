use proptest::prelude::*;

use super::*;

fn refusal(text: &str) -> (JsonFault, usize, String) {
    let error = parse(text.as_bytes()).expect_err(text);
    (error.fault, error.offset, error.pointer)
}

#[test]
fn keeps_values_and_their_own_bytes() {
    let body = " {\"a\" : [1.0, -0,1e3 , true,false,null],\"\\u0062\":\"\\ud83d\\ude80\\n/\"}\n";
    let node = parse(body.as_bytes()).unwrap();
    assert_eq!(node.raw(), body.trim());
    let list = node.get("a").unwrap();
    assert_eq!(list.raw(), "[1.0, -0,1e3 , true,false,null]");
    let Value::Array(items) = list.value() else {
        panic!("not an array: {list:?}")
    };
    let tokens: Vec<_> = items.iter().map(Node::raw).collect();
    assert_eq!(tokens, ["1.0", "-0", "1e3", "true", "false", "null"]);
    assert_eq!(items[2].as_number(), Some("1e3"));
    assert!(items[5].is_null());
    let text = node.get("b").unwrap();
    assert_eq!(text.as_str(), Some("🚀\n/"));
    assert_eq!(text.raw(), r#""\ud83d\ude80\n/""#);
    assert_eq!((node.get("c"), list.get("a")), (None, None));
}

#[test]
fn names_the_fault_and_its_place() {
    use JsonFault::{
        ControlCharacter, DuplicateKey, Empty, End, Escape, LeadingZero, LoneSurrogate, Number,
        NumberRange, Trailing, Unexpected,
    };
    for (text, fault, offset, pointer) in [
        ("", Empty, 0, ""),
        (" \n", Empty, 2, ""),
        ("{", End, 1, ""),
        ("[1", End, 2, ""),
        ("[1,", End, 3, "/1"),
        ("[1,]", Unexpected, 3, "/1"),
        ("[1 2]", Unexpected, 3, ""),
        ("{\"a\":1,}", Unexpected, 7, ""),
        ("{a:1}", Unexpected, 1, ""),
        ("{\"a\"}", Unexpected, 4, ""),
        ("[tru]", Unexpected, 4, "/0"),
        ("nul", End, 3, ""),
        ("NaN", Unexpected, 0, ""),
        ("\u{feff}{}", Unexpected, 0, ""),
        ("\u{a0}1", Unexpected, 0, ""),
        ("'a'", Unexpected, 0, ""),
        ("1 1", Trailing, 2, ""),
        ("{}}", Trailing, 2, ""),
        ("01", LeadingZero, 0, ""),
        ("-00.1", LeadingZero, 0, ""),
        ("-", End, 1, ""),
        ("-a", Number, 1, ""),
        ("[1.]", Number, 3, "/0"),
        ("[1e+]", Number, 4, "/0"),
        ("+1", Unexpected, 0, ""),
        (".5", Unexpected, 0, ""),
        ("0x10", Trailing, 1, ""),
        ("1e400", NumberRange, 0, ""),
        ("[-1e400]", NumberRange, 1, "/0"),
        ("\"a\nb\"", ControlCharacter, 2, ""),
        ("\"\0\"", ControlCharacter, 1, ""),
        ("\"a", End, 2, ""),
        (r#""\"#, End, 2, ""),
        (r#""\x""#, Escape, 1, ""),
        (r#""\é""#, Escape, 1, ""),
        (r#""\u+123""#, Escape, 1, ""),
        (r#""\u00é""#, Escape, 1, ""),
        (r#""\u12"#, End, 5, ""),
        (r#""\ud800""#, LoneSurrogate, 1, ""),
        (r#"{"a":"\ud800x"}"#, LoneSurrogate, 6, "/a"),
        (r#""\ude80\ud83d""#, LoneSurrogate, 1, ""),
        (r#""\ud83d\ud83d\ude80""#, LoneSurrogate, 1, ""),
        (r#""\ud83d\n""#, LoneSurrogate, 1, ""),
        (r#"{"a":1,"b":2,"\u0061":3}"#, DuplicateKey, 13, "/a"),
        (
            r#"{"p":[{"x~/":1,"x~/":2}]}"#,
            DuplicateKey,
            15,
            "/p/0/x~0~1",
        ),
    ] {
        assert_eq!(refusal(text), (fault, offset, pointer.into()), "{text:?}");
    }
}

#[test]
fn refuses_what_is_not_utf8() {
    for (bytes, offset) in [
        (&b"\"\xff\""[..], 1),
        (b"\"\xc0\xaf\"", 1),
        (b"\"\xed\xa0\x80\"", 1),
        (b"{}\xf0\x9f", 2),
    ] {
        let error = parse(bytes).unwrap_err();
        assert_eq!((error.fault, error.offset), (JsonFault::Utf8, offset));
    }
}

#[test]
fn nesting_stops_at_64_and_never_at_the_stack() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    let siblings = format!("[{}0]", "[[]],{\"a\":{}},".repeat(1_000));
    assert!(parse(siblings.as_bytes()).is_ok(), "siblings add no depth");
    for levels in [DEPTH_MAX + 1, 5_000] {
        assert_eq!(refusal(&nested(levels)).0, JsonFault::TooDeep);
        let objects = "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
        let (fault, _, pointer) = refusal(&objects);
        assert_eq!(fault, JsonFault::TooDeep);
        assert_eq!(pointer, "/a".repeat(DEPTH_MAX));
    }
    assert_eq!(refusal(&"[".repeat(1 << 20)).0, JsonFault::TooDeep);
}

#[test]
fn values_are_bounded_in_number() {
    // The array is a value itself.
    let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    assert!(parse(zeros(NODES_MAX - 1).as_bytes()).is_ok());
    let (fault, offset, pointer) = refusal(&zeros(NODES_MAX));
    assert_eq!(fault, JsonFault::TooMany);
    assert_eq!((offset, pointer), (131_071, "/65535".to_owned()));
    let nested = format!("{{\"a\":{},\"b\":[[]]}}", zeros(NODES_MAX - 4));
    assert!(parse(nested.as_bytes()).is_ok());
    let one_more = nested.replace("[[]]", "[[],{}]");
    let (fault, _, pointer) = refusal(&one_more);
    assert_eq!((fault, pointer), (JsonFault::TooMany, "/b/1".to_owned()));
    assert_eq!(refusal(&zeros(1 << 19)).0, JsonFault::TooMany);
}

#[test]
fn numbers_are_bounded_in_length_and_range() {
    for token in [
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "5e-324",
        "1e-400",
        "0e999999",
        &"9".repeat(64),
    ] {
        assert_eq!(parse(token.as_bytes()).unwrap().as_number(), Some(token));
    }
    assert_eq!(
        refusal("1.7976931348623159e308").0,
        JsonFault::NumberRange,
        "rounds to infinity"
    );
    for token in ["9".repeat(65), format!("0.{}", "1".repeat(1 << 20))] {
        assert_eq!(refusal(&token).0, JsonFault::NumberTooLong);
    }
}

#[test]
fn one_repeat_among_many_keys_is_found() {
    let keys: Vec<_> = (0..60_000).map(|key| format!("\"{key}\":0")).collect();
    let body = |keys: &[String]| format!("{{{}}}", keys.join(","));
    assert!(parse(body(&keys).as_bytes()).is_ok());
    let repeated = [&keys[..], &[String::from("\"\\u0037\":0")]].concat();
    assert_eq!(refusal(&body(&repeated)).2, "/7");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = parse(&bytes);
    }

    #[test]
    fn scrambled_json_never_panics(tokens in proptest::collection::vec(
        proptest::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u", "d83d", "de80", "a", "é", "🚀", "-",
            "0", "1", ".", "e", "+", " ", "\n", "true", "null", "\"k\":",
        ]), 0..40))
    {
        let text = tokens.concat();
        if let Ok(node) = parse(text.as_bytes()) {
            prop_assert_eq!(node.raw(), text.trim());
            prop_assert_eq!(&parse(node.raw().as_bytes()).unwrap().raw(), &node.raw());
        }
    }
}
