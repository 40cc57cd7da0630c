//! Why a text is refused, and where.

use thiserror::Error;

/// Longest pointer that an error carries, in bytes.
const POINTER_BYTES_MAX: usize = 256;

/// Why a text is not JSON that this service takes.
///
/// Each message completes a sentence that begins with the place: `/parameters/a repeats …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JsonFault {
    #[error("is empty: send one JSON value")]
    Empty,
    #[error("is not UTF-8")]
    Utf8,
    #[error("ends before its JSON value is complete")]
    End,
    #[error("has a character that JSON does not allow there")]
    Unexpected,
    #[error("goes on after its JSON value")]
    Trailing,
    #[error("has a raw control character in a string; escape it")]
    ControlCharacter,
    #[error("has an escape that JSON does not know")]
    Escape,
    #[error("has half of a surrogate pair, which is no character")]
    LoneSurrogate,
    #[error("has a malformed number")]
    Number,
    #[error("has a number with a leading zero")]
    LeadingZero,
    #[error("has a number of more than 64 characters; send it as a string")]
    NumberTooLong,
    #[error("has a number beyond the range of a double; send it as a string")]
    NumberRange,
    #[error("repeats a key of its object")]
    DuplicateKey,
    #[error("is nested more than 64 levels deep")]
    TooDeep,
    #[error("holds more than 65536 values")]
    TooMany,
}

/// A refusal with its place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault} (at byte {offset})")]
pub struct JsonError {
    pub fault: JsonFault,
    /// Bytes from the start of the text.
    pub offset: usize,
    /// JSON pointer (RFC 6901) to the value or member at fault; empty for the whole text. Where
    /// it would be longer than 256 bytes, it names a container around the place instead.
    pub pointer: String,
}

impl JsonError {
    pub(super) const fn new(fault: JsonFault, offset: usize) -> Self {
        Self {
            fault,
            offset,
            pointer: String::new(),
        }
    }

    /// The same refusal, seen from the container that holds the place under `name`.
    pub(super) fn inside(mut self, name: &str) -> Self {
        let fits = |length: usize| length <= POINTER_BYTES_MAX;
        self.pointer = if fits(name.len()) {
            let step = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            match (fits(step.len() + self.pointer.len()), fits(step.len())) {
                (true, _) => step + &self.pointer,
                (false, true) => step,
                (false, false) => String::new(),
            }
        } else {
            String::new()
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped_and_bounded() {
        let error = JsonError::new(JsonFault::Number, 0);
        let pointer = |error: &JsonError| error.pointer.clone();
        let near = error.inside("a/b~c").inside("0");
        assert_eq!(pointer(&near), "/0/a~1b~0c");
        let crowded = near.inside(&"x".repeat(250));
        assert_eq!(
            pointer(&crowded),
            format!("/{}", "x".repeat(250)),
            "the inner part gives way"
        );
        assert_eq!(pointer(&crowded.inside(&"/".repeat(200))), "");
        let long = JsonError::new(JsonFault::Number, 0).inside(&"x".repeat(300));
        assert_eq!(pointer(&long.inside("a")), "/a");
    }
}
