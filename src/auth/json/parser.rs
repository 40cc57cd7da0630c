//! The parser: one pass over the text, recursion bounded by [`DEPTH_MAX`].

use std::borrow::Cow;

use super::{JsonError, JsonFault, Member, Node, Value};

/// How many arrays and objects may stand inside each other.
pub const DEPTH_MAX: usize = 64;
/// How many values a text may hold, itself and all that stand inside each other. A value takes far
/// more memory than its text: without a bound, a megabyte of zeros becomes twenty-five.
pub const NODES_MAX: usize = 65_536;
/// The longest number token.
pub const NUMBER_CHARS_MAX: usize = 64;

/// Reads exactly one JSON value, with white space around it.
///
/// Time is proportional to the text, times the logarithm of an object's members. Memory is
/// bounded by [`NODES_MAX`] and the text's length.
///
/// # Errors
/// The first fault in reading order, except that a repeated key is noticed at the end of its
/// object.
pub fn parse(bytes: &[u8]) -> Result<Node<'_>, JsonError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError::new(JsonFault::Utf8, error.valid_up_to()))?;
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        nodes: 0,
    };
    parser.blanks();
    if parser.peek().is_none() {
        return Err(JsonError::new(JsonFault::Empty, parser.at));
    }
    let node = parser.value()?;
    parser.blanks();
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(JsonError::new(JsonFault::Trailing, parser.at)),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes read. On a character boundary wherever the text is sliced: only ASCII stops a scan.
    at: usize,
    depth: usize,
    /// Values begun.
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Node<'a>, JsonError> {
        self.blanks();
        let start = self.at;
        if self.nodes == NODES_MAX {
            return Err(JsonError::new(JsonFault::TooMany, start));
        }
        self.nodes += 1;
        let value = match self.peek() {
            Some(b'{') => Value::Object(self.object()?),
            Some(b'[') => Value::Array(self.array()?),
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(_) | None => return Err(self.unexpected()),
        };
        Ok(Node {
            raw: &self.text[start..self.at],
            value,
        })
    }

    fn array(&mut self) -> Result<Vec<Node<'a>>, JsonError> {
        self.enter()?;
        let mut items = Vec::new();
        self.blanks();
        while !self.take(b']') {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            let item = self
                .value()
                .map_err(|error| error.inside(&items.len().to_string()))?;
            items.push(item);
            self.blanks();
        }
        self.depth -= 1;
        Ok(items)
    }

    fn object(&mut self) -> Result<Vec<Member<'a>>, JsonError> {
        self.enter()?;
        let mut members = Vec::new();
        self.blanks();
        while !self.take(b'}') {
            if !members.is_empty() {
                self.expect(b',')?;
                self.blanks();
            }
            let offset = self.at;
            let name = self.string()?;
            self.blanks();
            self.expect(b':')?;
            let node = self.value().map_err(|error| error.inside(&name))?;
            members.push(Member { name, node, offset });
            self.blanks();
        }
        self.depth -= 1;
        refuse_duplicates(&members)?;
        Ok(members)
    }

    /// Takes the opening bracket.
    fn enter(&mut self) -> Result<(), JsonError> {
        if self.depth == DEPTH_MAX {
            return Err(JsonError::new(JsonFault::TooDeep, self.at));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"')?;
        let plain = self.plain()?;
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = String::from(plain);
        while !self.take(b'"') {
            text.push(self.escape()?);
            text.push_str(self.plain()?);
        }
        Ok(Cow::Owned(text))
    }

    /// What stands before the next quote or backslash.
    fn plain(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"' | b'\\') => return Ok(&self.text[start..self.at]),
                Some(..=0x1f) => {
                    return Err(JsonError::new(JsonFault::ControlCharacter, self.at));
                }
                Some(_) => self.at += 1,
                None => return Err(self.unexpected()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.expect(b'\\')?;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(start);
            }
            Some(_) => return Err(JsonError::new(JsonFault::Escape, start)),
            None => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(character)
    }

    /// The character of a `\uXXXX` that began at `start`, or of a pair of them.
    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.utf16_unit(start)?;
        if let Some(character) = char::from_u32(first.into()) {
            return Ok(character);
        }
        let lone = || JsonError::new(JsonFault::LoneSurrogate, start);
        if !self.text[self.at..].starts_with("\\u") {
            return Err(lone());
        }
        let second_start = self.at;
        self.at += 2;
        let second = self.utf16_unit(second_start)?;
        match char::decode_utf16([first, second]).next() {
            Some(Ok(character)) => Ok(character),
            Some(Err(_)) | None => Err(lone()),
        }
    }

    fn utf16_unit(&mut self, start: usize) -> Result<u16, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.ok_or(JsonError::new(JsonFault::End, self.text.len()))?;
        let mut unit = [0; 2];
        hex::decode_to_slice(digits, &mut unit)
            .map_err(|_| JsonError::new(JsonFault::Escape, start))?;
        self.at += 4;
        Ok(u16::from_be_bytes(unit))
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.take(b'-');
        let starts_with_zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && starts_with_zero {
            return Err(JsonError::new(JsonFault::LeadingZero, start));
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        let token = &self.text[start..self.at];
        if token.len() > NUMBER_CHARS_MAX {
            return Err(JsonError::new(JsonFault::NumberTooLong, start));
        }
        // Not arithmetic: the token stays as it is. The question is only whether a client that
        // keeps numbers as doubles could have held it. What is too small for one rounds to zero.
        if !token.parse().is_ok_and(f64::is_finite) {
            return Err(JsonError::new(JsonFault::NumberRange, start));
        }
        Ok(token)
    }

    /// Takes one digit or more and says how many.
    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match (self.at - start, self.peek()) {
            (0, Some(_)) => Err(JsonError::new(JsonFault::Number, self.at)),
            (0, None) => Err(self.unexpected()),
            (count, _) => Ok(count),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn unexpected(&self) -> JsonError {
        let fault = match self.peek() {
            Some(_) => JsonFault::Unexpected,
            None => JsonFault::End,
        };
        JsonError::new(fault, self.at)
    }
}

/// Sorts rather than compares all pairs: a body may hold tens of thousands of keys.
fn refuse_duplicates(members: &[Member<'_>]) -> Result<(), JsonError> {
    let mut sorted: Vec<&Member<'_>> = members.iter().collect();
    sorted.sort_unstable_by_key(|member| (&member.name, member.offset));
    let repeats = sorted
        .windows(2)
        .filter(|pair| pair[0].name == pair[1].name);
    match repeats
        .map(|pair| pair[1])
        .min_by_key(|member| member.offset)
    {
        None => Ok(()),
        Some(member) => {
            let error = JsonError::new(JsonFault::DuplicateKey, member.offset);
            Err(error.inside(&member.name))
        }
    }
}
