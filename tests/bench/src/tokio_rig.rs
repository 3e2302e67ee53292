//! Quilt on tokio: a runtime with two threads for the publisher and all receivers.

use crate::site::{HOSTS, Protocol, group_name, options};
use crate::{RECEIVERS, Rig, Tally};
use bytes::Bytes;
use quilt_tokio::{Bootstrap, BootstrapConfig, Node, Notice, Url};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// How long the meshes and trees are left alone before anything is measured.
const SETTLING: Duration = Duration::from_secs(3);

/// A publisher and receivers on quilt-tokio.
pub struct TokioRig {
    runtime: Runtime,
    publisher: Node,
    shared: Arc<Shared>,
    _service: Bootstrap,
}

struct Shared {
    tally: Tally,
    done: Arc<Notify>,
    receivers: [Receiver; RECEIVERS],
}

/// What a receiver's task says of itself.
#[derive(Default)]
struct Receiver {
    settled: AtomicBool,
    calls: AtomicU64,
}

impl TokioRig {
    /// A settled group whose patch runs `protocol`.
    ///
    /// # Errors
    /// The group cannot be set up.
    pub fn new(protocol: Protocol) -> Result<Self, Box<dyn Error>> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let done = Arc::new(Notify::new());
        let wake = done.clone();
        let tally = Tally::new(move || wake.notify_one());
        let shared = Arc::new(Shared { tally, done, receivers: Default::default() });
        let (publisher, service) = runtime.block_on(set_up(protocol, &shared))?;
        Ok(Self { runtime, publisher, shared, _service: service })
    }
}

async fn set_up(
    protocol: Protocol,
    shared: &Arc<Shared>,
) -> Result<(Node, Bootstrap), Box<dyn Error>> {
    let any_port = ([127, 0, 0, 1], 0).into();
    let service = Bootstrap::bind(any_port, BootstrapConfig::default()).await?;
    let url = Url::new(service.local_addr(), &group_name())?;
    let publisher = Node::join(&url, options(protocol, 0)).await?;
    for number in 1..HOSTS {
        let node = Node::join(&url, options(protocol, number)).await?;
        tokio::spawn(receive(node, number - 1, protocol, shared.clone()));
    }
    while !stands(&publisher, protocol)
        || !shared.receivers.iter().all(|receiver| receiver.settled.load(SeqCst))
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(SETTLING).await;
    Ok((publisher, service))
}

/// Whether a host is in a patch that runs `protocol`.
fn stands(node: &Node, protocol: Protocol) -> bool {
    node.place().is_some_and(|place| place.protocol.to_string() == protocol.name())
}

/// Reads what a receiver is told, for ever.
async fn receive(mut node: Node, number: usize, protocol: Protocol, shared: Arc<Shared>) {
    let me = &shared.receivers[number];
    me.settled.store(stands(&node, protocol), SeqCst);
    while let Some(notice) = node.next().await {
        match notice {
            Notice::Message(_) => {
                me.calls.store(node.system_calls().total(), SeqCst);
                shared.tally.add(1);
            }
            Notice::Gap { .. } => panic!("a gap: {notice:?}"),
            _ => me.settled.store(stands(&node, protocol), SeqCst),
        }
    }
}

impl Rig for TokioRig {
    fn pass(&mut self, body: &Bytes, times: u64) {
        let (publisher, shared) = (&self.publisher, &self.shared);
        self.runtime.block_on(async {
            shared.tally.want(times * RECEIVERS as u64);
            for _ in 0..times {
                publisher.send(body.clone()).await.expect("the group goes on");
            }
            while shared.tally.missing() > 0 {
                shared.done.notified().await;
            }
        });
    }

    fn system_calls(&self) -> Option<(u64, u64)> {
        let receivers = self.shared.receivers.iter().map(|receiver| receiver.calls.load(SeqCst));
        Some((self.publisher.system_calls().total(), receivers.sum()))
    }
}
