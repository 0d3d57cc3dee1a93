//! A packed buffer is a batch of exactly its messages, or it says where it is none.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use switchboard_broker::{Batch, MalformedBatch, Packer};

fn is_whole(packed: &Bytes, batch: &Batch) {
    assert_eq!(batch.packed(), packed);
    assert_eq!(batch.bytes(), packed.len());
    assert_eq!(batch.iter().count(), batch.len());
    assert_eq!(batch.iter().map(|body| 4 + body.len()).sum::<usize>(), packed.len());
    let mut packer = Packer::with_capacity(packed.len());
    batch.iter().for_each(|body| packer.push(body));
    assert_eq!(packer.finish().as_ref(), Some(batch));
}

fuzz_target!(|input: &[u8]| {
    let packed = Bytes::copy_from_slice(input);
    match Batch::from_packed(packed.clone()) {
        Ok(batch) => is_whole(&packed, &batch),
        Err(MalformedBatch { offset }) => {
            let (before, behind) = (packed.slice(..offset), packed.slice(offset..));
            if !before.is_empty() {
                is_whole(&before, &Batch::from_packed(before.clone()).expect("whole messages up to there"));
            }
            assert_eq!(Batch::from_packed(behind), Err(MalformedBatch { offset: 0 }));
        }
    }
});
