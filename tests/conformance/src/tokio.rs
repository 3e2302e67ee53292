//! `quilt-tokio`: each host, and the service, on a runtime of its own with one thread.

use crate::host::{Command, Facts, Outside, View};
use crate::remote::Remote;
use crate::service;
use ::tokio::runtime::Builder;
use ::tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use bytes::Bytes;
use quilt_tokio::proto::Seq;
use quilt_tokio::{
    Bootstrap, BootstrapConfig, Node, Options, PublishError, PublishOptions, Sender, Url,
};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub(crate) fn host(url: Url, options: Options, outside: Outside) -> Remote<Command> {
    let (post, commands) = unbounded_channel();
    let serve = async move {
        match Node::join(&url, options).await {
            Ok(node) => serve(node, commands, outside).await,
            Err(error) => drop(outside.started.send(Err(error))),
        }
    };
    Remote::start(move |command| drop(post.send(command)), || run(serve))
}

pub(crate) fn service(
    address: SocketAddr,
    config: BootstrapConfig,
    outside: service::Outside,
) -> Remote<service::Command> {
    let (post, commands) = unbounded_channel();
    let serve = async move {
        match Bootstrap::bind(address, config).await {
            Ok(bootstrap) => serve_groups(bootstrap, commands, outside).await,
            Err(error) => drop(outside.started.send(Err(error))),
        }
    };
    Remote::start(move |command| drop(post.send(command)), || run(serve))
}

fn run(serve: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(serve);
}

async fn serve(mut node: Node, mut commands: UnboundedReceiver<Command>, outside: Outside) {
    let receive_buffer_bytes = node.receive_buffer_bytes();
    let facts = Facts { id: node.host(), address: node.local_addr(), receive_buffer_bytes };
    let _ = outside.started.send(Ok(facts));
    let mut notices = Some(outside.notices);
    let mut reads = true;
    loop {
        ::tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Publish(body, options, answer)) => {
                    let _ = answer.send(publish(&node.sender(), body, options));
                }
                Some(Command::Send(bodies, answers)) => {
                    ::tokio::spawn(send(node.sender(), bodies, answers));
                }
                Some(Command::Read(on)) => reads = on,
                // Nothing else runs on this runtime's thread meanwhile.
                Some(Command::Freeze(frozen)) => drop(frozen.recv()),
                Some(Command::Look(answer)) => {
                    let _ = answer.send(View { place: node.place(), counters: node.counters() });
                }
                Some(Command::Leave(answer)) => {
                    node.leave().await;
                    let _ = answer.send(());
                }
                Some(Command::Stop) | None => return,
            },
            notice = node.next(), if reads && notices.is_some() => match (notice, &notices) {
                (Some(notice), Some(notices)) => drop(notices.send(notice)),
                _ => notices = None,
            },
        }
    }
}

/// Publishes if that is granted at once: where it is not, the future waits, and is dropped.
fn publish(sender: &Sender, body: Bytes, options: PublishOptions) -> Result<Seq, PublishError> {
    let send = pin!(sender.send_with(body, options));
    match send.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(PublishError::WouldBlock),
    }
}

async fn send(
    sender: Sender,
    bodies: Vec<Bytes>,
    answers: std::sync::mpsc::Sender<Result<Seq, PublishError>>,
) {
    for body in bodies {
        let answer = sender.send(body).await;
        let failed = answer.is_err();
        if answers.send(answer).is_err() || failed {
            return;
        }
    }
}

async fn serve_groups(
    mut bootstrap: Bootstrap,
    mut commands: UnboundedReceiver<service::Command>,
    outside: service::Outside,
) {
    let _ = outside.started.send(Ok(bootstrap.local_addr()));
    loop {
        ::tokio::select! {
            command = commands.recv() => match command {
                Some(service::Command::Counters(answer)) => {
                    let _ = answer.send(bootstrap.counters());
                }
                Some(service::Command::Stop) | None => return,
            },
            () = bootstrap.changed() => drop(outside.groups.send(bootstrap.groups())),
        }
    }
}
