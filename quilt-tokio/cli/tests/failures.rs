//! Bad input: each failure is one line that says what, why and the cure, and a non-zero exit.

mod common;

use common::{Folder, Quilt};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// A port where nothing listens: it was free a moment ago.
fn nobody() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[track_caller]
fn fails(args: &[&str], text: &str) {
    let end = Quilt::start(args).end();
    assert_eq!(end.failure(), text);
}

#[test]
fn an_absent_bootstrap_service_is_named_within_five_seconds() {
    let at = nobody();
    let started = Instant::now();
    fails(
        &["join", &format!("quilt://{at}/tea")],
        &format!(
            "cannot join quilt://{at}/tea: the bootstrap service at {at} does not answer; start \
             it with: quilt bootstrap --listen {at}"
        ),
    );
    assert!(started.elapsed() < Duration::from_millis(5_500), "{:?}", started.elapsed());
}

#[test]
fn a_taken_port_is_named() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    fails(
        &["bootstrap", "--listen", &address],
        &format!(
            "cannot listen on {address}: the address is taken; end the program that has it, or \
             take a free port with --listen 127.0.0.1:0"
        ),
    );
}

#[test]
fn a_group_that_may_not_exist_is_unknown() {
    let (_bootstrap, address) = Quilt::bootstrap(&["--group", "tea"]);
    let url = format!("quilt://{address}/coffee");
    fails(
        &["join", &url],
        &format!(
            "cannot join {url}: the bootstrap service has no such group; start a receiver first \
             with: quilt join {url}, or allow the name with: quilt bootstrap --group coffee"
        ),
    );
}

#[test]
fn a_group_that_promises_something_else_is_named_with_what_it_promises() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let url = format!("quilt://{address}/tea");
    let _first = Quilt::join(&url, &["--delivery", "ordered"]);
    fails(
        &["join", &url, "--delivery", "reliable"],
        &format!(
            "cannot join {url}: the group is ordered, as its first host settled, and not as \
             wished here; say --delivery ordered or leave it out, or take another group"
        ),
    );
}

#[test]
fn a_group_without_receivers_is_unknown_to_a_sender() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let url = format!("quilt://{address}/tea");
    let folder = Folder::new();
    let input = folder.file("in", b"tea");
    let end = Quilt::start(&["send", &url, "--input", &input]).end();
    assert!(end.failure().contains("start a receiver first with: quilt join"), "{}", end.stderr);
}

#[test]
fn a_message_that_is_too_large_is_refused() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let folder = Folder::new();
    let (url, input) = (format!("quilt://{address}/tea"), folder.file("in", &[7; 17 << 20]));
    let _receiver = Quilt::join(&url, &[]);
    let chunk = (17 << 20).to_string();
    let end = Quilt::start(&["send", &url, "--input", &input, "--chunk", &chunk]).end();
    let failure = end.failure();
    assert!(failure.starts_with("cannot send: the message has 17825813 bytes"), "{failure}");
    assert!(failure.ends_with("take smaller chunks, for instance --chunk 65536"), "{failure}");
}

#[test]
fn an_input_that_cannot_be_read_is_named_before_anything_is_joined() {
    let url = format!("quilt://{}/tea", nobody());
    fails(
        &["send", &url, "--input", "/nowhere/f"],
        "cannot read /nowhere/f: no such file or directory; check the path",
    );
    fails(
        &["send", &url, "--input", "/"],
        "cannot read /: is a directory; choose a file that can be read",
    );
}

#[test]
fn an_output_that_cannot_be_written_is_named_before_anything_is_joined() {
    fails(
        &["join", &format!("quilt://{}/tea", nobody()), "--output", "/nowhere/f"],
        "cannot write /nowhere/f.partial: no such file or directory; create its folder first",
    );
    for not_a_file in ["/", "/dev/null"] {
        fails(
            &["join", &format!("quilt://{}/tea", nobody()), "--output", not_a_file],
            &format!(
                "cannot write {not_a_file}: it is not a regular file; choose a place that can be \
                 written"
            ),
        );
    }
}

#[test]
fn a_url_is_checked() {
    fails(
        &["join", "quilt://127.0.0.1/tea"],
        "\"quilt://127.0.0.1/tea\" is not the URL of a group: the host must be followed by a colon \
         and a port from 1 to 65535; write it as quilt://HOST:PORT/GROUP, for instance \
         quilt://127.0.0.1:7400/tea",
    );
}

#[test]
fn a_policy_is_checked() {
    let folder = Folder::new();
    let policy = folder.file("policy", b"order ipmc\nforbid ipmc\n");
    fails(
        &["bootstrap", "--listen", "127.0.0.1:0", "--policy", &policy],
        &format!(
            "the policy {policy} is wrong in line 2: the line does not have the form `forbid \
             PROTOCOL ADDRESS/BITS`; quilt bootstrap --help shows the format"
        ),
    );
}

#[test]
fn a_bootstrap_service_of_another_version_is_named() {
    let service = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = service.local_addr().unwrap();
    let join = Quilt::start(&["join", &format!("quilt://{at}/tea")]);
    let mut packet = [0; 1_500];
    service.set_read_timeout(Some(common::DEADLINE)).unwrap();
    let (len, from) = service.recv_from(&mut packet).unwrap();
    packet[0] = 9;
    service.send_to(&packet[..len], from).unwrap();
    assert_eq!(
        join.end().failure(),
        format!(
            "cannot join quilt://{at}/tea: the bootstrap service speaks version 9 of the wire \
             format, this host version 1; upgrade this program"
        )
    );
}
