//! The numbers of the tags that are written or read (rpmtag.h).

pub(super) const DSA_HEADER: u32 = 267;
pub(super) const RSA_HEADER: u32 = 268;
pub(super) const LONG_SIG_SIZE: u32 = 270;
pub(super) const LONG_ARCHIVE_SIZE: u32 = 271;
pub(super) const SHA1_HEADER: u32 = 269;
pub(super) const SHA256_HEADER: u32 = 273;
pub(super) const OPENPGP: u32 = 278;
pub(super) const SIG_SIZE: u32 = 1000;
/// Signatures of header and payload together, as rpm made them before 4.14.
pub(super) const SIG_PGP: u32 = 1002;
pub(super) const SIG_GPG: u32 = 1005;
pub(super) const SIG_PAYLOAD_SIZE: u32 = 1007;
pub(super) const SIG_RESERVED: u32 = 1008;

pub(super) const LANGUAGES: u32 = 100;
pub(super) const NAME: u32 = 1000;
pub(super) const VERSION: u32 = 1001;
pub(super) const RELEASE: u32 = 1002;
pub(super) const EPOCH: u32 = 1003;
pub(super) const SUMMARY: u32 = 1004;
pub(super) const DESCRIPTION: u32 = 1005;
pub(super) const BUILD_TIME: u32 = 1006;
pub(super) const BUILD_HOST: u32 = 1007;
pub(super) const SIZE: u32 = 1009;
pub(super) const VENDOR: u32 = 1011;
pub(super) const LICENSE: u32 = 1014;
pub(super) const PACKAGER: u32 = 1015;
pub(super) const GROUP: u32 = 1016;
pub(super) const URL: u32 = 1020;
pub(super) const OS: u32 = 1021;
pub(super) const ARCH: u32 = 1022;
pub(super) const FILE_SIZES: u32 = 1028;
pub(super) const FILE_MODES: u32 = 1030;
pub(super) const FILE_RDEVS: u32 = 1033;
pub(super) const FILE_MTIMES: u32 = 1034;
pub(super) const FILE_DIGESTS: u32 = 1035;
pub(super) const FILE_LINKS: u32 = 1036;
pub(super) const FILE_FLAGS: u32 = 1037;
pub(super) const FILE_USERS: u32 = 1039;
pub(super) const FILE_GROUPS: u32 = 1040;
pub(super) const SOURCE_RPM: u32 = 1044;
pub(super) const FILE_VERIFY: u32 = 1045;
pub(super) const RPM_VERSION: u32 = 1064;
pub(super) const CHANGELOG_TIME: u32 = 1080;
pub(super) const CHANGELOG_NAME: u32 = 1081;
pub(super) const CHANGELOG_TEXT: u32 = 1082;
pub(super) const FILE_DEVICES: u32 = 1095;
pub(super) const FILE_INODES: u32 = 1096;
pub(super) const FILE_LANGS: u32 = 1097;
pub(super) const DIR_INDEXES: u32 = 1116;
pub(super) const BASE_NAMES: u32 = 1117;
pub(super) const DIR_NAMES: u32 = 1118;
pub(super) const PAYLOAD_FORMAT: u32 = 1124;
pub(super) const PAYLOAD_COMPRESSOR: u32 = 1125;
pub(super) const PAYLOAD_FLAGS: u32 = 1126;
pub(super) const FILE_COLORS: u32 = 1140;
pub(super) const LONG_FILE_SIZES: u32 = 5008;
pub(super) const LONG_SIZE: u32 = 5009;
pub(super) const FILE_CAPS: u32 = 5010;
pub(super) const FILE_DIGEST_ALGORITHM: u32 = 5011;
pub(super) const ENCODING: u32 = 5062;
pub(super) const PAYLOAD_DIGEST: u32 = 5092;
pub(super) const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;

/// Scripts, the programs that run them, and their names.
pub(super) const SCRIPTS: [(u32, u32, &str); 9] = [
    (1023, 1085, "prein"),
    (1024, 1086, "postin"),
    (1025, 1087, "preun"),
    (1026, 1088, "postun"),
    (1079, 1091, "verifyscript"),
    (1151, 1153, "pretrans"),
    (1152, 1154, "posttrans"),
    (5104, 5106, "preuntrans"),
    (5105, 5107, "postuntrans"),
];

/// Scripts that other packages set off, of which there may be several, the programs that run them, and their names.
pub(super) const TRIGGERS: [(u32, u32, &str); 3] =
    [(1065, 1092, "trigger"), (5066, 5067, "filetrigger"), (5076, 5077, "transfiletrigger")];

/// A list of dependencies: the tags of names, versions and flags, and what a spec file calls it.
pub(super) type DependencyTags = (u32, u32, u32, &'static str);

pub(super) const PROVIDES: DependencyTags = (1047, 1113, 1112, "Provides");
pub(super) const REQUIRES: DependencyTags = (1049, 1050, 1048, "Requires");
pub(super) const RECOMMENDS: DependencyTags = (5046, 5047, 5048, "Recommends");
pub(super) const SUGGESTS: DependencyTags = (5049, 5050, 5051, "Suggests");
pub(super) const SUPPLEMENTS: DependencyTags = (5052, 5053, 5054, "Supplements");
pub(super) const ENHANCES: DependencyTags = (5055, 5056, 5057, "Enhances");
pub(super) const CONFLICTS: DependencyTags = (1054, 1055, 1053, "Conflicts");
pub(super) const OBSOLETES: DependencyTags = (1090, 1115, 1114, "Obsoletes");
/// What is installed before, where both are.
pub(super) const ORDERED: DependencyTags = (5035, 5036, 5037, "OrderWithRequires");
