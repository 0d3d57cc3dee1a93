//! Statements of many rows.

use super::{ColumnId, Condition, Filter, Join, Operator, Order, Payload, Query, QueryError, Relation, Selected};
use crate::quote::{assignment, identifier};
use std::fmt::Write;

/// SQL with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The SQL.
    pub sql: String,
    /// The values of `$1` and so on, each of the type text.
    pub parameters: Vec<String>,
    conditions: usize,
}

/// Part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows at most.
    pub limit: u64,
    /// Bytes of JSON after which no further row comes.
    pub bytes: usize,
    /// Rows that are left out before.
    pub offset: u64,
}

/// Marks the error of a write that would return more rows than allowed.
pub(crate) const TOO_MANY: &str = "rows; switchboard returns fewer";
/// Marks the error of a write of no row that has to be of one.
pub(crate) const NONE: &str = "rows; switchboard writes one";
/// Marks the error of a write that gives another value than the row's to a column that the database computes.
pub(crate) const COMPUTED: &str = "computed; switchboard keeps it";

impl Statement {
    /// Reads rows. Gives, for each, the JSON, the sum of the bytes up to here, and each value of the key.
    #[must_use]
    pub fn list(relation: &Relation, query: &Query, page: Page) -> Statement {
        let mut statement = Statement::default();
        let json = json(relation, &query.select);
        let key = relation.key_columns().into_iter().enumerate();
        let key = key.map(|(at, column)| format!(", {}::text AS k{at}", relation.of_row(column)));
        let key: String = key.collect();
        let _ = write!(statement.sql, "SELECT {json} AS j{key} FROM {} t", relation.quoted());
        statement.condition(relation, query);
        statement.after(relation, query);
        statement.order(relation, query);
        for (word, amount) in [("LIMIT", page.limit), ("OFFSET", page.offset)] {
            if word == "LIMIT" || amount > 0 {
                let parameter = statement.text(amount.to_string());
                let _ = write!(statement.sql, " {word} {parameter}::text::pg_catalog.int8");
            }
        }
        let bytes = statement.text(page.bytes.to_string());
        let keys: String = (0..relation.key.len()).map(|at| format!(", k{at}")).collect();
        // The first row comes whatever its size.
        statement.sql = format!(
            "SELECT j, s::text{keys} FROM (SELECT *, pg_catalog.sum(pg_catalog.octet_length(j)) \
             OVER (ROWS UNBOUNDED PRECEDING) AS s FROM ({}) q) w \
             WHERE s - pg_catalog.octet_length(j) < {bytes}::text::pg_catalog.int8",
            statement.sql
        );
        statement
    }

    /// Counts the rows that the filters leave.
    #[must_use]
    pub fn count(relation: &Relation, query: &Query) -> Statement {
        let mut statement = Statement::default();
        let _ = write!(statement.sql, "SELECT pg_catalog.count(*)::text FROM {} t", relation.quoted());
        statement.condition(relation, query);
        statement
    }

    /// Sets columns of the rows that the filters leave; without any to set, it locks the rows and gives them as they are.
    ///
    /// # Errors
    /// Without a filter.
    pub fn update(
        relation: &Relation,
        query: &Query,
        payload: &Payload,
        target: &Target,
        returned: Returned,
    ) -> Result<Statement, QueryError> {
        let mut statement = Statement::default();
        let table = relation.quoted();
        let body = statement.text(payload.json.clone());
        // The body is an array of one.
        let record = format!("pg_catalog.json_populate_record(NULL::{table}, ({body}::text::json) -> 0)");
        let set = payload.columns.iter().map(|column| match &relation.get(*column).name {
            name if payload.takes_default(*column) => format!("{} = DEFAULT", identifier(name)),
            name => assignment(name, "p"),
        });
        let set = set.collect::<Vec<_>>().join(", ");
        let sets = !payload.columns.is_empty();
        statement.sql = if sets {
            format!("UPDATE {table} t SET {set} FROM {record} p")
        } else {
            format!("SELECT {} AS k, {} AS j FROM {table} t, {record} p", key(relation), json(relation, &query.select))
        };
        let found = statement.target(relation, query, target, "PATCH")?;
        if !payload.computed.is_empty() {
            statement.and(&keeps(relation, &payload.computed, &found, &record));
        }
        if !sets {
            // The right to write is needed, and a condition holds of the row as it is, as in an `UPDATE`.
            statement.sql += " FOR NO KEY UPDATE OF t";
            return Ok(statement);
        }
        let sql = std::mem::take(&mut statement.sql);
        Ok(statement.returning(relation, &sql, &query.select, returned))
    }

    /// Deletes the rows that the filters leave.
    ///
    /// # Errors
    /// Without a filter.
    pub fn delete(
        relation: &Relation,
        query: &Query,
        target: &Target,
        returned: Returned,
    ) -> Result<Statement, QueryError> {
        let mut statement = Statement { sql: format!("DELETE FROM {} t", relation.quoted()), ..Statement::default() };
        statement.target(relation, query, target, "DELETE")?;
        let sql = std::mem::take(&mut statement.sql);
        Ok(statement.returning(relation, &sql, &query.select, returned))
    }

    /// The parameters, as the cache takes them.
    #[must_use]
    pub fn values(&self) -> Vec<Option<String>> {
        self.parameters.iter().cloned().map(Some).collect()
    }

    /// Adds a value, and returns its name.
    pub(super) fn text(&mut self, value: impl Into<String>) -> String {
        self.parameters.push(value.into());
        format!("${}", self.parameters.len())
    }

    /// Adds values as one array, in PostgreSQL's text form of it.
    fn list_of(&mut self, values: &[String]) -> String {
        let quoted = values.iter().map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        let array = format!("{{{}}}", quoted.collect::<Vec<_>>().join(","));
        format!("{}::text::text[]", self.text(array))
    }

    fn and(&mut self, condition: &str) {
        let word = if self.conditions == 0 { "WHERE" } else { "AND" };
        self.conditions += 1;
        let _ = write!(self.sql, " {word} {condition}");
    }

    fn condition(&mut self, relation: &Relation, query: &Query) {
        for condition in &query.filters {
            let condition = self.one(relation, condition);
            self.and(&condition);
        }
    }

    fn one(&mut self, relation: &Relation, condition: &Condition) -> String {
        let group = match condition {
            Condition::Filter(filter) => return self.filter(relation, filter),
            Condition::Group(group) => group,
        };
        let parts: Vec<String> = group.conditions.iter().map(|part| self.one(relation, part)).collect();
        let joined = parts.join(match group.join {
            Join::And => " AND ",
            Join::Or => " OR ",
        });
        if group.negated { format!("NOT ({joined})") } else { format!("({joined})") }
    }

    fn filter(&mut self, relation: &Relation, filter: &Filter) -> String {
        let (column, cast) = (relation.of_row(filter.column), &relation.get(filter.column).cast);
        let condition = match &filter.operator {
            Operator::Compare(sql, value) => format!("{column} {sql} {}::text::{cast}", self.text(value.as_str())),
            Operator::Like(sql, pattern) => format!("{column} {sql} {}::text", self.text(pattern.as_str())),
            // There are no arrays of arrays.
            Operator::In(values) if relation.get(filter.column).is_array() => {
                let values = self.list_of(values);
                format!("{column} = ANY (SELECT v::{cast} FROM pg_catalog.unnest({values}) v)")
            }
            Operator::In(values) => format!("{column} = ANY ({}::{cast}[])", self.list_of(values)),
            Operator::Is(truth) => format!("{column} {}", truth.sql()),
        };
        if filter.negated { format!("NOT ({condition})") } else { condition }
    }

    fn after(&mut self, relation: &Relation, query: &Query) {
        let Some(after) = &query.after else { return };
        let key = relation.key_columns();
        let columns: Vec<String> = key.iter().map(|column| relation.of_row(*column)).collect();
        let values = key.iter().zip(after);
        let values = values
            .map(|(column, value)| format!("{}::text::{}", self.text(value.as_str()), relation.get(*column).cast));
        let values: Vec<String> = values.collect();
        let sign = if query.key_order(relation) == Some(true) { "<" } else { ">" };
        self.and(&format!("({}) {sign} ({})", columns.join(", "), values.join(", ")));
    }

    fn order(&mut self, relation: &Relation, query: &Query) {
        let by_key = || {
            let key = relation.key_columns().into_iter();
            key.map(|column| Order { column, descending: false, nulls_first: None }).collect()
        };
        let order: Vec<Order> = if query.order.is_empty() { by_key() } else { query.order.clone() };
        let parts = order.iter().map(|order| {
            let direction = if order.descending { " DESC" } else { "" };
            let nulls = match order.nulls_first {
                None => "",
                Some(true) => " NULLS FIRST",
                Some(false) => " NULLS LAST",
            };
            format!("{}{direction}{nulls}", relation.of_row(order.column))
        });
        let _ = write!(self.sql, " ORDER BY {}", parts.collect::<Vec<_>>().join(", "));
    }

    /// Adds which rows are written. Returns the conditions of a key.
    fn target(
        &mut self,
        relation: &Relation,
        query: &Query,
        target: &Target,
        verb: &str,
    ) -> Result<Vec<String>, QueryError> {
        let mut found = Vec::new();
        if query.limit.is_some() || query.offset > 0 || !query.order.is_empty() || query.after.is_some() {
            let message = format!("{verb} takes filters alone: no order, limit, offset or _after");
            return Err(QueryError::syntax(message));
        }
        match target {
            Target::Filtered if query.filters.is_empty() => return Err(QueryError::no_filter(verb)),
            Target::Filtered => {}
            Target::Key { key, tag } => {
                for (column, value) in relation.key_columns().into_iter().zip(key) {
                    let (name, cast) = (relation.of_row(column), &relation.get(column).cast);
                    let value = self.text(value.as_str());
                    found.push(format!("{name} = {value}::text::{cast}"));
                }
                if let Some(tags) = tag {
                    // The same bytes as the cache has, hashed as the service hashes them.
                    let tags = self.list_of(tags);
                    found.push(format!(
                        "pg_catalog.substr(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to({}, 'UTF8')), 'hex'), 1, 32) = ANY ({tags})",
                        json(relation, &[])
                    ));
                }
            }
        }
        found.iter().for_each(|condition| self.and(condition));
        self.condition(relation, query);
        Ok(found)
    }

    /// Lets a write return keys, rows as JSON, and how many there are.
    pub(super) fn returning(
        mut self,
        relation: &Relation,
        write: &str,
        select: &[Selected],
        returned: Returned,
    ) -> Statement {
        let key = key(relation);
        // The error undoes the write: a reply is never cut.
        let rows = |most: u64, none: &str| {
            format!(
                "WITH w AS ({write} RETURNING {key} AS k, {} AS j) SELECT k, j, (SELECT pg_catalog.count(*) FROM w)::text FROM w \
                 WHERE (SELECT CASE WHEN pg_catalog.count(*) > {most} \
                 THEN (pg_catalog.count(*)::text || ' {TOO_MANY}')::pg_catalog.int4 {none}ELSE 0 END FROM w) = 0",
                json(relation, select)
            )
        };
        self.sql = match returned {
            Returned::Rows { most } => rows(most, ""),
            // The condition has no column of `w`, so PostgreSQL looks at it once, and also where `w` is empty.
            Returned::One => {
                let none = format!("(pg_catalog.count(*)::text || ' {NONE}')::pg_catalog.int4");
                rows(1, &format!("WHEN pg_catalog.count(*) = 0 THEN {none} "))
            }
            Returned::Keys { most } => format!(
                "WITH w AS ({write} RETURNING {key} AS k) SELECT k, NULL::text, (SELECT pg_catalog.count(*) FROM w)::text FROM w LIMIT {most}"
            ),
        };
        self
    }
}

/// Rows that a write is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The rows that the query's filters leave.
    Filtered,
    /// The one of this key, if the hash of its JSON is one of these.
    Key {
        /// The key's values.
        key: Vec<String>,
        /// The hashes; any if there are none.
        tag: Option<Vec<String>>,
    },
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Every row; the write fails if there are more than `most`.
    Rows {
        /// Rows.
        most: u64,
    },
    /// The row; the write fails unless it is exactly one.
    One,
    /// The keys of `most` rows.
    Keys {
        /// Rows.
        most: u64,
    },
}

pub(super) fn names(relation: &Relation, columns: &[ColumnId]) -> String {
    columns.iter().map(|column| identifier(&relation.get(*column).name)).collect::<Vec<_>>().join(", ")
}

/// The row as JSON text: every column that is not left out, or the selected ones.
fn json(relation: &Relation, select: &[Selected]) -> String {
    let columns: Vec<String> = if select.is_empty() {
        (0..relation.columns.len()).map(|at| relation.of_row(ColumnId(at))).collect()
    } else {
        let one = |selected: &Selected| {
            let column = relation.of_row(selected.column);
            let name = identifier(&relation.get(selected.column).name);
            if selected.as_text { format!("{column}::text AS {name}") } else { column }
        };
        select.iter().map(one).collect()
    };
    format!("(SELECT pg_catalog.row_to_json(r.*)::text FROM (SELECT {}) r)", columns.join(", "))
}

/// A condition that fails the write where the row found has another value than the record in a computed column.
///
/// No other row's values may fail it, in whatever order PostgreSQL looks at conditions; so the others stand in it again.
fn keeps(relation: &Relation, computed: &[ColumnId], found: &[String], record: &str) -> String {
    // As JSON, for a type need not have `=`; `json` itself has none, and white space.
    let json = |row: &str, column: &ColumnId| {
        format!("pg_catalog.to_jsonb({row}.{})", identifier(&relation.get(*column).name))
    };
    let same =
        computed.iter().map(|column| format!("{} IS NOT DISTINCT FROM {}", json("t", column), json("p", column)));
    let same = same.collect::<Vec<_>>().join(" AND ");
    // An expression without a column would be computed, and fail, while the statement is planned.
    let failing = format!(
        "pg_catalog.concat(pg_catalog.left({}::text, 0), '{COMPUTED}')::pg_catalog.int4 = 0",
        json("t", &computed[0])
    );
    format!(
        "CASE WHEN {} THEN (SELECT CASE WHEN {same} THEN true ELSE {failing} END FROM {record} p) ELSE false END",
        found.join(" AND ")
    )
}

/// The key's values as an array of text.
fn key(relation: &Relation) -> String {
    let columns = relation.key_columns().into_iter();
    let columns: Vec<String> = columns.map(|column| format!("{}::text", relation.of_row(column))).collect();
    format!("ARRAY[{}]", columns.join(", "))
}
