use std::fmt;

/// A fault of a sites file, with its line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The site's name, where it is known.
    pub site: Option<String>,
    /// The fault, in words.
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
