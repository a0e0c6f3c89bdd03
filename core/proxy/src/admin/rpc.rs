//! JSON-RPC 2.0: from one line to the line that answers it.
//!
//! Parameters may be given by name (an object) or by position (an array, in the order of the command's row).

use serde_json::{Value as Json, json};

use super::registry::{Entry, Registry};
use crate::error::explain;
use crate::module::command::CommandParameter;
use crate::settings::nearest::nearest;

/// Requests in one batch.
pub const MAX_BATCH: usize = 100;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;

/// The answer to `line`, without a line end. `None` when there is none to give: notifications only.
pub async fn answer(registry: &Registry, line: &[u8]) -> Option<String> {
    let response = match serde_json::from_slice(line) {
        Err(error) => Some(failure(Json::Null, PARSE_ERROR, &format!("not JSON: {error}"))),
        Ok(Json::Array(batch)) => answer_batch(registry, batch).await,
        Ok(request) => answer_one(registry, request).await,
    };
    response.map(|response| response.to_string())
}

/// The answer to a line that was longer than `limit`, with its line end.
pub(super) fn too_long(limit: usize) -> String {
    format!("{}\n", failure(Json::Null, INVALID_REQUEST, &format!("a request has at most {limit} bytes")))
}

async fn answer_batch(registry: &Registry, batch: Vec<Json>) -> Option<Json> {
    // "an array with at least one value"
    if batch.is_empty() || batch.len() > MAX_BATCH {
        let problem = format!("a batch has 1 to {MAX_BATCH} requests");
        return Some(failure(Json::Null, INVALID_REQUEST, &problem));
    }
    let mut responses = Vec::with_capacity(batch.len());
    for request in batch {
        responses.extend(answer_one(registry, request).await);
    }
    (!responses.is_empty()).then_some(Json::Array(responses))
}

async fn answer_one(registry: &Registry, request: Json) -> Option<Json> {
    let (id, method, parameters) = match read(request) {
        Ok(request) => request,
        Err((id, problem)) => return Some(failure(id, INVALID_REQUEST, problem)),
    };
    let result = match registry.find(&method) {
        None => Err((METHOD_NOT_FOUND, unknown(registry, &method))),
        Some(entry) => match by_name(entry, parameters) {
            Ok(parameters) => (entry.run)(parameters).await.map_err(|error| (error.code(), explain(&error))),
            Err(problem) => Err((INVALID_PARAMS, problem)),
        },
    };
    // A request without id is a notification: "the Server MUST NOT reply".
    let id = id?;
    Some(match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err((code, problem)) => failure(id, code, &problem),
    })
}

/// Id (absent in a notification), method and parameters; or the id to answer with and what is wrong.
fn read(request: Json) -> Result<(Option<Json>, String, Json), (Json, &'static str)> {
    let Json::Object(mut request) = request else { return Err((Json::Null, "a request is an object")) };
    let id = request.remove("id");
    let answer_to = match &id {
        Some(id @ (Json::String(_) | Json::Number(_) | Json::Null)) => id.clone(),
        Some(_) => return Err((Json::Null, "id must be a string or a number")),
        None => Json::Null,
    };
    if request.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
        return Err((answer_to, "jsonrpc must be \"2.0\""));
    }
    let Some(Json::String(method)) = request.remove("method") else {
        return Err((answer_to, "method must be a string"));
    };
    match request.remove("params") {
        None => Ok((id, method, json!({}))),
        Some(parameters @ (Json::Object(_) | Json::Array(_))) => Ok((id, method, parameters)),
        Some(_) => Err((answer_to, "params must be an object or an array")),
    }
}

/// Parameters as an object of the names in the command's row, with all that are required; others are refused, so that a slip
/// of the pen is not ignored.
fn by_name(entry: &Entry, parameters: Json) -> Result<Json, String> {
    let parameters = named(entry, parameters)?;
    let lacking = |row: &&CommandParameter| row.required && parameters.get(row.name).is_none_or(Json::is_null);
    match entry.usage.parameters.iter().find(lacking) {
        Some(row) => Err(format!("{} is needed: {}", row.name, row.doc)),
        None => Ok(parameters),
    }
}

fn named(entry: &Entry, parameters: Json) -> Result<Json, String> {
    let names: Vec<&str> = entry.usage.parameters.iter().map(|parameter| parameter.name).collect();
    match parameters {
        Json::Array(values) if values.len() > names.len() => {
            let (most, given) = (names.len(), values.len());
            Err(format!("{} takes at most {most} parameters, {given} were given", entry.usage.words()))
        }
        Json::Array(values) => Ok(names.into_iter().map(str::to_owned).zip(values).collect()),
        Json::Object(values) => match values.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) if names.is_empty() => Err(format!("no parameter {name:?}; it takes none")),
            Some(name) => Err(format!("no parameter {name:?}; there are {}", names.join(", "))),
            None => Ok(Json::Object(values)),
        },
        other => Ok(other),
    }
}

fn unknown(registry: &Registry, method: &str) -> String {
    let group = method.split('.').next().unwrap_or_default();
    let near: Vec<&str> =
        registry.iter().map(|(name, _)| name).filter(|name| name.split('.').next() == Some(group)).collect();
    if near.is_empty() {
        let meant = nearest(method, registry.iter().map(|(name, _)| name));
        let hint = meant.map_or_else(|| "core.commands lists all".to_owned(), |name| format!("did you mean {name}?"));
        format!("no command {method:?}; {hint}")
    } else {
        format!("no command {method:?}; there are {}", near.join(", "))
    }
}

fn failure(id: Json, code: i32, message: &str) -> Json {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::command::{CommandError, Usage};

    fn registry() -> Registry {
        let mut registry = Registry::new();
        let add = Usage {
            name: "add",
            doc: "Adds.",
            parameters: ["a", "b"].map(|name| CommandParameter { name, doc: "", required: true }).into(),
        };
        registry.add(
            "sum",
            Entry::new(add, |parameters| async move {
                let number = |name| {
                    parameters[name].as_i64().ok_or_else(|| CommandError::Parameter {
                        parameter: name,
                        problem: "a number is needed".to_owned(),
                    })
                };
                Ok(json!(number("a")? + number("b")?))
            }),
        );
        registry
    }

    fn ask(line: &str) -> Option<Json> {
        let answer = futures_util::future::FutureExt::now_or_never(answer(&registry(), line.as_bytes()));
        answer.expect("these commands never wait").map(|line| serde_json::from_str(&line).expect("answers are JSON"))
    }

    #[test]
    fn parameters_are_taken_by_name_and_by_position() {
        let three = json!({ "jsonrpc": "2.0", "id": 1, "result": 3 });
        let named = r#"{"jsonrpc":"2.0","id":1,"method":"sum.add","params":{"a":1,"b":2}}"#;
        assert_eq!(ask(named), Some(three.clone()));
        assert_eq!(ask(r#"{"jsonrpc":"2.0","id":1,"method":"sum.add","params":[1,2]}"#), Some(three));
    }

    #[test]
    fn each_kind_of_error_has_its_standard_code() {
        for (line, code) in [
            ("{", PARSE_ERROR),
            ("[]", INVALID_REQUEST),
            ("7", INVALID_REQUEST),
            (r#"{"id":1,"method":"sum.add"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":{},"method":"sum.add"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"sum.add","params":7}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"sum.sub"}"#, METHOD_NOT_FOUND),
            (r#"{"jsonrpc":"2.0","id":1,"method":"sum.add","params":{"c":1}}"#, INVALID_PARAMS),
            (r#"{"jsonrpc":"2.0","id":1,"method":"sum.add","params":[1,2,3]}"#, INVALID_PARAMS),
            (r#"{"jsonrpc":"2.0","id":1,"method":"sum.add","params":[1]}"#, INVALID_PARAMS),
        ] {
            assert_eq!(ask(line).expect("an answer")["error"]["code"], code, "{line}");
        }
    }

    #[test]
    fn notifications_are_not_answered_and_batches_answer_the_rest() {
        let notification = r#"{"jsonrpc":"2.0","method":"sum.add","params":[1,2]}"#;
        assert_eq!(ask(notification), None);
        assert_eq!(ask(&format!("[{notification}]")), None);
        let call = r#"{"jsonrpc":"2.0","id":"x","method":"sum.add","params":[1,2]}"#;
        let answers = ask(&format!("[{notification},{call},1]")).expect("an answer");
        assert_eq!(answers.as_array().map(Vec::len), Some(2));
        assert_eq!(answers[0]["id"], "x");
        assert_eq!(answers[1]["error"]["code"], INVALID_REQUEST);
    }

    #[test]
    fn an_unknown_command_names_its_siblings() {
        let answer = ask(r#"{"jsonrpc":"2.0","id":1,"method":"sum.sub"}"#).expect("an answer");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("sum.add")), "{answer}");
    }
}
