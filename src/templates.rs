//! Text made of a fixed template and values: scripts, units, account files.
//!
//! The only module that knows the template engine. HTML is escaped; elsewhere nothing is by itself, and a template says how each value is
//! quoted, by the function it calls: `{{sh x}}` for a word of a shell, `{{words x}}` for those of a list, `{{unit x}}`
//! for a value in a unit file, `{{lua x}}` for a string of Lua. Values are never templates.

use anyhow::{Context as _, Result};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, JsonValue, Output, RenderContext,
    RenderErrorReason, no_escape,
};
use serde::Serialize;

/// Parts that several scripts share, by the name a template has for them: `{{> checks}}`.
const PARTS: [(&str, &str); 5] = [
    ("checks", include_str!("../templates/checks.hbs")),
    ("leftovers", include_str!("../templates/rpm/leftovers.hbs")),
    ("opening", include_str!("../templates/opening.hbs")),
    ("snippets", include_str!("../templates/snippets.hbs")),
    ("strays", include_str!("../templates/deb/strays.hbs")),
];

/// Fills a template of HTML: every value is escaped, unless the template says otherwise.
pub fn render_html(name: &str, template: &str, values: &impl Serialize) -> Result<String> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    let fault = || format!("cannot fill the template `{name}`");
    engine.register_partial("table", include_str!("../templates/table.hbs")).with_context(fault)?;
    engine.render_template(template, values).with_context(fault)
}

/// Fills `template`, which errors call `name`. A value the template names and `values` lack is a bug, and an error.
pub fn render(name: &str, template: &str, values: &impl Serialize) -> Result<String> {
    let mut engine = Handlebars::new();
    engine.register_escape_fn(no_escape);
    engine.set_strict_mode(true);
    engine.register_helper("sh", Box::new(Quoting(sh)));
    engine.register_helper("words", Box::new(Quoting(words)));
    engine.register_helper("unit", Box::new(Quoting(unit)));
    engine.register_helper("lua", Box::new(Quoting(lua)));
    let fault = || format!("cannot fill the template `{name}`");
    for (part, text) in PARTS {
        engine.register_partial(part, text).with_context(fault)?;
    }
    engine.render_template(template, values).with_context(fault)
}

/// A word that a POSIX shell reads as `text`, always in single quotes.
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A value that systemd reads as `text`: `%` begins a specifier and is doubled (systemd.unit(5), "Specifiers").
pub fn unit_value(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word of a list of words, which systemd splits at blanks and reads with C-style escapes (systemd.syntax(7),
/// "Quoting").
pub fn unit_word(text: &str) -> String {
    format!("\"{}\"", unit_value(text).replace('\\', r"\\").replace('"', "\\\""))
}

/// A string that Lua reads as the bytes of `text` (Lua 5.1 reference manual, 2.1: `\ddd` is a byte in decimal).
pub fn lua_string(text: &str) -> String {
    let byte = |at: u8| match at {
        b'"' | b'\\' => format!("\\{}", char::from(at)),
        b' '..=b'~' => char::from(at).to_string(),
        _ => format!("\\{at:03}"),
    };
    format!("\"{}\"", text.bytes().map(byte).collect::<String>())
}

/// A function of templates: it writes its one argument as something else.
struct Quoting(fn(&JsonValue) -> Result<String, String>);

impl HelperDef for Quoting {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = helper.param(0).map_or(&JsonValue::Null, |param| param.value());
        let text = (self.0)(value).map_err(|what| {
            RenderErrorReason::Other(format!("the value of `{}` {what}", helper.name()))
        })?;
        Ok(out.write(&text)?)
    }
}

fn sh(value: &JsonValue) -> Result<String, String> {
    Ok(shell_word(text(value)?))
}

fn words(value: &JsonValue) -> Result<String, String> {
    let list = value.as_array().ok_or("is no list")?;
    Ok(list.iter().map(sh).collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn unit(value: &JsonValue) -> Result<String, String> {
    let text = text(value)?;
    if text.chars().any(char::is_control) {
        return Err(format!("holds a control character: {text:?}"));
    }
    Ok(unit_value(text))
}

fn lua(value: &JsonValue) -> Result<String, String> {
    Ok(lua_string(text(value)?))
}

fn text(value: &JsonValue) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "is no text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use crate::templates::{render, render_html, unit_word};

    fn check(template: &str, value: &str, expected: &str) {
        let values = BTreeMap::from([("x", value)]);
        assert_eq!(render("test", template, &values).unwrap(), expected);
    }

    #[test]
    fn values_are_quoted_as_the_template_says() {
        check("{{x}}", "<&'=\"`>", "<&'=\"`>");
        check("a={{sh x}}", "it's $(x) {{x}}", r"a='it'\''s $(x) {{x}}'");
        check("A={{unit x}}", "50% $x ä", "A=50%% $x ä");
        check("a = {{lua x}}", "a\"b\\c\n%d{{x}}\u{e4}", r#"a = "a\"b\\c\010%d{{x}}\195\164""#);
        assert_eq!(unit_word(r#"a "b\ 5%"#), r#""a \"b\\ 5%%""#);
        let values = BTreeMap::from([("x", "a\nExecStart=/bin/sh")]);
        let error = render("test", "A={{unit x}}", &values).unwrap_err();
        assert!(format!("{error:#}").contains("holds a control character"), "{error:#}");
    }

    #[test]
    fn html_is_escaped() {
        let values = BTreeMap::from([("x", "<a href=\"'`\">&</script>")]);
        let text = render_html("test", "{{x}}", &values).unwrap();
        assert_eq!(text, "&lt;a href&#x3D;&quot;&#x27;&#x60;&quot;&gt;&amp;&lt;/script&gt;");
        assert!(render_html("test", "{{y}}", &values).is_err());
    }

    #[test]
    fn lists() {
        let check = |list: &[&str], expected: Option<&str>| {
            let text = render("test", "a {{words x}}", &BTreeMap::from([("x", list)]));
            assert_eq!(text.ok().as_deref(), expected);
        };
        check(&["it's", "b c"], Some(r"a 'it'\''s' 'b c'"));
        check(&[], Some("a "));
        assert!(render("test", "{{words x}}", &BTreeMap::from([("x", "a")])).is_err());
    }

    #[test]
    fn a_missing_value_is_an_error() {
        assert!(render("test", "{{y}}", &BTreeMap::from([("x", "")])).is_err());
        assert!(render("test", "{{sh y}}", &BTreeMap::from([("x", "")])).is_err());
    }

    #[test]
    fn a_shell_reads_words_back() {
        for text in ["", "'", "a'b'", "$(id) `id` \\ \" !", "line\nline", "ä\t*"] {
            let values = BTreeMap::from([("x", text)]);
            let script = render("test", "printf %s {{sh x}}", &values).unwrap();
            let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
