//! What all calls of a channel have together that are made more than once: retry tokens, a budget, and room for what may be sent again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::config::ChannelConfig;
use crate::policy::retry::RetryThrottling;
use crate::policy::retry::buffer::{CallBuffer, ChannelBuffer};
use crate::policy::retry::throttle::{Allowance, Throttle};
use crate::policy::transparent_retry::RetryBudget;
use crate::time::Time;

pub(crate) struct Retrying {
    throttle: Cell<Throttle>,
    budget: RefCell<RetryBudget>,
    buffer: Rc<ChannelBuffer>,
    /// How much one call may keep.
    call_buffer: u64,
}

impl Retrying {
    pub(super) fn new(config: &ChannelConfig, now: Time) -> Rc<Self> {
        let throttling = config.service_config.as_ref().and_then(|config| config.retry_throttling);
        Rc::new(Self {
            throttle: Cell::new(Throttle::new(throttling)),
            budget: RefCell::new(RetryBudget::new(config.transparent_retry, now)),
            buffer: Rc::new(ChannelBuffer::new(config.retries.channel_buffer)),
            call_buffer: config.retries.call_buffer,
        })
    }

    /// The service config that holds from now on has these rules ([UPD-01]).
    pub(super) fn on_configured(&self, throttling: Option<RetryThrottling>) {
        let mut throttle = self.throttle.get();
        throttle.rescale(throttling);
        self.throttle.set(throttle);
    }

    /// A call ended OK ([THR-22]).
    pub(super) fn on_success(&self) {
        let mut throttle = self.throttle.get();
        throttle.on_success();
        self.throttle.set(throttle);
    }

    /// Lends what bounds further attempts; the channel has started `calls` so far.
    pub(super) fn with_allowance<T>(&self, now: Time, calls: u64, ask: impl FnOnce(&mut Allowance<'_>) -> T) -> T {
        let mut throttle = self.throttle.get();
        let answer = ask(&mut Allowance { throttle: &mut throttle, budget: &mut self.budget.borrow_mut(), now, calls });
        self.throttle.set(throttle);
        answer
    }

    /// Room for one call's messages.
    pub(super) fn call_buffer(&self) -> CallBuffer {
        CallBuffer::new(Rc::clone(&self.buffer), self.call_buffer)
    }
}
