//! Threads with an adapter's loop in them.

use std::thread::JoinHandle;

/// What both kinds of loops are told at the end.
pub(crate) trait Stop {
    /// End at once, without a farewell.
    const STOP: Self;
}

/// A thread, and how it is told to do something. It ends when this is dropped.
pub(crate) struct Remote<C: Stop> {
    post: Box<dyn Fn(C) + Send>,
    thread: Option<JoinHandle<()>>,
}

impl<C: Stop> Remote<C> {
    /// Starts a thread that runs `serve`; `post` hands it a command and wakes it up.
    pub(crate) fn start(
        post: impl Fn(C) + Send + 'static,
        serve: impl FnOnce() + Send + 'static,
    ) -> Self {
        // Its name is the test's, so that what it has to say is captured with it.
        let name = std::thread::current().name().unwrap_or("host").to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(serve);
        Self { post: Box::new(post), thread: Some(thread.expect("a thread can be started")) }
    }

    pub(crate) fn post(&self, command: C) {
        (self.post)(command);
    }
}

impl<C: Stop> Drop for Remote<C> {
    fn drop(&mut self) {
        (self.post)(C::STOP);
        let ended = self.thread.take().map(JoinHandle::join);
        // A panic in a scenario is not to be buried under one in here.
        assert!(ended.is_none_or(|end| end.is_ok()) || std::thread::panicking(), "a loop panicked");
    }
}
