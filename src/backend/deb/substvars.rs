//! Variables that dpkg-gencontrol puts into the fields of a control file (deb-substvars(5)).

use anyhow::Result;

use crate::backend::deb::metadata::relation_fields;
use crate::package::PackageMeta;

/// What each of our variables begins with.
const OWN: &str = "mkpkg:";

/// The text of a substvars file, in which all that is not ours stays as it is in `before`.
///
/// `mkpkg:Depends` is always there, because recipes have it; any other field only if there is something to say.
pub(super) fn substvars(meta: &PackageMeta, before: &str) -> Result<String> {
    let others = before.lines().filter(|line| !line.starts_with(OWN));
    let mut text: String = others.map(|line| format!("{line}\n")).collect();
    let fields = relation_fields(meta)?;
    if !fields.iter().any(|(name, _)| name == "Depends") {
        text += &format!("{OWN}Depends=\n");
    }
    for (name, value) in fields {
        text += &format!("{OWN}{name}={}\n", value.replace('\n', ""));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::relation;
    use crate::backend::deb::substvars::substvars;
    use crate::backend::deb::tests::meta;
    use crate::package::{PackageMeta, RelationKind};

    #[test]
    fn only_our_own_lines_change() {
        let relation = |kind, text| relation(kind, text, "a test asks for it").unwrap();
        let relations = vec![
            relation(RelationKind::Needs, "libc6 (>= 2.34)"),
            relation(RelationKind::Needs, "python3.11"),
            relation(RelationKind::Suggests, "nginx"),
        ];
        let meta = PackageMeta { relations, ..meta() };
        let before = "misc:Depends=debconf\nmkpkg:Depends=old\nmkpkg:Recommends=older";
        let expected = "misc:Depends=debconf\nmkpkg:Depends=libc6 (>= 2.34), python3.11\n\
                        mkpkg:Suggests=nginx\n";
        assert_eq!(substvars(&meta, before).unwrap(), expected);
        assert_eq!(substvars(&meta, expected).unwrap(), expected);
        let meta = PackageMeta { relations: Vec::new(), ..meta };
        assert_eq!(substvars(&meta, "").unwrap(), "mkpkg:Depends=\n");
    }
}
