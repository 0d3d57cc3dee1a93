use std::ops::{Index, IndexMut};

/// A table whose rows keep their place until they are removed. Places are used again.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    rows: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots { rows: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, row: T) -> usize {
        if let Some(place) = self.free.pop() {
            self.rows[place] = Some(row);
            return place;
        }
        self.rows.push(Some(row));
        self.rows.len() - 1
    }

    pub(crate) fn remove(&mut self, place: usize) -> T {
        self.free.push(place);
        let row = self.rows[place].take().expect("the row is there");
        if self.free.len() == self.rows.len() {
            *self = Slots::new();
        }
        row
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.rows.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.rows.get_mut(place)?.as_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.rows.iter().enumerate().filter_map(|(place, row)| Some((place, row.as_ref()?)))
    }
}

impl<T> Index<usize> for Slots<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        self.rows[place].as_ref().expect("the row is there")
    }
}

impl<T> IndexMut<usize> for Slots<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        self.rows[place].as_mut().expect("the row is there")
    }
}
