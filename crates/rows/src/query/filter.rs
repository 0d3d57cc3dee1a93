//! Filters: `column=not.op.value`.

use super::values::{list_of, unquoted};
use super::{ColumnId, QueryError, Relation};

/// A condition on one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The column.
    pub column: ColumnId,
    /// The condition is turned round.
    pub negated: bool,
    /// The condition.
    pub operator: Operator,
}

/// A condition, with the values that the client gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`, `<>`, `>`, `>=`, `<` or `<=`, as SQL.
    Compare(&'static str, String),
    /// `LIKE` or `ILIKE`, and a pattern whose `*` is `%`.
    Like(&'static str, String),
    /// One of these.
    In(Vec<String>),
    /// Null, true, false or unknown.
    Is(Truth),
}

/// A value behind `is`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// `IS NULL`.
    Null,
    /// `IS NOT NULL`.
    NotNull,
    /// `IS TRUE`.
    True,
    /// `IS FALSE`.
    False,
    /// `IS UNKNOWN`.
    Unknown,
}

const KNOWN: &str = "eq, neq, gt, gte, lt, lte, like, ilike, in, is, each also after not.";

impl Filter {
    /// Reads `op.value` or `not.op.value`.
    pub(super) fn parse(relation: &Relation, name: &str, text: &str) -> Result<Filter, QueryError> {
        let column = match (relation.column(name), name.strip_prefix('"'), name.split_once('.')) {
            // A name that has the quotes itself comes first.
            (Some(column), ..) => column,
            (None, Some(quoted), _) => match unquoted(quoted)? {
                (name, "") => relation.find(&name)?,
                (name, rest) => {
                    return Err(QueryError::syntax(format!("after the column {name} in quotes follows {rest}")));
                }
            },
            // A filter on an embedded table, such as `other.id=eq.1` and `other.or=(...)`.
            (None, None, Some((other, _))) => return Err(QueryError::no_embedding(other)),
            (None, None, None) => return Err(QueryError::no_column(&relation.name, name)),
        };
        let (negated, rest) = match text.strip_prefix("not.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some((word, value)) = rest.split_once('.') else {
            return Err(QueryError::syntax(format!("{name}={text} has no operator")).with_hint(hint(name)));
        };
        Ok(Filter { column, negated, operator: Operator::parse(word, value, name)? })
    }
}

fn hint(name: &str) -> String {
    format!("a filter is {name}=OPERATOR.VALUE, with one of {KNOWN}")
}

impl Operator {
    pub(super) fn parse(word: &str, value: &str, name: &str) -> Result<Operator, QueryError> {
        let compare = |sql| Ok(Operator::Compare(sql, value.to_owned()));
        match word {
            "eq" => compare("="),
            "neq" => compare("<>"),
            "gt" => compare(">"),
            "gte" => compare(">="),
            "lt" => compare("<"),
            "lte" => compare("<="),
            "like" => Ok(Operator::Like("LIKE", value.replace('*', "%"))),
            "ilike" => Ok(Operator::Like("ILIKE", value.replace('*', "%"))),
            "in" => {
                let list = value.strip_prefix('(').and_then(|value| value.strip_suffix(')'));
                let list = list.ok_or_else(|| QueryError::syntax(format!("{name}=in.{value}: a list is (a,b,c)")))?;
                Ok(Operator::In(if list.is_empty() { Vec::new() } else { list_of(list)? }))
            }
            "is" => Truth::parse(value).map(Operator::Is).ok_or_else(|| {
                QueryError::syntax(format!("{name}=is.{value}: only null, not_null, true, false and unknown can be"))
            }),
            _ => Err(QueryError::syntax(format!("there is no operator {word}")).with_hint(hint(name))),
        }
    }
}

impl Truth {
    fn parse(text: &str) -> Option<Truth> {
        let words = [
            ("null", Truth::Null),
            ("not_null", Truth::NotNull),
            ("true", Truth::True),
            ("false", Truth::False),
            ("unknown", Truth::Unknown),
        ];
        words.into_iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, truth)| truth)
    }

    pub(super) fn sql(self) -> &'static str {
        match self {
            Truth::Null => "IS NULL",
            Truth::NotNull => "IS NOT NULL",
            Truth::True => "IS TRUE",
            Truth::False => "IS FALSE",
            Truth::Unknown => "IS UNKNOWN",
        }
    }
}
