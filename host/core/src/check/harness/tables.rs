//! Keys of TOML files: read as plain values, and put from one text into another without touching the rest of it.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike};

/// A text both to be read and to be edited; a file that is not there is an empty one.
pub(super) struct Text {
    pub plain: toml::Table,
    pub doc: DocumentMut,
}

impl Text {
    pub fn read(text: Option<&str>) -> Result<Text, String> {
        let text = text.unwrap_or_default();
        Ok(Text {
            plain: plain(text)?,
            doc: text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?,
        })
    }

    /// True when a key says the same in both.
    pub fn agrees(&self, other: &Text, path: &[&str]) -> bool {
        find(&self.plain, path) == find(&other.plain, path)
    }

    /// Gives a key what it has in another text, or takes it out.
    pub fn take(&mut self, from: &Text, path: &[&str]) -> Result<(), String> {
        set(self.doc.as_table_mut(), path, item(from.doc.as_table(), path).cloned())
    }
}

pub(super) fn plain(text: &str) -> Result<toml::Table, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

pub(super) fn find<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a toml::Value> {
    let (last, folders) = path.split_last()?;
    folders.iter().try_fold(table, |table, key| table.get(*key)?.as_table())?.get(*last)
}

fn item<'a>(table: &'a dyn TableLike, path: &[&str]) -> Option<&'a Item> {
    let (last, folders) = path.split_last()?;
    folders.iter().try_fold(table, |table, key| table.get(key)?.as_table_like())?.get(last)
}

fn set(table: &mut dyn TableLike, path: &[&str], to: Option<Item>) -> Result<(), String> {
    let Some((last, folders)) = path.split_last() else { return Ok(()) };
    let mut table = table;
    for key in folders {
        if table.get(key).is_none() {
            if to.is_none() {
                return Ok(());
            }
            let mut made = Table::new();
            made.set_implicit(true);
            table.insert(key, Item::Table(made));
        }
        let below = table.get_mut(key).and_then(Item::as_table_like_mut);
        table = below.ok_or_else(|| format!("`{key}` is no table"))?;
    }
    match to {
        Some(item) => drop(table.insert(last, unplaced(item))),
        None => drop(table.remove(last)),
    }
    Ok(())
}

/// An item without its place in the text it comes from, which would be any place in another.
fn unplaced(mut item: Item) -> Item {
    match &mut item {
        Item::Table(table) => unplace(table),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(unplace),
        Item::Value(_) | Item::None => {}
    }
    item
}

pub(super) fn unplace(table: &mut Table) {
    table.set_position(None);
    for (_, below) in table.iter_mut() {
        match below {
            Item::Table(table) => unplace(table),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(unplace),
            Item::Value(_) | Item::None => {}
        }
    }
}

/// The tables of `[[name]]`, however they are written; an empty list where there are none.
pub(super) fn tables<'a>(doc: &'a mut DocumentMut, name: &str) -> Result<&'a mut ArrayOfTables, String> {
    let item = doc.entry(name).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if item.is_value() {
        let written = std::mem::take(item);
        *item = written.into_array_of_tables().map(Item::ArrayOfTables).unwrap_or_else(|item| item);
    }
    item.as_array_of_tables_mut().ok_or_else(|| format!("`{name}` is no list of tables"))
}
