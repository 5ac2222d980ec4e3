//! A word for who waits: what takes longer than a second says so at the terminal, and takes it back when it is done.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Whether nobody wants to be told anything: `-q`, or a program reads what is said.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Says that nothing is to be told.
pub(super) fn be_silent() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Something that may take long; it is told until this is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    work: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins to wait. Where standard error is no terminal, nothing is ever told.
    pub(super) fn of(what: impl Into<String>) -> Self {
        let is_seen = io::stderr().is_terminal() && !SILENT.load(Ordering::Relaxed);
        // Standard error is locked by whoever prints; the terminal behind it is not.
        let terminal = is_seen.then(|| OpenOptions::new().write(true).open("/dev/tty"));
        let work = terminal.and_then(Result::ok).map(|terminal| {
            let (done, wait) = mpsc::channel();
            let what = what.into();
            let thread = thread::spawn(move || tick(terminal, &what, &wait));
            (done, thread)
        });
        Self { work }
    }
}

fn tick(mut terminal: File, what: &str, done: &mpsc::Receiver<()>) {
    let mut seconds = 0_u32;
    while done.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        seconds += 1;
        // A terminal that takes no more is nobody's fault.
        let _ = write!(terminal, "\r\u{1b}[2K{what} … {seconds} s");
    }
    if seconds > 0 {
        let _ = write!(terminal, "\r\u{1b}[2K");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.work.take() {
            drop(done);
            let _ = thread.join();
        }
    }
}
