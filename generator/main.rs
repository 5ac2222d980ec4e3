//! The `moxc` program: everything is in the library.

fn main() -> std::process::ExitCode {
    moxc::cli::run(std::env::args_os())
}
