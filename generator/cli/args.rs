use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::diagnostics::render::Format;
use crate::graph::View;
use crate::plan::Cost;
use crate::targets::Target;

/// A compiler for homelabs: one TOML file in, a Proxmox host's whole configuration out
#[derive(Debug, Parser)]
#[command(name = "moxc", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit status: 0 all is well; 1 errors in a spec, or a folder that is not what it should be; \
                  2 wrong usage, or the system refuses."
)]
pub struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) shared: Shared,
}

/// What every command takes.
#[derive(Debug, Clone, Copy, ClapArgs)]
#[command(next_help_heading = "Output")]
pub(super) struct Shared {
    /// How errors and warnings are shown
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "human",
        value_name = "FORMAT"
    )]
    pub(super) message_format: MessageFormat,
    /// When colours are used
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub(super) color: Color,
    /// Say nothing but errors and warnings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Say more: each host's guests, each file that is written
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MessageFormat {
    /// With the lines of the spec
    Human,
    /// One JSON object a line
    Json,
    /// One SARIF 2.1.0 document
    Sarif,
    /// One line each, with its place
    Short,
}

impl From<MessageFormat> for Format {
    fn from(format: MessageFormat) -> Self {
        match format {
            MessageFormat::Human => Self::Human,
            MessageFormat::Json => Self::Json,
            MessageFormat::Sarif => Self::Sarif,
            MessageFormat::Short => Self::Short,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a starter spec with every choice explained
    Init(Init),
    /// Find every error and warning of specs; write nothing
    Check(Check),
    /// Compile specs to the files of their hosts
    Build(Build),
    /// Copy what moxc reads of a running host into one tar
    Collect(Collect),
    /// Write the spec of a running host, with the proof that it changes nothing there
    Adopt(Adopt),
    /// Write the tables of a running host's hardware, or what has changed of it since its spec was written
    Hardware(Hardware),
    /// Show what differs between a spec and a running host, and what it costs to change it
    Plan(Plan),
    /// Bring a running host to what its spec says: plan, question, run, look; what fails goes back
    Apply(Apply),
    /// Take back what a run did to a host
    Undo(Undo),
    /// Explain the code of an error or a warning
    Explain(Explain),
    /// Draw a host: its network, its storage, what updates and backs up, its hardware, who needs whom
    Graph(Graph),
    /// Check any Nix file: syntax, names, and options of NixOS
    LintNix(LintNix),
    /// Print the JSON Schema of a spec, for editors
    Schema(Schema),
    /// Print the completions of a shell
    Completions(Completions),
    /// Print the manual page
    Man(Man),
}

#[derive(Debug, ClapArgs)]
pub(super) struct Init {
    /// The folder to write `homelab.toml` to; it is made where it is missing
    #[arg(default_value = ".", value_name = "DIR")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Graph {
    /// Specs of hosts, or a `fleet.toml`; `-` is standard input
    #[arg(value_name = "SPEC", required_unless_present = "live")]
    pub(super) specs: Vec<PathBuf>,
    /// Take every warning for an error
    #[arg(long)]
    pub(super) deny_warnings: bool,
    /// Draw a host that runs, as `moxc plan` reads it; with a spec, what would come, go and change there
    #[arg(long, value_name = "LIVE")]
    pub(super) live: Option<String>,
    /// What the picture is about
    #[arg(long, value_enum, default_value = "network", value_name = "VIEW")]
    pub(super) view: GraphView,
    /// How it is drawn
    #[arg(long, value_enum, default_value = "mermaid", value_name = "FORMAT")]
    pub(super) format: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphView {
    /// From the Internet by cards and bridges to the guests
    Network,
    /// Pools, datasets and stores, and who lies in them
    Storage,
    /// What is updated, backed up and brought back, and how
    Flow,
    /// What is in the machine, and which guest has it
    Hardware,
    /// Who needs whom, and what runs when
    Dependencies,
}

impl From<GraphView> for View {
    fn from(view: GraphView) -> Self {
        match view {
            GraphView::Network => Self::Network,
            GraphView::Storage => Self::Storage,
            GraphView::Flow => Self::Flow,
            GraphView::Hardware => Self::Hardware,
            GraphView::Dependencies => Self::Dependencies,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphFormat {
    /// A flowchart, as GitHub shows it
    Mermaid,
    /// A drawing for light and dark
    Svg,
    /// A page of its own around the drawing
    Html,
    /// Nodes and edges, for programs
    Json,
    /// For Graphviz
    Dot,
}

/// The specs that a command is about.
#[derive(Debug, ClapArgs)]
pub(super) struct Specs {
    /// Specs of hosts, or a `fleet.toml`; `-` is standard input
    #[arg(required = true, value_name = "SPEC")]
    pub(super) specs: Vec<PathBuf>,
    /// Take every warning for an error
    #[arg(long)]
    pub(super) deny_warnings: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) specs: Specs,
    /// Mend in the specs what can be mended with certainty
    #[arg(long)]
    pub(super) fix: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Build {
    #[command(flatten)]
    pub(super) specs: Specs,
    /// The folder that gets a folder for each host
    #[arg(short, long, default_value = "generated", value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Write nothing; show what differs, and exit with 1 where something does
    #[arg(long)]
    pub(super) check: bool,
    /// Build this host of the specs alone, as after a change of one of a fleet: it is held against the others, and they stay as
    /// they are; may be given again
    #[arg(long, value_name = "NAME")]
    pub(super) host: Vec<String>,
    /// Build this part alone; may be given again
    #[arg(long, value_name = "TARGET", value_parser = target_parser())]
    pub(super) only: Vec<Target>,
    /// Take the templates in DIR in place of the built-in ones of the same names
    #[arg(long, value_name = "DIR")]
    pub(super) templates: Option<PathBuf>,
    /// Overwrite files that were edited by hand, or that moxc did not write
    #[arg(long, conflicts_with = "check")]
    pub(super) force: bool,
}

fn target_parser() -> impl clap::builder::TypedValueParser<Value = Target> {
    use clap::builder::TypedValueParser as _;
    let words = Target::ALL.iter().map(|target| target.as_str());
    clap::builder::PossibleValuesParser::new(words).map(|word| {
        *Target::ALL
            .iter()
            .find(|target| target.as_str() == word)
            .expect("the parser takes these words alone")
    })
}

/// Without a host it prints the collector, a POSIX shell script that only reads: run it on the host, as
/// `ssh root@HOST sh -s <collect.sh >host.tar`. Secrets are blanked on the host.
#[derive(Debug, ClapArgs)]
pub(super) struct Collect {
    /// The host, by the system's own `ssh`: `ssh://root@HOST`, with `:PORT` where it is not 22
    #[arg(value_name = "HOST")]
    pub(super) host: Option<String>,
    /// Write the copy, or the collector, to this file; standard output where left out
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Say what would be read, and read nothing
    #[arg(long)]
    pub(super) list: bool,
}

/// Exit status: 0 the spec says the host as it is; 1 something of the host stands as a comment; 2 wrong usage, or the copy
/// cannot be read.
#[derive(Debug, ClapArgs)]
pub(super) struct Adopt {
    /// The host as it is: a folder laid out as `/`, a tar of one, the text of `pvereport`, or `ssh://root@HOST`
    #[arg(value_name = "LIVE")]
    pub(super) live: String,
    /// Write the spec to this file; to a folder, a spec of each node of the cluster and their `fleet.toml`; standard output
    /// where left out
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(super) output: Option<PathBuf>,
    /// Leave out what equals a default
    #[arg(long)]
    pub(super) minimal: bool,
    /// Overwrite the file
    #[arg(long)]
    pub(super) force: bool,
}

/// Exit status: 0 nothing has changed; 3 something has; 1 errors in the spec; 2 wrong usage, or the copy cannot be read.
#[derive(Debug, ClapArgs)]
pub(super) struct Hardware {
    /// The host as it is: a folder laid out as `/`, a tar of one, the text of `pvereport`, or `ssh://root@HOST`
    #[arg(value_name = "LIVE")]
    pub(super) live: String,
    /// Its spec: say what has changed since, instead of the tables
    #[arg(value_name = "SPEC")]
    pub(super) spec: Option<PathBuf>,
}

/// Exit status: 0 nothing differs; 3 something differs; 4 something differs that `--fail-on` names; 1 errors in the
/// spec; 2 wrong usage, or the copy cannot be read.
#[derive(Debug, ClapArgs)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) specs: Specs,
    /// The host as it is: a folder laid out as `/`, a tar of one, the text of `pvereport`, or `ssh://root@HOST`
    #[arg(long, value_name = "LIVE")]
    pub(super) live: String,
    /// End with 4 where a change costs one of these
    #[arg(long, value_name = "COST", value_delimiter = ',', value_parser = cost_parser())]
    pub(super) fail_on: Vec<Cost>,
    /// Print Markdown, for a pull request
    #[arg(long)]
    pub(super) markdown: bool,
    /// Write the script that `apply` would send to this file
    #[arg(long, value_name = "FILE")]
    pub(super) script: Option<PathBuf>,
    #[command(flatten)]
    pub(super) choice: Choice,
}

/// What of a plan is applied.
#[derive(Debug, ClapArgs)]
pub(super) struct Choice {
    /// Take over these guests, which something else made
    #[arg(long, value_name = "VMID", value_delimiter = ',')]
    pub(super) adopt: Vec<u32>,
    /// These steps alone: `files`, `guests`, `network`, …, or objects such as `vm/100`
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Without these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub(super) skip: Vec<String>,
    /// Restart these guests for what waits for a restart; by name or number
    #[arg(long, value_name = "GUEST", value_delimiter = ',')]
    pub(super) restart: Vec<String>,
}

/// Exit status: 0 done, or nothing differs; 1 errors in the spec, or failed and gone back; 2 wrong usage, or the host
/// cannot be read; 3 refused.
#[derive(Debug, ClapArgs)]
pub(super) struct Apply {
    #[command(flatten)]
    pub(super) specs: Specs,
    /// The host: `ssh://root@HOST`, by the system's own `ssh`
    #[arg(long, value_name = "HOST")]
    pub(super) live: String,
    /// Ask nothing
    #[arg(long)]
    pub(super) yes: bool,
    /// Say what would be done, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) choice: Choice,
    /// The name that has to be typed before something is detached or goes; may be given again
    #[arg(long, value_name = "NAME")]
    pub(super) confirm: Vec<String>,
    /// Fetch missing container templates by `pveam`
    #[arg(long)]
    pub(super) download: bool,
    /// What `nix build .#GUEST-image` has built for a NixOS guest that is made: the file, or the folder `result`; may be
    /// given again
    #[arg(long, value_name = "GUEST=PATH")]
    pub(super) image: Vec<ImageOf>,
}

/// The image of a guest: `web=result`.
#[derive(Debug, Clone)]
pub(super) struct ImageOf {
    pub(super) guest: String,
    pub(super) file: PathBuf,
}

impl std::str::FromStr for ImageOf {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((guest, file)) if !guest.is_empty() && !file.is_empty() => Ok(Self {
                guest: guest.to_owned(),
                file: file.into(),
            }),
            Some(_) | None => Err("write the guest's name, `=`, and what its flake has built"),
        }
    }
}

/// Exit status: 0 taken back; 1 failed; 2 wrong usage; 3 refused.
#[derive(Debug, ClapArgs)]
pub(super) struct Undo {
    /// The host: `ssh://root@HOST`
    #[arg(value_name = "HOST")]
    pub(super) host: String,
    /// The run, as `--list` names it; the last one where left out
    #[arg(value_name = "RUN")]
    pub(super) run: Option<String>,
    /// Ask nothing
    #[arg(long)]
    pub(super) yes: bool,
    /// Say what would be taken back and what stays, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
    /// List the runs
    #[arg(long, conflicts_with_all = ["run", "yes", "dry_run"])]
    pub(super) list: bool,
}

fn cost_parser() -> impl clap::builder::TypedValueParser<Value = Cost> {
    use clap::builder::TypedValueParser as _;
    let words = Cost::ALL.iter().map(|cost| cost.as_str());
    clap::builder::PossibleValuesParser::new(words).map(|word| {
        *Cost::ALL
            .iter()
            .find(|cost| cost.as_str() == word)
            .expect("the parser takes these words alone")
    })
}

#[derive(Debug, ClapArgs)]
pub(super) struct LintNix {
    /// Files of Nix, or folders that hold some; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Tell `let` bindings and arguments that nothing uses, too
    #[arg(long)]
    pub(super) unused: bool,
    /// The NixOS release to hold options against; the newest known where left out
    #[arg(long, value_name = "YY.MM")]
    pub(super) release: Option<String>,
    /// Options that other modules declare, with all below them; may be given again
    #[arg(long, value_name = "OPTION")]
    pub(super) allow: Vec<String>,
    /// Take every warning for an error
    #[arg(long)]
    pub(super) deny_warnings: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Explain {
    /// As it stands in brackets behind `error` or `warning`
    #[arg(required_unless_present = "list", value_name = "CODE")]
    pub(super) code: Option<String>,
    /// List every code
    #[arg(long, conflicts_with = "code")]
    pub(super) list: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Schema {
    /// That of a `fleet.toml` instead
    #[arg(long)]
    pub(super) fleet: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Man {
    /// Write the pages of all commands to this folder
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
}
