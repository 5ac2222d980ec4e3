//! Names → references.

use std::collections::HashMap;

use crate::diagnostics::Sink;
use crate::model::{Arena, Id};
use crate::near::Near;
use crate::source::Spanned;
use crate::spec::reader::{Named, Reference, unknown_reference};

/// The names of one kind of thing.
pub(super) struct Names<'a, T> {
    what: &'static str,
    ids: HashMap<&'a str, Option<Id<T>>>,
    order: Near<'a>,
}

impl<'a, T> Names<'a, T> {
    /// No names yet.
    pub(super) fn empty(what: &'static str) -> Self {
        Self {
            what,
            ids: HashMap::new(),
            order: Near::default(),
        }
    }

    /// The names of a table's rows. Rows that are tables get references in their order.
    pub(super) fn of<K, B>(what: &'static str, table: Option<&'a Spanned<Named<K, B>>>) -> Self {
        let mut names = Self::empty(what);
        let mut next = 0;
        for row in table.iter().flat_map(|table| &table.rows) {
            let id = row.body().is_some().then(|| Arena::id_at(next));
            next += usize::from(id.is_some());
            names.add(&row.key.value, id);
        }
        names
    }

    /// One more name. `None` is a thing that is there but was not understood: naming it is no fault.
    pub(super) fn add(&mut self, name: &'a str, id: Option<Id<T>>) {
        if self.ids.insert(name, id).is_none() {
            self.order.push(name);
        }
    }

    /// What a name stands for: `None` where there is no such name, `Some(None)` where it was not understood.
    #[allow(
        clippy::option_option,
        reason = "both absences are ordinary: a missing name is reported, a misunderstood one has been"
    )]
    pub(super) fn get(&self, name: &str) -> Option<Option<Id<T>>> {
        self.ids.get(name).copied()
    }

    /// Every name.
    pub(super) fn names(&self) -> &Near<'a> {
        &self.order
    }

    /// What a reference stands for; reports a name that nothing has.
    pub(super) fn find(
        &self,
        reference: &Spanned<Reference>,
        sink: &mut Sink,
    ) -> Option<Spanned<Id<T>>> {
        if let Some(id) = self.get(&reference.value.0) {
            id.map(|id| Spanned::new(id, reference.span))
        } else {
            sink.push(unknown_reference(
                reference.span,
                self.what,
                &reference.value.0,
                &[&self.order],
            ));
            None
        }
    }

    /// What several references stand for.
    pub(super) fn find_all<'r>(
        &self,
        references: impl IntoIterator<Item = &'r Spanned<Reference>>,
        sink: &mut Sink,
    ) -> Vec<Spanned<Id<T>>> {
        references
            .into_iter()
            .filter_map(|reference| self.find(reference, sink))
            .collect()
    }
}
