//! When rpm runs a script: the tags it is in, and what marks a dependency that is needed then.

/// A point of a transaction. rpm has more; these are what packages written here use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before anything of the transaction.
    Pretrans,
    /// Before the files of this package.
    Pre,
    /// After them.
    Post,
    /// Before they go.
    Preun,
    /// After they went.
    Postun,
    /// After everything of the transaction.
    Posttrans,
}

impl Phase {
    /// All of them, in the order dependencies name them.
    pub(super) const ALL: [Self; 6] =
        [Self::Pretrans, Self::Pre, Self::Post, Self::Preun, Self::Postun, Self::Posttrans];

    /// What a spec file calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pretrans => "pretrans",
            Self::Pre => "pre",
            Self::Post => "post",
            Self::Preun => "preun",
            Self::Postun => "postun",
            Self::Posttrans => "posttrans",
        }
    }

    /// The flag of what is needed then (rpmds.h, `RPMSENSE_SCRIPT_PRE` and so on).
    pub(super) fn flag(self) -> u32 {
        match self {
            Self::Posttrans => 1 << 5,
            Self::Pretrans => 1 << 7,
            Self::Pre => 1 << 9,
            Self::Post => 1 << 10,
            Self::Preun => 1 << 11,
            Self::Postun => 1 << 12,
        }
    }

    /// The tags of the text and of the program that runs it (rpmtag.h).
    pub(super) fn tags(self) -> (u32, u32) {
        match self {
            Self::Pre => (1023, 1085),
            Self::Post => (1024, 1086),
            Self::Preun => (1025, 1087),
            Self::Postun => (1026, 1088),
            Self::Pretrans => (1151, 1153),
            Self::Posttrans => (1152, 1154),
        }
    }
}
