use serde_json::json;

use super::*;
use crate::config::schema::schema;

#[test]
fn the_whole_schema_of_the_file_is_understood() {
    let shape = Shape::read(&schema()).expect("every construct is known");
    let Shape::Table(members) = shape else { panic!("the file is a table") };
    assert_eq!(
        members.required().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["listen", "upstream", "admin", "issuers"]
    );
}

#[test]
fn a_construct_that_is_not_understood_is_refused() {
    let supported = [
        json!({"type": "string"}),
        json!({"type": "integer", "minimum": 1, "description": "a remark"}),
        json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": false}),
        json!({"anyOf": [{"type": "string"}, {"type": "boolean"}]}),
    ];
    for schema in supported {
        assert!(Shape::read(&schema).is_ok(), "{schema}");
    }
    let unsupported = [
        json!(true),
        json!({}),
        json!({"type": "number"}),
        json!({"type": ["string", "null"]}),
        json!({"type": "string", "minLength": 1}),
        json!({"type": "string", "enum": ["a", 1]}),
        json!({"type": "string", "enum": ["a"], "x-never": {"b": "c"}}),
        json!({"type": "integer", "minimum": 0.5}),
        json!({"type": "integer", "multipleOf": 2}),
        json!({"type": "array"}),
        json!({"type": "array", "items": {"type": "null"}}),
        json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
        json!({"type": "object"}),
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {}, "additionalProperties": true}),
        json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
        json!({"type": "object", "properties": {}, "additionalProperties": false, "required": ["a"]}),
        json!({"type": "object", "additionalProperties": true}),
        json!({"oneOf": [{"type": "string"}]}),
        json!({"anyOf": [{"type": "string"}], "type": "string"}),
        json!({"$ref": "#/$defs/A"}),
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}),
        json!({"$ref": "https://elsewhere.example/schema"}),
    ];
    for schema in unsupported {
        assert!(Shape::read(&schema).is_err(), "{schema}");
    }
}
