//! A small grammar for JSON that is allowed, and the check of a value against it. Closed by default: an object's fields are
//! those listed, a word is one of those listed.

use crate::refusal::{Refusal, Rule, quoted};
use serde_json::{Map, Value};

/// What a value may look like.
#[derive(Debug)]
pub enum Shape {
    Text,
    Bool,
    /// A whole number of at least 0.
    Count,
    Number,
    /// One of these strings.
    Word(&'static [&'static str]),
    List(&'static Shape),
    Object(&'static [Field]),
    /// An object whose `type`, which must be there, selects its other fields.
    Tagged(&'static [(&'static str, &'static [Field])]),
    /// Either a string or this.
    TextOr(&'static Shape),
    /// Any object at all. Only where the provider itself takes free JSON.
    FreeObject,
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: &'static Shape,
    pub required: bool,
}

/// A field that must be there.
pub const fn need(name: &'static str, shape: &'static Shape) -> Field {
    Field { name, shape, required: true }
}

/// A field that may be there.
pub const fn may(name: &'static str, shape: &'static Shape) -> Field {
    Field { name, shape, required: false }
}

/// Checks the whole value; the refusal names the first place that does not fit.
pub fn check(value: &Value, shape: &Shape) -> Result<(), Refusal> {
    fits(value, shape, &mut Vec::new())
}

/// A step of a JSON pointer.
#[derive(Clone, Copy)]
enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

fn fits<'v>(value: &'v Value, shape: &Shape, path: &mut Vec<Step<'v>>) -> Result<(), Refusal> {
    match (shape, value) {
        (Shape::FreeObject, Value::Object(_))
        | (Shape::Text | Shape::TextOr(_), Value::String(_))
        | (Shape::Bool, Value::Bool(_))
        | (Shape::Number, Value::Number(_)) => Ok(()),
        (Shape::Count, Value::Number(number)) if number.is_u64() => Ok(()),
        (Shape::Word(words), Value::String(word)) => match words.contains(&word.as_str()) {
            true => Ok(()),
            false => Err(refuse(path, format!("`{}` is not allowed here", quoted(word)))),
        },
        (Shape::List(item), Value::Array(values)) => values.iter().enumerate().try_for_each(|(index, value)| {
            path.push(Step::Index(index));
            fits(value, item, path)?;
            path.pop();
            Ok(())
        }),
        (Shape::Object(fields), Value::Object(map)) => fields_fit(map, fields, false, path),
        (Shape::Tagged(kinds), Value::Object(map)) => {
            let Some(tag) = map.get("type") else { return Err(refuse(path, "`type` is missing".into())) };
            path.push(Step::Key("type"));
            let Value::String(tag) = tag else { return Err(refuse(path, "expected a string".into())) };
            let Some((_, fields)) = kinds.iter().find(|(name, _)| name == tag) else {
                return Err(refuse(path, format!("type `{}` is not allowed here", quoted(tag))));
            };
            path.pop();
            fields_fit(map, fields, true, path)
        }
        (Shape::TextOr(other), value) => fits(value, other, path),
        (shape, _) => Err(refuse(path, format!("expected {}", shape.name()))),
    }
}

fn fields_fit<'v>(
    map: &'v Map<String, Value>,
    fields: &[Field],
    tagged: bool,
    path: &mut Vec<Step<'v>>,
) -> Result<(), Refusal> {
    for (key, value) in map {
        if tagged && key == "type" {
            continue;
        }
        path.push(Step::Key(key));
        let Some(field) = fields.iter().find(|field| field.name == key) else {
            return Err(refuse(path, "this field is not allowed".into()));
        };
        fits(value, field.shape, path)?;
        path.pop();
    }
    match fields.iter().find(|field| field.required && !map.contains_key(field.name)) {
        None => Ok(()),
        Some(field) => Err(refuse(path, format!("`{}` is missing", field.name))),
    }
}

/// The pointer is written as RFC 6901 says.
fn refuse(path: &[Step<'_>], detail: String) -> Refusal {
    let pointer = path.iter().fold(String::new(), |pointer, step| match step {
        Step::Key(key) => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Step::Index(index) => format!("{pointer}/{index}"),
    });
    Refusal::at(Rule::Field, pointer, detail)
}

impl Shape {
    fn name(&self) -> &'static str {
        match self {
            Shape::Text | Shape::Word(_) => "a string",
            Shape::Bool => "true or false",
            Shape::Count => "a whole number of at least 0",
            Shape::Number => "a number",
            Shape::List(_) => "a list",
            Shape::Object(_) | Shape::Tagged(_) | Shape::FreeObject => "an object",
            Shape::TextOr(_) => "a string or a list",
        }
    }
}
