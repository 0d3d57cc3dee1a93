//! An operator who looks at everything.

use super::World;
use crate::oracle::Checked;
use crate::settings::{DURABLE, QUEUES};
use switchboard_broker::{BrowseQuery, Kind, Page, Position, Status};

impl World {
    /// Looks at all queues and connections, some at a time.
    pub(super) fn look(&self, status: &Status) -> Checked {
        for name in QUEUES.into_iter().chain(DURABLE.map(|(name, _)| name)) {
            let (mut seen, mut next) = (Vec::new(), Some(Position::default()));
            while let Some(from) = next {
                let query = BrowseQuery { from, ..BrowseQuery::new(3, BrowseQuery::MAX_BYTES) };
                let Some(page) = self.broker.browse(self.now, name.as_bytes(), &query) else { break };
                seen.extend(page.messages);
                next = page.next;
            }
            self.oracle.check_look(name, self.broker.queue(self.now, name.as_bytes()).as_ref(), &seen)?;
        }
        let (mut listed, mut next) = (Vec::new(), Some(0));
        while let Some(cursor) = next {
            let page = self.broker.queues(self.now, Page::After { cursor, limit: 2 });
            listed.extend(page.queues);
            next = page.next;
        }
        let there = status.channels.iter().filter(|channel| channel.kind == Kind::Queue).count();
        self.oracle.check_pages(&listed, there)?;
        // Rows of connections that are gone have none.
        let is_there = |id: u64| self.links.contains_key(&id);
        let rows = status.connections.iter().filter(|row| is_there(row.id.0));
        rows.map(|row| row.id).try_for_each(|id| self.oracle.check_window(id, self.broker.window(id)))
    }
}
