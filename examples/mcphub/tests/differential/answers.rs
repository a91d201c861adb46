//! The answers table, row by row, from the generated servers. The gateway's own test of it is
//! `crates/mcphub-gateway/tests/native_answers.rs`.

use mcphub_core::call::Arguments;
use mcphub_core::schema::Schema;
use mcphub_core::secret::Credentials;
use mcphub_core::spec::{Dialect, Location, Method, SecurityScheme};
use mcphub_core::tool::{
    ApiInfo, BodySource, HttpBinding, Tool, ToolAnnotations, ToolName, ToolSet,
};
use mcphub_gateway::upstream::Upstream;
use serde_json::{Map, Value, json};

use crate::answers_table::{self, FieldsGroup, PageAnswer, PagesGroup};
use crate::call;
use crate::generated::Language;
use crate::recorder::Recorder;

#[tokio::test(flavor = "multi_thread")]
async fn generated_servers_answer_as_the_table_says() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (fields, pages) = (answers_table::fields(), answers_table::pages());
    let tools = tools(&pages);
    let mut credentials = Credentials::default();
    let secret = ("key".to_owned(), "s3cret".into());
    credentials.schemes.extend([secret]);
    for language in Language::wanted() {
        let recorder = Recorder::start().await;
        let server = language.start("answers", &tools, &recorder, &credentials);
        let server = server.await;
        check_fields(&server.upstream, &recorder, &fields, language).await;
        check_pages(&server.upstream, &recorder, &pages, language).await;
        server.stop().await;
    }
}

async fn check_fields(
    upstream: &dyn Upstream,
    recorder: &Recorder,
    groups: &[FieldsGroup],
    language: Language,
) {
    for row in groups.iter().flat_map(|group| &group.rows) {
        let page = PageAnswer {
            status: 200,
            link: None,
            body: row.answer.clone(),
        };
        recorder.answer_pages([("/fixed".to_owned(), page)]);
        let texts = texts(upstream, "fields", json!({"fields": row.fields})).await;
        let shown = format!("{language:?} {:?}", row.fields);
        match &row.left {
            Some(left) => {
                let made: Value = serde_json::from_str(&texts[0]).unwrap();
                assert_eq!(made, *left, "{shown}");
                assert_eq!(texts.get(1), row.note().as_ref(), "{shown}");
                assert_eq!(recorder.take().len(), 1);
            }
            None => {
                let told = "Invalid arguments for fields:\n- fields: ";
                assert!(texts[0].starts_with(told), "{shown} {texts:?}");
                assert!(recorder.take().is_empty(), "{shown}: nothing is sent");
            }
        }
    }
}

async fn check_pages(
    upstream: &dyn Upstream,
    recorder: &Recorder,
    groups: &[PagesGroup],
    language: Language,
) {
    for (at, group) in groups.iter().enumerate() {
        for row in &group.rows {
            recorder.answer_pages(row.answers.clone());
            let mut arguments = row.arguments.clone();
            arguments.insert("pages".to_owned(), row.pages.into());
            let texts = texts(upstream, &name(at), arguments.into()).await;
            let shown = format!("{language:?} {} {}", group.name, row.name);
            let merged: Value = serde_json::from_str(&texts[0])
                .unwrap_or_else(|error| panic!("{shown}: {error}: {texts:?}"));
            assert_eq!(merged, row.merged, "{shown}");
            assert_eq!(texts.get(1), row.note.as_ref(), "{shown}");
            let asked = recorder.take();
            assert_eq!(asked.len(), row.answers.len(), "{shown}");
            for request in asked {
                let secrets = request.target.matches("key=s3cret").count();
                assert_eq!(secrets, 1, "{shown}: {}", request.target);
            }
        }
    }
}

/// The texts of a result.
async fn texts(upstream: &dyn Upstream, tool: &str, arguments: Value) -> Vec<String> {
    let arguments = arguments.to_string();
    let result = call(upstream, tool, &Arguments::parse(&arguments).unwrap()).await;
    let content = result["content"].as_array().unwrap().iter();
    content
        .map(|item| item["text"].as_str().unwrap().to_owned())
        .collect()
}

fn name(group: usize) -> String {
    format!("group{group}")
}

fn tools(pages: &[PagesGroup]) -> ToolSet {
    let groups = pages.iter().enumerate();
    let mut tools: Vec<_> = groups
        .map(|(at, group)| tool(&name(at), group.binding()))
        .collect();
    tools.push(tool("fields", answers_table::fields_binding()));
    let key = SecurityScheme::ApiKey {
        location: Location::Query,
        name: "key".to_owned(),
    };
    ToolSet {
        api: ApiInfo {
            title: "Answers".to_owned(),
            version: "1".to_owned(),
            dialect: Dialect::OpenApi31,
            description: None,
        },
        servers: Vec::new(),
        security_schemes: [("key".to_owned(), key)].into_iter().collect(),
        tools,
    }
}

fn tool(name: &str, binding: HttpBinding) -> Tool {
    let arguments = binding.parameters.iter().map(|p| p.argument.clone());
    let members = binding.body.as_ref().map(|body| match &body.source {
        BodySource::Members(members) => members.as_slice(),
        _ => &[],
    });
    let members = members.into_iter().flatten();
    let arguments = arguments.chain(members.map(|member| member.argument.clone()));
    let arguments = arguments.chain(binding.answer.arguments().map(str::to_owned));
    let properties: Map<_, _> = arguments.map(|name| (name, json!({}))).collect();
    let input = json!({"type": "object", "properties": properties, "additionalProperties": false});
    Tool {
        name: ToolName::new(name).unwrap(),
        title: None,
        description: String::new(),
        input: Schema::from_object(input.as_object().unwrap().clone()),
        output: None,
        annotations: ToolAnnotations::from(Method::Get),
        tags: Vec::new(),
        binding,
    }
}
