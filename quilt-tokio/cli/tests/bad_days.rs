//! Bad days: processes that die, stop or talk nonsense in the middle of a transfer.

mod common;

use common::{Feed, Folder, Quilt, holds, noise};
use serde_json::Value;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const LEN: usize = 4_000_000;
/// How often a condition is looked at that nothing announces.
const POLL: Duration = Duration::from_millis(5);

/// A group of six receivers: three in a site with IP multicast, three in one without.
struct Group {
    bootstrap: Option<Quilt>,
    address: String,
    url: String,
    folder: Folder,
    receivers: Vec<Quilt>,
    bytes: Vec<u8>,
}

impl Group {
    fn new() -> Self {
        let (bootstrap, address) = Quilt::bootstrap(&[]);
        let url = format!("quilt://{address}/tea");
        let bytes = noise(LEN, 1);
        let folder = Folder::new();
        let mut group =
            Self { bootstrap: Some(bootstrap), address, url, folder, receivers: vec![], bytes };
        for number in 0..6 {
            let receiver = group.join(number);
            group.receivers.push(receiver);
        }
        group
    }

    fn join(&self, number: usize) -> Quilt {
        let site = number % 2 + 1;
        let routers = if site == 1 { "gw-1+ipmc" } else { "gw-2" };
        let (bind, output) = (format!("127.{site}.7.{}", number + 1), self.output(number));
        let args = ["--bind", &bind, "--routers", routers, "--output", &output, "--stay"];
        Quilt::join(&self.url, &args)
    }

    fn output(&self, number: usize) -> String {
        self.folder.path(&format!("out-{number}"))
    }

    /// Sends the first half, and waits until every receiver has some of it.
    fn send_half(&mut self) -> Feed {
        let args = ["--bind", "127.1.7.99", "--routers", "gw-1+ipmc"];
        let mut feed = Feed::start(&self.url, &args);
        feed.write(&self.bytes[..LEN / 2]);
        for receiver in &mut self.receivers {
            receiver.wait_for("progress");
        }
        feed
    }

    /// Sends the rest; all receivers but `lost` become complete.
    fn complete_without(&mut self, lost: Option<usize>, mut feed: Feed) {
        feed.write(&self.bytes[LEN / 2..]);
        feed.finish();
        for (number, receiver) in self.receivers.iter_mut().enumerate() {
            if Some(number) != lost {
                receiver.wait_for("complete");
                let output = self.folder.path(&format!("out-{number}"));
                assert!(holds(&output, &self.bytes), "receiver {number}");
            }
        }
    }

    /// What a receiver last said of its role.
    fn role(receiver: &mut Quilt) -> Value {
        receiver.place()["role"].clone()
    }
}

#[test]
fn a_receiver_that_is_killed_keeps_nobody_from_completing() {
    let mut group = Group::new();
    let feed = group.send_half();
    group.receivers[3].kill();
    group.complete_without(Some(3), feed);
}

#[test]
fn a_representative_that_is_killed_keeps_nobody_from_completing() {
    let mut group = Group::new();
    let feed = group.send_half();
    let is_representative = |receiver: &mut Quilt| Group::role(receiver) == "representative";
    let of_site_2 = (1..6).step_by(2);
    let lost = of_site_2.into_iter().find(|&n| is_representative(&mut group.receivers[n])).unwrap();
    group.receivers[lost].kill();
    group.complete_without(Some(lost), feed);
}

#[test]
fn a_receiver_that_is_stopped_delays_nobody() {
    let mut group = Group::new();
    let feed = group.send_half();
    group.receivers[2].signal("STOP");
    group.complete_without(Some(2), feed);
    group.receivers[2].signal("CONT");
}

#[test]
fn a_transfer_completes_without_the_bootstrap_service_and_joins_work_when_it_is_back() {
    let mut group = Group::new();
    let feed = group.send_half();
    group.bootstrap.take().unwrap().kill();
    group.complete_without(None, feed);

    let (bootstrap, address) = Quilt::bootstrap_at(&group.address, &[]);
    assert_eq!(address, group.address);
    group.bootstrap = Some(bootstrap);
    let newcomer = group.join(6);
    group.receivers.push(newcomer);
    let feed = group.send_half();
    group.complete_without(None, feed);
}

#[test]
fn garbage_at_every_open_port_is_counted_and_disturbs_nobody() {
    let mut group = Group::new();
    let joined = group.receivers[0].seen("joined").remove(0);
    let ports = [group.address.clone(), joined["address"].as_str().unwrap().to_owned()];
    let feed = group.send_half();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let version_9 = [&[9][..], &noise(60, 2)].concat();
    let garbage = noise(1_400, 3);
    for port in &ports {
        for len in [0, 1, 19, 20, 21, 200, 1_400] {
            stranger.send_to(&garbage[..len], port).unwrap();
            stranger.send_to(&[&[1, 0, 0, 0][..], &garbage[..len]].concat(), port).unwrap();
        }
        stranger.send_to(&version_9, port).unwrap();
        let mut stream = TcpStream::connect(port).unwrap();
        // The other side may hang up at once.
        let _ = stream.write_all(&garbage);
    }
    let degraded = group.receivers[0].wait_for("degraded");
    assert!(degraded["trouble"].as_str().unwrap().contains("version"), "{degraded}");
    group.complete_without(None, feed);

    let receiver = group.receivers.remove(0).stop();
    let service = group.bootstrap.take().unwrap().stop();
    for counters in [&receiver["counters"], &service["counters"]] {
        for name in ["dropped_truncated", "dropped_version"] {
            assert!(counters[name].as_u64() > Some(0), "{name} in {counters}");
        }
    }
}

/// IPv6 has no IP multicast here yet, which is as good as a network without it.
#[test]
fn an_interface_without_multicast_is_said_and_another_protocol_takes_over() {
    let (_bootstrap, address) = Quilt::bootstrap_at("[::1]:0", &[]);
    let (folder, bytes) = (Folder::new(), noise(500_000, 4));
    let url = format!("quilt://{address}/tea");
    let outputs = [folder.path("a"), folder.path("b")];
    let mut receivers = outputs.each_ref().map(|output| {
        let args = ["--bind", "::1", "--routers", "gw+ipmc", "--output", output, "--stay"];
        Quilt::join(&url, &args)
    });
    for receiver in &mut receivers {
        let degraded = receiver.wait_for("degraded");
        let trouble = degraded["trouble"].as_str().unwrap();
        assert!(trouble.starts_with("ipmc does not work here: cannot join"), "{trouble}");
        // It is moved before it is admitted, or after.
        let is_moved = |value: &Value| value["protocol"] != "ipmc";
        let moved = |event| receiver.seen(event).iter().any(is_moved);
        if !["joined", "patch_changed"].map(moved).contains(&true) {
            receiver.wait_until("another protocol", |value| {
                value["event"] == "patch_changed" && is_moved(value)
            });
        }
    }
    let mut feed = Feed::start(&url, &["--bind", "::1"]);
    feed.write(&bytes);
    feed.finish();
    for (receiver, output) in receivers.iter_mut().zip(&outputs) {
        receiver.wait_for("complete");
        assert!(holds(output, &bytes));
    }
}

/// Its processes read standard input, whose other end goes with the demo.
#[cfg(target_os = "linux")]
#[test]
fn no_process_of_the_demo_outlives_it() {
    let folder = Folder::new();
    let input = folder.file("in", &noise(100_000, 5));
    let args = ["demo", "--hosts", "4", "--input", &input, "--timeout", "60"];
    let mut demo = Quilt::start_in(&args, folder.as_path());
    let deadline = Instant::now() + common::DEADLINE;
    let children = loop {
        let children = children_of(demo.id());
        if children.len() == 5 {
            break children;
        }
        assert!(Instant::now() < deadline, "{children:?}");
        std::thread::sleep(POLL);
    };
    demo.kill();
    while children.iter().any(|child| std::fs::exists(format!("/proc/{child}/exe")).unwrap()) {
        assert!(Instant::now() < deadline, "{children:?}");
        std::thread::sleep(POLL);
    }
}

/// The processes that `parent` has started, as /proc tells it.
#[cfg(target_os = "linux")]
fn children_of(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let of_parent = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    pids.filter(of_parent).collect()
}
