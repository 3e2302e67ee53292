//! A tokio service in front of a group: text clients connect by TCP, each line from any of them
//! is published, and each message of the group goes to all of them.
//!
//! - `cargo run -p quilt-tokio --example service -- 127.0.0.1:7777 quilt://127.0.0.1:7400/tea`
//!   serves clients on a port until ctrl-c (try `nc 127.0.0.1 7777`);
//! - without arguments two such services, in one group, carry a line from a client of one to a
//!   client of the other, and end.

use bytes::Bytes;
use quilt_tokio::{Bootstrap, BootstrapConfig, Node, Notice, Options, Sender, Url};
use std::error::Error;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

/// A longer line is published in pieces: no client decides how much memory it takes.
const MAX_LINE_BYTES: u64 = 64 << 10;
/// Lines that wait for a client. One that takes them too slowly misses some, and delays nobody.
const LINES: usize = 256;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(url)) = (arguments.next(), arguments.next()) else {
        return rehearse().await;
    };
    let node = Node::join(&url.parse()?, Options::default()).await?;
    let listener = TcpListener::bind(address).await?;
    println!("clients connect to {}", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(node, listener, stop).await;
    Ok(())
}

/// Serves the clients of one listener until `stop`, or until the group is over.
async fn serve(mut node: Node, listener: TcpListener, stop: impl Future<Output = ()>) {
    let (lines, _) = broadcast::channel(LINES);
    let mut clients = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            // One that cannot be accepted is tried again when something else has happened.
            Ok((stream, _)) = listener.accept() => {
                clients.spawn(client(stream, node.sender(), lines.clone()));
            }
            Some(_) = clients.join_next() => {}
            notice = node.next() => match notice {
                // That there is no client is no error.
                Some(Notice::Message(message)) => drop(lines.send(message.body.into_bytes())),
                Some(other) => println!("{other:?}"),
                None => break,
            },
        }
    }
    // Nothing is published any more; what was is still handed to whoever misses it.
    clients.shutdown().await;
    node.leave().await;
}

/// Serves one client until it goes.
async fn client(
    stream: TcpStream,
    sender: Sender,
    lines: broadcast::Sender<Bytes>,
) -> Result<(), Failure> {
    let received = lines.subscribe();
    let (reader, writer) = stream.into_split();
    tokio::select! {
        end = publish(reader, sender, lines) => end,
        end = show(writer, received) => Ok(end?),
    }
}

/// Publishes what the client writes. While the group takes no more, nothing is read from it.
async fn publish(
    reader: OwnedReadHalf,
    sender: Sender,
    lines: broadcast::Sender<Bytes>,
) -> Result<(), Failure> {
    let mut reader = BufReader::new(reader).take(0);
    loop {
        let mut line = Vec::new();
        reader.set_limit(MAX_LINE_BYTES);
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let line = Bytes::from(line);
        sender.send(line.clone()).await?;
        // A host is not told of what it has published itself, but its other clients are.
        lines.send(line)?;
    }
}

/// Writes to the client what anybody else wrote.
async fn show(mut writer: OwnedWriteHalf, mut lines: broadcast::Receiver<Bytes>) -> io::Result<()> {
    loop {
        match lines.recv().await {
            Ok(line) => writer.write_all(&line).await?,
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                writer.write_all(format!("({missed} lines missed)\n").as_bytes()).await?;
            }
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

/// Two services and a client of each.
async fn rehearse() -> Result<(), Failure> {
    let any_port = "127.0.0.1:0".parse()?;
    let bootstrap = Bootstrap::bind(any_port, BootstrapConfig::default()).await?;
    let url = Url::new(bootstrap.local_addr(), "tea")?;
    let (here, there) = (TcpListener::bind(any_port).await?, TcpListener::bind(any_port).await?);
    let addresses = (here.local_addr()?, there.local_addr()?);

    let (stop, stopped) = watch::channel(());
    let until_dropped =
        |mut stopped: watch::Receiver<()>| async move { while stopped.changed().await.is_ok() {} };
    let clients = async move {
        let _stop = stop;
        let mut ann = BufReader::new(TcpStream::connect(addresses.0).await?);
        let mut bob = BufReader::new(TcpStream::connect(addresses.1).await?);
        for client in [&mut ann, &mut bob] {
            // Who has read its own line is connected through, and reads those of others.
            client.write_all(b"hello\n").await?;
            client.read_line(&mut String::new()).await?;
        }
        ann.write_all(b"the kettle is on\n").await?;
        let mut lines = bob.lines();
        while let Some(line) = lines.next_line().await? {
            println!("bob reads {line:?}");
            if line == "the kettle is on" {
                break;
            }
        }
        io::Result::Ok(())
    };
    let nodes =
        (Node::join(&url, Options::default()).await?, Node::join(&url, Options::default()).await?);
    let ((), (), done) = tokio::join!(
        serve(nodes.0, here, until_dropped(stopped.clone())),
        serve(nodes.1, there, until_dropped(stopped)),
        clients,
    );
    Ok(done?)
}
