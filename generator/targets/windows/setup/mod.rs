//! What sets a Windows guest up and starts its scripts: scheduled tasks, the unattended installation, the first logon.
//!
//! Comes in: the host. Goes out, below `windows/<guest>/`: `tasks/*.xml` and `tasks/register.ps1`, `autounattend.xml`,
//! `bootstrap.ps1`, `build-iso.sh`. The Nushell scripts that the tasks run are the business of the module beside.

mod command_line;
pub mod installers;
mod locale;
mod media;
mod task;
mod tasks;
mod unattend;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Id, Vm, WindowsGuest};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::source::{Span, Spanned};
use crate::targets::windows::TARGET;
use crate::template::Templates;
use crate::value::SecretName;

pub use media::{BootstrapScript, BuildIsoScript, DiskScript, DriversScript, PushScript};
pub use task::{Principal, Start, Task};
pub use tasks::RegisterScript;

/// What will stand in the folder of a Windows guest.
#[derive(Debug)]
pub struct Plan {
    guest: String,
    span: Span,
    tasks: Vec<tasks::Planned>,
    answers: unattend::Answers,
    media: media::Media,
}

/// Plans it. Reports MOX0630.
pub fn plan(
    host: &Host,
    id: Id<Guest>,
    guest: &Guest,
    vm: &Vm,
    windows: &WindowsGuest,
    sink: &mut Sink,
) -> Plan {
    Plan {
        answers: unattend::Answers::of(host, guest, vm, windows),
        media: media::Media::of(guest, vm, windows),
        guest: guest.name.value.clone(),
        span: guest.name.span,
        tasks: tasks::plan(host, id, vm, windows, sink),
    }
}

/// The names of the secrets that the disc of answers holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The user's first password.
    pub password: String,
    /// The product key, where the spec names one.
    pub key: Option<String>,
    /// Name and password of Steam's account, where the spec names one.
    pub steam: Option<String>,
    /// First passwords of further accounts: the account's name and the secret's.
    pub accounts: Vec<(String, String)>,
    /// Name and password of an account that may join machines to the domain, where the spec names one.
    pub domain: Option<String>,
}

impl Secrets {
    /// Those of a guest.
    pub fn of(guest: &Guest, windows: &WindowsGuest) -> Self {
        let text = |secret: &Spanned<SecretName>| secret.as_str().to_owned();
        let steam = windows.steam.as_ref();
        Self {
            password: windows
                .password_secret
                .as_ref()
                .map_or_else(|| format!("{}-password", guest.name.value), text),
            key: windows.product_key_secret.as_ref().map(text),
            steam: steam
                .and_then(|steam| steam.login_secret.as_ref())
                .map(text),
            accounts: windows
                .users
                .iter()
                .map(|user| {
                    (
                        user.name.value.clone(),
                        user.password_secret.as_str().to_owned(),
                    )
                })
                .collect(),
            domain: windows
                .domain
                .as_ref()
                .map(|domain| domain.login_secret.as_str().to_owned()),
        }
    }

    /// All of them.
    pub fn all(self) -> Vec<String> {
        let accounts = self.accounts.into_iter().map(|(_, secret)| secret);
        let mut all: Vec<String> = [Some(self.password), self.key, self.steam, self.domain]
            .into_iter()
            .flatten()
            .chain(accounts)
            .collect();
        // Two accounts may begin with one password.
        let mut seen = std::collections::HashSet::new();
        all.retain(|name| seen.insert(name.clone()));
        all
    }
}

/// Writes it down. Reports what a user's template cannot do, and MOX0825.
pub fn emit(
    plan: &Plan,
    origin: &Origin,
    templates: &Templates,
    files: &mut FileSet,
    sink: &mut Sink,
) {
    let mut folder = Folder {
        guest: &plan.guest,
        origin,
        files,
        sink,
    };
    folder.add(".gitattributes", ATTRIBUTES, Mode::Regular, plan.span);
    let answers = plan.answers.document(&folder.header()).to_utf8();
    folder.add("autounattend.xml", &answers, Mode::Regular, plan.span);
    plan.media.emit(plan.span, templates, &mut folder);
    tasks::emit(&plan.tasks, plan.span, templates, &mut folder);
}

/// Git leaves the bytes alone: the Task Scheduler reads UTF-16 alone, and a checkout on Windows may change line ends, which
/// would make every file look edited.
const ATTRIBUTES: &str = "* -text\n";

/// The folder of a guest, which is being written.
struct Folder<'a> {
    guest: &'a str,
    origin: &'a Origin,
    files: &'a mut FileSet,
    sink: &'a mut Sink,
}

impl Folder<'_> {
    /// The line that marks a generated file, without its comment sign.
    fn header(&self) -> String {
        self.origin.header()
    }

    /// Adds a text file; a comment that marks it goes in front where `text` has none of its own.
    fn add(&mut self, path: &str, text: &str, mode: Mode, span: Span) {
        let path = self.path(path);
        self.insert(
            path.map(|path| OutputFile::text(path, text, mode, TARGET)),
            span,
        );
    }

    /// Adds a file as it is.
    fn add_bytes(&mut self, path: &str, contents: Vec<u8>, span: Span) {
        let path = self.path(path);
        self.insert(
            path.map(|path| OutputFile::bytes(path, contents, Mode::Regular, TARGET)),
            span,
        );
    }

    fn path(&self, path: &str) -> Result<RelPath, String> {
        RelPath::new(format!("windows/{}/{path}", self.guest)).map_err(|error| error.to_string())
    }

    fn insert(&mut self, file: Result<OutputFile, String>, span: Span) {
        let problem = match file.map(|file| self.files.insert(file)) {
            Ok(Ok(())) => return,
            Ok(Err(clash)) => clash.to_string(),
            Err(problem) => problem,
        };
        self.sink.push(Diagnostic::new(
            Code::MOX0825,
            span,
            format!("this gives a file that cannot be written: {problem}"),
        ));
    }
}
