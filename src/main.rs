//! Runs mkpkg and owns its exit code.

use std::panic::catch_unwind;
use std::process::ExitCode;

use mkpkg::cli::Cli;
use mkpkg::commands;
use mkpkg::error::{BUG, exit_code};
use mkpkg::exec::yield_to_interrupt;
use mkpkg::report::Talk;
use mkpkg::usage::allow_many_files;

fn main() -> ExitCode {
    let cli = Cli::from_arguments();
    allow_many_files();
    let outcome = catch_unwind(|| {
        let talk = Talk::new(cli.verbosity(), cli.color());
        let result = commands::run(&cli, &talk);
        result.map_err(|error| {
            yield_to_interrupt();
            talk.fail(&error);
            exit_code(&error)
        })
    });
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(code)) => ExitCode::from(code),
        // The panic has already said what happened.
        Err(_) => ExitCode::from(BUG),
    }
}
