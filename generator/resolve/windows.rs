//! Accounts and domain of a Windows guest.

use crate::model::{Setting, WindowsAccount, WindowsDomain};
use crate::spec::guest::{WindowsAccountSpec, WindowsDomainSpec};
use crate::spec::reader::Named;
use crate::value::WindowsUser;

/// The further accounts.
pub(super) fn accounts(table: &Named<WindowsUser, WindowsAccountSpec>) -> Vec<WindowsAccount> {
    let rows = table.rows.iter();
    rows.filter_map(|row| {
        let body = row.body()?;
        Some(WindowsAccount {
            name: row.key.clone(),
            full_name: body.full_name.clone(),
            administrator: Setting::or_default(body.administrator, false, row.span),
            password_secret: Setting::or_missing(
                body.password_secret.clone(),
                "missing".parse().expect("a name of a secret"),
                row.span,
            ),
        })
    })
    .collect()
}

/// The domain.
pub(super) fn domain(spec: &WindowsDomainSpec) -> WindowsDomain {
    WindowsDomain {
        span: spec.span,
        name: Setting::or_missing(
            spec.name.clone(),
            "missing.example".parse().expect("a name of a domain"),
            spec.span,
        ),
        login_secret: Setting::or_missing(
            spec.login_secret.clone(),
            "missing".parse().expect("a name of a secret"),
            spec.span,
        ),
        ou: spec.ou.clone(),
    }
}
