//! The JSON Schema of a spec, from the types that read it.

use std::collections::BTreeMap;

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::fleet::{self, FleetSpec};
use super::schema_keys::JsonKeys;
use super::table::Table;
use super::{HostFile, boot, guest, hardware, host, network, schedule, storage};

/// Every table of a spec, by its type.
fn tables() -> BTreeMap<&'static str, Table> {
    [
        super::TABLES,
        boot::TABLES,
        host::TABLES,
        hardware::TABLES,
        network::TABLES,
        storage::TABLES,
        guest::TABLES,
        schedule::TABLES,
        fleet::TABLES,
    ]
    .into_iter()
    .flatten()
    .map(|table| (table.name, *table))
    .collect()
}

/// The JSON Schema of a host's spec, for editors.
pub fn json_schema() -> Value {
    let schema = SchemaGenerator::default().into_root_schema_for::<HostFile>();
    finish(schema, "moxc host spec", HostFile::KEYS)
}

/// The JSON Schema of a `fleet.toml`.
pub fn fleet_json_schema() -> Value {
    let schema = SchemaGenerator::default().into_root_schema_for::<FleetSpec>();
    finish(schema, "moxc fleet", FleetSpec::KEYS)
}

fn finish(mut schema: Schema, title: &str, keys: &[(&str, bool)]) -> Value {
    RecursiveTransform(without_null).transform(&mut schema);
    schema.insert("title".into(), title.into());
    let mut schema = schema.to_value();
    require(&mut schema, keys);
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        for (name, table) in tables() {
            if let Some(definition) = definitions.get_mut(name) {
                require(definition, table.keys);
                if let Some(options) = table.options {
                    take_in(definition, options());
                }
            }
        }
    }
    schema
}

/// Adds the options of Proxmox VE to a table.
fn take_in(table: &mut Value, options: JsonKeys) {
    let mut add = |word: &str, keys: Vec<(String, Schema)>| {
        if keys.is_empty() {
            return;
        }
        let into = &mut table[word];
        if into.is_null() {
            *into = Value::Object(serde_json::Map::new());
        }
        for (key, schema) in keys {
            if into.get(&key).is_none() {
                into[key] = schema.to_value();
            }
        }
    };
    add("properties", options.properties);
    add("patternProperties", options.patterns);
}

/// Every field of a table's type may be absent, as a spec may be wrong; here it must be right.
fn require(table: &mut Value, keys: &[(&str, bool)]) {
    let required: Vec<&str> = keys
        .iter()
        .filter(|(_, required)| *required)
        .map(|(key, _)| *key)
        .collect();
    if let (Value::Object(table), false) = (table, required.is_empty()) {
        table.insert("required".into(), required.into());
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::diagnostics::Sink;
    use crate::source::{SourceMap, Span, Spanned};
    use crate::spec::document::{self, Broken};
    use crate::spec::reader::{FromNode, Reader};
    use crate::value::TableNode;
    use crate::value::Value as Written;

    /// The keys that the reader of a table asks for, by what it says of one that it does not know.
    fn asked<T: FromNode>() -> BTreeSet<String> {
        let mut sources = SourceMap::new();
        let file = sources.add("a.toml", "\u{1}");
        let span = Span::new(file, 0..1);
        let unknown = "\u{1}".repeat(80);
        let value = Spanned::new(Written::Boolean(true), span);
        let table = TableNode {
            entries: vec![(Spanned::new(unknown, span), value)],
        };
        let node = Spanned::new(Written::Table(table), span);
        let mut sink = Sink::new();
        let broken = Broken::default();
        T::from_node(&node, &mut Reader::new(&sources, &mut sink, file, &broken));
        let found = sink.finish(&crate::diagnostics::Lints::default(), false);
        let help = found
            .iter()
            .find_map(|(_, d)| {
                d.help
                    .as_ref()?
                    .strip_prefix("known here: ")
                    .map(str::to_owned)
            })
            .expect("the keys are named");
        let own = help.split(';').next().unwrap_or_default();
        if own.starts_with("the options of Proxmox VE") {
            return BTreeSet::new();
        }
        own.split(", ").map(str::to_owned).collect()
    }

    /// The keys that the schema of a table knows, and those that it wants.
    fn of_schema(table: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
        assert_eq!(table["additionalProperties"], Value::Bool(false));
        let known = table["properties"].as_object().expect("a table has keys");
        let wanted = table.get("required").and_then(Value::as_array);
        (
            known.keys().cloned().collect(),
            wanted
                .into_iter()
                .flatten()
                .map(|key| key.as_str().expect("a key").to_owned())
                .collect(),
        )
    }

    #[test]
    fn reader_and_schema_know_the_same_keys() {
        let schema = json_schema();
        let definitions = schema["$defs"].as_object().expect("definitions");
        let mut seen = BTreeSet::new();
        macro_rules! compare {
            ($($module:ident::$table:ident)*) => {$(
                let name = stringify!($table);
                let (mut known, wanted) = of_schema(&definitions[name]);
                let own = asked::<$module::$table>();
                // Beside its own keys stand the options of Proxmox VE that it takes in, and nothing else.
                let options = tables()[name].options.map(|options| options());
                let options = options.into_iter().flat_map(|options| options.properties);
                for (option, _) in options.filter(|(option, _)| !own.contains(option)) {
                    assert!(known.remove(&option), "{name}: {option}");
                }
                assert_eq!(known, own, "{name}");
                let keys = $module::$table::KEYS.iter().filter(|(_, required)| *required);
                let required: BTreeSet<String> = keys.map(|(key, _)| (*key).to_owned()).collect();
                assert_eq!(wanted, required, "{name}");
                seen.insert(name);
            )*};
        }
        compare! {
            host::HostSpec host::ReserveSpec boot::BootSpec boot::KeptSpec
            hardware::HardwareSpec hardware::CpuSpec hardware::MemorySpec hardware::DiskSpec hardware::NicSpec hardware::PciSpec
            hardware::UsbSpec
            network::NetworkSpec network::BridgeSpec network::BondSpec network::MachineSpec
            network::InterfaceSpec network::LinkSpec network::Inet6Spec network::RouteSpec network::ForwardSpec
            storage::StorageSpec storage::PoolSpec storage::VdevSpec storage::DatasetSpec storage::EncryptionSpec storage::LvmSpec
            storage::LocalSpec storage::ImportSpec storage::ExternalSpec
            guest::VmSpec guest::ContainerSpec guest::VmCpuSpec guest::ContainerCpuSpec guest::VmMemorySpec guest::AutostartSpec
            guest::GuestNicSpec guest::EfiSpec guest::TpmSpec guest::VmDiskSpec guest::ShareSpec guest::RootfsSpec guest::MountSpec guest::ContainerDeviceSpec
            guest::NixosSpec guest::NixosUserSpec guest::NixosScriptSpec guest::WindowsSpec guest::WindowsAccountSpec guest::WindowsDomainSpec guest::SteamSpec guest::GameSpec guest::RustSpec
            guest::ProjectSpec guest::ImageSpec guest::PassthroughSpec guest::GuestUsbSpec guest::AgentSpec
            guest::GuestFirewallSpec guest::FirewallRuleSpec guest::FirewallAliasSpec guest::FirewallSetSpec
            guest::FirewallMemberSpec guest::CloudInitSpec
            schedule::ScheduleSpec schedule::KeepSpec host::VzdumpSpec host::DatacenterSpec
        }
        let (known, wanted) = of_schema(&schema);
        assert_eq!(known, asked::<HostFile>());
        assert_eq!(wanted, BTreeSet::from(["host".to_owned()]));
        let (known, wanted) = of_schema(&fleet_json_schema());
        assert_eq!(known, asked::<FleetSpec>());
        assert_eq!(wanted, BTreeSet::from(["hosts".to_owned()]));
        // No table is left out above.
        let tables = definitions
            .iter()
            .filter(|(_, definition)| definition.get("properties").is_some());
        let tables: BTreeSet<&str> = tables.map(|(name, _)| name.as_str()).collect();
        assert_eq!(tables, seen);
    }

    /// What of JSON Schema (2020-12) the schema uses; another keyword is a fault of this test.
    fn faults(schema: &Value, value: &Value, root: &Value, path: &str) -> Vec<String> {
        let Value::Object(keywords) = schema else {
            return if schema == &Value::Bool(false) {
                vec![format!("{path}: not allowed")]
            } else {
                Vec::new()
            };
        };
        let mut found = Vec::new();
        let mut wrong = |text: String| found.push(format!("{path}: {text}"));
        let mut below = Vec::new();
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "examples" | "default"
                | "patternProperties" => {}
                "$ref" => {
                    let name = rule.as_str().and_then(|r| r.strip_prefix("#/$defs/"));
                    let definition = &root["$defs"][name.expect("a reference to a definition")];
                    below.extend(faults(definition, value, root, path));
                }
                "type" => {
                    let fits = match rule.as_str().expect("one type") {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "boolean" => value.is_boolean(),
                        "integer" => value.is_i64() || value.is_u64(),
                        "number" => value.is_number(),
                        other => panic!("type {other}"),
                    };
                    if !fits {
                        wrong(format!("no {rule}"));
                    }
                }
                "const" => {
                    if value != rule {
                        wrong(format!("not {rule}"));
                    }
                }
                "enum" => {
                    if !rule.as_array().expect("choices").contains(value) {
                        wrong(format!("none of {rule}"));
                    }
                }
                "minimum" | "maximum" => {
                    let (number, bound) = (value.as_f64(), rule.as_f64().expect("a number"));
                    if number.is_some_and(|n| {
                        if keyword == "minimum" {
                            n < bound
                        } else {
                            n > bound
                        }
                    }) {
                        wrong(format!("beyond {rule}"));
                    }
                }
                "pattern" => {
                    let pattern =
                        regex::Regex::new(rule.as_str().expect("a pattern")).expect("a pattern");
                    if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                        wrong(format!("does not match {rule}"));
                    }
                }
                "required" => {
                    for key in rule.as_array().expect("keys") {
                        let key = key.as_str().expect("a key");
                        if value
                            .as_object()
                            .is_some_and(|table| !table.contains_key(key))
                        {
                            wrong(format!("no `{key}`"));
                        }
                    }
                }
                "propertyNames" => {
                    for key in value.as_object().into_iter().flat_map(|table| table.keys()) {
                        below.extend(faults(rule, &key.clone().into(), root, path));
                    }
                }
                "properties" | "additionalProperties" => {
                    for (key, item) in value.as_object().into_iter().flatten() {
                        let own = &keywords.get("properties").unwrap_or(&Value::Null)[key];
                        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
                        let own = patterns
                            .into_iter()
                            .flatten()
                            .find(|(pattern, _)| {
                                regex::Regex::new(pattern).expect("a pattern").is_match(key)
                            })
                            .map_or(own, |(_, rule)| rule);
                        let rule = match (keyword.as_str(), own) {
                            ("additionalProperties", Value::Null) => rule,
                            ("properties", own) if !own.is_null() => own,
                            _ => continue,
                        };
                        below.extend(faults(rule, item, root, &format!("{path}.{key}")));
                    }
                }
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        below.extend(faults(rule, item, root, &format!("{path}[{at}]")));
                    }
                }
                "anyOf" | "oneOf" => {
                    let choices = rule.as_array().expect("choices");
                    let tried: Vec<_> = choices
                        .iter()
                        .map(|choice| faults(choice, value, root, path))
                        .collect();
                    if tried.iter().all(|faults| !faults.is_empty()) {
                        below.extend(tried.into_iter().flatten());
                    }
                }
                other => panic!("the keyword {other}"),
            }
        }
        found.extend(below);
        found
    }

    fn validate(text: &str) -> Vec<String> {
        let mut sources = SourceMap::new();
        let file = sources.add("host.toml", text);
        let mut sink = Sink::new();
        let document = document::parse(&sources, file, &mut sink);
        assert!(sink.is_empty(), "the text is TOML");
        let value = Written::Table(document.root.value).to_json();
        let schema = json_schema();
        faults(&schema, &value, &schema, "")
    }

    #[test]
    fn the_examples_validate() {
        for text in [
            include_str!("../../examples/homelab.toml"),
            include_str!("../../examples/bighost.toml"),
            include_str!("../../examples/mini.toml"),
            include_str!("../../examples/nixos-host.toml"),
            include_str!("../../templates/init/homelab.toml"),
        ] {
            assert_eq!(validate(text), [""; 0]);
        }
    }

    #[test]
    fn what_the_reader_refuses_the_schema_refuses_too() {
        for text in [
            include_str!("../../tests/broken/keys.toml"),
            include_str!("../../tests/broken/types.toml"),
            include_str!("../../tests/broken/missing.toml"),
            include_str!("../../tests/broken/choices.toml"),
            include_str!("../../tests/broken/names.toml"),
        ] {
            assert!(validate(text).len() >= 5, "{text}: {:?}", validate(text));
        }
    }
}
