//! Whatever is done to a queue, it does what a plain list would do.

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_queue::{Permit, Queue, TryGetError, TryPutError};

#[derive(Clone, Copy, Debug)]
enum Order {
    Fifo,
    Lifo,
    Priority,
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    PutMany(Vec<u8>),
    Get,
    GetMany(usize),
    Reserve,
    Send(u8),
    Return,
    Done,
    ShutDown,
    ShutDownNow,
}

/// An item; only `weight` counts in a comparison, so that it shows whether equal ones keep their order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Item {
    weight: u8,
    number: usize,
}

#[derive(Default)]
struct List {
    items: Vec<Item>,
    capacity: Option<usize>,
    reserved: usize,
    unfinished: usize,
    closed: bool,
    over: bool,
}

impl List {
    fn room(&self) -> usize {
        self.capacity.map_or(usize::MAX, |capacity| capacity - self.items.len() - self.reserved)
    }

    fn put(&mut self, item: Item) {
        self.items.push(item);
        self.unfinished += 1;
    }

    fn next(&mut self, order: Order) -> Option<Item> {
        let at = match order {
            Order::Fifo => 0,
            Order::Lifo => self.items.len().checked_sub(1)?,
            Order::Priority => (0..self.items.len()).min_by_key(|at| self.items[*at].weight)?,
        };
        (at < self.items.len()).then(|| self.items.remove(at))
    }

    fn nothing(&self) -> TryGetError {
        if self.closed && self.reserved == 0 { TryGetError::ShutDown } else { TryGetError::Empty }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let weight = 0..4_u8;
    prop_oneof![
        8 => weight.clone().prop_map(Step::Put),
        3 => vec(weight.clone(), 0..8).prop_map(Step::PutMany),
        8 => Just(Step::Get),
        3 => (0..8_usize).prop_map(Step::GetMany),
        2 => Just(Step::Reserve),
        2 => weight.prop_map(Step::Send),
        1 => Just(Step::Return),
        3 => Just(Step::Done),
        1 => Just(Step::ShutDown),
        1 => Just(Step::ShutDownNow),
    ]
}

fn check(order: Order, capacity: Option<usize>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let queue = match order {
        Order::Fifo => Queue::fifo(capacity),
        Order::Lifo => Queue::lifo(capacity),
        Order::Priority => Queue::priority_by(capacity, |a: &Item, b| a.weight.cmp(&b.weight)),
    };
    let mut list = List { capacity, ..List::default() };
    let mut permits: Vec<Permit<Item>> = Vec::new();
    let mut number = 0;
    let mut item = |weight| {
        number += 1;
        Item { weight, number }
    };
    for step in steps {
        match step {
            Step::Put(weight) => {
                let item = item(weight);
                let expected = if list.closed {
                    Err(TryPutError::ShutDown(item))
                } else if list.room() == 0 {
                    Err(TryPutError::Full(item))
                } else {
                    list.put(item);
                    Ok(())
                };
                prop_assert_eq!(queue.try_put(item), expected);
            }
            Step::PutMany(weights) => {
                let items: Vec<Item> = weights.into_iter().map(&mut item).collect();
                let fit = if list.closed { 0 } else { list.room().min(items.len()) };
                items[..fit].iter().for_each(|item| list.put(*item));
                let rest = items[fit..].to_vec();
                let expected = match rest.is_empty() {
                    true => Ok(()),
                    false if list.closed => Err(TryPutError::ShutDown(rest)),
                    false => Err(TryPutError::Full(rest)),
                };
                prop_assert_eq!(queue.try_put_many(items), expected);
            }
            Step::Get => {
                let expected = list.next(order).ok_or_else(|| list.nothing());
                prop_assert_eq!(queue.try_get(), expected);
            }
            Step::GetMany(most) => {
                let items: Vec<Item> = std::iter::from_fn(|| list.next(order)).take(most).collect();
                let expected = if items.is_empty() && most > 0 { Err(list.nothing()) } else { Ok(items) };
                prop_assert_eq!(queue.try_get_many(most), expected);
            }
            Step::Reserve => match queue.try_reserve() {
                Ok(permit) => {
                    prop_assert!(!list.closed && list.room() > 0);
                    list.reserved += 1;
                    permits.push(permit);
                }
                Err(TryPutError::ShutDown(())) => prop_assert!(list.closed),
                Err(TryPutError::Full(())) => prop_assert!(!list.closed && list.room() == 0),
            },
            Step::Send(weight) => {
                if let Some(permit) = permits.pop() {
                    let item = item(weight);
                    list.reserved -= 1;
                    match permit.send(item) {
                        Ok(()) => {
                            prop_assert!(!list.over);
                            list.put(item);
                        }
                        Err(back) => {
                            prop_assert!(list.over);
                            prop_assert_eq!(back.into_inner(), item);
                        }
                    }
                }
            }
            Step::Return => {
                if permits.pop().is_some() {
                    list.reserved -= 1;
                }
            }
            Step::Done => {
                prop_assert_eq!(queue.task_done().is_ok(), list.unfinished > 0);
                list.unfinished = list.unfinished.saturating_sub(1);
            }
            Step::ShutDown => {
                queue.shutdown();
                list.closed = true;
            }
            Step::ShutDownNow => {
                let dropped: Vec<Item> = std::iter::from_fn(|| list.next(order)).collect();
                list.unfinished = list.unfinished.saturating_sub(dropped.len());
                prop_assert_eq!(queue.shutdown_now(), dropped);
                (list.closed, list.over) = (true, true);
            }
        }
        prop_assert_eq!(queue.len(), list.items.len());
        prop_assert_eq!(queue.is_empty(), list.items.is_empty());
        prop_assert_eq!(queue.is_full(), list.room() == 0);
        prop_assert_eq!(queue.unfinished(), list.unfinished);
        prop_assert_eq!(queue.is_shutdown(), list.closed);
        prop_assert_eq!(queue.capacity(), capacity);
    }
    Ok(())
}

proptest! {
    #[test]
    fn fifo_does_what_a_list_would(capacity in proptest::option::of(1..10_usize), steps in vec(step(), 0..80)) {
        check(Order::Fifo, capacity, steps)?;
    }

    #[test]
    fn lifo_does_what_a_list_would(capacity in proptest::option::of(1..10_usize), steps in vec(step(), 0..80)) {
        check(Order::Lifo, capacity, steps)?;
    }

    #[test]
    fn priority_does_what_a_list_would(capacity in proptest::option::of(1..10_usize), steps in vec(step(), 0..80)) {
        check(Order::Priority, capacity, steps)?;
    }
}
