//! Conditions joined by `or` and `and`: `or=(a.eq.1,and(b.gt.2,c.is.null),not.or(d.eq.3))`.

use super::filter::{Filter, Operator};
use super::values::unquoted;
use super::{QueryError, Relation};

/// Groups within groups.
pub const MAX_DEPTH: usize = 8;
/// Conditions in all groups of a query.
pub const MAX_CONDITIONS: usize = 100;

/// A condition on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// On one column.
    Filter(Filter),
    /// Several, at least one.
    Group(Group),
}

/// Conditions that are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The way that they are joined.
    pub join: Join,
    /// The whole is turned round.
    pub negated: bool,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// The ways to join conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// All must hold.
    And,
    /// One must hold.
    Or,
}

/// `or`, `and`, `not.or` or `not.and`, as a parameter's name or before a parenthesis.
fn head(text: &str) -> Option<(bool, Join)> {
    let (negated, word) = match text.strip_prefix("not.") {
        Some(word) => (true, word),
        None => (false, text),
    };
    match word {
        "and" => Some((negated, Join::And)),
        "or" => Some((negated, Join::Or)),
        _ => None,
    }
}

impl Group {
    /// Reads a parameter, if its name is one of a group. `left` is how many more conditions the query may have.
    pub(super) fn parse(
        relation: &Relation,
        name: &str,
        value: &str,
        left: &mut usize,
    ) -> Result<Option<Group>, QueryError> {
        let Some((negated, join)) = head(name) else { return Ok(None) };
        let mut reader = Reader { relation, name, whole: value, rest: value.trim(), left };
        let conditions = reader.group(1)?;
        if !reader.rest.is_empty() {
            return Err(reader.wrong("something follows the last parenthesis"));
        }
        Ok(Some(Group { join, negated, conditions }))
    }
}

struct Reader<'a> {
    relation: &'a Relation,
    name: &'a str,
    whole: &'a str,
    rest: &'a str,
    left: &'a mut usize,
}

impl Reader<'_> {
    fn wrong(&self, reason: &str) -> QueryError {
        let hint =
            "a group is or=(COLUMN.OPERATOR.VALUE,and(...),not.or(...)); a value with , or ) stands in double quotes";
        QueryError::syntax(format!("{}={}: {reason}", self.name, self.whole)).with_hint(hint)
    }

    fn take(&mut self, token: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// From its opening parenthesis to its closing one.
    fn group(&mut self, depth: usize) -> Result<Vec<Condition>, QueryError> {
        if depth > MAX_DEPTH {
            return Err(self.wrong(&format!("groups are nested more than {MAX_DEPTH} deep")));
        }
        if !self.take('(') {
            return Err(self.wrong("a group stands in parentheses"));
        }
        let mut conditions = Vec::new();
        loop {
            conditions.push(self.condition(depth)?);
            if self.take(')') {
                return Ok(conditions);
            }
            if !self.take(',') {
                return Err(self.wrong("a comma or a closing parenthesis is missing"));
            }
        }
    }

    fn condition(&mut self, depth: usize) -> Result<Condition, QueryError> {
        self.skip();
        let end = self.rest.find(['(', ',', ')', '"']).unwrap_or(self.rest.len());
        let word = self.rest[..end].trim_end();
        if self.rest[end..].starts_with('(')
            && let Some((negated, join)) = head(word)
        {
            self.rest = &self.rest[end..];
            let conditions = self.group(depth + 1)?;
            return Ok(Condition::Group(Group { join, negated, conditions }));
        }
        *self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| self.wrong(&format!("a query has more than {MAX_CONDITIONS} conditions in groups")))?;
        self.filter().map(Condition::Filter)
    }

    fn filter(&mut self) -> Result<Filter, QueryError> {
        let (name, rest) = match self.rest.strip_prefix('"') {
            Some(quoted) => {
                let (name, rest) = unquoted(quoted)?;
                let rest = rest.strip_prefix('.').ok_or_else(|| self.wrong("after a column a dot is expected"))?;
                (name, rest)
            }
            None => {
                let end = self.rest.find(['.', ',', ')', '(']).unwrap_or(self.rest.len());
                let name = self.rest[..end].trim();
                let rest = self.rest[end..].strip_prefix('.');
                let rest = rest.ok_or_else(|| self.wrong(&format!("{name:?} is no COLUMN.OPERATOR.VALUE")))?;
                (name.to_owned(), rest)
            }
        };
        let column = self.relation.find(&name)?;
        let (negated, rest) = match rest.strip_prefix("not.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let end = rest.find(['.', ',', ')']).unwrap_or(rest.len());
        let (word, rest) = (&rest[..end], rest[end..].strip_prefix('.'));
        self.rest = rest.ok_or_else(|| self.wrong(&format!("{name} has no operator with a value")))?;
        let operator = if word == "in" {
            Operator::In(self.list()?)
        } else {
            let value = self.value()?;
            Operator::parse(word, &value, &name)?
        };
        Ok(Filter { column, negated, operator })
    }

    /// A value: in double quotes, or up to the next comma or closing parenthesis.
    fn value(&mut self) -> Result<String, QueryError> {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (value, rest) = unquoted(quoted)?;
            self.rest = rest;
            return Ok(value);
        }
        let end = self.rest.find([',', ')']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(value.to_owned())
    }

    /// `(a,"b,c")`.
    fn list(&mut self) -> Result<Vec<String>, QueryError> {
        if !self.take('(') {
            return Err(self.wrong("a list is in.(a,b,c)"));
        }
        let mut values = Vec::new();
        if self.take(')') {
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            match self.rest.chars().next() {
                Some(',') => self.rest = &self.rest[1..],
                Some(')') => {
                    self.rest = &self.rest[1..];
                    return Ok(values);
                }
                Some(_) => return Err(self.wrong("after a closing quote of a list a comma is expected")),
                None => return Err(self.wrong("a list is not closed")),
            }
        }
    }
}
