use crate::{Driver, Ended, Panicked, Task, catch_panic, is_polled};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake};
use std::thread::{self, ThreadId};

/// The smallest executor there is: a foreign one, as far as tokio is concerned.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn where_it_runs(driver: &Driver) -> Task<ThreadId> {
    driver.spawn(async { thread::current().id() })
}

#[test]
fn without_an_executor_all_share_one_thread() {
    let (one, two) = (Driver::current().unwrap(), Driver::current().unwrap());
    assert!(one.is_shared() && two.is_shared());
    let thread = block_on(where_it_runs(&one)).unwrap();
    assert_eq!(block_on(where_it_runs(&two)).unwrap(), thread);
    assert_ne!(thread, thread::current().id());
}

#[tokio::test]
async fn inside_tokio_its_runtime_is_used() {
    let driver = Driver::current().unwrap();
    assert!(!driver.is_shared());
    assert_eq!(where_it_runs(&driver).await, Ok(thread::current().id()));
}

#[test]
fn a_current_thread_runtime_that_is_entered_and_not_run_does_no_io() {
    let one = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let several = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    assert!(!is_polled());
    {
        let _entered = one.enter();
        assert!(!is_polled());
        assert!(Driver::current().unwrap().is_shared());
    }
    {
        let _entered = several.enter();
        assert!(!Driver::current().unwrap().is_shared());
    }
    for runtime in [&one, &several] {
        let looked = runtime.block_on(async {
            let task = tokio::spawn(async { (is_polled(), Driver::current().unwrap().is_shared()) });
            // A second look sees the same: the first one takes no step of the budget with it.
            (is_polled(), is_polled(), tokio::task::coop::has_budget_remaining(), task.await.unwrap())
        });
        assert_eq!(looked, (true, true, true, (true, false)));
        let blocking = runtime.block_on(async { tokio::task::spawn_blocking(is_polled).await.unwrap() });
        assert!(!blocking);
    }
}

#[tokio::test]
async fn the_shared_thread_can_be_had_inside_tokio() {
    let driver = Driver::shared().unwrap();
    assert!(driver.is_shared());
    assert_ne!(where_it_runs(&driver).await, Ok(thread::current().id()));
}

#[test]
fn a_dropped_task_goes_on_and_an_aborted_one_does_not() {
    let driver = Driver::shared().unwrap();
    let (sender, receiver) = mpsc::channel();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    drop(driver.spawn(async move {
        wait.await.unwrap();
        sender.send("done")
    }));
    go.send(()).unwrap();
    assert_eq!(receiver.recv(), Ok("done"));

    let task = driver.spawn(std::future::pending::<()>());
    assert!(!task.is_ended());
    task.abort();
    assert_eq!(block_on(task), Err(Ended::Aborted));
}

#[test]
fn a_panic_ends_its_task_with_its_message_and_not_the_thread() {
    let driver = Driver::shared().unwrap();
    let task = driver.spawn(async { panic!("on purpose") });
    assert_eq!(block_on(task), Err::<(), _>(Ended::Panicked(Panicked("on purpose".into()))));
    let number = 7;
    let task = driver.spawn(catch_panic(async move { panic!("number {number}") }));
    assert_eq!(block_on(task), Ok(Err::<(), _>(Panicked("number 7".into()))));
    assert_eq!(block_on(driver.spawn(catch_panic(async { 3 }))), Ok(Ok(3)));
    block_on(where_it_runs(&driver)).unwrap();
}

#[test]
fn timers_and_sockets_made_under_the_guard_work() {
    let driver = Driver::shared().unwrap();
    let _guard = driver.enter();
    block_on(tokio::time::sleep(std::time::Duration::from_millis(1)));
}
