//! The stored form of a [`ToolSet`]: each shared definition once, and the version of the plan.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{ApiInfo, HttpBinding, PLAN_VERSION, Tool, ToolAnnotations, ToolName, ToolSet};
use crate::Result;
use crate::schema::{Definition, Schema};
use crate::spec::SecurityScheme;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredToolSet {
    plan_version: u32,
    api: ApiInfo,
    servers: Vec<String>,
    security_schemes: IndexMap<String, SecurityScheme>,
    definitions: Vec<(Arc<str>, Arc<Value>)>,
    tools: Vec<StoredTool>,
}

#[derive(Serialize, Deserialize)]
struct StoredTool {
    name: ToolName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    input: StoredSchema,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<StoredSchema>,
    annotations: ToolAnnotations,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    binding: HttpBinding,
}

#[derive(Serialize, Deserialize)]
struct StoredSchema {
    root: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uses: Vec<usize>,
}

#[derive(Default)]
struct DefinitionTable {
    entries: Vec<(Arc<str>, Arc<Value>)>,
    // Two directions of one model share a name; the address of the shared value tells them apart.
    index: HashMap<*const Value, usize>,
}

impl DefinitionTable {
    fn store(&mut self, schema: &Schema) -> StoredSchema {
        let uses = schema.definitions().iter().map(|definition| {
            *self
                .index
                .entry(Arc::as_ptr(&definition.schema))
                .or_insert_with(|| {
                    self.entries
                        .push((definition.name.clone(), definition.schema.clone()));
                    self.entries.len() - 1
                })
        });
        StoredSchema {
            uses: uses.collect(),
            root: schema.root().clone(),
        }
    }

    fn load(&self, stored: StoredSchema) -> Result<Schema, String> {
        let mut definitions = Vec::with_capacity(stored.uses.len());
        for index in stored.uses {
            let (name, schema) = self
                .entries
                .get(index)
                .ok_or("a tool uses a definition that is not there")?;
            definitions.push(Definition {
                name: name.clone(),
                schema: schema.clone(),
            });
        }
        Ok(Schema::new(stored.root, definitions))
    }
}

impl Serialize for ToolSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = DefinitionTable::default();
        let tools = self.tools.iter().map(|tool| StoredTool {
            name: tool.name.clone(),
            title: tool.title.clone(),
            description: tool.description.clone(),
            input: table.store(&tool.input),
            output: tool.output.as_ref().map(|schema| table.store(schema)),
            annotations: tool.annotations,
            tags: tool.tags.clone(),
            binding: tool.binding.clone(),
        });
        let tools = tools.collect();
        StoredToolSet {
            plan_version: PLAN_VERSION,
            api: self.api.clone(),
            servers: self.servers.clone(),
            security_schemes: self.security_schemes.clone(),
            definitions: table.entries,
            tools,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ToolSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let stored = StoredToolSet::deserialize(deserializer)?;
        if stored.plan_version != PLAN_VERSION {
            return Err(D::Error::custom(format!(
                "plan version {} is not {PLAN_VERSION}",
                stored.plan_version
            )));
        }
        let table = DefinitionTable {
            entries: stored.definitions,
            index: HashMap::new(),
        };
        let tools = stored.tools.into_iter().map(|tool| {
            Ok(Tool {
                name: tool.name,
                title: tool.title,
                description: tool.description,
                input: table.load(tool.input)?,
                output: tool.output.map(|schema| table.load(schema)).transpose()?,
                annotations: tool.annotations,
                tags: tool.tags,
                binding: tool.binding,
            })
        });
        Ok(Self {
            api: stored.api,
            servers: stored.servers,
            security_schemes: stored.security_schemes,
            tools: tools
                .collect::<Result<_, String>>()
                .map_err(D::Error::custom)?,
        })
    }
}
