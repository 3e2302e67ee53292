//! The system's sockets under a driver: one task for each.

use crate::datagrams::Datagrams;
use crate::driver::{Carrier, Driver, Task};
use crate::stream;
use quilt_proto::euid::Transport;
use quilt_proto::{Action, Event, LinkId, Machine};
use quilt_sockets::{ACCEPT_PAUSE, Answer, Listening, Membership, Probe, link_error};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What word of a router is told as: it waits among a socket's errors.
const ANSWERED: Interest = Interest::READABLE.add(Interest::ERROR);

/// All open links.
pub(crate) struct Sockets {
    links: BTreeMap<LinkId, Link>,
    _listening: Vec<Task>,
}

struct Link {
    /// Wakes the link's writer.
    look: Arc<Notify>,
    /// The writer was woken, and has not run dry since.
    busy: bool,
    _task: Task,
}

impl Sockets {
    /// Sets `driver` going on the sockets that a host listens on.
    ///
    /// # Errors
    /// The runtime has no room for them.
    pub(crate) fn drive<M: Machine + Send + 'static>(
        listening: Listening,
        driver: &Arc<Driver<M>>,
    ) -> io::Result<()> {
        let Listening { tcp, udp, others, .. } = listening;
        let tcp = TcpListener::from_std(tcp)?;
        let all = std::iter::once((LinkId::UDP, udp)).chain(others);
        let all = all.map(|(link, socket)| Ok((link, Datagrams::new(socket)?)));
        let all: Vec<_> = all.collect::<io::Result<_>>()?;
        let tasks =
            vec![Task::spawn(driver.clone().keep_time()), Task::spawn(accept(driver.clone(), tcp))];
        let mut sockets = Self { links: BTreeMap::new(), _listening: tasks };
        for (link, udp) in all {
            let serving = driver.clone();
            sockets.open(link, |look| udp.serve(serving, link, None, look));
        }
        driver.run(Carrier::Sockets(sockets));
        Ok(())
    }

    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Closes a link; false if there is none.
    pub(crate) fn remove(&mut self, link: LinkId) -> bool {
        self.links.remove(&link).is_some()
    }

    /// The writer of a link has written all there was.
    pub(crate) fn ran_dry(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.busy = false;
        }
    }

    /// Whether no writer has anything to write.
    pub(crate) fn are_idle(&self) -> bool {
        self.links.values().all(|link| !link.busy)
    }

    pub(crate) fn accept<M: Machine + Send + 'static>(
        &mut self,
        driver: &Arc<Driver<M>>,
        link: LinkId,
        stream: TcpStream,
    ) {
        let driver = driver.clone();
        self.open(link, |look| stream::serve(driver, link, stream, look));
    }

    pub(crate) fn act<M: Machine + Send + 'static>(
        &mut self,
        driver: &Arc<Driver<M>>,
        action: Action,
    ) {
        let driver = driver.clone();
        match action {
            Action::Dial { link, to, from } => {
                self.open(link, |look| stream::dial(driver, link, to, from, look));
            }
            Action::JoinMulticast { link, address, interface, ttl } => {
                let membership = Membership { address, interface, ttl };
                self.open(link, |look| join_multicast(driver, link, membership, look));
            }
            Action::Probe { link, by, to, ttl, from } => {
                self.open(link, |_| probe(driver, link, (by, to, ttl), from));
            }
            Action::Close { link } => {
                self.remove(link);
            }
            Action::Look { link } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.busy = true;
                    link.look.notify_one();
                }
            }
        }
    }

    fn open<F>(&mut self, link: LinkId, serve: impl FnOnce(Arc<Notify>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let look = Arc::new(Notify::new());
        let task = Task::spawn(serve(look.clone()));
        self.links.insert(link, Link { look, busy: false, _task: task });
    }
}

/// Takes streams in, for ever.
async fn accept<M: Machine + Send + 'static>(driver: Arc<Driver<M>>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => driver.on_accepted(stream, from),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one IP-multicast address.
async fn join_multicast<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    membership: Membership,
    look: Arc<Notify>,
) {
    match membership.join().and_then(Datagrams::new) {
        Ok(socket) => {
            if driver.on_link(link, [Event::Opened { link }]) {
                socket.serve(driver, link, Some(membership.address), look).await;
            }
        }
        Err(error) => driver.on_closed(link, link_error(&error)),
    }
}

/// Sends a probe, and waits for who answers it.
async fn probe<M: Machine + Send + 'static>(
    driver: Arc<Driver<M>>,
    link: LinkId,
    (by, to, ttl): (Transport, SocketAddr, u8),
    from: IpAddr,
) {
    #[allow(deprecated, reason = "the other way is unsafe, and a probe's descriptor is its own")]
    let answer = async {
        let probe = AsyncFd::with_interest(Probe::send(by, to, ttl, from)?, ANSWERED)?;
        probe.async_io(ANSWERED, Probe::read).await
    };
    match answer.await {
        Ok(Answer { at, is_end }) => {
            driver.on_link(link, [Event::Hop { link, at, is_end }]);
        }
        Err(error) => driver.on_closed(link, link_error(&error)),
    }
}
