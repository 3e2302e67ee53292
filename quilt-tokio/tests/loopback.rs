//! The adapter over real sockets on loopback.

use quilt_tokio::proto::{Counter, Incarnation, RejectCause};
use quilt_tokio::{
    Bootstrap, BootstrapConfig, JoinError, Message, Node, Notice, Options, PublishError, Url,
};
use std::time::Duration;

async fn bootstrap() -> (Bootstrap, Url) {
    let any_port = ([127, 0, 0, 1], 0).into();
    let bootstrap = Bootstrap::bind(any_port, BootstrapConfig::default()).await.unwrap();
    let url = Url::new(bootstrap.local_addr(), "tea").unwrap();
    (bootstrap, url)
}

async fn join(url: &Url) -> Node {
    Node::join(url, Options::default()).await.unwrap()
}

async fn next_message(node: &mut Node) -> Message {
    loop {
        match node.next().await.expect("the group goes on") {
            Notice::Message(message) => return message,
            Notice::Gap { .. } => panic!("a gap"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn messages_come_whole_and_in_order_whatever_their_length() {
    let (_bootstrap, url) = bootstrap().await;
    let (alice, mut bob) = (join(&url).await, join(&url).await);
    let lengths = [0, 1, 1_099, 1_100, 1_101, 65_536, 3_000_000, 7];
    let send = async {
        for (seed, len) in (0..).zip(lengths) {
            alice.send(vec![seed; len]).await.unwrap();
        }
    };
    let receive = async {
        for (seed, len) in (0..).zip(lengths) {
            let message = next_message(&mut bob).await;
            assert_eq!(message.seq.0, u64::from(seed));
            assert_eq!(message.body.into_bytes(), vec![seed; len]);
        }
    };
    tokio::join!(send, receive);
}

#[tokio::test]
async fn a_sender_waits_while_too_much_is_under_way_also_if_nobody_reads_its_notices() {
    let (_bootstrap, url) = bootstrap().await;
    let options = Options { publish_bytes_per_second: 2_000_000, ..Options::default() };
    let alice = Node::join(&url, options).await.unwrap();
    let mut bob = join(&url).await;
    let started = std::time::Instant::now();
    let send = async {
        for _ in 0..100 {
            alice.send(vec![7; 10_000]).await.unwrap();
            bob.send(vec![8; 10]).await.unwrap();
        }
    };
    send.await;
    assert!(started.elapsed() > Duration::from_millis(400), "{:?}", started.elapsed());
    for _ in 0..100 {
        assert_eq!(next_message(&mut bob).await.body.len(), 10_000);
    }
}

#[tokio::test]
async fn leaving_is_told_and_ends_the_notices_and_the_senders() {
    let (mut bootstrap, url) = bootstrap().await;
    let (mut alice, bob) = (join(&url).await, join(&url).await);
    let sender = alice.sender();
    alice.leave().await;
    assert_eq!(alice.next().await, None);
    assert_eq!(sender.send("late").await, Err(PublishError::Closed));
    while bootstrap.groups()[0].hosts > 1 {
        bootstrap.changed().await;
    }
    drop(alice);
    assert_eq!(sender.send("later").await, Err(PublishError::Closed));
    assert!(bob.place().is_some());
}

#[tokio::test]
async fn a_host_that_starts_anew_is_told_from_its_former_life() {
    let (_bootstrap, url) = bootstrap().await;
    let mut bob = join(&url).await;
    let first = Options { incarnation: Incarnation(1), ..Options::default() };
    let alice = Node::join(&url, first).await.unwrap();
    alice.send("one").await.unwrap();
    assert_eq!(next_message(&mut bob).await.source.incarnation, Incarnation(1));
    let second =
        Options { host: Some(alice.host()), incarnation: Incarnation(2), ..Options::default() };
    drop(alice);
    let alice = Node::join(&url, second).await.unwrap();
    alice.send("two").await.unwrap();
    assert_eq!(next_message(&mut bob).await.source.incarnation, Incarnation(2));
}

#[tokio::test]
async fn what_cannot_be_joined_is_said() {
    let (bootstrap, url) = bootstrap().await;
    let taken = Options { bind: bootstrap.local_addr(), ..Options::default() };
    assert!(matches!(Node::join(&url, taken).await, Err(JoinError::Bind(_))));
    let alone = Options { create: false, ..Options::default() };
    let refused = Node::join(&url, alone).await.err();
    assert!(matches!(refused, Some(JoinError::Rejected(RejectCause::UnknownGroup))));
}

#[tokio::test]
async fn foreign_datagrams_are_counted_and_disturb_nobody() {
    let (bootstrap, url) = bootstrap().await;
    let (alice, mut bob) = (join(&url).await, join(&url).await);
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for to in [bootstrap.local_addr(), bob.local_addr()] {
        stranger.send_to(&[9; 100], to).await.unwrap();
        stranger.send_to(&[1; 3], to).await.unwrap();
    }
    alice.send("tea").await.unwrap();
    assert_eq!(next_message(&mut bob).await.body.into_bytes(), "tea");
    while [bootstrap.counters(), bob.counters()]
        .iter()
        .any(|counters| counters.get(Counter::DroppedTruncated) == 0)
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(bob.counters().get(Counter::DroppedVersion) > 0);
    assert!(bob.receive_buffer_bytes() > 0);
}

#[tokio::test]
async fn a_member_is_told_how_the_group_is_put_together() {
    let (_bootstrap, url) = bootstrap().await;
    let mut node = join(&url).await;
    node.survey().unwrap();
    let survey = loop {
        if let Notice::Surveyed(survey) = node.next().await.unwrap() {
            break survey;
        }
    };
    assert_eq!((survey.hosts, survey.patches.len()), (1, 2));
    node.leave().await;
    assert!(node.survey().is_err());
}
