//! A task that is run again at once when it is woken while it runs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// How often in a row a task is run that is woken while it runs, before others have their turn.
const ROUNDS: usize = 4;

/// A task that is run again at once when it is woken while it runs. The scheduler would put it into
/// its queue and wake another thread for it; and a connection of hyper wakes its own task whenever
/// somebody takes what it has read, which is twice a call.
pub(super) struct AtOnce<F> {
    work: Pin<Box<F>>,
    turn: Arc<Turn>,
    /// Tells `turn`.
    waker: Waker,
}

/// Whether the task runs, and how it is woken where it does not.
#[derive(Default)]
struct Turn {
    state: AtomicU8,
    task: AtomicWaker,
}

const RESTS: u8 = 0;
const RUNS: u8 = 1;
const RUNS_AGAIN: u8 = 2;

impl<F: Future> AtOnce<F> {
    pub(super) fn new(work: Pin<Box<F>>) -> Self {
        let turn = Arc::<Turn>::default();
        let waker = Waker::from(Arc::clone(&turn));
        Self { work, turn, waker }
    }
}

impl<F: Future> Future for AtOnce<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { work, turn, waker } = &mut *self;
        turn.task.register(cx.waker());
        for _ in 0..ROUNDS {
            turn.state.store(RUNS, Ordering::Release);
            if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(output);
            }
            // Whoever wakes it from here on finds that it rests.
            if turn.state.swap(RESTS, Ordering::AcqRel) == RUNS {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let told = self
            .state
            .compare_exchange(RUNS, RUNS_AGAIN, success, failure);
        if told == Err(RESTS) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    /// Runs a task once that wakes itself the first `wakes` times. How often it ran, how often it was
    /// woken from outside, and its waker.
    fn run(wakes: usize) -> (usize, usize, Waker, Arc<Woken>) {
        let (runs, inner) = (AtomicUsize::new(0), std::sync::Mutex::new(None));
        let work = poll_fn(|cx| {
            if runs.fetch_add(1, Ordering::SeqCst) < wakes {
                cx.waker().wake_by_ref();
            }
            *inner.lock().unwrap() = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        let mut task = AtOnce::new(Box::pin(work));
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let polled = Pin::new(&mut task).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(task);
        let inner = inner.into_inner().unwrap().unwrap();
        (runs.into_inner(), woken.times(), inner, woken)
    }

    #[test]
    fn a_task_that_is_woken_while_it_runs_is_run_again_and_nobody_is_woken() {
        let (runs, woken, ..) = run(2);
        assert_eq!((runs, woken), (3, 0));
    }

    #[test]
    fn a_task_that_wakes_itself_for_ever_gives_others_their_turn() {
        let (runs, woken, ..) = run(usize::MAX);
        assert_eq!((runs, woken), (ROUNDS, 1));
    }

    #[test]
    fn a_task_that_rests_is_woken() {
        let (_, before, inner, woken) = run(0);
        inner.wake();
        assert_eq!((before, woken.times()), (0, 1));
    }
}
