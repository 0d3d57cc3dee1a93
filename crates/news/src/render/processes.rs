//! The processes of a browser and their memory, as `/proc` shows them.

use std::collections::HashMap;
use std::fs;

/// A process of a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Resident bytes that it shares with no file and no other process.
    pub memory: u64,
}

/// A process and all that descend from it.
#[must_use]
pub fn family(root: u32) -> Vec<Process> {
    let page = rustix::param::page_size() as u64;
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent(id) {
            children.entry(parent).or_default().push(id);
        }
    }
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(id) = next.pop() {
        next.extend(children.remove(&id).into_iter().flatten());
        found.extend(memory(id, page).map(|memory| Process { id, memory }));
    }
    found
}

/// Whether a process renders pages, rather than drives the browser.
pub(super) fn is_renderer(id: u32) -> bool {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    line.split(|&byte| matches!(byte, 0 | b' ')).any(|part| part == b"--type=renderer")
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn memory(id: u32, page: u64) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{id}/statm")).ok()?;
    let mut fields = statm.split_whitespace().skip(1).map(|field| field.parse::<u64>().ok());
    let (resident, shared) = (fields.next()??, fields.next()??);
    Some(resident.saturating_sub(shared).saturating_mul(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_the_process_and_its_descendants() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn().expect("sh");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let ids = || family(std::process::id()).iter().map(|process| process.id).collect::<Vec<_>>();
        while family(child.id()).len() < 2 {
            assert!(std::time::Instant::now() < end, "no grandchild");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let inner = family(child.id());
        assert!(inner.iter().all(|process| ids().contains(&process.id)));
        assert!(family(std::process::id())[0].memory > 0);
        assert!(!is_renderer(child.id()));
        for process in inner.iter().rev() {
            let _ = std::process::Command::new("kill").args(["-9", &process.id.to_string()]).status();
        }
        let _ = child.wait();
        assert!(family(u32::MAX).is_empty());
    }
}
