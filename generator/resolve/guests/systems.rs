//! What runs in a guest: NixOS and Windows.

use crate::diagnostics::{Code, Diagnostic};
use crate::model::guest::RustProject;
use crate::model::{NixosGuest, NixosScript, NixosUser, RustSetup, Setting, Steam, WindowsGuest};
use crate::resolve::{list, windows};
use crate::source::{Span, Spanned};
use crate::spec::guest::{NixosSpec, RustSpec, SteamSpec, VmSpec, WindowsSpec};
use crate::value::Node;

use super::Resolver;

impl Resolver<'_> {
    pub(super) fn nixos(
        &mut self,
        spec: Option<&Spanned<NixosSpec>>,
        is_nixos: bool,
        os: Option<Span>,
        name: &Spanned<String>,
        span: Span,
    ) -> Option<NixosGuest> {
        if let (Some(spec), false, Some(os)) = (spec, is_nixos, os) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    spec.value.span,
                    format!("`{}` is not a NixOS guest", name.value),
                )
                .also(os, "its system")
                .help("set `os = \"nixos\"`, or remove the table"),
            );
            return None;
        }
        if !is_nixos {
            return None;
        }
        let body = spec.map(|spec| &spec.value);
        let span = body.map_or(span, |body| body.span);
        let users = body
            .and_then(|b| b.users.as_ref())
            .into_iter()
            .flat_map(|users| &users.rows)
            .filter_map(|row| {
                let user = row.body()?;
                Some(NixosUser {
                    name: row.key.clone(),
                    description: user.description.clone(),
                    groups: list(user.groups.as_ref()),
                    ssh_keys: list(user.ssh_keys.as_ref()),
                    admin: Setting::or_default(user.admin, false, user.span),
                })
            });
        let scripts = body
            .and_then(|b| b.scripts.as_ref())
            .into_iter()
            .flat_map(|scripts| &scripts.rows)
            .filter_map(|row| {
                let script = row.body()?;
                Some(NixosScript {
                    name: row.key.clone(),
                    source: script.source.clone(),
                    packages: list(script.packages.as_ref()),
                    operators: list(script.operators.as_ref()),
                    on: script.on.clone(),
                    timeout: script.timeout.clone(),
                    arguments: list(script.arguments.as_ref()),
                    session: Setting::or_default(script.session, false, script.span),
                    writable: list(script.writable.as_ref()),
                })
            });
        let scripts: Vec<NixosScript> = scripts.collect();
        for script in &scripts {
            self.script(script);
        }
        Some(NixosGuest {
            span,
            state_version: body.and_then(|b| b.state_version.clone()),
            immutable: Setting::or_default(body.and_then(|b| b.immutable), false, span),
            modules: list(body.and_then(|b| b.modules.as_ref())),
            packages: list(body.and_then(|b| b.packages.as_ref())),
            ports: list(body.and_then(|b| b.ports.as_ref())),
            services: list(body.and_then(|b| b.services.as_ref())),
            user_services: list(body.and_then(|b| b.user_services.as_ref())),
            users: users.collect(),
            scripts,
            settings: settings(body),
        })
    }

    /// What a script says about runs that it never has, or that are not of the kind.
    fn script(&mut self, script: &NixosScript) {
        let name = &script.name;
        let session = script.session.span;
        let of_a_run = [
            (
                "timeout",
                script.timeout.as_ref().map(|timeout| timeout.span),
            ),
            ("arguments", script.arguments.first().map(|one| one.span)),
            ("writable", script.writable.first().map(|one| one.span)),
            ("session", script.session.then_some(session)),
        ];
        if script.on.is_none() {
            for (key, span) in of_a_run {
                if let Some(span) = span {
                    self.sink.push(
                        Diagnostic::new(
                            Code::MOX0016,
                            span,
                            format!("`{key}` is about runs that `{}` never has", name.value),
                        )
                        .also(name.span, "runs by itself only with `on`")
                        .help(format!(
                            "say when it runs, as `on = \"daily\"`, or remove `{key}`"
                        )),
                    );
                }
            }
        } else if let Some(writable) = script.writable.first().filter(|_| *script.session) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    writable.span,
                    "`writable` is about a service of the guest",
                )
                .also(session, "it runs in users' sessions")
                .help("remove one of the two: in a session a script may write what its user may"),
            );
        }
    }

    pub(super) fn windows(
        &mut self,
        body: &VmSpec,
        is_windows: bool,
        os: Option<Span>,
    ) -> Option<WindowsGuest> {
        let spec = body.windows.as_ref();
        if let (Some(spec), false, Some(os)) = (spec, is_windows, os) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    spec.value.span,
                    "this is not a Windows guest",
                )
                .also(os, "its system")
                .help("set `os = \"windows11\"`, or remove the table"),
            );
            return None;
        }
        if !is_windows {
            return None;
        }
        let spec: Option<&WindowsSpec> = spec.map(|spec| &spec.value);
        let span = spec.map_or(body.span, |s| s.span);
        let text = |text: &str| -> crate::value::Locale { text.parse().expect("a locale") };
        Some(WindowsGuest {
            span,
            locale: Setting::or_default(spec.and_then(|s| s.locale.clone()), text("en-US"), span),
            user: Setting::or_default(
                spec.and_then(|s| s.user.clone()),
                "user".parse().expect("an account"),
                span,
            ),
            keyboard: spec.and_then(|s| s.keyboard.clone()),
            computer_name: spec.and_then(|s| s.computer_name.clone()),
            edition: spec.and_then(|s| s.edition.clone()),
            image_index: spec
                .and_then(|s| s.image_index)
                .map(|n| n.map(crate::spec::reader::Int::get)),
            display_language: spec.and_then(|s| s.display_language.clone()),
            product_key_secret: spec.and_then(|s| s.product_key_secret.clone()),
            password_secret: spec.and_then(|s| s.password_secret.clone()),
            timezone: Setting::or_default(
                spec.and_then(|s| s.timezone.clone()),
                self.host.timezone.value.clone(),
                span,
            ),
            optional_updates: Setting::or_default(
                spec.and_then(|s| s.optional_updates),
                false,
                span,
            ),
            remote_access: spec
                .and_then(|s| s.remote_access)
                .map(|access| access.map(|word| word.0)),
            device_encryption: Setting::or_default(
                spec.and_then(|s| s.device_encryption),
                false,
                span,
            ),
            bypass: spec
                .and_then(|s| s.bypass.as_ref())
                .map(|checks| {
                    checks
                        .value
                        .iter()
                        .map(|check| Spanned::new(check.value.0, check.span))
                        .collect()
                })
                .unwrap_or_default(),
            users: spec
                .and_then(|s| s.users.as_ref())
                .map(|table| windows::accounts(table))
                .unwrap_or_default(),
            domain: spec
                .and_then(|s| s.domain.as_ref())
                .map(|domain| windows::domain(&domain.value)),
            winget: list(spec.and_then(|s| s.winget.as_ref())),
            steam: spec.and_then(|s| s.steam.as_ref()).map(|s| steam(&s.value)),
            rust: spec.and_then(|s| s.rust.as_ref()).map(|r| rust(&r.value)),
        })
    }
}

pub(super) fn settings(spec: Option<&NixosSpec>) -> Vec<(Spanned<String>, Node)> {
    spec.and_then(|s| s.settings.as_ref())
        .map(|raw| raw.value.0.clone())
        .unwrap_or_default()
}

fn steam(spec: &SteamSpec) -> Steam {
    let games = spec.games.iter().flat_map(|g| &g.value).filter_map(|game| {
        let id = game.value.app_id?;
        Some((
            id.map(crate::spec::reader::Int::get),
            game.value.name.clone(),
        ))
    });
    Steam {
        span: spec.span,
        install_dir: spec.install_dir.clone(),
        login_secret: spec.login_secret.clone(),
        libraries: list(spec.libraries.as_ref()),
        games: games.collect(),
    }
}

fn rust(spec: &RustSpec) -> RustSetup {
    let name = |written: Option<&Spanned<crate::value::Name>>, default: &str| {
        Setting::or_default(
            written.map(|w| Spanned::new(w.value.as_str().to_owned(), w.span)),
            default.to_owned(),
            spec.span,
        )
    };
    let environment = spec.environment.iter().flat_map(|table| &table.rows);
    RustSetup {
        span: spec.span,
        toolchain: name(spec.toolchain.as_ref(), "stable"),
        host: name(spec.host.as_ref(), "x86_64-pc-windows-msvc"),
        components: list(spec.components.as_ref()),
        targets: list(spec.targets.as_ref()),
        environment: environment
            .filter_map(|row| Some((row.key.clone(), Spanned::new(row.body()?.clone(), row.span))))
            .collect(),
        projects: spec
            .projects
            .iter()
            .flat_map(|p| &p.value)
            .map(|project| RustProject {
                name: Setting::or_missing(
                    project
                        .value
                        .name
                        .as_ref()
                        .map(|n| Spanned::new(n.value.as_str().to_owned(), n.span)),
                    "project".to_owned(),
                    project.span,
                ),
                path: Setting::or_missing(
                    project.value.path.clone(),
                    "C:\\project".parse().expect("a path"),
                    project.span,
                ),
                git: project.value.git.clone(),
            })
            .collect(),
    }
}
