//! The `moxc` program: everything is in the library.

/// A build makes millions of short strings, a fleet's on every core: what the C library has for them takes a fifth of its
/// time with glibc, and half of it with musl, which released binaries are linked with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    moxc::cli::run(std::env::args_os())
}
