//! The Nushell scripts of Windows guests, by the real Nushell: the oldest and the newest that we promise.
//!
//! Needs npm's `nushell` in both versions, which `tests/run` installs below `$MOXC_TEST_TOOLS`. The scripts run on Linux
//! against fakes of the programs that they call; what only Windows can show is in docs/testing.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Output, Stdio};

use moxc::nu::{self, Literal, Module};
use moxc::targets::Target;
use pretty_assertions::assert_eq;
use proptest::strategy::{Strategy as _, ValueTree as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::in_memory::build;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// ---------------------------------------------------------------- Nushell

/// A Nushell.
struct Nu {
    version: &'static str,
    program: PathBuf,
}

impl Nu {
    fn all() -> [Self; 2] {
        let tools = std::env::var_os("MOXC_TEST_TOOLS")
            .map_or_else(|| root().join("target/test-tools"), PathBuf::from);
        [nu::OLDEST, nu::NEWEST].map(|version| {
            let packages = tools.join(format!("nu-{version}/node_modules/@nushell"));
            let program = ["linux-x64", "linux-arm64"]
                .map(|system| packages.join(system).join("bin/nu"))
                .into_iter()
                .find(|program| program.is_file());
            let program = program.unwrap_or_else(|| {
                panic!(
                    "no Nushell {version} below {}: run tests/run",
                    tools.display()
                )
            });
            let said = Command::new(&program).arg("--version").output().unwrap();
            assert_eq!(text(&said.stdout).trim(), version);
            Self { version, program }
        })
    }

    /// Without configuration and standard library, as the guest runs it, and with nothing of this environment.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--no-config-file", "--no-std-lib"]);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// What a piece of code writes.
    fn code(&self, code: &str) -> Vec<u8> {
        let output = self.run(&["--commands", code]);
        assert!(
            output.status.success(),
            "{}: {}",
            self.version,
            text(&output.stderr)
        );
        output.stdout
    }
}

// ---------------------------------------------------------------- what is generated

/// The Windows folders of a spec, below a folder that goes when this does.
struct Tree {
    folder: TempDir,
    guests: Vec<String>,
}

impl Tree {
    fn of(spec: &Path) -> Self {
        let name = spec.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(spec).unwrap();
        let files = build(name, &text, &[Target::Windows]);
        let folder = tempfile::tempdir().unwrap();
        let mut guests = BTreeSet::new();
        for file in files.iter() {
            let path = folder.path().join(file.path.as_str());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &file.contents).unwrap();
            guests.insert(file.path.components().nth(1).unwrap().to_owned());
        }
        Self {
            folder,
            guests: guests.into_iter().collect(),
        }
    }

    fn hostile() -> Self {
        Self::of(&root().join("tests/nu/hostile.toml"))
    }

    /// The trees of every example with a Windows guest, and of the hostile spec.
    fn all() -> Vec<Self> {
        let mut specs: Vec<PathBuf> = fs::read_dir(root().join("examples"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .collect();
        specs.sort();
        let mut trees: Vec<Self> = specs.iter().map(|spec| Self::of(spec)).collect();
        trees.retain(|tree| !tree.guests.is_empty());
        assert!(trees.len() >= 2, "the examples have Windows guests");
        trees.push(Self::hostile());
        trees
    }

    fn guest(&self, name: &str) -> PathBuf {
        assert!(self.guests.iter().any(|guest| guest == name), "{name}");
        self.folder.path().join("windows").join(name)
    }

    /// Every `.nu` file.
    fn scripts(&self) -> Vec<PathBuf> {
        let mut scripts = Vec::new();
        for guest in &self.guests {
            for folder in [self.guest(guest), self.guest(guest).join("tests")] {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.extension().is_some_and(|end| end == "nu") {
                        scripts.push(path);
                    }
                }
            }
        }
        scripts.sort();
        assert!(scripts.len() >= 4);
        scripts
    }
}

// ---------------------------------------------------------------- what Nushell says of the scripts

/// `nu --lsp`: it alone tells every error and every deprecation.
struct Lsp {
    child: std::process::Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Lsp {
    fn start(nu: &Nu) -> Self {
        let mut child = nu
            .command()
            .arg("--lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lsp = Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        lsp.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"capabilities": {}, "processId": null, "rootUri": null}}));
        while lsp.receive().get("id") != Some(&json!(0)) {}
        lsp.send(&json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}));
        lsp
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(
                self.from.read_line(&mut line).unwrap() > 0,
                "nu --lsp ended"
            );
            if line == "\r\n" {
                break;
            }
            if let Some(number) = line.strip_prefix("Content-Length: ") {
                length = number.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// What it says of a file, a line each.
    fn faults(&mut self, path: &Path) -> Vec<String> {
        let uri = format!("file://{}", path.display());
        self.send(&json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {
            "uri": uri, "languageId": "nushell", "version": 1, "text": fs::read_to_string(path).unwrap()}}}));
        loop {
            let message = self.receive();
            if message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri
            {
                return message["params"]["diagnostics"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|fault| {
                        let line = fault["range"]["start"]["line"].as_u64().unwrap() + 1;
                        format!("{}:{line}: {}", path.display(), fault["message"])
                    })
                    .collect();
            }
        }
    }
}

impl Drop for Lsp {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn nushell_finds_no_error_and_nothing_deprecated() {
    let broken = tempfile::tempdir().unwrap();
    for nu in Nu::all() {
        let mut lsp = Lsp::start(&nu);
        // What it is trusted to find.
        for (name, code) in [
            ("error.nu", "def main [] { let x = (1 + }\n"),
            ("type.nu", "def f []: nothing -> int { \"x\" }\n"),
            (
                "deprecated.nu",
                "def main [] { [1 2] | get --ignore-errors 5 }\n",
            ),
        ] {
            let file = broken.path().join(name);
            fs::write(&file, code).unwrap();
            assert!(!lsp.faults(&file).is_empty(), "{}: {name}", nu.version);
        }
        let faults: Vec<String> = Tree::all()
            .iter()
            .flat_map(Tree::scripts)
            .flat_map(|script| lsp.faults(&script))
            .collect();
        assert_eq!(faults, Vec::<String>::new(), "Nushell {}", nu.version);
    }
}

/// Whether a script has a `main`; the others are modules.
fn is_program(script: &Path) -> bool {
    fs::read_to_string(script).unwrap().contains("\ndef main ")
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn every_script_loads_and_tells_its_options() {
    for nu in Nu::all() {
        for script in Tree::all().iter().flat_map(Tree::scripts) {
            let name = script.to_str().unwrap();
            if !is_program(&script) {
                nu.code(&format!("use {} *", nu::quote(name)));
                continue;
            }
            let output = nu.run(&[name, "--help"]);
            let help = text(&output.stdout);
            assert!(output.status.success(), "{name}: {}", text(&output.stderr));
            assert_eq!(text(&output.stderr), "", "{name}");
            assert!(help.contains("Usage:"), "{name}: {help}");
            if !name.contains("/tests/") {
                for option in ["--dry-run", "--json", "Ends with 0"] {
                    assert!(help.contains(option), "{name}: {help}");
                }
            }
        }
    }
}

/// What the scripts may call. A tested name is one that exists nowhere.
const PROGRAMS: &[&str] = &[
    "SteamSetup.exe",
    "cargo",
    "chkdsk",
    "dism",
    "git",
    "icacls",
    "launchctl-x64",
    "msiexec",
    "nu",
    "pacman",
    "powershell",
    "rustup",
    "rustup-init.exe",
    "sc",
    "sfc",
    "shutdown",
    "steamcmd",
    "vswhere",
    "winget",
];

/// What the tests of the scripts may call besides.
const TEST_PROGRAMS: &[&str] = &["/bin/chmod", "/bin/ln", "moxc-no-such"];

/// The programs that a script calls, each with whether it is written `^name`. A word that Nushell does not know is one.
fn programs(nu: &Nu, script: &Path) -> Vec<(String, bool)> {
    let source = fs::read(script).unwrap();
    let output = nu.run(&["--ide-ast", script.to_str().unwrap()]);
    let words: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    words
        .iter()
        .filter(|word| word["shape"] == "shape_external")
        .map(|word| {
            let start = usize::try_from(word["span"]["start"].as_u64().unwrap()).unwrap();
            let name = word["content"]
                .as_str()
                .unwrap()
                .trim_matches(['"', '\'', '`']);
            (name.to_owned(), start > 0 && source[start - 1] == b'^')
        })
        .collect()
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn every_program_is_marked_and_known() {
    let trial = tempfile::tempdir().unwrap();
    let file = trial.path().join("trial.nu");
    fs::write(
        &file,
        "def main [] { [1] | each {|x| $\"(misspelt $x)\" }; ^git pull }\n",
    )
    .unwrap();
    for nu in Nu::all() {
        let told = programs(&nu, &file);
        assert_eq!(
            told,
            [("misspelt".to_owned(), false), ("git".to_owned(), true)]
        );
        let mut called = BTreeSet::new();
        for script in Tree::all().iter().flat_map(Tree::scripts) {
            let is_test = script.to_str().unwrap().contains("/tests/");
            for (name, marked) in programs(&nu, &script) {
                assert!(marked, "{}: `{name}` without ^", script.display());
                assert!(
                    PROGRAMS.contains(&name.as_str())
                        || is_test && TEST_PROGRAMS.contains(&name.as_str()),
                    "{}: {name}",
                    script.display()
                );
                called.insert(name);
            }
        }
        let known: BTreeSet<String> = PROGRAMS
            .iter()
            .chain(TEST_PROGRAMS)
            .map(|name| (*name).to_owned())
            .collect();
        assert_eq!(called, known, "a name that nobody calls any more");
    }
}

// ---------------------------------------------------------------- literals

/// Texts to try: what has a meaning somewhere, each character below U+0250, and thousands at random.
fn trial_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "#",
        "#x",
        "~",
        "~/x",
        "-",
        "--",
        "--help",
        "...",
        "$x",
        "$env.X",
        "$\"x\"",
        "(ls)",
        "{a: 1}",
        "[a b]",
        "null",
        "true",
        "1",
        "1kb",
        "1sec",
        "2024-01-01",
        "0x[ff]",
        "*",
        "**/*.rs",
        "a?b",
        "`x`",
        "'x'",
        "\"x\"",
        "r#'x'#",
        "a;b",
        "a|b",
        "a&b",
        "%PATH%",
        "^cmd",
        "C:\\",
        "C:\\a b\\",
        "\\\\srv\\share\\",
        "\\n",
        "\\u{41}",
        "a\nb",
        "a\r\nb",
        "\t",
        "\u{1b}[31m",
        "\u{feff}x",
        "\u{202e}x",
        "日本語",
        "🎮",
        "e\u{301}",
        "@x",
        "!x",
        ">x",
        "<x",
        "=x",
        "a=b",
        "a:b",
    ]
    .map(str::to_owned)
    .into();
    texts.extend(
        (1..0x250)
            .filter_map(char::from_u32)
            .map(|c| format!("a{c}b{c}")),
    );
    let mut random = proptest::test_runner::TestRunner::deterministic();
    let any = proptest::arbitrary::any::<String>();
    for _ in 0..3000 {
        // No argument of a process holds a NUL.
        texts.push(
            any.new_tree(&mut random)
                .unwrap()
                .current()
                .replace('\0', ""),
        );
    }
    texts
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn literals_come_back_as_they_were() {
    let texts = trial_texts();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trial.nu");
    // Each text in every place: in a list, as a value and as the name of a field, and all of them in a header.
    let fields = texts.iter().collect::<BTreeSet<_>>();
    let module = Module::new(&texts)
        .constant("trial_list", texts.concat(), Literal::strings(&texts))
        .constant(
            "trial_record",
            "",
            Literal::Record(
                fields
                    .iter()
                    .map(|text| ((*text).clone(), (*text).clone().into()))
                    .collect(),
            ),
        )
        .constant(
            "trial_rest",
            "",
            Literal::record([("yes", true.into()), ("number", 4_294_967_295.into())]),
        );
    fs::write(&file, module.to_string()).unwrap();
    let module = nu::quote(file.to_str().unwrap());
    for nu in Nu::all() {
        let read = |code: &str| -> Value {
            serde_json::from_slice(&nu.code(&format!("use {module} *\n{code} | to json --raw")))
                .unwrap()
        };
        assert_eq!(read("$trial_list"), json!(texts), "Nushell {}", nu.version);
        let record: BTreeMap<String, String> =
            serde_json::from_value(read("$trial_record")).unwrap();
        assert_eq!(record.len(), fields.len());
        assert!(record.iter().all(|(name, value)| name == value));
        assert_eq!(
            read("$trial_rest"),
            json!({"yes": true, "number": 4_294_967_295_u32})
        );
        let arguments = nu.code(&format!(
            "use {module} *\n^/usr/bin/printf '%s\\0' ...$trial_list"
        ));
        let arguments: Vec<String> = arguments
            .split(|byte| *byte == 0)
            .map(|argument| String::from_utf8(argument.to_vec()).unwrap())
            .collect();
        assert_eq!(
            arguments[..arguments.len() - 1],
            texts[..],
            "Nushell {}",
            nu.version
        );
    }
}

// ---------------------------------------------------------------- a guest of fakes

/// A guest in a folder: its scripts, fakes of the programs, and a folder that stands for its disks. A path of Windows is
/// there the name of a file.
struct Guest<'a> {
    nu: &'a Nu,
    folder: TempDir,
    config: Value,
}

impl<'a> Guest<'a> {
    fn new(nu: &'a Nu, scripts: &Path) -> Self {
        let guest = Self {
            nu,
            folder: tempfile::tempdir().unwrap(),
            config: config(nu, scripts),
        };
        for folder in [
            "scripts",
            "bin",
            "fakes/answers",
            "disks",
            "temp",
            "home/.cargo/bin",
        ] {
            fs::create_dir_all(guest.path(folder)).unwrap();
        }
        for entry in fs::read_dir(scripts).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, guest.path("scripts").join(path.file_name().unwrap())).unwrap();
            }
        }
        let nu = format!("#!/bin/sh\nexec '{}' \"$@\"\n", guest.nu.program.display());
        guest.program("nu", &nu);
        // The fake of the guest's own tests.
        let utils = scripts.join("tests/test-utils.nu");
        let fake = guest.nu.code(&format!(
            "use {} test_fake\n$test_fake | str trim --left",
            nu::quote(utils.to_str().unwrap())
        ));
        for name in PROGRAMS
            .iter()
            .filter(|name| **name != "nu")
            .chain(&["xdg-open"])
        {
            guest.program(name, &text(&fake));
        }
        guest
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A file of the guest by its path of Windows.
    fn disk(&self, path: &str) -> PathBuf {
        self.path("disks").join(path)
    }

    fn program(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What a fake answers to calls that fit a regular expression: the first that fits counts.
    fn answer(&self, program: &str, fits: &str, stdout: &str, exit: u8, touch: &[&Path]) {
        self.answer_when(None, program, fits, stdout, exit, touch);
    }

    /// The same, which counts only while a file is there.
    fn answer_when(
        &self,
        when: Option<&Path>,
        program: &str,
        fits: &str,
        stdout: &str,
        exit: u8,
        touch: &[&Path],
    ) {
        let folder = self.path("fakes/answers").join(program);
        fs::create_dir_all(&folder).unwrap();
        let folder = folder.join(format!("{:03}", fs::read_dir(&folder).unwrap().count()));
        fs::create_dir(&folder).unwrap();
        let touch: String = touch.iter().fold(String::new(), |mut all, file| {
            writeln!(all, "{}", file.display()).unwrap();
            all
        });
        for (name, text) in [
            ("match", fits),
            ("stdout", stdout),
            ("stderr", ""),
            ("exit", &exit.to_string()),
            ("times", "1000000"),
            ("appendto", ""),
            ("appended", ""),
            (
                "when",
                &when.map_or_else(String::new, |file| file.display().to_string()),
            ),
            ("touch", &touch),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    /// The folder of MSYS2, and where its compiler will be.
    fn msys(&self) -> PathBuf {
        for folder in ["msys64/usr/bin", "msys64/mingw64/bin"] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        self.path("msys64/mingw64/bin/gcc.exe")
    }

    /// What looks, and finds nothing to do: no task runs, no letter is taken. The shared folders are there, or come with
    /// the files of their mounts.
    fn still(&self, mounts: Option<&[PathBuf]>) {
        for (at, (letter, tag)) in [("Y", "one"), ("Z", "two")].into_iter().enumerate() {
            let there = json!({"there": true, "kind": 3, "label": tag}).to_string();
            let fits = format!("\"do\":\"drive\",\"letter\":\"{letter}\"");
            let when = mounts.map(|mounts| mounts[at].as_path());
            self.answer_when(when, "powershell", &fits, &there, 0, &[]);
        }
        for (what, answer) in [
            ("drive", json!({"there": false, "kind": 0, "label": ""})),
            ("letters", json!({"letters": []})),
            ("task", json!({"there": false, "running": false})),
            (
                "place",
                json!({"there": false, "link": false, "empty": false}),
            ),
        ] {
            let fits = format!("\"do\":\"{what}\"");
            self.answer("powershell", &fits, &answer.to_string(), 0, &[]);
        }
    }

    /// Puts other data in the place of the spec's: where downloads come from.
    fn with_server(&mut self, address: &str) {
        let file = self.path("scripts/config.nu");
        let steam = self.config["steam"]["setup"].as_str().unwrap().to_owned();
        let rust = self.config["rust"]["dist"].as_str().unwrap().to_owned();
        let config = fs::read_to_string(&file)
            .unwrap()
            .replace(&steam, &format!("{address}/SteamSetup.exe"))
            .replace(&rust, address)
            .replace("wait_seconds: 30", "wait_seconds: 0");
        fs::write(&file, config).unwrap();
        let scripts = self.path("scripts");
        self.config = config_of(self.nu, &scripts);
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .current_dir(self.path("disks"))
            .env("PATH", self.path("bin"))
            .env("MOXC_PLATFORM", "windows")
            .env("MOXC_FAKES", self.path("fakes"))
            .env("TEMP", self.path("temp"))
            .env("USERPROFILE", self.path("home"))
            .env("LOCALAPPDATA", self.path("home/local"))
            .env("ProgramData", self.path("data"))
            .env("MOXC_MSYS", self.path("msys64"))
            .env("USERNAME", "gamer");
    }

    fn words(&self, script: &str, args: &[&str]) -> Vec<String> {
        let script = self.path("scripts").join(format!("{script}.nu"));
        ["--no-config-file", "--no-std-lib", script.to_str().unwrap()]
            .iter()
            .chain(args)
            .map(|word| (*word).to_owned())
            .collect()
    }

    /// Runs a script: status, report, and what it said.
    fn run(&self, script: &str, args: &[&str]) -> (Option<i32>, Value, String) {
        let mut command = Command::new(&self.nu.program);
        command.args(self.words(script, args)).arg("--json");
        self.environment(&mut command);
        told(&command.output().unwrap())
    }

    /// Runs a script where only the log of the fakes can be written; none where the kernel does not let us.
    fn run_read_only(&self, script: &str, args: &[&str]) -> Option<(Option<i32>, Value, String)> {
        let mut command = Command::new("/bin/bash");
        command
            .arg(root().join("tests/nu/read-only"))
            .arg(self.path("fakes"));
        self.environment(&mut command);
        // The shell that makes the namespace needs its tools, and the script must not find them.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(["env", &format!("PATH={}", self.path("bin").display())]);
        command
            .arg(&self.nu.program)
            .args(self.words(script, args))
            .arg("--json");
        let output = command.output().unwrap();
        if output.status.code() == Some(77) {
            return None;
        }
        Some(told(&output))
    }

    /// The calls of the fakes, each a list of the name and the arguments.
    fn calls(&self) -> Vec<Vec<String>> {
        let Ok(log) = fs::read_to_string(self.path("fakes/calls")) else {
            return Vec::new();
        };
        log.split_terminator('\u{1e}')
            .map(|call| call.split_terminator('\u{1f}').map(str::to_owned).collect())
            .collect()
    }

    fn calls_of(&self, program: &str) -> Vec<Vec<String>> {
        let mut calls = self.calls();
        calls.retain(|call| call[0] == program);
        calls.into_iter().map(|call| call[1..].to_vec()).collect()
    }

    /// What PowerShell was asked to change.
    fn orders(&self) -> Vec<Value> {
        self.calls_of("powershell")
            .iter()
            .map(|call| serde_json::from_str(call.last().unwrap()).unwrap())
            .filter(|request: &Value| !LOOKS.contains(&request["do"].as_str().unwrap()))
            .collect()
    }

    /// The calls that change something.
    fn changes(&self) -> Vec<Vec<String>> {
        let mut calls = self.calls();
        calls.retain(|call| {
            let line = call.join(" ");
            match call[0].as_str() {
                "powershell" => {
                    let request: Value = serde_json::from_str(call.last().unwrap()).unwrap();
                    !LOOKS.contains(&request["do"].as_str().unwrap())
                }
                "winget" => {
                    !matches!(call[1].as_str(), "list" | "--version")
                        && !line.contains(" pin list ")
                }
                "dism" => {
                    !line.ends_with("/AnalyzeComponentStore") && !line.ends_with("/ScanHealth")
                }
                "sfc" => !line.ends_with("/verifyonly"),
                "chkdsk" => !line.ends_with("/scan"),
                "rustup" => call.last().unwrap() != "default" && !line.contains(" list"),
                "cargo" => !line.ends_with("--locked --offline"),
                "vswhere" => false,
                _ => true,
            }
        });
        calls
    }

    fn forget(&self) {
        let _ = fs::remove_file(self.path("fakes/calls"));
    }

    /// The scripts that the guest has.
    fn scripts(&self) -> Vec<&'static str> {
        let mut names = vec![
            "guest-agent",
            "virtiofs",
            "winget",
            "rust",
            "steam",
            "windows-update",
            "maintenance",
            "first-logon",
        ];
        names.retain(|name| self.path("scripts").join(format!("{name}.nu")).is_file());
        names
    }

    /// Everything but what the fakes write down: paths and texts.
    fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path == self.path("fakes") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path.clone());
                    all.insert(path, Vec::new());
                } else {
                    all.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        all
    }
}

/// The questions of moxc.ps1 and windows-update.ps1 that change nothing.
const LOOKS: &[&str] = &[
    "signature",
    "environment",
    "path",
    "service",
    "registry",
    "volumes",
    "events",
    "check",
    "cards",
    "disks",
    "letters",
    "drive",
    "place",
    "task",
    "rule",
];

/// The constant of a guest's config.nu, as Nushell reads it.
fn config(nu: &Nu, scripts: &Path) -> Value {
    config_of(nu, scripts)
}

fn config_of(nu: &Nu, scripts: &Path) -> Value {
    let module = nu::quote(scripts.join("config.nu").to_str().unwrap());
    serde_json::from_slice(&nu.code(&format!("use {module} *\n$moxc_config | to json --raw")))
        .unwrap()
}

fn told(output: &Output) -> (Option<i32>, Value, String) {
    let said = text(&output.stderr);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{said}", text(&output.stdout)));
    (output.status.code(), report, said)
}

fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

fn list_of(value: &Value, field: &str) -> Vec<String> {
    serde_json::from_value(value[field].clone()).unwrap()
}

/// A server of some files: their paths and bytes. It ends with the process.
fn serve(files: Vec<(String, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let path = first.split(' ').nth(1).unwrap();
            let found = files.iter().find(|(name, _)| name == path);
            let (status, body) = found.map_or(("404 Not Found", &[][..]), |(_, body)| {
                ("200 OK", &body[..])
            });
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(body);
        }
    });
    address
}

/// The files that the scripts of the hostile guest download; `hash` stands beside rustup's installer.
fn downloads(hash: &str) -> Vec<(String, Vec<u8>)> {
    let rustup = "/x86_64-pc-windows-gnu/rustup-init.exe";
    vec![
        (rustup.to_owned(), b"rustup".to_vec()),
        (
            format!("{rustup}.sha256"),
            format!("{hash} *./rustup-init.exe\n").into_bytes(),
        ),
        // JSON, which a careless download would lay out anew.
        ("/SteamSetup.exe".to_owned(), b"{\"a\":1}".to_vec()),
    ]
}

/// SHA-256 of `rustup`.
fn rustup_hash() -> String {
    moxc::digest::Sha256::of(b"rustup").to_string()
}

/// The hostile guest, on which nothing is there yet.
fn empty<'a>(nu: &'a Nu, tree: &Tree) -> Guest<'a> {
    let mut guest = Guest::new(nu, &tree.guest("hostile"));
    guest.with_server(&serve(downloads(&rustup_hash())));
    let service = |program: &str| {
        json!({"there": true, "running": false, "start": "Manual", "delayed": false, "program": program}).to_string()
    };
    let rust = &guest.config["rust"];
    let variables: Vec<Value> = rust["environment"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| json!({"name": v["name"], "value": v["value"], "now": null, "expanded": v["value"]}))
        .collect();
    let mounts = [guest.disk("Y:\\"), guest.disk("Z:\\")];
    let steam = guest.disk(&format!(
        "{}\\steam.exe",
        text_of(&guest.config["steam"], "install_dir")
    ));
    guest.answer("winget", "^list ", "", 20, &[]);
    guest.answer("winget", "^--version$", "v1.8.0", 0, &[]);
    let compiler = guest.msys();
    guest.answer("pacman", ".", "", 0, &[&compiler]);
    guest.still(Some(&mounts));
    for (fits, answer) in [
        (
            "\"name\":\"WinFsp.Launcher\"",
            json!({"there": true, "running": true, "start": "Automatic", "delayed": false})
                .to_string(),
        ),
        (
            "\"do\":\"service\"",
            service(r"C:\Program Files\Virtio-Win\VioFS\virtiofs.exe"),
        ),
        (
            "\"name\":\"InstallDir\"",
            json!({"value": r"C:\Program Files (x86)\WinFsp\"}).to_string(),
        ),
        ("\"do\":\"registry\"", json!({"value": null}).to_string()),
        (
            "\"do\":\"environment\"",
            json!({"variables": variables}).to_string(),
        ),
        ("\"do\":\"path\"", json!({"now": ""}).to_string()),
        (
            "\"do\":\"volumes\"",
            json!({"volumes": [{"letter": "C", "size": 100, "free": 50, "health": "Healthy"}]})
                .to_string(),
        ),
        (
            "\"do\":\"events\"",
            json!({"count": 0, "events": []}).to_string(),
        ),
        (
            "\"do\":\"signature\"",
            json!({"status": "Valid", "subject": "CN=Valve Corp., O=Valve Corp."}).to_string(),
        ),
        (
            "\"do\":\"(check|install)\"",
            json!({"updates": [], "reboot": false, "busy": ""}).to_string(),
        ),
        (".", json!({}).to_string()),
    ] {
        guest.answer("powershell", fits, &answer, 0, &[]);
    }
    guest.answer(
        "dism",
        "AnalyzeComponentStore",
        "Component Store Cleanup Recommended : Yes\r\n",
        0,
        &[],
    );
    for (tag, mount) in ["one", "two"].iter().zip(&mounts) {
        guest.answer(
            "launchctl-x64",
            &format!("^start virtiofs viofs-{tag} "),
            "",
            0,
            &[mount],
        );
    }
    guest.answer(
        "rustup-init.exe",
        ".",
        "",
        0,
        &[&guest.path("home/.cargo/bin/rustup.exe")],
    );
    guest.answer("SteamSetup.exe", ".", "", 0, &[&steam]);
    guest
}

/// The same guest, on which all is as the spec has it.
fn complete<'a>(nu: &'a Nu, tree: &Tree) -> Guest<'a> {
    let mut guest = Guest::new(nu, &tree.guest("hostile"));
    guest.with_server("http://127.0.0.1:9");
    let (rust, steam) = (&guest.config["rust"], &guest.config["steam"]);
    let write = |path: &str, text: &str| fs::write(guest.disk(path), text).unwrap();
    for project in rust["projects"].as_array().unwrap() {
        write(&format!("{}\\Cargo.toml", text_of(project, "path")), "");
        write(&format!("{}\\.git", text_of(project, "path")), "");
    }
    let folder = text_of(steam, "install_dir");
    write(&format!("{folder}\\steam.exe"), "");
    let libraries: String =
        list_of(steam, "libraries")
            .iter()
            .fold(String::new(), |mut all, library| {
                let library = if library.len() == 2 {
                    format!("{library}\\SteamLibrary")
                } else {
                    library.clone()
                };
                writeln!(all, "\t\t\"path\"\t\t\"{}\"", library.replace('\\', "\\\\")).unwrap();
                all
            });
    write(
        &format!("{folder}\\steamapps\\libraryfolders.vdf"),
        &libraries,
    );
    for game in steam["games"].as_array().unwrap() {
        write(
            &format!("{folder}\\steamapps\\appmanifest_{}.acf", game["app_id"]),
            "\t\"StateFlags\"\t\t\"4\"\n",
        );
    }
    for mount in ["Y:\\", "Z:\\"] {
        write(mount, "");
    }
    let now = Command::new("date")
        .args(["-u", "+%FT%TZ"])
        .output()
        .unwrap();
    write(
        "C:\\ProgramData\\moxc\\state\\trim-C.json",
        &json!({"at": text(&now.stdout).trim()}).to_string(),
    );
    fs::write(guest.path("home/.cargo/bin/rustup.exe"), "").unwrap();
    let compiler = guest.msys();
    fs::write(&compiler, "").unwrap();
    fs::write(guest.path("msys64/usr/bin/pacman.exe"), "").unwrap();
    let msys = compiler.parent().unwrap().display().to_string();
    guest.answer("winget", "^--version$", "v1.8.0", 0, &[]);
    guest.answer("winget", "^pin list ", "Nushell.Nushell", 0, &[]);
    guest.still(None);
    let variables: Vec<Value> = rust["environment"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| json!({"name": v["name"], "value": v["value"], "now": v["value"], "expanded": v["value"]}))
        .collect();
    let service = |running: bool, start: &str| {
        json!({"there": true, "running": running, "start": start, "delayed": false, "program": r"C:\virtiofs.exe"}).to_string()
    };
    for (fits, answer) in [
        ("\"name\":\"QEMU-GA\"", service(true, "Auto")),
        ("\"do\":\"service\"", service(false, "Disabled")),
        (
            "\"name\":\"InstallDir\"",
            json!({"value": r"C:\Program Files (x86)\WinFsp\"}).to_string(),
        ),
        (
            "\"name\":\"Executable\"",
            json!({"value": r"C:\virtiofs.exe"}).to_string(),
        ),
        (
            "\"name\":\"CommandLine\"",
            json!({"value": "-t %1 -m %2"}).to_string(),
        ),
        (
            "\"name\":\"Security\"",
            json!({"value": "D:P(A;;RPWPLC;;;WD)"}).to_string(),
        ),
        ("\"name\":\"JobControl\"", json!({"value": 1}).to_string()),
        (
            "\"do\":\"environment\"",
            json!({"variables": variables}).to_string(),
        ),
        (
            "\"do\":\"path\"",
            json!({"now": format!(r"C:\x;%USERPROFILE%/.cargo/bin;{msys}")}).to_string(),
        ),
        (
            "\"do\":\"volumes\"",
            json!({"volumes": [{"letter": "C", "size": 100, "free": 50, "health": "Healthy"}]})
                .to_string(),
        ),
        (
            "\"do\":\"events\"",
            json!({"count": 0, "events": []}).to_string(),
        ),
        (
            "\"do\":\"(check|install)\"",
            json!({"updates": [], "reboot": false, "busy": ""}).to_string(),
        ),
    ] {
        guest.answer("powershell", fits, &answer, 0, &[]);
    }
    let toolchain = "nightly-2026-01-01-x86_64-pc-windows-gnu";
    guest.answer(
        "rustup",
        "^(toolchain list|default$)",
        &format!("{toolchain} (default)\n"),
        0,
        &[],
    );
    guest.answer(
        "rustup",
        "^component list",
        "clippy-x86_64-pc-windows-gnu\nrust-src\n",
        0,
        &[],
    );
    guest.answer("rustup", "^target list", "wasm32-unknown-unknown\n", 0, &[]);
    guest
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn what_a_spec_says_arrives_as_it_was_written() {
    let tree = Tree::hostile();
    // What stands in the spec, read by the library that everybody reads TOML by.
    let spec = fs::read_to_string(root().join("tests/nu/hostile.toml")).unwrap();
    let spec: toml::Table = spec.parse().unwrap();
    let windows = &spec["vms"]["hostile"]["windows"];
    let written = |value: &toml::Value| {
        value
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('\\')
            .to_owned()
    };
    for nu in Nu::all() {
        let guest = empty(&nu, &tree);
        let (status, report, said) = guest.run("first-logon", &["--no-open"]);
        assert_eq!(
            (status, &report["status"]),
            (Some(0), &json!(0)),
            "{}: {report:#}\n{said}",
            nu.version
        );

        let installed: Vec<String> = guest
            .calls_of("winget")
            .into_iter()
            .filter(|call| call[0] == "install" && call[2] != "MSYS2.MSYS2")
            .map(|call| call[2].clone())
            .collect();
        let packages: Vec<String> = windows["winget"]
            .as_array()
            .unwrap()
            .iter()
            .map(&written)
            .collect();
        assert_eq!(installed, packages);

        let setup = guest.calls_of("SteamSetup.exe");
        assert_eq!(setup.len(), 1);
        assert_eq!(
            setup[0].join(" "),
            format!("/S /D={}", written(&windows["steam"]["install-dir"]))
        );
        // Steam's own list, in which a backslash is written twice.
        let list = guest.disk(&format!(
            "{}\\steamapps\\libraryfolders.vdf",
            written(&windows["steam"]["install-dir"])
        ));
        let list = fs::read_to_string(list).unwrap();
        for library in windows["steam"]["libraries"].as_array().unwrap() {
            let line = format!("\"{}", written(library).replace('\\', "\\\\"));
            assert!(list.contains(&line), "{line}: {list}");
        }
        let dialog = report["results"]
            .as_array()
            .unwrap()
            .iter()
            .find(|result| result["what"] == "steam: games")
            .unwrap();
        for game in windows["steam"]["games"].as_array().unwrap() {
            let name = game.get("name").map_or("", |name| name.as_str().unwrap());
            let told = if name.is_empty() {
                format!("game {}", game["app-id"])
            } else {
                format!("{name} (game {})", game["app-id"])
            };
            assert!(
                text_of(dialog, "detail").contains(&told),
                "{told}: {dialog}"
            );
        }

        let set: BTreeMap<String, String> = guest
            .orders()
            .iter()
            .filter(|order| order["do"] == "set-environment")
            .map(|order| {
                (
                    text_of(order, "name").to_owned(),
                    text_of(order, "value").to_owned(),
                )
            })
            .collect();
        let environment: BTreeMap<String, String> = windows["rust"]["environment"]
            .as_table()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(set, environment);

        let init = guest.calls_of("rustup-init.exe");
        assert_eq!(
            init,
            [[
                "-y",
                "--default-host",
                "x86_64-pc-windows-gnu",
                "--default-toolchain",
                "nightly-2026-01-01-x86_64-pc-windows-gnu",
                "--profile",
                "default",
                "-c",
                "rust-src",
                "-c",
                "clippy",
                "-t",
                "wasm32-unknown-unknown",
            ]]
        );
        let projects = windows["rust"]["projects"].as_array().unwrap();
        let clones: Vec<Vec<String>> = projects[..2]
            .iter()
            .map(|p| {
                vec![
                    "clone".into(),
                    "--".into(),
                    p["git"].as_str().unwrap().to_owned(),
                    written(&p["path"]),
                ]
            })
            .collect();
        assert_eq!(guest.calls_of("git"), clones);
        assert_eq!(
            guest.calls_of("cargo")[0],
            ["new", "--name", "fresh", "--", r"D:\new one"]
        );
        assert_eq!(
            guest.calls_of("launchctl-x64"),
            [
                ["start", "virtiofs", "viofs-one", "one", "Y:"],
                ["start", "virtiofs", "viofs-two", "two", "Z:"]
            ]
        );
        // A download is written as it came.
        assert_eq!(
            fs::read(guest.path("temp/moxc/SteamSetup.exe")).unwrap(),
            b"{\"a\":1}"
        );
    }
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn a_dry_run_changes_nothing_on_a_read_only_system() {
    let tree = Tree::hostile();
    for nu in Nu::all() {
        let guest = empty(&nu, &tree);
        let before = guest.everything();
        let mut proven = true;
        for script in guest.scripts() {
            guest.forget();
            let args: &[&str] = match script {
                "windows-update" => &["--dry-run", "--install", "--reboot", "if-needed"],
                _ => &["--dry-run"],
            };
            let (status, report, said) = guest.run_read_only(script, args).unwrap_or_else(|| {
                proven = false;
                guest.run(script, args)
            });
            assert_eq!(status, Some(0), "{script}: {report:#}\n{said}");
            assert_eq!(guest.changes(), Vec::<Vec<String>>::new(), "{script}");
            // It would do something: a dry run that looks at nothing proves nothing.
            let planned = report["results"]
                .as_array()
                .unwrap()
                .iter()
                .any(|r| r["outcome"] == "planned");
            assert!(
                planned || script == "windows-update",
                "{script}: {report:#}"
            );
        }
        assert_eq!(guest.everything(), before);
        if proven {
            // The same without --dry-run meets the read-only system.
            let (_, _, said) = guest.run_read_only("winget", &[]).unwrap();
            assert!(said.contains("no log"), "{said}");
        } else {
            say_untested("a dry run on a read-only system: only files and calls were compared");
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test that cannot run says so")]
fn say_untested(what: &str) {
    println!("untested: {what}");
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn a_second_run_does_nothing() {
    let tree = Tree::hostile();
    for nu in Nu::all() {
        let guest = complete(&nu, &tree);
        for script in guest.scripts() {
            if script == "maintenance" || script == "windows-update" {
                guest.answer(
                    "dism",
                    ".",
                    "Component Store Cleanup Recommended : No\r\nNo component store corruption detected.\r\n",
                    0,
                    &[],
                );
            }
            guest.forget();
            let (status, report, said) = guest.run(script, &[]);
            assert_eq!(status, Some(0), "{script}: {report:#}\n{said}");
            assert!(
                text_of(&report, "summary").starts_with("nothing to do"),
                "{script}: {report:#}\n{said}"
            );
            assert_eq!(guest.changes(), Vec::<Vec<String>>::new(), "{script}");
        }
    }
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn what_is_downloaded_is_checked_before_it_is_run() {
    let tree = Tree::hostile();
    for nu in Nu::all() {
        let mut guest = empty(&nu, &tree);
        guest.with_server(&serve(downloads(&"0".repeat(64))));
        let (status, report, _) = guest.run("rust", &[]);
        assert_eq!(status, Some(1));
        assert!(report.to_string().contains(&rustup_hash()), "{report:#}");
        guest.with_server(&serve(Vec::new()));
        let (status, report, _) = guest.run("rust", &[]);
        assert_eq!(status, Some(1));
        assert!(
            report.to_string().contains("cannot be downloaded"),
            "{report:#}"
        );
        assert_eq!(guest.calls_of("rustup-init.exe"), Vec::<Vec<String>>::new());
        assert!(!guest.path("temp/moxc/rustup-init.exe").exists());
    }
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn each_program_that_fails_is_told_with_its_last_words() {
    let tree = Tree::hostile();
    let failing = [
        ("winget", "winget"),
        ("rust", "rustup-init.exe"),
        ("rust", "cargo"),
        ("rust", "git"),
        ("steam", "SteamSetup.exe"),
        ("virtiofs", "sc"),
        ("virtiofs", "launchctl-x64"),
        ("guest-agent", "sc"),
        ("maintenance", "dism"),
        ("windows-update", "powershell"),
    ];
    for nu in Nu::all() {
        for (script, program) in failing {
            let guest = empty(&nu, &tree);
            let answers = guest.path("fakes/answers").join(program);
            let _ = fs::remove_dir_all(&answers);
            // It is asked for its version, and for what is there, before it is told to install.
            let fits = if program == "winget" {
                guest.answer("winget", "^list ", "", 20, &[]);
                guest.answer("winget", "^--version$", "v1.8.0", 0, &[]);
                "^install "
            } else {
                "."
            };
            guest.answer(
                program,
                fits,
                "first\r\n  the last words of it \r\n\r\n",
                9,
                &[],
            );
            let (status, report, said) = guest.run(script, &[]);
            assert_eq!(status, Some(1), "{script}, {program}: {report:#}\n{said}");
            let told = format!("{program} ended with 9: first | the last words of it");
            assert!(
                report.to_string().contains(&told),
                "{script}, {program}: {report:#}\n{said}"
            );
            // One that is not there at all.
            fs::remove_file(guest.path("bin").join(program)).unwrap();
            let (status, report, said) = guest.run(script, &[]);
            assert_eq!(
                status,
                Some(1),
                "{script} without {program}: {report:#}\n{said}"
            );
            let missed = report.to_string();
            assert!(
                missed.contains("is not there") || missed.contains("cannot be"),
                "{script} without {program}: {report:#}"
            );
        }
    }
}

/// Runs one of the guest's own suites, as a person would.
fn suite(nu: &Nu, guest: &Path, name: &str) {
    let file = guest.join("tests").join(name);
    let output = nu.run(&[file.to_str().unwrap()]);
    let said = text(&output.stdout);
    assert!(
        output.status.success(),
        "Nushell {}: {}: {said}{}",
        nu.version,
        file.display(),
        text(&output.stderr)
    );
    let last = said.lines().last().unwrap();
    assert!(last.contains(" passed, 0 failed, 0 left out"), "{last}");
    assert!(!last.contains(": 0 passed"), "{last}");
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn the_short_suites_of_every_guest_are_green() {
    for nu in Nu::all() {
        for tree in Tree::all() {
            for guest in &tree.guests {
                suite(&nu, &tree.guest(guest), "unit-tests.nu");
            }
        }
        let tree = Tree::hostile();
        suite(&nu, &tree.guest("bare"), "integration-tests.nu");
        suite(&nu, &tree.guest("hostile"), "performance-tests.nu");
    }
}

// The longest of all, so that they run beside each other.

#[test]
#[ignore = "needs nu; run by tests/run"]
fn every_script_holds_its_tests_with_the_oldest_nushell() {
    let [oldest, _] = Nu::all();
    for name in ["integration-tests.nu", "machine-tests.nu"] {
        suite(&oldest, &Tree::hostile().guest("hostile"), name);
    }
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn every_script_holds_its_tests_with_the_newest_nushell() {
    let [_, newest] = Nu::all();
    for name in ["integration-tests.nu", "machine-tests.nu"] {
        suite(&newest, &Tree::hostile().guest("hostile"), name);
    }
}

#[test]
#[ignore = "needs nu; run by tests/run"]
fn a_suite_with_a_test_that_fails_is_red() {
    let tree = Tree::hostile();
    let guest = tree.guest("bare");
    let module = guest.join("moxc.nu");
    let broken = fs::read_to_string(&module)
        .unwrap()
        .replace("{ 1 } else if", "{ 0 } else if");
    fs::write(&module, broken).unwrap();
    for nu in Nu::all() {
        let output = nu.run(&[guest.join("tests/unit-tests.nu").to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stdout);
        assert!(
            said.contains("\nFAILED    the status is 1 where something failed"),
            "{said}"
        );
        assert!(said.lines().last().unwrap().contains(" 1 failed"), "{said}");
    }
}
