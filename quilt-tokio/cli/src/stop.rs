//! What ends the program from outside.

use std::io::Read;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// SIGINT, SIGTERM and, if asked for, the end of standard input.
pub(crate) struct Stop {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    stdin: Arc<Notify>,
}

impl Stop {
    /// Listens from now on. Where the system does not let it, its default stays: to die at once.
    pub(crate) fn listen(stdin: bool) -> Self {
        let ended = Arc::new(Notify::new());
        if stdin {
            let ended = ended.clone();
            std::thread::spawn(move || {
                let (mut stdin, mut bytes) = (std::io::stdin().lock(), [0; 256]);
                while matches!(stdin.read(&mut bytes), Ok(read) if read > 0) {}
                ended.notify_one();
            });
        }
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            stdin: ended,
        }
    }

    /// Waits for any of them. Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            () = one(&mut self.interrupt) => {}
            () = one(&mut self.terminate) => {}
            () = self.stdin.notified() => {}
        }
    }
}

async fn one(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
