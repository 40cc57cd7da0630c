//! JSON Schemas of parameters. Compiled once, without fetching anything; what a check reports is
//! bounded in number and length and never repeats a client's values.

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Value, json};
use thiserror::Error;

/// The longest schema, in bytes of JSON text.
const SCHEMA_BYTES_MAX: usize = 65_536;
/// How many bad fields one check names.
const FIELD_ERRORS_MAX: usize = 16;
/// Beyond this many values only the first bad field is named: the validator gathers every error
/// before it gives one, and a megabyte of wrong numbers would become a hundred of errors.
const VALUES_FULLY_REPORTED_MAX: usize = 1_024;
/// The longest pointer or reason, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Members that make a body signed (protocol, section 2): a bare body cannot carry them.
const RESERVED: [&str; 2] = ["session_nonce", "signature"];

/// A JSON Schema of the parameters of one action.
#[derive(Debug)]
pub struct Schema {
    document: Value,
    validator: Validator,
}

/// Why a document is not a schema of parameters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchemaError {
    #[error("must be a JSON Schema object of type \"object\"")]
    NotOfAnObject,
    #[error("must not declare \"{0}\": that member at the top of a body makes it a signed one")]
    Reserved(&'static str),
    #[error("is longer than {SCHEMA_BYTES_MAX} bytes")]
    TooLong,
    #[error("is not a JSON Schema that can be used without fetching others: {0}")]
    Invalid(String),
}

/// One field that does not satisfy the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) within the parameters; empty for the parameters themselves.
    pub pointer: String,
    /// Completes the sentence "the value …".
    pub reason: String,
}

impl Schema {
    /// Compiles a schema. Parameters are always an object, so a schema without `type` gets it.
    ///
    /// # Errors
    /// Another `type`, a reserved member, a text over 64 KiB, an invalid schema, a reference to
    /// another document, or a pattern that needs back-tracking (look-around, back-references).
    pub fn new(mut document: Value) -> Result<Self, SchemaError> {
        let object = document.as_object_mut().ok_or(SchemaError::NotOfAnObject)?;
        if object.entry("type").or_insert_with(|| json!("object")) != "object" {
            return Err(SchemaError::NotOfAnObject);
        }
        if document.to_string().len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLong);
        }
        if let Some(name) = reserved(&document) {
            return Err(SchemaError::Reserved(name));
        }
        // The linear-time engine: a client's text must not be able to make a pattern explode.
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .build(&document)
            .map_err(|error| SchemaError::Invalid(bounded(error.to_string())))?;
        Ok(Self {
            document,
            validator,
        })
    }

    /// The schema as the catalogue shows it.
    #[must_use]
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// Checks parameters. A client that sends none means `{}`.
    ///
    /// # Errors
    /// The bad fields, at most 16 of them, none of their values.
    pub fn check(&self, parameters: &Value) -> Result<(), Vec<FieldError>> {
        let Err(first) = self.validator.validate(parameters) else {
            return Ok(());
        };
        if values(parameters, VALUES_FULLY_REPORTED_MAX) > VALUES_FULLY_REPORTED_MAX {
            return Err(vec![field_error(&first)]);
        }
        let errors = self.validator.iter_errors(parameters);
        Err(errors
            .take(FIELD_ERRORS_MAX)
            .map(|error| field_error(&error))
            .collect())
    }
}

/// The reserved member that a schema declares, there or in a schema that applies in its place.
fn reserved(schema: &Value) -> Option<&'static str> {
    let declares = |name: &&str| {
        let required = schema["required"].as_array();
        schema["properties"].get(name).is_some()
            || required.is_some_and(|names| names.iter().any(|required| required == name))
    };
    RESERVED.into_iter().find(declares).or_else(|| {
        let in_place = ["allOf", "anyOf", "oneOf"].map(|keyword| schema[keyword].as_array());
        in_place.into_iter().flatten().flatten().find_map(reserved)
    })
}

/// How many values there are, counted until `enough` is passed.
fn values(value: &Value, enough: usize) -> usize {
    let children: &mut dyn Iterator<Item = &Value> = match value {
        Value::Array(items) => &mut items.iter(),
        Value::Object(members) => &mut members.values(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 1,
    };
    let mut count = 1;
    for child in children {
        if count > enough {
            break;
        }
        count += values(child, enough - count);
    }
    count
}

fn field_error(error: &ValidationError<'_>) -> FieldError {
    let mut pointer = error.instance_path().as_str().to_owned();
    // A missing member is reported of its object; the reader wants to know which member.
    if let ValidationErrorKind::Required { property } = error.kind() {
        let name = property.as_str().unwrap_or_default();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    FieldError {
        pointer: bounded(pointer),
        reason: bounded(error.masked().to_string()),
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Schema {
        Schema::new(json!({
            "properties": {
                "place": {"type": "string", "maxLength": 8, "pattern": "^[a-z]+$"},
                "days": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["place"],
            "additionalProperties": false,
        }))
        .unwrap()
    }

    #[test]
    fn good_parameters_pass() {
        assert_eq!(
            place().check(&json!({"place": "oslo", "days": [1, 2]})),
            Ok(())
        );
    }

    #[test]
    fn each_bad_field_has_its_pointer() {
        for (parameters, pointer, reason) in [
            (json!({}), "/place", "required"),
            (json!({"place": 7}), "/place", "not of type"),
            (json!({"place": "OSLO"}), "/place", "does not match"),
            (
                json!({"place": "oslo", "days": [1, "x"]}),
                "/days/1",
                "not of type",
            ),
            (json!({"place": "oslo", "more": 1}), "", "unexpected"),
            (json!("oslo"), "", "not of type"),
        ] {
            let errors = place().check(&parameters).unwrap_err();
            assert_eq!(errors.len(), 1, "{parameters}: {errors:?}");
            assert_eq!(errors[0].pointer, pointer, "{parameters}");
            assert!(errors[0].reason.contains(reason), "{errors:?}");
        }
    }

    #[test]
    fn what_is_reported_is_bounded_and_repeats_no_value() {
        let schema = place();
        let wrong: Vec<_> = (0..100).map(|_| "secret").collect();
        let errors = schema.check(&json!({"place": "oslo", "days": wrong}));
        let errors = errors.unwrap_err();
        assert_eq!(errors.len(), FIELD_ERRORS_MAX);
        assert!(errors.iter().all(|error| !error.reason.contains("secret")));

        let many: Vec<_> = (0..50_000).map(|_| "x").collect();
        let errors = schema.check(&json!({"place": "oslo", "days": many}));
        assert_eq!(errors.unwrap_err().len(), 1);

        let long = "é".repeat(10_000);
        let errors = schema.check(&json!({"place": "oslo", &long: 1}));
        assert!(errors.unwrap_err()[0].reason.len() <= TEXT_BYTES_MAX + '…'.len_utf8());
    }

    #[test]
    fn a_schema_gets_its_type_and_keeps_the_rest() {
        assert_eq!(
            Schema::new(json!({})).unwrap().document(),
            &json!({"type": "object"})
        );
    }

    #[test]
    fn refuses_what_cannot_be_a_schema_of_parameters() {
        use SchemaError::{NotOfAnObject, Reserved, TooLong};
        let string = json!({"type": "string"});
        for (document, error) in [
            (json!(true), NotOfAnObject),
            (json!({"type": "array"}), NotOfAnObject),
            (json!({"type": ["object", "null"]}), NotOfAnObject),
            (
                json!({"properties": {"signature": string}}),
                Reserved("signature"),
            ),
            (
                json!({"required": ["session_nonce"]}),
                Reserved("session_nonce"),
            ),
            (
                json!({"allOf": [{"anyOf": [{"properties": {"signature": true}}]}]}),
                Reserved("signature"),
            ),
            (
                json!({"description": "x".repeat(SCHEMA_BYTES_MAX)}),
                TooLong,
            ),
        ] {
            assert_eq!(Schema::new(document.clone()).unwrap_err(), error);
        }
        let deeper = json!({"properties": {"letter": {"properties": {"signature": string}}}});
        assert!(Schema::new(deeper).is_ok());
    }

    #[test]
    fn refuses_invalid_schemas_foreign_references_and_exploding_patterns() {
        for document in [
            json!({"properties": {"a": {"type": "text"}}}),
            json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}}),
            json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            json!({"properties": {"a": {"pattern": "(?=a)b"}}}),
        ] {
            let error = Schema::new(document.clone()).unwrap_err();
            assert!(
                matches!(error, SchemaError::Invalid(_)),
                "{document}: {error}"
            );
        }
    }
}
