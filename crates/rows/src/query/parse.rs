//! The query string.

use super::pairs::{check_repeated, pairs};
use super::values::{Named, list_of, names_of};
use super::{ColumnId, Condition, Filter, Group, MAX_CONDITIONS, QueryError, Relation};

/// A query of a table's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Columns to return; all of them if there is none.
    pub select: Vec<Selected>,
    /// Conditions, of which all must hold.
    pub filters: Vec<Condition>,
    /// The order; that of the key if there is none.
    pub order: Vec<Order>,
    /// Rows to return at most.
    pub limit: Option<u64>,
    /// Rows to leave out at the beginning.
    pub offset: u64,
    /// The key after which the rows begin, in the order of the key.
    pub after: Option<Vec<String>>,
    /// Columns that say which row is there already.
    pub on_conflict: Vec<ColumnId>,
    /// Columns that a body's rows set.
    pub columns: Option<Vec<ColumnId>>,
    /// `_consistency`, as it was given.
    pub consistency: Option<String>,
}

/// A column to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The column.
    pub column: ColumnId,
    /// It is returned as text, so that no client rounds a number.
    pub as_text: bool,
}

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub column: ColumnId,
    /// From the greatest to the least.
    pub descending: bool,
    /// Nulls come first; if not given, they are greater than every value.
    pub nulls_first: Option<bool>,
}

/// Parameters of which a query has one; the others are filters.
const PARAMETERS: [&str; 8] =
    ["select", "order", "limit", "offset", "_after", "on_conflict", "columns", "_consistency"];

impl Query {
    /// Reads a query string, percent-encoded as forms are.
    ///
    /// # Errors
    /// If a parameter is none of the dialect, or names a column that is not there.
    pub fn parse(relation: &Relation, text: &str) -> Result<Query, QueryError> {
        let (mut query, mut left) = (Query::default(), MAX_CONDITIONS);
        let pairs = pairs(text)?;
        check_repeated(&pairs, &PARAMETERS)?;
        for (name, value) in pairs {
            let value = value.as_str();
            match name.as_str() {
                "select" => query.select = select(relation, value)?,
                "order" => query.order = order(relation, value)?,
                "limit" => query.limit = Some(number("limit", value)?),
                "offset" => query.offset = number("offset", value)?,
                "_after" => query.after = Some(after(relation, value)?),
                "on_conflict" => query.on_conflict = columns(relation, value)?,
                "columns" => query.columns = Some(columns(relation, value)?),
                "_consistency" => query.consistency = Some(value.to_owned()),
                name => query.filters.push(match Group::parse(relation, name, value, &mut left)? {
                    Some(group) => Condition::Group(group),
                    None => Condition::Filter(Filter::parse(relation, name, value)?),
                }),
            }
        }
        if query.after.is_some() && (query.key_order(relation).is_none() || query.offset > 0) {
            return Err(QueryError::syntax("_after pages in the order of the key alone, and without an offset"));
        }
        Ok(query)
    }

    /// `Some(descending)` if the rows come in the order of the key.
    #[must_use]
    pub fn key_order(&self, relation: &Relation) -> Option<bool> {
        let Some(first) = self.order.first() else { return Some(false) };
        let key = relation.key_columns();
        // A key has no nulls.
        let is_key = self.order.iter().map(|order| order.column).eq(key);
        let is_one_way = self.order.iter().all(|order| order.descending == first.descending);
        (is_key && is_one_way).then_some(first.descending)
    }
}

fn number(name: &str, text: &str) -> Result<u64, QueryError> {
    // `parse` takes a sign; PostgreSQL counts in 63 bits.
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| plain && i64::try_from(*number).is_ok());
    number.ok_or_else(|| QueryError::syntax(format!("{name}={text}: it must be a whole number, 0 or more")))
}

fn after(relation: &Relation, text: &str) -> Result<Vec<String>, QueryError> {
    let values = if relation.key.len() == 1 { vec![text.to_owned()] } else { list_of(text)? };
    if values.len() != relation.key.len() {
        let message = format!("_after has {} values, and the key {} columns", values.len(), relation.key.len());
        return Err(QueryError::syntax(message));
    }
    Ok(values)
}

fn columns(relation: &Relation, text: &str) -> Result<Vec<ColumnId>, QueryError> {
    let mut found = Vec::new();
    for name in list_of(text)? {
        let column = relation.find(name.trim())?;
        if !found.contains(&column) {
            found.push(column);
        }
    }
    Ok(found)
}

fn select(relation: &Relation, text: &str) -> Result<Vec<Selected>, QueryError> {
    let mut selected: Vec<Selected> = Vec::new();
    let mut add = |column, as_text| match selected.iter().find(|known| known.column == column) {
        None => {
            selected.push(Selected { column, as_text });
            Ok(())
        }
        Some(known) if known.as_text == as_text => Ok(()),
        Some(_) => Err(QueryError::syntax("select: a column is selected as itself and as text")),
    };
    if text.is_empty() {
        return Ok(selected);
    }
    for Named { name: part, suffix } in names_of(text)? {
        if part == "*" && suffix.is_none() {
            for at in 0..relation.columns.len() {
                add(ColumnId(at), false)?;
            }
            continue;
        }
        let part = part.as_str();
        // A column's own name comes first: it may look like a cast.
        let (name, as_text) = match (part.strip_suffix("::text"), suffix) {
            (_, Some("::text")) => (part, true),
            (Some(name), None) if relation.column(part).is_none() => (name, true),
            (_, None | Some("")) => (part, false),
            (_, Some(suffix)) => return Err(follows("select", part, suffix)),
        };
        let Some(column) = relation.column(name) else {
            if let Some((before, _)) = name.split_once('(') {
                return Err(QueryError::no_embedding(before));
            }
            if name.contains([')', ':', '>']) {
                let message = format!("select={part} is not supported");
                return Err(QueryError::syntax(message).with_hint("columns, *, and COLUMN::text can be selected"));
            }
            return Err(QueryError::no_column(&relation.name, name));
        };
        add(column, as_text)?;
    }
    Ok(selected)
}

fn order(relation: &Relation, text: &str) -> Result<Vec<Order>, QueryError> {
    let mut all: Vec<Order> = Vec::new();
    if text.is_empty() {
        return Ok(all);
    }
    for Named { name, suffix } in names_of(text)? {
        let order = match (relation.column(&name), suffix) {
            // A column's own name may end like a direction.
            (Some(column), None | Some("")) => Order { column, descending: false, nulls_first: None },
            (_, None) => {
                let (name, descending, nulls_first) = direction(&name);
                let column = relation.column(name).ok_or_else(|| match name.split_once('(') {
                    Some((before, _)) => QueryError::no_embedding(before),
                    None => QueryError::no_column(&relation.name, name),
                })?;
                Order { column, descending, nulls_first }
            }
            (_, Some(suffix)) => {
                let column = relation.find(&name)?;
                let (rest, descending, nulls_first) = direction(suffix);
                if !rest.is_empty() {
                    return Err(follows("order", &name, suffix));
                }
                Order { column, descending, nulls_first }
            }
        };
        if all.iter().all(|known| known.column != order.column) {
            all.push(order);
        }
    }
    Ok(all)
}

/// Splits a direction and a place of the nulls off the end.
fn direction(text: &str) -> (&str, bool, Option<bool>) {
    let mut rest = text;
    let mut nulls_first = None;
    for (word, first) in [(".nullsfirst", true), (".nullslast", false)] {
        if let Some(before) = rest.strip_suffix(word) {
            (rest, nulls_first) = (before, Some(first));
            break;
        }
    }
    match (rest.strip_suffix(".desc"), rest.strip_suffix(".asc")) {
        (Some(name), _) => (name, true, nulls_first),
        (None, Some(name)) => (name, false, nulls_first),
        (None, None) => (rest, false, nulls_first),
    }
}

fn follows(parameter: &str, name: &str, suffix: &str) -> QueryError {
    QueryError::syntax(format!("{parameter}: after the column {name} in quotes follows {suffix}"))
}
