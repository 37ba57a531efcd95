//! `symbols` files: the package that has a library, and the first version of it that has each symbol
//! (deb-symbols(5)).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::backend::deb::order::compare;

/// What symbols files say of one library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    /// Relations with `#MINVER#` in them, by number.
    pub(super) templates: Vec<String>,
    /// By version, then by name: most versions a file needs are those of other libraries.
    symbols: BTreeMap<String, BTreeMap<String, Line>>,
    /// By version, for lines that stand for each symbol of it.
    nodes: BTreeMap<String, Line>,
    /// What [`Object::smallest`] found.
    smallest: OnceCell<Option<String>>,
}

/// What a symbol asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The first version that has it.
    pub(super) minimal: String,
    /// Number of the template.
    pub(super) template: usize,
    is_deprecated: bool,
}

impl Object {
    /// The line for `name@version`, if the library still has the symbol.
    pub(super) fn symbol(&self, name: &str, version: &str) -> Option<&Line> {
        self.own(name, version).filter(|line| !line.is_deprecated)
    }

    /// The line for all symbols of `version` that have none of their own, as `name` has not.
    pub(super) fn node(&self, name: &str, version: &str) -> Option<&Line> {
        let node = self.nodes.get(version).filter(|line| !line.is_deprecated);
        node.filter(|_| self.own(name, version).is_none())
    }

    fn own(&self, name: &str, version: &str) -> Option<&Line> {
        self.symbols.get(version)?.get(name)
    }

    /// The versions its symbols have.
    pub(super) fn versions(&self) -> Vec<String> {
        let has_symbols =
            |lines: &BTreeMap<String, Line>| lines.values().any(|it| !it.is_deprecated);
        let versions = self.symbols.iter().filter(|(_, lines)| has_symbols(lines));
        let versions = versions.map(|(version, _)| version.as_str());
        let versions = versions.filter(|version| !matches!(*version, "" | "Base"));
        let nodes = self.nodes.keys().map(String::as_str);
        let versions: BTreeSet<_> = versions.chain(nodes).map(str::to_owned).collect();
        versions.into_iter().collect()
    }

    /// The least version any symbol of the first template asks for, with those that are gone.
    pub(super) fn smallest(&self) -> Option<&str> {
        let find = || {
            let lines = self.symbols.values().flat_map(BTreeMap::values);
            let lines = lines.filter(|line| line.template == 0);
            let minimal = lines.map(|line| line.minimal.as_str());
            minimal.min_by(|left, right| compare(left, right)).map(str::to_owned)
        };
        self.smallest.get_or_init(find).as_deref()
    }
}

/// Adds what `text` says to `objects`. `include` gives the text of another file in the same directory.
pub(super) fn read(
    text: &str,
    include: &mut dyn FnMut(&str) -> Option<String>,
    objects: &mut BTreeMap<String, Object>,
) {
    let mut current = None;
    read_part(text, include, objects, &mut current);
}

fn read_part(
    text: &str,
    include: &mut dyn FnMut(&str) -> Option<String>,
    objects: &mut BTreeMap<String, Object>,
    current: &mut Option<String>,
) {
    for line in text.lines() {
        let gone = ["#DEPRECATED: ", "#MISSING: "].iter().find_map(|mark| line.strip_prefix(mark));
        let gone = gone.and_then(|rest| Some(rest.split_once('#')?.1));
        let included = line.split_once("#include \"").filter(|(before, _)| is_tags(before));
        if let Some((_, name)) = included {
            if let Some(text) = name.split('"').next().and_then(&mut *include) {
                read_part(&text, include, objects, current);
            }
        } else if gone.is_some() || line.starts_with([' ', '\t', '|']) {
            let object = current.as_ref().and_then(|soname| objects.get_mut(soname));
            let Some(object) = object else { continue };
            match (gone, line.strip_prefix('|')) {
                (Some(symbol), _) => object.add(symbol.trim_start(), true),
                (None, Some(template)) => object.templates.push(template.trim().to_owned()),
                (None, None) => object.add(line.trim_start(), false),
            }
        } else if !line.starts_with(['#', '*'])
            && let Some((soname, template)) = line.split_once(char::is_whitespace)
        {
            let object = objects.entry(soname.to_owned()).or_default();
            object.templates = vec![template.trim().to_owned()];
            *current = Some(soname.to_owned());
        }
    }
}

fn is_tags(text: &str) -> bool {
    text.is_empty() || text.starts_with('(') && text.ends_with(')')
}

impl Object {
    fn add(&mut self, line: &str, is_deprecated: bool) {
        let (tags, line) = match line.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((tags, rest)) => (tags, rest),
            None => ("", line),
        };
        let quote = line.chars().next().filter(|at| !tags.is_empty() && matches!(at, '"' | '\''));
        let split = match quote {
            Some(quote) => line[1..].split_once(quote),
            None => line.split_once(char::is_whitespace),
        };
        let Some((name, rest)) = split else { return };
        let mut words = rest.split_whitespace();
        let Some(minimal) = words.next() else { return };
        let template = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let line = Line { minimal: minimal.to_owned(), template, is_deprecated };
        let has = |tag: &str| tags.split('|').any(|it| it.split('=').next() == Some(tag));
        if has("regex") || has("c++") {
            // Patterns for those who make such files; one that is installed lists the symbols themselves.
            return;
        }
        if let Some(node) = name.strip_prefix("*@") {
            self.nodes.insert(node.to_owned(), line);
        } else if has("symver") {
            self.nodes.insert(name.to_owned(), line);
        } else {
            let (name, version) = name.rsplit_once('@').unwrap_or((name, ""));
            self.symbols.entry(version.to_owned()).or_default().insert(name.to_owned(), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::backend::deb::libraries::symbols::{Object, read};

    const TEXT: &str = "\
libdemo.so.2 libdemo2 #MINVER#
| libdemo2 (>> 1.9), libdemo2 (<< 2.0)
* Build-Depends-Package: libdemo-dev
 demo_old@Base 0.9~
 demo_new@DEMO_2 1.10
 demo_inner@DEMO_PRIVATE 0 1
#MISSING: 1.8-1# demo_gone@Base 0.5
#DEPRECATED: 1.8-1#demo_late@Base 1.7
# a remark
 (optional|arch=amd64)demo_some@Base 1.2
 (c++)\"demo::f(int)@Base\" 1.3
 (optional)\"demo quoted@Base\" 1.4
 (symver)DEMO_3 3.0
 *@DEMO_4 4.0 1
#include \"more\"
libother.so.1 libother1
 other@Base 1
";

    fn objects() -> BTreeMap<String, Object> {
        let mut objects = BTreeMap::new();
        let mut include = |name: &str| (name == "more").then(|| " demo_more@Base 1.5\n".to_owned());
        read(TEXT, &mut include, &mut objects);
        objects
    }

    fn check(name: &str, version: &str, expected: Option<(&str, usize)>) {
        let objects = objects();
        let demo = &objects["libdemo.so.2"];
        let line = demo.symbol(name, version).or_else(|| demo.node(name, version));
        assert_eq!(line.map(|line| (line.minimal.as_str(), line.template)), expected, "{name}");
    }

    #[test]
    fn lines() {
        check("demo_old", "Base", Some(("0.9~", 0)));
        check("demo_new", "DEMO_2", Some(("1.10", 0)));
        check("demo_new", "Base", None);
        check("demo_inner", "DEMO_PRIVATE", Some(("0", 1)));
        check("demo_gone", "Base", None);
        check("demo_late", "Base", None);
        check("demo_some", "Base", Some(("1.2", 0)));
        check("demo quoted", "Base", Some(("1.4", 0)));
        check("demo::f(int)", "Base", None);
        check("any", "DEMO_3", Some(("3.0", 0)));
        check("any", "DEMO_4", Some(("4.0", 1)));
        check("demo_more", "Base", Some(("1.5", 0)));
        check("other", "Base", None);
    }

    #[test]
    fn templates() {
        let objects = objects();
        let demo = &objects["libdemo.so.2"];
        assert_eq!(demo.templates, ["libdemo2 #MINVER#", "libdemo2 (>> 1.9), libdemo2 (<< 2.0)"]);
        assert_eq!(demo.smallest(), Some("0.5"));
        assert_eq!(demo.versions(), ["DEMO_2", "DEMO_3", "DEMO_4", "DEMO_PRIVATE"]);
        assert_eq!(objects["libother.so.1"].templates, ["libother1"]);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let mut objects = BTreeMap::new();
        let text = " lost@Base 1\n| lost\n(\nx\n#MISSING: \n so@ \nlib.so.1 p\n (tag\n ()\n (a)\"b\n é 1\n";
        read(text, &mut |_| None, &mut objects);
        assert_eq!(objects.keys().collect::<Vec<_>>(), ["lib.so.1"]);
    }
}
