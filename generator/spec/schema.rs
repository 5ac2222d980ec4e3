//! The JSON Schema of a spec, from the types that read it.

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::HostFile;

/// The JSON Schema of a host's spec, for editors.
pub fn json_schema() -> Value {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<HostFile>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.insert("title".into(), "moxc host spec".into());
    schema.to_value()
}

/// TOML has no null: an optional key is absent.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [only] = &choices[..] {
            let only = only.clone();
            object.remove("anyOf");
            if let Value::Object(only) = only {
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
    }
}
