//! A list of domains, each with what is below it.

use super::target::Target;
use std::sync::Arc;
use url::Host;

/// Domains that may be reached, with every name below them. An address is itself alone. Clones share the list.
#[derive(Clone, Debug)]
pub struct Domains(Arc<[Host<String>]>);

impl Domains {
    /// Reads names and addresses. What is neither matches nothing, so a list of nonsense allows nothing.
    #[must_use]
    pub fn new<S: AsRef<str>>(names: &[S]) -> Domains {
        let hosts = names.iter().filter_map(|name| {
            let name = name.as_ref().trim().trim_start_matches('.');
            Target::new(name, 1).ok().map(|target| target.host)
        });
        Domains(hosts.collect())
    }

    pub(super) fn contain(&self, target: &Target) -> bool {
        self.0.iter().any(|known| match (known, &target.host) {
            (Host::Domain(known), Host::Domain(name)) => {
                name.strip_suffix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (known, host) => known == host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_contains_itself_and_what_is_below_it() {
        let domains = Domains::new(&["News.Example", ".dotted.example", "127.0.0.1", "[::1]", "a b", ""]);
        for (host, is_in) in [
            ("news.example", true),
            ("NEWS.example.", true),
            ("a.b.news.example", true),
            ("dotted.example", true),
            ("evilnews.example", false),
            ("example", false),
            ("news.example.evil.example", false),
            ("127.0.0.1", true),
            ("0x7f.1", true),
            ("127.0.0.2", false),
            ("[::1]", true),
        ] {
            let target = Target::new(host, 80).expect("a host");
            assert_eq!(domains.contain(&target), is_in, "{host}");
        }
        let nothing: [&str; 0] = [];
        assert!(!Domains::new(&nothing).contain(&Target::new("a.example", 80).expect("a host")));
    }
}
