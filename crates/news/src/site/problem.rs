use std::fmt;

/// What is wrong in a sites file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The site's name, where it is known.
    pub site: Option<String>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(site) = &self.site {
            write!(f, "site {site:?}: ")?;
        }
        f.write_str(&self.text)
    }
}
