use super::*;
use crate::Packer;
use crate::slots::Key;
use proptest::prelude::*;

fn segment(first: u64, step: u64, count: u64) -> Segment {
    let mut packer = Packer::default();
    (0..count).for_each(|i| packer.push(&(first + i * step).to_be_bytes()));
    let batch = packer.finish().expect("a message");
    Segment { batch, allocation: AllocationSlot::new(0), tries: Tries::NONE, first, step, group: None }
}

fn drain(backlog: &mut Backlog) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(segment) = backlog.pop(|allocation| allocation) {
        for (index, body) in segment.batch.iter().enumerate() {
            let number = u64::from_be_bytes(body.try_into().expect("eight bytes"));
            assert_eq!(number, segment.first + segment.step * index as u64);
            all.push(number);
        }
    }
    assert_eq!((backlog.depth, backlog.bytes(), backlog.segments()), (0, 0, 0));
    all
}

proptest! {
    /// Messages are given out round robin and come back in any order.
    #[test]
    fn what_comes_back_is_given_out_in_order_however_its_ranges_interleave(
        consumers in 1..6u64, rounds in 1..9u64, fresh in 0..9u64, order in any::<u64>(), coalesced in any::<bool>(),
    ) {
        let mut backlog = Backlog::default();
        let total = consumers * rounds;
        for number in 0..fresh {
            let one = segment(total + number, 1, 1);
            if !coalesced || backlog.coalesce(&one.batch, Tries::NONE, one.first, |_| true).is_none() {
                backlog.push(one);
            }
        }
        let mut back: Vec<Segment> = (0..consumers).map(|first| segment(first, consumers, rounds)).collect();
        back.rotate_left((order % consumers) as usize);
        back.into_iter().for_each(|segment| backlog.requeue(segment));
        prop_assert_eq!(backlog.depth as u64, total + fresh);
        prop_assert_eq!(drain(&mut backlog), (0..total + fresh).collect::<Vec<_>>());
    }
}

#[test]
fn small_neighbors_share_one_buffer_up_to_its_bound() {
    let mut backlog = Backlog::default();
    backlog.push(segment(0, 1, 1));
    let mut number = 1;
    while backlog.coalesce(&segment(number, 1, 1).batch, Tries::NONE, number, |_| true).is_some() {
        number += 1;
    }
    assert_eq!(number as usize, OPEN / 12);
    assert_eq!(backlog.segments(), 1);
    assert!(backlog.coalesce(&segment(number + 1, 1, 1).batch, Tries::NONE, number + 1, |_| true).is_none(), "a gap");
    assert_eq!(drain(&mut backlog).len() as u64, number);
}

#[test]
fn a_shared_or_large_neighbor_stays_as_it_is() {
    let mut backlog = Backlog::default();
    backlog.push(segment(0, 1, 1));
    assert!(backlog.coalesce(&segment(1, 1, 1).batch, Tries::NONE, 1, |_| false).is_none());
    backlog.push(segment(1, 1, 100));
    assert!(backlog.coalesce(&segment(101, 1, 1).batch, Tries::NONE, 101, |_| true).is_none());
    assert_eq!(backlog.segments(), 2);
}

#[test]
fn neighbors_share_a_buffer_with_the_same_tries_alone() {
    let seen = Tries::NONE.seen();
    for tries in [
        &[Tries::NONE, Tries::NONE][..],
        &[seen, seen, seen],
        &[Tries::NONE, seen],
        &[seen, Tries::NONE],
        &[Tries::NONE, Tries::NONE, seen],
        &[seen, seen, Tries::NONE],
    ] {
        let mut backlog = Backlog::default();
        for (number, &tries) in (0..).zip(tries) {
            let next = Segment { tries, ..segment(number, 1, 1) };
            if backlog.coalesce(&next.batch, tries, number, |_| true).is_none() {
                backlog.push(next);
            }
        }
        let is_one = tries.iter().all(|each| *each == tries[0]);
        assert_eq!(backlog.segments(), if is_one { 1 } else { 2 }, "{tries:?}");
        let mut all = Vec::new();
        while let Some(segment) = backlog.pop(|allocation| allocation) {
            all.extend(segment.batch.iter().map(|_| segment.tries));
        }
        assert_eq!(all, tries);
    }
}
