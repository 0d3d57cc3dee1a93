use super::*;
use crate::Packer;
use crate::slots::Key;
use proptest::prelude::*;

fn lease(count: u64) -> Lease {
    let mut packer = Packer::default();
    (0..count).for_each(|i| packer.push(&(7 + i * 3).to_be_bytes()[8 - (1 + i as usize % 8)..]));
    let batch = packer.finish().expect("a message");
    Lease::new(MemberSlot::new(0), AllocationSlot::new(0), 100, (7, 3), Tries::NONE, batch)
}

fn sequence(pieces: &[Piece]) -> Vec<u64> {
    let of_piece = |piece: &Piece| (0..piece.batch.len() as u64).map(|i| piece.first + i * piece.step).collect();
    pieces.iter().flat_map(|piece| -> Vec<u64> { of_piece(piece) }).collect()
}

proptest! {
    #[test]
    fn what_is_not_settled_stays_whatever_is_and_however_often_it_is_compacted(
        count in 1..=LEASE_MESSAGES as u64,
        settled in prop::collection::vec((0..256u64, 1..20u64, any::<bool>()), 0..60),
        wanted in (0..256u64, 0..256u64),
    ) {
        let whole = lease(count);
        let mut lease = lease(count);
        let mut left: Vec<u64> = (100..100 + count).collect();
        for (first, length, compacts) in settled {
            let tags = (100 + first.min(count))..(100 + (first + length).min(count));
            let before = left.len();
            let known = tags.clone().find(|tag| !left.contains(tag));
            left.retain(|tag| !tags.contains(tag));
            prop_assert_eq!(lease.settle(tags), ((before - left.len()) as u32, known));
            if compacts {
                lease.compact();
            }
        }
        prop_assert_eq!(lease.left() as usize, left.len());
        prop_assert_eq!(lease.first_unsettled(), left.first().copied().unwrap_or(100 + count));
        let wanted = 100 + wanted.0.min(count)..100 + wanted.1.min(count).max(wanted.0.min(count));
        let first_settled = wanted.clone().find(|tag| !left.contains(tag));
        prop_assert_eq!(lease.first_settled(&wanted), first_settled);
        let pieces = lease.pieces(wanted.clone());
        let expected: Vec<u64> = left.iter().filter(|tag| wanted.contains(tag)).map(|tag| 7 + (tag - 100) * 3).collect();
        prop_assert_eq!(sequence(&pieces), expected);
        for piece in &pieces {
            for (index, body) in piece.batch.iter().enumerate() {
                let at = ((piece.first - 7) / 3) as usize + index;
                prop_assert_eq!(Some(body), whole.batch.iter().nth(at));
            }
        }
    }
}

#[test]
fn a_lease_is_compacted_when_more_than_half_of_it_is_settled() {
    let mut lease = lease(4);
    assert_eq!(lease.settle(100..102), (2, None));
    assert_eq!(lease.compact(), None);
    assert_eq!(lease.settle(100..103), (1, Some(100)));
    assert_eq!(lease.first_settled(&(103..104)), None);
    assert_eq!(lease.first_settled(&(102..104)), Some(102));
    assert_eq!(lease.compact(), Some(4 + 4));
    assert_eq!(lease.compact(), None);
}

#[test]
fn one_of_several_is_settled_alone_unless_it_is_the_first_or_more_than_half_would_be() {
    let mut lease = lease(8);
    assert!(!lease.settle_one(103), "the first");
    assert_eq!(lease.settle(103..104), (1, None));
    assert!(!lease.settle_one(103), "settled already");
    assert_eq!([100, 101, 102, 104].map(|tag| lease.settle_one(tag)), [true, true, true, false]);
    assert_eq!((lease.left(), lease.first_unsettled(), lease.is_sparse()), (4, 104, false));
    assert_eq!((lease.settle(104..105), lease.is_sparse()), ((1, None), true));
    assert!(!lease.settle_one(105), "before it is compacted");
    assert_eq!(lease.compact(), Some(lease.batch.bytes()));
    assert_eq!([105, 104].map(|tag| lease.settle_one(tag)), [true, false]);
}

#[test]
fn a_lease_that_is_settled_at_once_keeps_no_marks() {
    let mut lease = lease(4);
    lease.set_due(Some(Time(9)));
    assert_eq!((lease.due(), lease.left(), lease.first_unsettled()), (Some(Time(9)), 4, 100));
    assert_eq!((lease.first_settled(&(100..104)), lease.settle(100..104)), (None, (4, None)));
    assert!(lease.marks.is_none());
    assert_eq!((lease.first_settled(&(101..104)), lease.first_settled(&(101..101))), (Some(101), None));
    assert_eq!((lease.settle(101..103), lease.left(), lease.first_unsettled()), ((0, Some(101)), 0, 104));
    assert_eq!(lease.pieces(100..104), []);
}
