use super::pipe::Pipe;

/// The number of one of a socket's pipes. It is used again when the pipe is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PipeId(usize);

#[derive(Debug, Default)]
pub(super) struct Pipes {
    slots: Vec<Slot>,
    free: Vec<PipeId>,
    /// Distinguishes pipes that have the same number one after the other.
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) pipe: Option<Pipe>,
    /// Whether the ring has this number. It stays there when the pipe is removed.
    pub(super) in_ring: bool,
}

impl Pipes {
    pub(super) fn add(&mut self, mut pipe: Pipe) -> PipeId {
        self.serial += 1;
        pipe.serial = self.serial;
        if let Some(id) = self.free.pop() {
            self.slots[id.0].pipe = Some(pipe);
            return id;
        }
        self.slots.push(Slot { pipe: Some(pipe), in_ring: false });
        PipeId(self.slots.len() - 1)
    }

    pub(super) fn remove(&mut self, id: PipeId) -> Pipe {
        let pipe = self.slots[id.0].pipe.take().expect("a pipe is removed once, by its peer");
        self.free.push(id);
        pipe
    }

    pub(super) fn slot(&mut self, id: PipeId) -> &mut Slot {
        &mut self.slots[id.0]
    }

    #[inline]
    pub(super) fn get(&self, id: PipeId) -> Option<&Pipe> {
        self.slots[id.0].pipe.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: PipeId) -> Option<&mut Pipe> {
        self.slots[id.0].pipe.as_mut()
    }

    /// The pipe of a peer that is there.
    #[inline]
    pub(super) fn expect(&mut self, id: PipeId) -> &mut Pipe {
        self.slots[id.0].pipe.as_mut().expect("the pipe of a peer")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PipeId, &Pipe)> {
        self.slots.iter().enumerate().filter_map(|(id, slot)| Some((PipeId(id), slot.pipe.as_ref()?)))
    }
}
