use crate::Error;
use crate::cache::Lsn;
use std::fmt;
use std::str::FromStr;

/// Which database a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The cluster: made by `initdb`, the same on its standbys.
    pub system: u64,
    /// The history: one more after each promotion of a standby.
    pub timeline: u32,
    /// The database's OID in its cluster: another one after it was dropped and created anew.
    pub database: u32,
}

impl Identity {
    /// Checks that `next` is this database, now or after a promotion.
    pub(crate) fn check_next(self, next: Identity) -> Result<(), Error> {
        let problem = if self.system != next.system {
            "another database cluster answers at this address"
        } else if self.database != next.database {
            "the database was dropped and created anew"
        } else if next.timeline < self.timeline {
            "an older server answers at this address: another one was promoted in its place"
        } else {
            return Ok(());
        };
        Err(Error::refused(format!("{problem}; start anew if that is meant")))
    }
}

/// A write's place in its database's log: what was written can be read by whoever has the token.
///
/// Its text is four hexadecimal numbers with `-` between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The database.
    pub identity: Identity,
    /// Every write up to here is meant.
    pub lsn: Lsn,
}

impl Token {
    /// Checks that this token is one of `current`.
    pub(crate) fn check(self, current: Identity) -> Result<(), Error> {
        let reason = if self.identity.system != current.system || self.identity.database != current.database {
            "is from another database"
        } else if self.identity.timeline != current.timeline {
            "is from before or after a promotion; read with strong consistency instead"
        } else {
            return Ok(());
        };
        Err(Error::Token { reason: reason.to_owned() })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { system, timeline, database } = self.identity;
        write!(formatter, "{system:x}-{timeline:x}-{database:x}-{:x}", self.lsn.0)
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Token, Error> {
        let wrong = || Error::Token { reason: "is not four hexadecimal numbers with `-` between them".to_owned() };
        let numbers: Result<Vec<u64>, Error> = text
            .split('-')
            .map(|part| {
                // `from_str_radix` takes a sign.
                let plain = part.bytes().all(|byte| byte.is_ascii_hexdigit());
                u64::from_str_radix(part, 16).ok().filter(|_| plain).ok_or_else(wrong)
            })
            .collect();
        let [system, timeline, database, lsn] = numbers?.try_into().map_err(|_| wrong())?;
        let small = |number: u64| u32::try_from(number).map_err(|_| wrong());
        let identity = Identity { system, timeline: small(timeline)?, database: small(database)? };
        Ok(Token { identity, lsn: Lsn(lsn) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Identity = Identity { system: u64::MAX, timeline: 1, database: 5 };

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for lsn in [0, 1, u64::MAX] {
            let token = Token { identity: HERE, lsn: Lsn(lsn) };
            assert_eq!(token.to_string().parse::<Token>().expect("a token"), token);
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "1", "1-2-3", "1-2-3-4-5", "1-2-3-g", "1-2-3-+4", "1--3-4", "1-1ffffffff-3-4", "1-2-3- 4"] {
            assert!(matches!(text.parse::<Token>(), Err(Error::Token { .. })), "{text}");
        }
    }

    #[test]
    fn a_token_of_another_database_is_refused() {
        let others =
            [Identity { system: 1, ..HERE }, Identity { timeline: 2, ..HERE }, Identity { database: 6, ..HERE }];
        for identity in others {
            assert!(Token { identity, lsn: Lsn(0) }.check(HERE).is_err(), "{identity:?}");
        }
        assert!(Token { identity: HERE, lsn: Lsn(0) }.check(HERE).is_ok());
    }

    #[test]
    fn only_a_promotion_may_follow() {
        assert!(HERE.check_next(HERE).is_ok());
        assert!(HERE.check_next(Identity { timeline: 2, ..HERE }).is_ok());
        for next in [Identity { system: 1, ..HERE }, Identity { timeline: 0, ..HERE }, Identity { database: 6, ..HERE }]
        {
            assert!(HERE.check_next(next).is_err(), "{next:?}");
        }
    }
}
