//! What ends the program from outside.

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and, if asked for, the end of standard input.
pub(crate) struct Stop {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    stdin: bool,
}

impl Stop {
    /// Listens from now on. Where the system does not let it, its default stays: to die at once.
    pub(crate) fn listen(stdin: bool) -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            stdin,
        }
    }

    /// Waits for any of them. Dropping the future loses nothing but bytes of standard input.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            () = one(&mut self.interrupt) => {}
            () = one(&mut self.terminate) => {}
            () = end_of_stdin(), if self.stdin => {}
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

async fn end_of_stdin() {
    let (mut stdin, mut bytes) = (tokio::io::stdin(), [0; 256]);
    while matches!(stdin.read(&mut bytes).await, Ok(read) if read > 0) {}
}
