//! Reads JSON text once, strictly: no key twice in an object (two readers would see two requests), no more values than the
//! limit, no deeper than `serde_json`'s 128 levels. Key order is kept.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::Cell, fmt};

/// The value of the whole text, or what is wrong with it. Messages name line and column, and quote a duplicate key only.
pub(crate) fn parse(text: &[u8], most_values: usize) -> Result<Value, serde_json::Error> {
    let left = Cell::new(most_values);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { left: &left }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict<'c> {
    left: &'c Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.left.get().checked_sub(1) {
            None => return Err(D::Error::custom("more values than the limit allows")),
            Some(left) => self.left.set(left),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("key `{}` comes twice", crate::refusal::quoted(&key))));
            }
            let value = access.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_text() {
        let text = r#"{"z":1,"a":[true,null,-3,0.5,"\u001b\"é"],"m":{"b":{},"a":[]}}"#;
        let value = parse(text.as_bytes(), 100).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }

    #[test]
    fn refuses() {
        let wide = format!("[{}0]", "0,".repeat(999));
        let deep = "[".repeat(200) + &"]".repeat(200);
        for (text, why) in [
            (r#"{"a":1,"a":2}"#, "key `a` comes twice"),
            (r#"{"a":1,"\u0061":2}"#, "key `a` comes twice"),
            (r#"[{"x":{"b":1,"b":1}}]"#, "key `b` comes twice"),
            (deep.as_str(), "recursion limit"),
            (wide.as_str(), "more values"),
            ("{} {}", "trailing characters"),
            ("1e999", "out of range"),
            (r#"{"a":"\ud800"}"#, "hex escape"),
            ("", "EOF"),
            ("\u{feff}{}", "expected value"),
            ("NaN", "expected"),
        ] {
            let error = parse(text.as_bytes(), 1000).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}", 10).is_err());
    }
}
