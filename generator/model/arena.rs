use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;

/// A reference to an item of an [`Arena`]; made by looking a name up.
pub struct Id<T>(u32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// The place of the item in its arena.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What an [`Arena`] holds: it has a name.
pub trait Item {
    /// The name, as written in the spec.
    fn name(&self) -> &str;
}

/// The items of one kind, in a fixed order, found by name.
#[derive(Debug, Clone)]
pub struct Arena<T> {
    items: Vec<T>,
    by_name: HashMap<String, u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            by_name: HashMap::new(),
        }
    }
}

impl<T: Item> Arena<T> {
    /// Takes in items; of two with one name the first is found.
    pub fn new(mut items: Vec<T>) -> Self {
        // A list made of a spec's rows keeps the room that those took, which is several times as much.
        items.shrink_to_fit();
        let mut by_name = HashMap::with_capacity(items.len());
        for (index, item) in (0u32..).zip(&items) {
            by_name.entry(item.name().to_owned()).or_insert(index);
        }
        Self { items, by_name }
    }

    /// The item of a name.
    pub fn find(&self, name: &str) -> Option<Id<T>> {
        self.by_name.get(name).map(|index| Id(*index, PhantomData))
    }
}

impl<T> Arena<T> {
    /// The reference to the item at `index` of an arena that will be built in the same order.
    pub fn id_at(index: usize) -> Id<T> {
        Id(
            u32::try_from(index).expect(
                "a spec has fewer than 2³² rows: its file would be larger than a source map takes",
            ),
            PhantomData,
        )
    }

    /// Items with their references, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Id<T>, &T)> + ExactSizeIterator + Clone {
        self.items
            .iter()
            .enumerate()
            .map(|(index, item)| (Self::id_at(index), item))
    }

    /// Items, in order.
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// How many items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T> Index<Id<T>> for Arena<T> {
    type Output = T;
    fn index(&self, id: Id<T>) -> &T {
        &self.items[id.index()]
    }
}
