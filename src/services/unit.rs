//! The text of unit files: systemd.service(5), systemd.socket(5), systemd.timer(5).

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::error::UserError;
use crate::project::services::{Service, ServiceType};
use crate::services::command_line::{plain, resolve};
use crate::services::directives::{Directive, lines};
use crate::services::{Context, sandbox};
use crate::templates::{render, unit_word};

/// Beginning of the search path of a service: the environment, then what systemd gives by itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// What fills `service.hbs`.
#[derive(Serialize)]
struct Text<'a> {
    package: &'a str,
    name: &'a str,
    description: &'a str,
    documentation: Vec<&'a str>,
    socket: Option<&'a str>,
    #[serde(rename = "type")]
    kind: ServiceType,
    user: Option<&'a str>,
    groups: &'a [String],
    environment: Vec<String>,
    environment_file: Option<String>,
    exec_start_pre: Vec<String>,
    exec_start: String,
    exec_reload: Vec<String>,
    is_restarted: bool,
    is_runtime_dir_shared: bool,
    sandbox: Vec<&'static str>,
    has_install: bool,
    extra: BTreeMap<&'static str, Vec<Directive>>,
}

/// The service called `key` in the configuration and `name` on a host, started by `socket` if there is one.
pub(super) fn service(
    context: &Context<'_>,
    (key, service): (&str, &Service),
    name: &str,
    socket: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<String> {
    let key = format!("services.{key}");
    let Some(exec) = &service.exec else {
        return Err(UserError::usage(format!("`{key}` has no command"))
            .hint("set `exec`, or name a unit file with `unit`")
            .into());
    };
    let description = service.description.as_deref().unwrap_or(context.summary);
    plain(description, &format!("{key}.description"))?;
    let kind = service.kind.unwrap_or_default();
    let has_install = socket.is_none() && service.timer.is_none();
    if !has_install && service.directives.contains_key("Install") {
        let message =
            format!("`{key}.directives` has `Install`, and the service has a socket or a timer");
        return Err(UserError::usage(message)
            .hint("that is enabled in its place; the service itself has no `[Install]`")
            .into());
    }
    let values = Text {
        package: context.name.as_str(),
        name,
        description,
        documentation: context.homepage.filter(|url| is_link(url)).into_iter().collect(),
        socket,
        kind,
        user: context.account.map(|account| account.name.as_str()),
        groups: context.groups,
        environment: environment(context, service, &key)?,
        environment_file: service.environment_file.then(|| context.environment_file.absolute()),
        exec_start_pre: commands(
            &service.exec_start_pre.0,
            &format!("{key}.exec-start-pre"),
            context,
        )?,
        exec_start: resolve(exec, &format!("{key}.exec"), context.prefix, context.commands)?,
        exec_reload: commands(&service.exec_reload.0, &format!("{key}.exec-reload"), context)?,
        // systemd before 244 takes no such service with `Restart=`.
        is_restarted: kind != ServiceType::Oneshot,
        is_runtime_dir_shared: context.is_runtime_dir_shared,
        sandbox: sandbox::lines(service.sandbox.unwrap_or_default()),
        has_install,
        extra: extra(service, &key, warnings)?,
    };
    render("service.hbs", include_str!("../../templates/service.hbs"), &values)
}

fn is_link(url: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
        && !url.contains(char::is_whitespace)
        && !url.contains(['\'', '"', '\\'])
}

fn commands(texts: &[String], key: &str, context: &Context<'_>) -> Result<Vec<String>> {
    // What runs beside the service may be of the host, whose commands have a path.
    texts.iter().map(|text| resolve(text, key, context.prefix, context.commands)).collect()
}

fn environment(context: &Context<'_>, service: &Service, key: &str) -> Result<Vec<String>> {
    let path = format!("PATH={}/bin:{PATH}", context.prefix.absolute());
    let mut words = vec![
        unit_word(&path),
        unit_word("PYTHONUNBUFFERED=1"),
        unit_word("PYTHONDONTWRITEBYTECODE=1"),
    ];
    for (name, value) in &service.environment {
        let is_plain = |at: char| at.is_ascii_alphanumeric() || at == '_';
        if !name.starts_with(|at: char| at.is_ascii_alphabetic() || at == '_')
            || !name.chars().all(is_plain)
        {
            let message = format!("`{key}.environment` has {name:?}, which cannot name a variable");
            return Err(UserError::usage(message).hint("use letters, digits and `_`").into());
        }
        if value.chars().any(char::is_control) {
            let message =
                format!("`{key}.environment.{name}` holds a control character: {value:?}");
            return Err(UserError::usage(message).hint("read such a value from a file").into());
        }
        words.push(unit_word(&format!("{name}={value}")));
    }
    Ok(words)
}

/// The further directives by section, all three there.
fn extra(
    service: &Service,
    key: &str,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<&'static str, Vec<Directive>>> {
    const SECTIONS: [&str; 3] = ["Unit", "Service", "Install"];
    if let Some(section) =
        service.directives.keys().find(|section| !SECTIONS.contains(&section.as_str()))
    {
        let message = format!("`{key}.directives` has the section {section:?}");
        return Err(UserError::usage(message)
            .hint("use `Unit`, `Service` or `Install`; sockets and timers have tables of their own")
            .into());
    }
    let none = BTreeMap::new();
    let of_section = |section: &'static str| {
        let directives = service.directives.get(section).unwrap_or(&none);
        let key = format!("{key}.directives.{section}");
        Ok((section, lines(section, directives, &key, warnings)?))
    };
    SECTIONS.into_iter().map(of_section).collect()
}

/// What sets a service going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activator {
    Socket,
    Timer,
}

impl Activator {
    /// Both, and whether a service has them.
    pub(super) fn of(service: &Service) -> [(Self, bool); 2] {
        [(Self::Socket, service.socket.is_some()), (Self::Timer, service.timer.is_some())]
    }

    /// The end of the unit's name, which is the name of its table in the configuration.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Timer => "timer",
        }
    }

    fn section(self) -> &'static str {
        match self {
            Self::Socket => "Socket",
            Self::Timer => "Timer",
        }
    }

    fn wanted_by(self) -> &'static str {
        match self {
            Self::Socket => "sockets.target",
            Self::Timer => "timers.target",
        }
    }
}

/// What fills `activator.hbs`.
#[derive(Serialize)]
struct ActivatorText<'a> {
    package: &'a str,
    name: &'a str,
    description: &'a str,
    section: &'a str,
    directives: Vec<Directive>,
    wanted_by: &'a str,
}

/// The unit called `name` that sets `service` going.
pub(super) fn activator(
    context: &Context<'_>,
    (key, service): (&str, &Service),
    activator: Activator,
    name: &str,
    warnings: &mut Vec<String>,
) -> Result<String> {
    let table = match activator {
        Activator::Socket => &service.socket,
        Activator::Timer => &service.timer,
    };
    let key = format!("services.{key}.{}", activator.suffix());
    let mut directives =
        lines(activator.section(), &table.clone().unwrap_or_default(), &key, warnings)?;
    let starts = |prefixes: &[&str]| {
        directives.iter().any(|line| prefixes.iter().any(|prefix| line.key.starts_with(prefix)))
    };
    match activator {
        Activator::Socket if !starts(&["Listen"]) => return Err(nothing(&key, "listen-stream")),
        Activator::Timer if !starts(&["On"]) => return Err(nothing(&key, "on-calendar")),
        Activator::Socket if directives.iter().any(is_accepting) => {
            let message =
                format!("`{key}` has `accept`, which takes a service for each connection");
            return Err(UserError::usage(message)
                .hint("leave `accept` out: the service gets the socket itself")
                .into());
        }
        // The file of a socket outlives it by default.
        Activator::Socket if !starts(&["RemoveOnStop"]) => {
            directives.push(Directive { key: "RemoveOnStop".to_owned(), value: "yes".to_owned() })
        }
        Activator::Socket | Activator::Timer => {}
    }
    let description = service.description.as_deref().unwrap_or(context.summary);
    let values = ActivatorText {
        package: context.name.as_str(),
        name,
        description,
        section: activator.section(),
        directives,
        wanted_by: activator.wanted_by(),
    };
    render("activator.hbs", include_str!("../../templates/activator.hbs"), &values)
}

fn is_accepting(line: &Directive) -> bool {
    line.key == "Accept" && ["1", "yes", "y", "true", "t", "on"].contains(&line.value.as_str())
}

fn nothing(key: &str, example: &str) -> anyhow::Error {
    UserError::usage(format!("`{key}` does not say on what to start"))
        .hint(format!("set `{example}` in it"))
        .into()
}
