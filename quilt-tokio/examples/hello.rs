//! A bootstrap service and two hosts in one process, over real sockets on loopback.
//!
//! Run it with: cargo run -p quilt-tokio --example hello

use quilt_tokio::{Bootstrap, BootstrapConfig, Node, Notice, Options, Url};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let any_port = ([127, 0, 0, 1], 0).into();
    let bootstrap = Bootstrap::bind(any_port, BootstrapConfig::default()).await?;
    let url = Url::new(bootstrap.local_addr(), "tea")?;
    let mut alice = Node::join(&url, Options::default()).await?;
    let mut bob = Node::join(&url, Options::default()).await?;

    alice.send("the kettle is on").await?;
    while let Some(notice) = bob.next().await {
        if let Notice::Message(message) = notice {
            println!("{}: {:?}", message.source, message.body.into_bytes());
            break;
        }
    }
    alice.leave().await;
    bob.leave().await;
    Ok(())
}
