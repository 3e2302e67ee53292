//! A node's machine, and what stands between it and the application.

use quilt_proto::{Action, Event, LinkId, Machine, Node, Notice, RejectCause, Time, Transmit};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Notify;

/// Notices that wait for the application outside the machine. Beyond them messages wait in the
/// window.
const INBOX: usize = 16;

/// A node's machine with the notices that wait for the application.
pub(crate) struct Member {
    pub(crate) node: Node,
    inbox: VecDeque<Notice>,
    standing: Standing,
    /// Something is in the inbox, or the standing changed.
    pub(crate) readable: Arc<Notify>,
    /// A publication that was put off is worth another try.
    pub(crate) writable: Arc<Notify>,
}

/// How far a membership has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Joining,
    Joined,
    Rejected(RejectCause),
    Over,
}

impl Member {
    pub(crate) fn new(node: Node) -> Self {
        let (readable, writable) = (Arc::default(), Arc::default());
        Self { node, inbox: VecDeque::new(), standing: Standing::Joining, readable, writable }
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The next notice.
    pub(crate) fn take(&mut self) -> Option<Notice> {
        self.pump();
        self.inbox.pop_front()
    }

    /// Whether no notice will follow those in the inbox.
    pub(crate) fn is_over(&self) -> bool {
        self.standing == Standing::Over
    }

    /// Pulls notices while there is room for them.
    pub(crate) fn pump(&mut self) {
        while self.inbox.len() < INBOX {
            let Some((_, notice)) = self.node.poll_notice() else { break };
            match &notice {
                Notice::Joined(_) => self.standing = Standing::Joined,
                Notice::Rejected { cause } => self.standing = Standing::Rejected(cause.clone()),
                Notice::Left | Notice::Evicted { .. } => self.standing = Standing::Over,
                _ => {}
            }
            match notice {
                Notice::Writable => self.writable.notify_waiters(),
                Notice::Joined(_) => {}
                other => self.inbox.push_back(other),
            }
            self.readable.notify_one();
        }
        // Behind a full inbox no word of writability comes through: let senders try. The same
        // where the group is over, which ends them.
        if self.inbox.len() >= INBOX || self.is_over() {
            self.writable.notify_waiters();
        }
    }
}

impl Machine for Member {
    fn accept(&mut self, now: Time, from: SocketAddr) -> Option<LinkId> {
        self.node.accept(now, from)
    }

    fn handle(&mut self, now: Time, event: Event) {
        self.node.handle(now, event);
        self.pump();
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.node.poll_action()
    }

    fn poll_transmit(&mut self, link: LinkId) -> Option<Transmit> {
        let transmit = self.node.poll_transmit(link);
        self.pump();
        transmit
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.node.poll_timeout()
    }
}
