//! The fields of a JSON body, each with a pointer to it when it is wrong. All problems are gathered
//! before any is answered.

use std::{fmt::Display, str::FromStr};

use serde::Serialize;

use super::problem::Problem;
use crate::{
    auth::json::{Node, Value},
    base::Credits,
    upstream::FieldError,
};

/// One wrong field: a JSON pointer (RFC 6901) into the body, and what is wrong.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FieldProblem {
    pub(super) pointer: String,
    pub(super) reason: String,
}

impl FieldProblem {
    pub(super) fn new(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            reason: reason.into(),
        }
    }

    /// A problem of the parameters, which stand at `base` in the body.
    pub(super) fn of_parameters(base: &str, error: FieldError) -> Self {
        Self::new(format!("{base}{}", error.pointer), error.reason)
    }

    pub(super) fn place(&self) -> &str {
        if self.pointer.is_empty() {
            "the body"
        } else {
            &self.pointer
        }
    }
}

/// Reads the members of a body's object.
pub(super) struct Fields<'a, 'b> {
    body: &'b Node<'a>,
    problems: Vec<FieldProblem>,
}

impl<'a, 'b> Fields<'a, 'b> {
    /// # Errors
    /// When the body is not an object.
    pub(super) fn of(body: &'b Node<'a>) -> Result<Self, Problem> {
        match body.value() {
            Value::Object(_) => Ok(Self {
                body,
                problems: Vec::new(),
            }),
            _ => Err(Problem::fields(&[FieldProblem::new(
                "",
                "must be a JSON object",
            )])),
        }
    }

    /// A member that is there and not null.
    pub(super) fn member(&self, name: &str) -> Option<&'b Node<'a>> {
        self.body.get(name).filter(|node| !node.is_null())
    }

    pub(super) fn refuse(&mut self, name: &str, reason: impl Into<String>) {
        self.problems
            .push(FieldProblem::new(format!("/{name}"), reason));
    }

    pub(super) fn optional_text(&mut self, name: &str) -> Option<&'b str> {
        let member = self.member(name)?;
        let text = member.as_str();
        if text.is_none() {
            self.refuse(name, "must be a string");
        }
        text
    }

    pub(super) fn text(&mut self, name: &str) -> Option<&'b str> {
        if self.member(name).is_none() {
            self.refuse(name, "is required");
            return None;
        }
        self.optional_text(name)
    }

    pub(super) fn optional<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.optional_text(name)?;
        self.parse(name, text)
    }

    pub(super) fn required<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(name)?;
        self.parse(name, text)
    }

    fn parse<T>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(reason) => {
                self.refuse(name, reason.to_string());
                None
            }
        }
    }

    /// Whole credits, at least one.
    pub(super) fn whole_credits(&mut self, name: &str) -> Option<Credits> {
        let Some(member) = self.member(name) else {
            self.refuse(name, "is required");
            return None;
        };
        let credits = member
            .as_number()
            .filter(|token| token.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|token| token.parse().ok())
            .and_then(Credits::from_whole)
            .filter(|credits| credits.is_positive());
        if credits.is_none() {
            self.refuse(
                name,
                "must be a whole number of credits, written as a plain integer",
            );
        }
        credits
    }

    /// Any amount of credits, down to a unit.
    pub(super) fn optional_credits(&mut self, name: &str) -> Option<Credits> {
        let member = self.member(name)?;
        let credits: Option<Credits> = member.as_number().and_then(|token| token.parse().ok());
        let credits = credits.filter(|credits| credits.is_positive());
        if credits.is_none() {
            self.refuse(
                name,
                "must be a plain number of credits, with at most four decimals",
            );
        }
        credits
    }

    /// # Errors
    /// With every problem found.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(Problem::fields(&self.problems))
        }
    }

    /// For values that `finish` has shown to be there.
    pub(super) fn all<T>(self, values: Option<T>) -> Result<T, Problem> {
        self.finish()?;
        values.ok_or_else(Problem::internal)
    }
}
