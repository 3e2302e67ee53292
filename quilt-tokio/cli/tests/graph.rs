//! The patchwork drawn by the real program.

mod common;

use common::{Folder, Quilt};
use serde_json::Value;

fn drawn(receiver: &mut Quilt, patches: u64, links: u64) -> Value {
    receiver.wait_until(&format!("picture of {patches} patches, {links} links"), |line| {
        line["event"] == "drawn" && line["patches"] == patches && line["links"] == links
    })
}

/// The picture without the ends of lines, which mean nothing.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap().replace('\n', "")
}

#[test]
fn a_receiver_draws_the_patches_and_the_tree_between_them_and_keeps_them_up_to_date() {
    let (_bootstrap, address) = Quilt::bootstrap(&[]);
    let (url, folder) = (format!("quilt://{address}/tea"), Folder::new());
    let picture = folder.path("tea.svg");
    let _far = Quilt::join(&url, &["--routers", "far-gateway"]);
    let near = Quilt::join(&url, &["--routers", "gateway"]);
    let mut receiver = Quilt::join(&url, &["--routers", "gateway", "--graph", &picture]);
    drawn(&mut receiver, 2, 2);

    let svg = read(&picture);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
    assert!(svg.contains("Group tea") && svg.contains("3 hosts in 2 patches"), "{svg}");
    let count = |text: &str| svg.matches(text).count();
    assert_eq!((count(">DONet mesh<"), count("representative, ")), (2, 3), "{svg}");
    assert_eq!(count(" ms</text>") + count(" µs</text>"), 2, "{svg}");

    near.stop();
    drawn(&mut receiver, 2, 1);
    assert!(read(&picture).contains("2 hosts in 2 patches"));
    receiver.stop();
    assert!(read(&picture).ends_with("</svg>"));
    assert!(!std::fs::exists(format!("{picture}.partial")).unwrap());
}

#[test]
fn a_picture_that_cannot_be_written_is_told_before_joining() {
    let folder = Folder::new();
    // Nobody listens there, which would be the next failure.
    let url = "quilt://127.0.0.1:9/tea";
    for (place, why) in [
        (folder.path("no/such/folder.svg"), "no such file or directory; create its folder first"),
        (folder.path(""), "it is not a regular file; choose a place that can be written"),
    ] {
        let end = Quilt::start(&["join", url, "--graph", &place]).end();
        assert!(end.failure().starts_with(&format!("cannot write {place}")), "{}", end.stderr);
        assert!(end.failure().ends_with(why), "{}", end.stderr);
        let end = Quilt::start(&["demo", "--hosts", "1", "--graph", &place]).end();
        assert!(end.failure().ends_with(why), "{}", end.stderr);
    }
}

#[test]
fn a_picture_is_not_drawn_over_what_is_sent_or_received() {
    let folder = Folder::new();
    let refused = |args: &[&str], why: &str| {
        let end = Quilt::start(args).end();
        let failure = end.failure();
        assert!(failure.starts_with("cannot draw to "), "{failure}");
        assert!(failure.ends_with(&format!(": {why}; give --graph another file")), "{failure}");
    };
    let (both, again) = (folder.path("both"), folder.path("./both"));
    // Nobody listens there, which would be the next failure.
    let join = |output: &str, graph: &str| {
        let args = ["join", "quilt://127.0.0.1:9/tea", "--output", output, "--graph", graph];
        refused(&args, "it is to hold what arrives");
    };
    join(&both, &both);
    join(&both, &again);
    join(&both, &format!("{again}.partial"));
    join(&format!("{again}.partial"), &both);

    let input = folder.file("both", b"a small file");
    let demo = ["demo", "--hosts", "1", "--graph", &again];
    refused(&[&demo[..], &["--input", &input]].concat(), "it is what is to be sent");
    assert!(common::holds(&input, b"a small file"));
}

#[cfg(unix)]
#[test]
fn the_demo_does_not_draw_over_the_program_that_it_sends() {
    let folder = Folder::new();
    let program = folder.path("program");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_quilt"), &program).unwrap();
    let end = Quilt::start(&["demo", "--hosts", "1", "--graph", &program]).end();
    assert_eq!(
        end.failure(),
        format!("cannot draw to {program}: it is what is to be sent; give --graph another file")
    );
}

#[test]
fn the_demo_draws_its_four_sites_and_says_where() {
    let folder = Folder::new();
    let (picture, input) = (folder.path("demo.svg"), folder.file("in", b"a small file"));
    let args = ["demo", "--hosts", "8", "--input", &input, "--graph", &picture];
    let end = Quilt::start(&args).end();
    assert!(end.status.success(), "{}", end.stderr);
    let last = end.stdout.last().unwrap();
    assert!(last.starts_with("the patchwork is drawn") && last.ends_with(&picture), "{last}");
    let svg = read(&picture);
    assert!(svg.contains("9 hosts in 4 patches"), "{svg}");
    assert_eq!(svg.matches(">IP multicast<").count(), 2, "{svg}");
    assert_eq!(svg.matches(">root<").count(), 1, "{svg}");
}
