//! How a report can be written.

use clap::ValueEnum;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people, in a terminal.
    Text,
    /// For programs: all of it.
    Json,
    /// For people, in a browser: one file that needs nothing else.
    Html,
    /// SARIF 2.1.0, for tools that collect findings.
    Sarif,
    /// The parts list alone, as CycloneDX 1.6.
    Cyclonedx,
    /// The parts list alone, as SPDX 2.3.
    Spdx,
}
