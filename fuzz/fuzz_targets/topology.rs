//! Any text as a topology's file: it is a topology, or an error that names the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quilt_sim::topology::{Shape, SiteLatency, Topology};
use std::fs;
use std::path::PathBuf;

/// Topologies beyond this are not grown, so that a run is short.
const HOSTS: usize = 50;

fuzz_target!(|bytes: &[u8]| {
    // The form, then two files with a byte between them that no text has.
    let Some((&form, texts)) = bytes.split_first() else { return };
    let mut texts = texts.splitn(2, |&byte| byte == 0xff);
    let [first, second] = [(); 2].map(|()| texts.next().unwrap_or_default());
    let folder = folder();
    let name = match form % 3 {
        0 => "fuzz.json",
        1 => "fuzz.csv",
        _ => "fuzz_hosts.csv",
    };
    fs::write(folder.join(name), first).expect("room for a file");
    fs::write(folder.join("fuzz_rtt_upper_ms.csv"), second).expect("room for a file");
    let hosts = (form >= 128).then_some(HOSTS);
    let shape = Shape { hosts, seed: 1, latency: SiteLatency::Paper };
    match Topology::load(&folder.join(name), &shape) {
        Ok(topology) => {
            let last = topology.hosts.len() - 1;
            assert_eq!(topology.one_way(0, 0).as_nanos(), 0);
            let _ = (topology.one_way(0, last), topology.shortest_from(last), topology.regions());
        }
        Err(error) => assert!(error.to_string().contains("fuzz"), "{error}"),
    }
});

/// A folder of this process's own.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quilt-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for files");
    folder
}
