//! Tasks in a scope: on whatever thread they run.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::Scope;

/// A future that is in a [`Scope`] whenever it is polled, and when it is dropped: see [`Scope::attach`].
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct InScope<F> {
    scope: Scope,
    /// `None` once it is done.
    future: Option<F>,
}

impl<F> InScope<F> {
    pub(super) fn new(scope: Scope, future: F) -> InScope<F> {
        InScope { scope, future: Some(future) }
    }
}

impl<F: Future> Future for InScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the inner future is pinned as this one is: it is polled in place, and below dropped in place.
        let this = unsafe { self.get_unchecked_mut() };
        let _entered = this.scope.enter();
        let future = this.future.as_mut().expect("a future is not polled after it is done");
        // SAFETY: as above.
        let result = unsafe { Pin::new_unchecked(future) }.poll(context);
        if result.is_ready() {
            this.future = None;
        }
        result
    }
}

impl<F> Drop for InScope<F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            let _entered = self.scope.enter();
            self.future = None;
        }
    }
}
