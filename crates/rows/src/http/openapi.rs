//! `GET /openapi.json`: the API of the tables as they are now.

use super::answer::json;
use super::state::{Backend, Shared};
use crate::query::{Column, MAX_CONDITIONS, MAX_DEPTH, Relation};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json as value};

pub(super) async fn document(state: Shared) -> Response {
    let relations: Vec<Relation> = match &*state.backend.read() {
        Backend::Up(rows) => {
            let names = state.settings.tables.iter().map(|spec| &spec.name);
            names.filter_map(|name| rows.relation(name).ok()).collect()
        }
        Backend::Down(_) => Vec::new(),
    };
    json(StatusCode::OK, of_relations(&relations, state.settings.read_only).to_string())
}

fn of_relations(relations: &[Relation], read_only: bool) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for relation in relations {
        let name = &relation.name;
        schemas.insert(format!("{name}.row"), row(relation));
        schemas.insert(format!("{name}.insert"), written(relation, true));
        schemas.insert(format!("{name}.update"), written(relation, false));
        let (mut many, mut one) = (reading_many(relation), reading_one(relation));
        if !read_only {
            writing_many(relation, &mut many);
            writing_one(relation, &mut one);
        }
        paths.insert(format!("/{name}"), many);
        paths.insert(format!("/{name}/{{key}}"), one);
    }
    schemas.insert("error".to_owned(), error());
    let description =
        "Rows of a PostgreSQL database, cached. Lists speak PostgREST's dialect; docs/rows.md has it all.";
    value!({
        "openapi": "3.1.0",
        "info": { "title": "Switchboard rows", "version": env!("CARGO_PKG_VERSION"), "description": description },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn reference(relation: &Relation, kind: &str) -> Value {
    // A name is a part of a JSON pointer here, in an address.
    let name = relation.name.replace('~', "~0").replace('/', "~1");
    let name = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
    value!({ "$ref": format!("#/components/schemas/{name}.{kind}") })
}

/// The JSON that PostgreSQL makes of a type.
fn schema(column: &Column) -> Value {
    let shown = column.shown.as_str();
    let kinds: &[&str] = match shown {
        "smallint" | "integer" | "bigint" => &["integer"],
        // Infinities and NaN are texts.
        "real" | "double precision" => &["number", "string"],
        _ if shown.starts_with("numeric") => &["number", "string"],
        "boolean" => &["boolean"],
        "json" | "jsonb" => return value!({}),
        _ if shown.ends_with("[]") => &["array"],
        _ => &["string"],
    };
    let mut kinds: Vec<&str> = kinds.to_vec();
    if !column.required {
        kinds.push("null");
    }
    let mut schema = value!({ "type": kinds, "description": shown });
    let range = match shown {
        "smallint" => Some((i64::from(i16::MIN), i64::from(i16::MAX))),
        "integer" => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
        "bigint" => Some((i64::MIN, i64::MAX)),
        _ => None,
    };
    if let Some((least, most)) = range {
        schema["minimum"] = least.into();
        schema["maximum"] = most.into();
    }
    schema
}

fn row(relation: &Relation) -> Value {
    let properties: Map<String, Value> =
        relation.columns.iter().map(|column| (column.name.clone(), schema(column))).collect();
    value!({ "type": "object", "properties": properties })
}

/// A body: the columns that a client may set.
fn written(relation: &Relation, is_new: bool) -> Value {
    let is_key = |column: &&Column| relation.key.contains(&column.name);
    let columns: Vec<&Column> =
        relation.columns.iter().filter(|column| !column.computed).filter(|column| is_new || !is_key(column)).collect();
    let needed = columns.iter().filter(|column| is_new && column.required && !column.has_default);
    let needed: Vec<&str> = needed.map(|column| column.name.as_str()).collect();
    let properties: Map<String, Value> = columns.iter().map(|column| (column.name.clone(), schema(column))).collect();
    let mut schema = value!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !needed.is_empty() {
        schema["required"] = value!(needed);
    }
    if !is_new {
        schema["minProperties"] = 1.into();
    }
    schema
}

fn error() -> Value {
    let text = value!({ "type": ["string", "null"] });
    value!({
        "type": "object",
        "required": ["code", "details", "hint", "message"],
        "properties": { "code": { "type": "string" }, "message": { "type": "string" }, "details": text, "hint": text },
    })
}

fn replies(good: Value, bad: &[(&str, &str)]) -> Value {
    let mut replies = good;
    for (status, about) in bad {
        let schema = value!({ "$ref": "#/components/schemas/error" });
        // Limits of the listener are told as text, before a request is looked at.
        let content =
            value!({ "application/json": { "schema": schema }, "text/plain": { "schema": { "type": "string" } } });
        replies[*status] = value!({ "description": about, "content": content });
    }
    replies
}

fn body(about: &str, schema: &Value) -> Value {
    value!({ "description": about, "content": { "application/json": { "schema": schema } } })
}

const AWAY: (&str, &str) = (
    "503",
    "The database is away, or not as it has to be. With Retry-After it may pass by itself; without it the table, or how it is served, has to be changed.",
);
const WRONG: (&str, &str) = ("400", "The request cannot be understood, or the database refuses the values.");
const CONFLICT: (&str, &str) = ("409", "A unique or foreign key is against it.");
const FORMS: (&str, &str) = ("406", "The rows cannot be of the form that Accept asks for.");
const KIND: (&str, &str) = ("415", "The body is not JSON.");
const LARGE: (&str, &str) = ("413", "The body is too large.");
const LONG: (&str, &str) = ("431", "The headers are too long.");
const LONG_LINE: (&str, &str) = ("414", "The address is too long.");
const FORBIDDEN: (&str, &str) = ("403", "Another site's page asks, or the database's role may not.");
const ABSENT: (&str, &str) = ("404", "There is no such table.");
const CONDITION: (&str, &str) = ("412", "The row has another tag than If-Match.");

fn header(name: &str, about: &str) -> Value {
    value!({ "name": name, "in": "header", "description": about, "schema": { "type": "string" } })
}

fn consistency() -> Value {
    let about = "How new the row must be: cached (the default), strong, or after=TOKEN.";
    let schema = value!({ "type": "string", "pattern": "^(cached|strong)$" });
    value!({ "name": "_consistency", "in": "query", "description": about, "schema": schema })
}

fn reading_one(relation: &Relation) -> Value {
    let absent = value!({ "type": "null" });
    let good = value!({
        "200": body("The row.", &reference(relation, "row")),
        "304": { "description": "The client has this row." },
        "404": body("There is no such row.", &value!({ "anyOf": [absent, { "$ref": "#/components/schemas/error" }] })),
    });
    let key = value!({
        "name": "key", "in": "path", "required": true, "schema": key_schema(relation),
        "description": format!("{}; values of several columns are separated by commas", relation.key.join(", ")),
    });
    value!({
        "parameters": [key],
        "get": {
            "operationId": format!("read {}", relation.name), "summary": "Read a row, from the cache",
            "parameters": [consistency(), header("If-None-Match", "The tag of the row that the client has.")],
            "responses": replies(good, &[WRONG, LONG_LINE, LONG, AWAY]),
        },
    })
}

fn key_schema(relation: &Relation) -> Value {
    match &*relation.key_columns() {
        [one] => {
            let column = relation.get(*one);
            let mut schema = schema(&Column { required: true, ..column.clone() });
            if schema["type"] == value!(["string"]) {
                schema["minLength"] = 1.into();
            }
            schema
        }
        _ => value!({ "type": "string", "minLength": 1 }),
    }
}

fn writing_one(relation: &Relation, path: &mut Value) {
    let message = |word: &str| value!({ "type": "object", "properties": { "msg": { "enum": [word] } } });
    let good = || {
        value!({
            "200": body("It is changed.", &value!({ "type": "object" })),
            "204": { "description": "It is changed, and the client prefers no body." },
            "404": body("There is no such row.", &value!({ "anyOf": [message("bad"), { "$ref": "#/components/schemas/error" }] })),
        })
    };
    let content = value!({ "application/json": { "schema": reference(relation, "update") } });
    let condition = header("If-Match", "The tag that the row must have.");
    for (method, about) in [("put", "Set columns of a row"), ("patch", "Set columns of a row, the key too")] {
        path[method] = value!({
            "operationId": format!("{method} {}", relation.name), "summary": about, "parameters": [condition],
            "requestBody": { "required": true, "content": content },
            "responses": replies(good(), &[WRONG, FORBIDDEN, CONFLICT, CONDITION, LARGE, LONG_LINE, KIND, LONG, AWAY]),
        });
    }
    path["delete"] = value!({
        "operationId": format!("delete {}", relation.name), "summary": "Delete a row", "parameters": [condition],
        "responses": replies(good(), &[WRONG, FORBIDDEN, CONFLICT, CONDITION, LONG_LINE, LONG, AWAY]),
    });
}

fn reading_many(relation: &Relation) -> Value {
    let rows = value!({ "type": "array", "items": { "type": "object" } });
    let good = value!({
        "200": body("The rows.", &rows),
        "206": body("A part of the rows, if they were counted.", &rows),
        "416": body("The offset is beyond the rows.", &value!({ "$ref": "#/components/schemas/error" })),
    });
    value!({ "get": {
        "operationId": format!("list {}", relation.name), "summary": "Read rows, from the database",
        "parameters": list_parameters(relation),
        "responses": replies(good, &[WRONG, ABSENT, FORMS, LONG_LINE, LONG, AWAY]),
    } })
}

fn list_parameters(relation: &Relation) -> Vec<Value> {
    let names: Vec<String> = relation.columns.iter().map(|column| regex_escape(&column.name)).collect();
    let name = format!("({})", names.join("|"));
    let number = value!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    let text = |pattern: String| value!({ "type": "string", "pattern": pattern });
    let mut parameters = vec![
        value!({ "name": "select", "in": "query", "schema": text(format!("^{name}(,{name})*$")), "description": "Columns; COLUMN::text gives a number as text." }),
        value!({ "name": "order", "in": "query", "schema": text(format!("^{name}(\\.(asc|desc))?(\\.nulls(first|last))?$")), "description": "COLUMN.desc.nullslast, separated by commas." }),
        value!({ "name": "limit", "in": "query", "schema": number, "description": "Rows at most." }),
        value!({ "name": "offset", "in": "query", "schema": number, "description": "Rows to leave out at first." }),
        header("Prefer", "count=exact counts all rows."),
    ];
    parameters.extend(filters(relation));
    parameters
}

fn filters(relation: &Relation) -> Vec<Value> {
    let filter = |column: &Column| {
        let about = format!("A filter on {}, such as eq.VALUE, in.(a,b), not.is.null.", column.shown);
        let schema = value!({ "type": "string", "pattern": "^(not\\.)?is\\.(not_)?null$" });
        value!({ "name": column.name, "in": "query", "schema": schema, "description": about })
    };
    let mut filters: Vec<Value> = relation.columns.iter().map(filter).collect();
    let Some(name) = relation.columns.iter().map(|column| &column.name).find(|name| is_plain(name)) else {
        return filters;
    };
    for group in ["or", "and", "not.or", "not.and"] {
        let about = format!(
            "Conditions in parentheses, such as ({name}.is.null,and({name}.gt.1,{name}.not.eq.3)): at most {MAX_CONDITIONS}, \
             and {MAX_DEPTH} deep."
        );
        let condition = format!("{name}\\.(not\\.)?is\\.(not_)?null");
        let schema = value!({ "type": "string", "pattern": format!("^\\({condition}(,{condition})?\\)$") });
        filters.push(value!({ "name": group, "in": "query", "schema": schema, "description": about }));
    }
    filters
}

/// A name that stands in a group as it is.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Escapes what means something in a regular expression.
fn regex_escape(name: &str) -> String {
    let mut escaped = String::new();
    for character in name.chars() {
        if "\\^$.|?*+()[]{}".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn writing_many(relation: &Relation, path: &mut Value) {
    let insert = reference(relation, "insert");
    let either = value!({ "anyOf": [insert, { "type": "array", "items": insert }] });
    let content = value!({ "application/json": { "schema": either } });
    // The body is empty unless the client prefers the rows, or sends one object and prefers nothing.
    let good = value!({ "201": { "description": "Inserted; Prefer says what the body is." } });
    path["post"] = value!({
        "operationId": format!("insert {}", relation.name), "summary": "Insert a row, or an array of rows",
        "parameters": [header("Prefer", "return=representation, return=minimal; resolution=merge-duplicates, resolution=ignore-duplicates.")],
        "requestBody": { "required": true, "content": content },
        "responses": replies(good, &[WRONG, FORBIDDEN, FORMS, CONFLICT, LARGE, LONG_LINE, KIND, LONG, AWAY]),
    });
    let mut parameters = filters(relation);
    parameters.push(header("Prefer", "return=representation, return=minimal; count=exact counts the rows."));
    let good = || {
        value!({
            "200": body("The rows, if the client prefers them.", &value!({ "type": ["array", "object"] })),
            "204": { "description": "Done." },
        })
    };
    let content = value!({ "application/json": { "schema": reference(relation, "update") } });
    path["patch"] = value!({
        "operationId": format!("patch many {}", relation.name), "summary": "Set columns of all rows that the filters leave",
        "description": "Refused without a filter.", "parameters": parameters,
        "requestBody": { "required": true, "content": content },
        "responses": replies(good(), &[WRONG, FORBIDDEN, FORMS, CONFLICT, LARGE, LONG_LINE, KIND, LONG, AWAY]),
    });
    path["delete"] = value!({
        "operationId": format!("delete many {}", relation.name), "summary": "Delete all rows that the filters leave",
        "description": "Refused without a filter.", "parameters": parameters,
        "responses": replies(good(), &[WRONG, FORBIDDEN, FORMS, CONFLICT, LARGE, LONG_LINE, LONG, AWAY]),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patron() -> Relation {
        let column = |name: &str, shown: &str, required, has_default| Column {
            name: name.to_owned(),
            shown: shown.to_owned(),
            required,
            has_default,
            ..Column::default()
        };
        let columns = vec![column("id", "integer", true, true), column("a.b", "text", true, false)];
        Relation { name: "patron".to_owned(), columns, key: vec!["id".to_owned()], ..Relation::default() }
    }

    #[test]
    fn a_read_only_service_has_no_operation_that_writes() {
        let methods = |read_only| {
            let document = of_relations(&[patron()], read_only);
            let paths = document["paths"].as_object().expect("paths").clone();
            let methods =
                paths.values().flat_map(|path| path.as_object().expect("a path").keys().cloned().collect::<Vec<_>>());
            let mut methods: Vec<String> = methods.filter(|name| name != "parameters").collect();
            methods.sort();
            methods
        };
        assert_eq!(methods(true), ["get", "get"]);
        assert_eq!(methods(false), ["delete", "delete", "get", "get", "patch", "patch", "post", "put"]);
    }

    #[test]
    fn a_column_without_a_default_is_required_of_a_new_row_alone() {
        let document = of_relations(&[patron()], false);
        assert_eq!(document["components"]["schemas"]["patron.insert"]["required"], value!(["a.b"]));
        assert_eq!(document["components"]["schemas"]["patron.update"].get("required"), None);
    }
}
