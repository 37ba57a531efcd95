//! The shapes of `services`, `user`, `scripts` and `check` in the configuration. Meaning is given to them elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::document::Value;
use crate::lifecycle::Moment;

/// One service: a unit of systemd, with those that set it going.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Service {
    /// Name of the unit without its end; default: the package's name and the key.
    pub name: Option<String>,
    /// Command line.
    pub exec: Option<String>,
    /// Command lines that run before every start.
    pub exec_start_pre: Lines,
    /// Command lines of a reload.
    pub exec_reload: Lines,
    /// When systemd takes it for started.
    #[serde(rename = "type")]
    pub kind: Option<ServiceType>,
    /// One line; default: the package's summary.
    pub description: Option<String>,
    /// How much of the host it can see and change.
    pub sandbox: Option<Sandbox>,
    /// Variables with their literal values.
    pub environment: BTreeMap<String, String>,
    /// Whether variables are read from a file an administrator edits.
    pub environment_file: bool,
    /// Further directives by section and key.
    pub directives: BTreeMap<String, Directives>,
    /// Directives of its socket.
    pub socket: Option<Directives>,
    /// Directives of its timer.
    pub timer: Option<Directives>,
    /// A unit file of the project, instead of the keys above but for `socket` and `timer`.
    pub unit: Option<PathBuf>,
    /// Whether a fresh install enables it.
    pub enable: bool,
    /// Whether a fresh install starts it.
    pub start: bool,
    /// Whether an upgrade restarts it.
    pub restart_on_upgrade: bool,
}

/// Directives by key, in systemd's own case or in kebab case.
pub type Directives = BTreeMap<String, Lines>;

impl Default for Service {
    fn default() -> Self {
        Self {
            name: None,
            exec: None,
            exec_start_pre: Lines::default(),
            exec_reload: Lines::default(),
            kind: None,
            description: None,
            sandbox: None,
            environment: BTreeMap::new(),
            environment_file: false,
            directives: BTreeMap::new(),
            socket: None,
            timer: None,
            unit: None,
            enable: true,
            start: true,
            restart_on_upgrade: true,
        }
    }
}

/// `Type=` of a service (systemd.service(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are systemd's")]
pub enum ServiceType {
    Simple,
    #[default]
    Exec,
    Forking,
    Oneshot,
    Notify,
    Idle,
}

/// How much of the host a service can see and change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// What its user can.
    Off,
    /// What nearly every application can do without is taken away.
    #[default]
    Standard,
    /// What many can do without, too.
    Strict,
}

/// The account that services run as.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct User {
    /// Its name, `root` for none; default: the package's name.
    pub name: Option<String>,
    /// Further groups of its services.
    pub groups: Vec<String>,
}

/// Files with shell text to run around installation, upgrade and removal.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Scripts {
    pub before_install: Option<PathBuf>,
    pub after_install: Option<PathBuf>,
    pub before_upgrade: Option<PathBuf>,
    pub after_upgrade: Option<PathBuf>,
    pub before_remove: Option<PathBuf>,
    pub after_remove: Option<PathBuf>,
}

impl Scripts {
    /// Those that are named, each with when it runs and its key.
    pub fn files(&self) -> impl Iterator<Item = (Moment, &'static str, &Path)> {
        [
            (Moment::BeforeInstall, "before-install", &self.before_install),
            (Moment::AfterInstall, "after-install", &self.after_install),
            (Moment::BeforeUpgrade, "before-upgrade", &self.before_upgrade),
            (Moment::AfterUpgrade, "after-upgrade", &self.after_upgrade),
            (Moment::BeforeRemove, "before-remove", &self.before_remove),
            (Moment::AfterRemove, "after-remove", &self.after_remove),
        ]
        .into_iter()
        .filter_map(|(moment, key, file)| Some((moment, key, file.as_deref()?)))
    }
}

/// A shell command that must succeed before a package is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The command.
    pub run: String,
    /// Whether it must succeed on every host, too.
    pub on_install: bool,
    /// Whether it must succeed when the package is built.
    pub on_build: bool,
}

/// A command by itself, or in a table with more.
impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Full {
            run: String,
            #[serde(default)]
            on_install: bool,
            #[serde(default = "yes")]
            on_build: bool,
        }
        match Value::deserialize(deserializer)? {
            Value::String(run) => Ok(Self { run, on_install: false, on_build: true }),
            other @ (Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_)) => {
                let Full { run, on_install, on_build } =
                    other.try_into().map_err(D::Error::custom)?;
                Ok(Self { run, on_install, on_build })
            }
        }
    }
}

fn yes() -> bool {
    true
}

/// One value or a list of them, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(pub Vec<String>);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scalar = |value: Value| match value {
            Value::String(text) => Ok(text),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Float(number) => Ok(number.to_string()),
            Value::Boolean(claim) => Ok(claim.to_string()),
            Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                Err(D::Error::custom("invalid type: expected a value or a list of values"))
            }
        };
        let values = match Value::deserialize(deserializer)? {
            Value::Array(values) => values,
            value @ (Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Table(_)) => vec![value],
        };
        Ok(Self(values.into_iter().map(scalar).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use crate::document::from_toml;
    use crate::project::services::{Check, Lines, Service};

    impl JsonSchema for Check {
        fn schema_name() -> Cow<'static, str> {
            Cow::Borrowed("Check")
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let table = json_schema!({
                "type": "object",
                "properties": {
                    "run": { "type": "string", "description": "The command." },
                    "on-install": {
                        "type": "boolean",
                        "description": "Whether it must succeed on every host, too.",
                        "default": false
                    },
                    "on-build": {
                        "type": "boolean",
                        "description": "Whether it must succeed when the package is built.",
                        "default": true
                    }
                },
                "required": ["run"],
                "additionalProperties": false
            });
            json_schema!({
                "description": "A command by itself, or in a table with more.",
                "anyOf": [{ "type": "string" }, table]
            })
        }
    }

    impl JsonSchema for Lines {
        fn schema_name() -> Cow<'static, str> {
            Cow::Borrowed("Lines")
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let scalar = json_schema!({ "type": ["string", "number", "boolean"] });
            json_schema!({
                "description": "One value or a list of them.",
                "anyOf": [scalar, { "type": "array", "items": scalar }]
            })
        }
    }

    #[test]
    fn one_or_several() {
        let service: Service = from_toml(
            "exec-start-pre = 'a'\nexec-reload = ['b', 'c']\ntimer = { persistent = true, on-boot-sec = 5 }",
            "x",
        )
        .unwrap();
        let lines = |texts: &[&str]| Lines(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(service.exec_start_pre, lines(&["a"]));
        assert_eq!(service.exec_reload, lines(&["b", "c"]));
        let timer = service.timer.unwrap();
        assert_eq!(
            (&timer["persistent"], &timer["on-boot-sec"]),
            (&lines(&["true"]), &lines(&["5"]))
        );
        let error = from_toml::<Service>("exec-reload = [['x']]", "x").unwrap_err().to_string();
        assert!(error.contains("expected a value or a list of values"), "{error}");
    }

    #[test]
    fn checks() {
        #[derive(serde::Deserialize)]
        struct Shape {
            check: Vec<Check>,
        }
        let text = "check = ['a', { run = 'b', on-install = true, on-build = false }]";
        let [first, second] = from_toml::<Shape>(text, "x").unwrap().check.try_into().unwrap();
        assert_eq!(first, Check { run: "a".to_owned(), on_install: false, on_build: true });
        assert_eq!(second, Check { run: "b".to_owned(), on_install: true, on_build: false });
        let error = from_toml::<Shape>("check = [{ rum = 'b' }]", "x").err().unwrap().to_string();
        assert!(error.contains("unknown field `rum`"), "{error}");
    }
}
