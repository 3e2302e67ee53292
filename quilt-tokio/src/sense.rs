//! What is around a host, without joining anything.

use crate::driver::Driver;
use crate::member::Member;
use crate::sockets::Sockets;
use crate::{BindError, Options};
use quilt_proto::{Surroundings, Time};
use quilt_sockets::{FAREWELL, Listening, seed};
use std::net::SocketAddr;
use std::time::Duration;

/// Sensing ends by itself sooner; this is for whom the system keeps waiting.
const PATIENCE: Duration = Duration::from_millis(2_800);
/// How often it is looked whether all was answered.
const LOOK: Duration = Duration::from_millis(20);

/// What was found around a host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sensed {
    /// The surroundings of the interface that leads to the bootstrap service, or of the one that
    /// [`Options::bind`] names.
    pub surroundings: Surroundings,
    /// Where the host listened.
    pub address: SocketAddr,
    /// The bytes that the system granted as receive buffer of a UDP socket; 4 MiB are asked for.
    pub receive_buffer_bytes: usize,
}

/// Senses what is around this host in less than three seconds; how it can be reached, with the help of
/// the bootstrap service at `bootstrap`. It joins no group; what `options` say of a group has no meaning.
///
/// # Errors
/// The host's own address cannot be listened on.
pub async fn sense(bootstrap: Option<SocketAddr>, options: Options) -> Result<Sensed, BindError> {
    let listening = Listening::bind(options.bind)?;
    let (bound, receive_buffer_bytes) = (listening.address, listening.receive_buffer_bytes);
    let address = bootstrap.map_or(bound, |remote| listening.address_towards(remote));
    let driver = Driver::new(Member::new(options.node(address, seed())));
    Sockets::drive(listening, &driver).map_err(|source| BindError { address: bound, source })?;
    driver.call(|member, now: Time| member.node.sense(now, bootstrap));
    let settled = async {
        while !driver.peek(|member| member.node.surroundings().is_settled) {
            tokio::time::sleep(LOOK).await;
        }
    };
    // What is not known then stays unknown.
    let _ = tokio::time::timeout(PATIENCE, settled).await;
    let surroundings = driver.peek(|member| member.node.surroundings());
    // Others may wait for what this host has to say of them.
    driver.written(FAREWELL).await;
    driver.stop();
    Ok(Sensed { surroundings, address, receive_buffer_bytes })
}
