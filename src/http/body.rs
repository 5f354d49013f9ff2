//! Request bodies: JSON objects and forms, read field by field so that every wrong field is named at once.

use poem::{Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
};
use serde::{
    Deserialize,
    de::{Deserializer, Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::problem::{FieldError, Problem};
use crate::user::Invalid;

pub const JSON: &str = "application/json";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A body in one of the media types it may come in.
pub trait Body: Sized {
    /// The media types, in words for a 415.
    const WANTED: &'static str;

    fn media_types() -> Vec<MetaMediaType>;

    fn register(registry: &mut Registry);

    /// # Errors
    /// [`Problem::UnsupportedMediaType`] or [`Problem::Invalid`].
    fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, Problem>;
}

/// A body that has been parsed.
pub struct Parsed<T>(pub T);

impl<'a, T: Body + Send> ApiExtractor<'a> for Parsed<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest { description: None, content: T::media_types(), required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // Parameters such as `charset=utf-8` change nothing: JSON is UTF-8 and so are our forms.
        let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let bytes = body.take()?.into_bytes().await.map_err(|_| Problem::BadRequest)?;
        Ok(Self(T::parse(&media_type.to_ascii_lowercase(), &bytes)?))
    }
}

/// Reads fields one after another and remembers what was wrong with each.
pub struct Fields {
    values: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// # Errors
    /// [`Problem::Invalid`] when the bytes are not one JSON object, or name a field twice.
    pub fn json(bytes: &[u8]) -> Result<Self, Problem> {
        let Object(values) = serde_json::from_slice(bytes).map_err(|error| {
            let kind = if error.is_data() { "object_type" } else { "json_invalid" };
            whole_body(kind, format!("the body is not the JSON object wanted: {error}"))
        })?;
        Ok(Self { values, errors: Vec::new() })
    }

    /// # Errors
    /// [`Problem::Invalid`] when a field is there twice or is not UTF-8.
    pub fn form(bytes: &[u8]) -> Result<Self, Problem> {
        let mut values = Map::new();
        let text =
            std::str::from_utf8(bytes).map_err(|_| whole_body("form_invalid", "the form is not UTF-8".to_owned()))?;
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if value.contains('\u{fffd}') {
                return Err(whole_body("form_invalid", format!("the field `{name}` is not UTF-8")));
            }
            if values.insert(name.clone().into_owned(), Value::String(value.into_owned())).is_some() {
                return Err(whole_body("form_invalid", format!("the field `{name}` is there twice")));
            }
        }
        Ok(Self { values, errors: Vec::new() })
    }

    /// A text that must be there and parse.
    pub fn required<T>(&mut self, field: &'static str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        match self.values.remove(field) {
            None => {
                self.wrong(field, "missing", "the field is required");
                None
            }
            Some(value) => self.text(field, &value, parse),
        }
    }

    /// A text that may be absent or null.
    pub fn optional<T>(&mut self, field: &'static str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        match self.values.remove(field) {
            None | Some(Value::Null) => None,
            Some(value) => self.text(field, &value, parse),
        }
    }

    fn text<T>(
        &mut self,
        field: &'static str,
        value: &Value,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let Value::String(text) = value else {
            self.wrong(field, "string_type", "the field is a string");
            return None;
        };
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(Invalid(message)) => {
                self.wrong(field, "value_error", message);
                None
            }
        }
    }

    fn wrong(&mut self, field: &'static str, kind: &'static str, message: &str) {
        self.errors.push(FieldError { field, kind, message: message.to_owned() });
    }

    /// # Errors
    /// [`Problem::Invalid`] with every wrong field.
    pub fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::Invalid(self.errors)) }
    }
}

fn whole_body(kind: &'static str, message: String) -> Problem {
    Problem::Invalid(vec![FieldError { field: "", kind, message }])
}

/// A JSON object that names no field twice: of two values a proxy may have judged the one and we would use the other.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("the field `{name}` is there twice")));
                    }
                    members.insert(name, value);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "parsers may refuse")]
    fn any(text: &str) -> Result<String, Invalid> {
        Ok(text.to_owned())
    }

    fn kind(problem: Problem) -> &'static str {
        let Problem::Invalid(errors) = problem else { panic!("{problem:?}") };
        errors[0].kind
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut fields = Fields::json(br#"{"email": 1, "extra": {"deep": [1]}}"#).unwrap();
        fields.required("email", any);
        fields.required("password", any);
        fields.optional("full_name", any);
        let Err(Problem::Invalid(errors)) = fields.finish() else { panic!() };
        let named: Vec<_> = errors.iter().map(|e| (e.field, e.kind)).collect();
        assert_eq!(named, [("email", "string_type"), ("password", "missing")]);
    }

    #[test]
    fn bytes_that_are_not_one_object_are_refused() {
        for bytes in ["", "{", "null", "[]", "\"a\"", "1", "{} {}", "{\"a\":\"\\ud800\"}", "\u{feff}{}"] {
            assert!(Fields::json(bytes.as_bytes()).is_err(), "{bytes}");
        }
        assert!(Fields::json(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_in_json_and_in_a_form() {
        assert_eq!(kind(Fields::json(br#"{"a": "1", "a": "2"}"#).err().unwrap()), "object_type");
        assert_eq!(kind(Fields::form(b"a=1&a=2").err().unwrap()), "form_invalid");
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(kind(Fields::json(deep.as_bytes()).err().unwrap()), "json_invalid");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = Fields::json(&bytes);
            let _ = Fields::form(&bytes);
        }

        #[test]
        fn any_text_survives_json_and_form(text in "\\PC{0,50}") {
            proptest::prop_assume!(!text.contains('\u{fffd}'));
            let json = serde_json::json!({ "a": text }).to_string();
            let form: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("a", &text).finish();
            for mut fields in [Fields::json(json.as_bytes()).unwrap(), Fields::form(form.as_bytes()).unwrap()] {
                proptest::prop_assert_eq!(fields.required("a", any), Some(text.clone()));
            }
        }
    }
}
