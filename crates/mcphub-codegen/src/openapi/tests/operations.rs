//! Paths, operations, servers, security.

use super::*;

#[test]
fn a_bad_operation_is_skipped_with_its_pointer_and_the_rest_stays() {
    let parsed = parse(&document(
        json!({
            "/a~b/c": {
                "get": {"operationId": "good"},
                "put": "nonsense",
                "post": {"parameters": [{"$ref": "#/components/parameters/none"}]},
                "patch": {"requestBody": {"$ref": "#/components/requestBodies/loop"}},
                "delete": {"$ref": "other.yaml#/x"},
                "trace": {"parameters": [{"in": "header", "name": "a b", "required": true}]},
            },
            "x-meta": {"get": {}},
        }),
        json!({"requestBodies": {"loop": {"$ref": "#/components/requestBodies/pool"},
            "pool": {"$ref": "#/components/requestBodies/loop"}}}),
    ));
    assert_eq!(parsed.spec.operations.len(), 1);
    assert_eq!(parsed.spec.operations[0].pointer, "/paths/~1a~0b~1c/get");
    let expected = ["put", "post", "patch", "delete", "trace"]
        .map(|method| format!("/paths/~1a~0b~1c/{method}"));
    let codes = [
        "invalid-operation",
        "dangling-reference",
        "reference-loop",
        "external-reference",
        "invalid-parameter",
    ];
    let expected: Vec<_> = codes
        .iter()
        .zip(&expected)
        .map(|(code, pointer)| (Severity::Error, *code, pointer.as_str()))
        .collect();
    assert_eq!(remarks(&parsed), expected);
    let dangling = &parsed.diagnostics[1].message;
    assert!(
        dangling.contains("#/components/parameters/none")
            && dangling.contains("/post/parameters/0"),
        "{dangling}"
    );
}

#[test]
fn a_document_without_paths_has_no_operations() {
    for text in [
        "openapi: 3.0.0",
        "openapi: 3.0.0\npaths:\n",
        "openapi: 3.0.0\npaths: [1]",
    ] {
        assert!(read(text).unwrap().spec.operations.is_empty());
    }
}

#[test]
fn a_schema_that_points_to_nothing_costs_the_operation_that_needs_it() {
    let parsed = parse(&document(
        json!({"/a": {
            "put": {"requestBody": {"content": {"application/json": {"schema":
                {"type": "object", "properties": {"p": {"$ref": "#/components/schemas/Gone"}}}}}}},
            "get": {"responses": {"200": {"content": {"application/json": {"schema":
                {"$ref": "#/components/schemas/Gone"}}}}}},
        }}),
        json!({}),
    ));
    assert_eq!(parsed.spec.operations.len(), 1);
    let schema = "/paths/~1a/get/responses/200/content/application~1json/schema/$ref";
    assert_eq!(
        remarks(&parsed),
        [
            (Severity::Error, "dangling-reference", "/paths/~1a/put"),
            (Severity::Warning, "dangling-reference", schema),
        ]
    );
}

#[test]
fn path_items_may_be_shared_and_add_their_own() {
    let parsed = parse(&document(
        json!({
            "/a/{id}": {"$ref": "#/components/pathItems/Shared", "put": {"operationId": "own"}},
            "/b": {"$ref": "elsewhere.yaml"},
        }),
        json!({"pathItems": {"Shared": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
            "get": {"operationId": "shared"}, "put": {"operationId": "hidden"}}}}),
    ));
    let ids: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| (o.id.as_deref().unwrap(), o.pointer.as_str()))
        .collect();
    assert_eq!(
        ids,
        [
            ("own", "/paths/~1a~1{id}/put"),
            ("shared", "/paths/~1a~1{id}/get")
        ]
    );
    assert!(
        parsed
            .spec
            .operations
            .iter()
            .all(|o| o.parameters[0].schema["type"] == "integer")
    );
    assert_eq!(
        remarks(&parsed),
        [(Severity::Error, "external-reference", "/paths/~1b")]
    );
}

#[test]
fn servers_and_security_are_inherited_and_replaced() {
    let mut document = document(
        json!({"/a": {"servers": [{"url": "/path"}],
            "get": {}, "put": {"servers": [{"url": "/own"}], "security": []}, "post": {"security": [{}, {"k": [], "b": []}]},
            "patch": {"security": "none"}}}),
        json!({"securitySchemes": {"k": {"type": "apiKey", "in": "query", "name": "key"},
            "b": {"type": "http", "scheme": "Basic"}}}),
    );
    document["servers"] =
        json!([{"url": "https://x.io/{v}", "variables": {"v": {"default": "1"}}}, {"url": 3}]);
    document["security"] = json!([{"k": []}]);
    let parsed = parse(&document);
    assert_eq!(parsed.spec.servers, ["https://x.io/1"]);
    let found: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| (o.servers[0].as_str(), o.security.clone()))
        .collect();
    let key = vec![vec!["k".to_owned()]];
    let either = vec![vec![], vec!["k".to_owned(), "b".to_owned()]];
    assert_eq!(
        found,
        [
            ("/path", key.clone()),
            ("/own", vec![]),
            ("/path", either),
            ("/path", key)
        ]
    );
    assert_eq!(
        remarks(&parsed),
        [
            (Severity::Warning, "invalid-server", "/servers/1"),
            (Severity::Warning, "wrong-type", "/paths/~1a/patch/security"),
        ]
    );
}

#[test]
fn security_schemes_of_every_kind() {
    let parsed = parse(&document(
        json!({}),
        json!({"securitySchemes": {
            "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "bearer": {"type": "http", "scheme": "BEARER"},
            "same": {"$ref": "#/components/securitySchemes/bearer"},
            "oidc": {"type": "openIdConnect", "openIdConnectUrl": "x"},
            "digest": {"type": "http", "scheme": "digest"},
            "tls": {"type": "mutualTLS"},
            "injected": {"type": "apiKey", "in": "header", "name": "A\r\nB"},
        }}),
    ));
    let schemes = &parsed.spec.security_schemes;
    let header = SecurityScheme::ApiKey {
        location: Location::Header,
        name: "X-Key".to_owned(),
    };
    assert_eq!(schemes["header"], header);
    assert_eq!(
        (&schemes["bearer"], &schemes["same"]),
        (&SecurityScheme::Bearer, &SecurityScheme::Bearer)
    );
    assert_eq!(schemes["digest"], SecurityScheme::Digest);
    assert_eq!(schemes["tls"], SecurityScheme::MutualTls);
    assert_eq!(
        schemes["oidc"],
        SecurityScheme::OpenIdConnect {
            url: Some("x".to_owned())
        }
    );
    assert_eq!(
        schemes["injected"],
        SecurityScheme::Unsupported {
            scheme: "apiKey".to_owned()
        }
    );
}

#[test]
fn the_flows_of_oauth_2_are_read() {
    let flow = |url: &str| OAuthFlow {
        url: url.to_owned(),
        token_url: "/token".to_owned(),
        refresh_url: None,
        scopes: vec!["read".to_owned(), "write".to_owned()],
    };
    let parsed = parse(&document(
        json!({}),
        json!({"securitySchemes": {
            "all": {"type": "oauth2", "oauth2MetadataUrl": "/metadata", "flows": {
                "implicit": {"authorizationUrl": "/a", "scopes": {}},
                "clientCredentials": {"tokenUrl": " /token ", "scopes": {}},
                "authorizationCode": {"authorizationUrl": "/authorize", "tokenUrl": "/token",
                    "refreshUrl": "/refresh", "scopes": {"read": "", "write": ""}},
                "deviceAuthorization": {"deviceAuthorizationUrl": "/device", "tokenUrl": "/token",
                    "scopes": {"read": "", "write": ""}}}},
            "half": {"type": "oauth2", "flows": {"authorizationCode": {"authorizationUrl": "/a"}, "clientCredentials": 1}},
        }}),
    ));
    let schemes = &parsed.spec.security_schemes;
    assert_eq!(
        schemes["all"],
        SecurityScheme::OAuth2 {
            token_url: Some("/token".to_owned()),
            authorization_code: Some(Box::new(OAuthFlow {
                refresh_url: Some("/refresh".to_owned()),
                ..flow("/authorize")
            })),
            device: Some(Box::new(flow("/device"))),
            metadata_url: Some("/metadata".to_owned()),
        }
    );
    assert_eq!(
        schemes["half"],
        SecurityScheme::OAuth2 {
            token_url: None,
            authorization_code: None,
            device: None,
            metadata_url: None,
        }
    );
}

#[test]
fn references_in_example_data_are_data() {
    let parsed = operation(json!({
        "parameters": [{"name": "q", "in": "query", "schema": {"type": "object", "default": {"$ref": "#/no"}},
            "example": {"$ref": "#/nowhere"}}],
        "responses": {"200": {"description": "", "content": {"application/json": {"example": {"$ref": "#/gone"}}}}},
    }));
    assert_eq!(
        parsed.spec.operations[0].parameters[0].example,
        Some(json!({"$ref": "#/nowhere"}))
    );
    assert!(
        parsed
            .diagnostics
            .iter()
            .all(|d| d.code == "undeclared-path-parameter"),
        "{:?}",
        parsed.diagnostics
    );
}

#[test]
fn a_path_without_slash_or_with_a_fragment_is_repaired() {
    let parsed = parse(&document(
        json!({"pets": {"get": {}}, "/a#b": {"get": {}}}),
        json!({}),
    ));
    let paths: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| o.path.as_str())
        .collect();
    assert_eq!(paths, ["/pets", "/a"]);
    assert!(parsed.diagnostics.iter().all(|d| d.code == "invalid-path"));
}

#[test]
fn a_path_item_describes_the_operations_that_say_nothing() {
    let parsed = parse(&document(
        json!({"/a": {"summary": "All", "description": "Of a.", "get": {}, "put": {"summary": "Own"}}}),
        json!({}),
    ));
    let said = |index: usize| {
        let operation = &parsed.spec.operations[index];
        (
            operation.summary.as_deref(),
            operation.description.as_deref(),
        )
    };
    assert_eq!(said(0), (Some("All"), Some("Of a.")));
    assert_eq!(said(1), (Some("Own"), None));
}
