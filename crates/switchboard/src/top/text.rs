//! Numbers of processes in words.

/// "1 process", "2 processes".
pub(super) fn processes(count: usize) -> String {
    format!("{count} process{}", if count == 1 { "" } else { "es" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_is_no_plural() {
        assert_eq!([0, 1, 2].map(processes), ["0 processes", "1 process", "2 processes"]);
    }
}
