//! Tasks in the order in which they began to wait for the same thing: who waits longest is called first. A task that leaves, leaves the line.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::{Context, Waker};

/// One line.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// By their tickets, which are given in order.
    waiting: RefCell<BTreeMap<u64, Waker>>,
    next_ticket: Cell<u64>,
}

impl Line {
    /// A place in the line, for a task that may have to wait; it is taken with [`Turn::wait`].
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn { line: self, ticket: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Lets who is first look whether there is what it waits for.
    pub(crate) fn call_next(&self) {
        if let Some(next) = self.waiting.borrow().values().next() {
            next.wake_by_ref();
        }
    }

    pub(crate) fn call_all(&self) {
        self.waiting.borrow().values().for_each(Waker::wake_by_ref);
    }
}

/// A task's turn; in the line once it has waited.
pub(crate) struct Turn<'a> {
    line: &'a Line,
    ticket: Option<u64>,
}

impl Turn<'_> {
    /// Whether nobody has waited longer.
    pub(crate) fn has_come(&self) -> bool {
        let waiting = self.line.waiting.borrow();
        waiting.first_key_value().is_none_or(|(first, _)| Some(*first) == self.ticket)
    }

    pub(crate) fn wait(&mut self, cx: &Context<'_>) {
        let next = &self.line.next_ticket;
        let ticket = *self.ticket.get_or_insert_with(|| next.replace(next.get() + 1));
        self.line.waiting.borrow_mut().insert(ticket, cx.waker().clone());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.line.waiting.borrow_mut().remove(&ticket);
            // There may be something for the next as well.
            self.line.call_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::{Pin, pin};
    use std::task::Poll;

    use super::*;

    /// One of some things, by the order of the line.
    async fn taken(line: &Line, things: &Cell<u32>) {
        let mut turn = line.turn();
        poll_fn(|cx| {
            if turn.has_come() && things.get() > 0 {
                things.set(things.get() - 1);
                return Poll::Ready(());
            }
            turn.wait(cx);
            Poll::Pending
        })
        .await;
    }

    fn is_done(task: Pin<&mut impl Future<Output = ()>>) -> bool {
        task.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Who has waited longest is first, and whoever comes when there is something goes behind.
    #[test]
    fn things_go_to_tasks_in_the_order_in_which_they_began_to_wait() {
        let (line, things) = (Line::default(), Cell::new(0));
        let [mut first, mut given_up, mut second] = [0, 1, 2].map(|_| Box::pin(taken(&line, &things)));
        for waiting in [&mut first, &mut given_up, &mut second] {
            assert!(!is_done(waiting.as_mut()));
        }
        assert_eq!(line.len(), 3);
        things.set(3);
        let mut newcomer = pin!(taken(&line, &things));
        assert!(!is_done(newcomer.as_mut()));
        assert!(!is_done(second.as_mut()));
        assert!(is_done(first.as_mut()));
        drop((first, given_up));
        assert!(!is_done(newcomer.as_mut()));
        assert!(is_done(second.as_mut()));
        drop(second);
        assert!(is_done(newcomer.as_mut()));
    }
}
