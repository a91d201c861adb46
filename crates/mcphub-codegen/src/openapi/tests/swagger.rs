//! Swagger 2.0.

use super::*;

fn swagger(more: Value) -> Parsed {
    let mut document = json!({"swagger": "2.0", "info": {"title": "T", "version": "1"}});
    for (key, value) in more.as_object().unwrap() {
        document[key] = value.clone();
    }
    parse(&document)
}

/// One operation, `POST /pets`, with this in it.
fn post(operation: Value) -> Parsed {
    swagger(json!({"paths": {"/pets": {"post": operation}}}))
}

#[test]
fn servers_are_schemes_host_and_base_path() {
    let servers = |more: Value| swagger(more).spec.servers;
    assert_eq!(
        servers(
            json!({"host": "api.test:8443", "basePath": "/v1/", "schemes": ["http", "wss", "https"]})
        ),
        ["https://api.test:8443/v1", "http://api.test:8443/v1"]
    );
    assert_eq!(servers(json!({"basePath": "v1"})), ["/v1"]);
    assert_eq!(servers(json!({})), ["/"]);
    let parsed = swagger(json!({"host": "api.test"}));
    assert_eq!(parsed.spec.servers, ["https://api.test"]);
    assert_eq!(
        remarks(&parsed),
        [(Severity::Info, "missing-scheme", "/host")]
    );
}

#[test]
fn the_body_parameter_is_sent_as_what_is_consumed() {
    let parsed = swagger(json!({
        "consumes": ["application/xml", "Application/JSON; charset=utf-8", "nonsense"],
        "definitions": {"Pet": {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0, "exclusiveMinimum": true}}}},
        "parameters": {"pet": {"name": "pet", "in": "body", "required": true, "description": "The pet.", "schema": {"$ref": "#/definitions/Pet"}}},
        "paths": {"/pets": {"post": {"parameters": [{"$ref": "#/parameters/pet"}]}}},
    }));
    let operation = &parsed.spec.operations[0];
    assert!(operation.parameters.is_empty());
    let body = operation.body.as_ref().unwrap();
    assert!(body.required);
    assert_eq!(body.description.as_deref(), Some("The pet."));
    let types: Vec<_> = body.content.iter().map(|c| &*c.media_type).collect();
    assert_eq!(types, ["application/xml", "application/json"]);
    for content in &body.content {
        assert!(content.schema["$ref"].is_string(), "{}", content.schema);
    }
    assert_eq!(
        parsed.spec.definitions["Pet"]["properties"]["age"],
        json!({"type": "integer", "exclusiveMinimum": 0})
    );
    assert_eq!(
        remarks(&parsed),
        [(Severity::Warning, "invalid-media-type", "/consumes/2")]
    );
}

#[test]
fn without_consumes_a_body_is_json() {
    let parsed =
        post(json!({"parameters": [{"name": "b", "in": "body", "schema": {"type": "array"}}]}));
    let body = parsed.spec.operations[0].body.as_ref().unwrap();
    assert_eq!(body.content[0].media_type, "application/json");
    assert_eq!(
        body.content[0].schema,
        json!({"type": "array", "items": {}})
    );
    assert!(!body.required && parsed.diagnostics.is_empty());
}

#[test]
fn form_fields_are_one_object() {
    let parsed = swagger(json!({"paths": {"/pets": {
        "parameters": [
            {"name": "name", "in": "formData", "type": "integer"},
            {"name": "shared", "in": "formData", "type": "boolean", "required": true},
        ],
        "post": {"parameters": [
            {"name": "name", "in": "formData", "type": "string", "maxLength": 9, "description": "Its name."},
            {"name": "tags", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
            {"name": "ids", "in": "formData", "type": "array", "items": {"type": "integer"}, "collectionFormat": "pipes"},
        ]},
    }}}));
    let body = parsed.spec.operations[0].body.as_ref().unwrap();
    let content = &body.content[0];
    assert_eq!(content.media_type, "application/x-www-form-urlencoded");
    assert_eq!(
        content.schema,
        json!({"type": "object", "required": ["shared"], "properties": {
            "name": {"type": "string", "maxLength": 9, "description": "Its name."},
            "shared": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "ids": {"type": "array", "items": {"type": "integer"}},
        }})
    );
    let style = |name: &str| {
        let how = content.encoding[name].serialization.as_ref().unwrap();
        (how.style, how.explode)
    };
    assert_eq!(style("tags"), (Style::Form, true));
    assert_eq!(style("ids"), (Style::PipeDelimited, false));
    assert!(body.required && parsed.diagnostics.is_empty());
}

#[test]
fn a_file_makes_the_form_multipart() {
    for (consumes, kind, expected) in [
        (json!([]), "file", "multipart/form-data"),
        (
            json!(["multipart/form-data"]),
            "string",
            "multipart/form-data",
        ),
        (
            json!(["multipart/form-data", "application/x-www-form-urlencoded"]),
            "string",
            "application/x-www-form-urlencoded",
        ),
    ] {
        let parsed = post(
            json!({"consumes": consumes, "parameters": [{"name": "f", "in": "formData", "type": kind}]}),
        );
        let body = parsed.spec.operations[0].body.as_ref().unwrap();
        assert_eq!(body.content[0].media_type, expected);
        if kind == "file" {
            let schema = &body.content[0].schema["properties"]["f"];
            assert_eq!(*schema, json!({"type": "string", "format": "binary"}));
        }
    }
}

#[test]
fn lists_are_written_as_their_collection_format_says() {
    let parameter = |location: &str, format: Option<&str>| {
        let mut parameter = json!({"name": "p", "in": location, "required": true, "type": "array", "items": {"type": "string"}});
        if let Some(format) = format {
            parameter["collectionFormat"] = format.into();
        }
        let parsed = swagger(json!({"paths": {"/a/{p}": {"get": {"parameters": [parameter]}}}}));
        let found = &parsed.spec.operations[0].parameters[0].serialization;
        let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code.clone()).collect();
        (
            found.style,
            found.explode,
            codes.contains(&"invalid-style".to_owned()),
        )
    };
    for (location, format, style, explode) in [
        ("query", None, Style::Form, false),
        ("query", Some("csv"), Style::Form, false),
        ("query", Some("ssv"), Style::SpaceDelimited, false),
        ("query", Some("tsv"), Style::TabDelimited, false),
        ("query", Some("pipes"), Style::PipeDelimited, false),
        ("query", Some("multi"), Style::Form, true),
        ("path", None, Style::Simple, false),
        ("path", Some("pipes"), Style::PipeDelimited, false),
        ("header", Some("ssv"), Style::SpaceDelimited, false),
    ] {
        assert_eq!(
            parameter(location, format),
            (style, explode, false),
            "{location} {format:?}"
        );
    }
    assert_eq!(
        parameter("header", Some("multi")),
        (Style::Simple, false, true)
    );
    assert_eq!(parameter("query", Some("tabs")), (Style::Form, false, true));
}

#[test]
fn answers_have_what_is_produced() {
    let parsed = swagger(json!({
        "produces": ["application/json"],
        "paths": {"/a": {
            "get": {"responses": {"200": {"description": "fine", "schema": {"type": "string", "x-nullable": true}}}},
            "put": {"produces": ["image/png"], "responses": {"200": {"schema": {"type": "file"}}, "204": {"description": "none"}}},
        }},
    }));
    let [get, put] = &parsed.spec.operations[..] else {
        panic!()
    };
    assert_eq!(
        get.responses[0].content,
        [(
            "application/json".to_owned(),
            json!({"type": ["string", "null"]})
        )]
    );
    assert_eq!(
        put.responses[0].content,
        [("image/png".to_owned(), json!({}))]
    );
    assert!(put.responses[1].content.is_empty());
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
}

#[test]
fn security_is_defined_at_the_top() {
    let parsed = swagger(json!({
        "securityDefinitions": {
            "user": {"type": "basic"},
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "token": {"type": "oauth2", "flow": "implicit"},
            "client": {"type": "oauth2", "flow": "application", "tokenUrl": "/token"},
            "login": {"type": "oauth2", "flow": "accessCode", "tokenUrl": "/token", "authorizationUrl": "/login",
                "scopes": {"read": ""}},
        },
        "security": [{"user": []}, {"key": [], "token": ["read"]}],
        "paths": {"/a": {"get": {}, "put": {"security": []}}},
    }));
    assert_eq!(parsed.spec.security_schemes["user"], SecurityScheme::Basic);
    let oauth2 = |token_url: Option<&str>, authorization_code| SecurityScheme::OAuth2 {
        token_url: token_url.map(str::to_owned),
        authorization_code,
        device: None,
        metadata_url: None,
    };
    let schemes = &parsed.spec.security_schemes;
    assert_eq!(schemes["token"], oauth2(None, None));
    assert_eq!(schemes["client"], oauth2(Some("/token"), None));
    let login = OAuthFlow {
        url: "/login".to_owned(),
        token_url: "/token".to_owned(),
        refresh_url: None,
        scopes: vec!["read".to_owned()],
    };
    assert_eq!(schemes["login"], oauth2(None, Some(Box::new(login))));
    assert_eq!(
        parsed.spec.security_schemes["key"],
        SecurityScheme::ApiKey {
            location: Location::Header,
            name: "X-Key".to_owned()
        }
    );
    assert_eq!(
        parsed.spec.operations[0].security,
        [vec!["user"], vec!["key", "token"]]
    );
    assert!(parsed.spec.operations[1].security.is_empty());
}
