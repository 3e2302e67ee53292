//! Topologies in files: every format, and every way in which a file can be wrong.

use quilt_sim::topology::{LatencyOrigin, Shape, SiteLatency, Topology, TopologyError};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data");

/// A folder of one test, with these files in it.
fn folder(test: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("topology_files").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    folder
}

fn load(path: impl AsRef<Path>) -> Result<Topology, TopologyError> {
    Topology::load(path.as_ref(), &Shape::default())
}

fn names(topology: &Topology) -> Vec<&str> {
    topology.hosts.iter().map(|place| place.name.as_str()).collect()
}

fn micros(topology: &Topology) -> Vec<Vec<u128>> {
    let hosts = topology.hosts.len();
    let row = |from| (0..hosts).map(|to| topology.one_way(from, to).as_micros()).collect();
    (0..hosts).map(row).collect()
}

/// The file with `text` in it is refused with just this message behind the file's name.
fn refused(test: &str, name: &str, text: &[u8], message: &str) {
    let folder = folder(test, &[(name, text)]);
    let error = load(folder.join(name)).expect_err(message);
    let shown = error.to_string();
    let behind = shown.strip_prefix(folder.join(name).to_str().unwrap());
    assert_eq!(behind, Some(message), "{shown}");
}

#[test]
fn the_files_of_what_is_built_in_give_the_same_topologies() {
    let internet = Topology::internet(None, 0).unwrap();
    for name in ["internet951_hosts.csv", "internet951_rtt_upper_ms.csv"] {
        let loaded = load(format!("{DATA}/internet/{name}")).unwrap();
        assert_eq!(loaded.name, "internet951");
        assert_eq!(loaded.hosts, internet.hosts);
        assert!((0..951).all(|to| loaded.one_way(9, to) == internet.one_way(9, to)));
    }
    let synthetic = load(format!("{DATA}/synthetic/four_domains.json")).unwrap();
    assert_eq!(synthetic.hosts, Topology::synthetic().hosts);
    assert_eq!(synthetic.published, Topology::synthetic().published);
}

#[test]
fn a_platform_has_all_its_hosts_unless_another_number_is_asked_for() {
    let path = format!("{DATA}/grid5000/grid5000_2010-06.json");
    let platform = load(&path).unwrap();
    assert_eq!((platform.name.as_str(), platform.hosts.len()), ("grid5000_2010-06", 1_582));
    let shape = Shape { hosts: Some(60), latency: SiteLatency::Derived, ..Shape::default() };
    let few = Topology::load(Path::new(&path), &shape).unwrap();
    assert_eq!(few.hosts.len(), 60);
    assert_eq!(few.range().unwrap().0, Duration::from_micros(300));
    assert!(few.range().unwrap().1 < Duration::from_millis(11));
    assert!(!few.internet);
}

#[test]
fn a_matrix_may_be_full_or_an_upper_triangle_of_round_trips() {
    let full = b"0,10,3\n10,0,0.5\n4,0.5,0\n".as_slice();
    // Saved by another system: byte order mark, carriage returns, blanks, an empty last line.
    let upper = "\u{feff}10, 3\r\n0.5\r\n\r\n".as_bytes();
    let folder = folder("matrix", &[("full.csv", full), ("upper.csv", upper)]);
    let full = load(folder.join("full.csv")).unwrap();
    assert_eq!(full.latency, LatencyOrigin::Measured);
    assert!(full.internet, "as far as anybody can tell");
    assert_eq!(names(&full), ["0", "1", "2"]);
    assert_eq!(full.regions(), 3);
    assert_eq!(micros(&full), [[0, 5_000, 1_500], [5_000, 0, 250], [2_000, 250, 0]]);
    assert_eq!(full.shortest_from(0)[1], Duration::from_micros(1_750));
    let upper = load(folder.join("upper.csv")).unwrap();
    assert_eq!(micros(&upper), [[0, 5_000, 1_500], [5_000, 0, 250], [1_500, 250, 0]]);
}

#[test]
fn a_labelled_matrix_names_its_hosts_and_may_hold_one_way_times() {
    let text = b"site,lyon,lille\nlyon,0,4.88\nlille,4.88,0\n".as_slice();
    let folder = folder("labels", &[("x_oneway_ms.csv", text), ("x_ms.csv", text)]);
    let one_way = load(folder.join("x_oneway_ms.csv")).unwrap();
    assert_eq!(names(&one_way), ["lyon", "lille"]);
    assert_eq!(micros(&one_way), [[0, 4_880], [4_880, 0]]);
    assert_eq!(micros(&load(folder.join("x_ms.csv")).unwrap()), [[0, 2_440], [2_440, 0]]);
}

#[test]
fn a_matrix_grows_by_copies_that_stand_beside_their_originals() {
    let folder = folder("grown", &[("m.csv", b"0,10\n10,0\n")]);
    let shape = Shape { hosts: Some(5), seed: 3, ..Shape::default() };
    let grown = Topology::load(&folder.join("m.csv"), &shape).unwrap();
    assert_eq!((grown.hosts.len(), grown.regions()), (5, 2));
    let copies = grown.hosts.iter().filter(|place| place.name.contains('+')).count();
    assert_eq!(copies, 3);
    assert_eq!(grown.one_way(0, 1), Duration::from_micros(500));
    assert_eq!(grown.one_way(0, 4), Duration::from_millis(5));
}

#[test]
fn a_matrix_with_a_wrong_value_is_refused() {
    let refused = |test, text: &str, message| refused(test, "m.csv", text.as_bytes(), message);
    refused(
        "hole",
        "0,1,2\n1,0,\n2,3,0\n",
        ", line 2, column 3: a hole: nothing is known of this latency; fill it, or leave the hosts \
         concerned out",
    );
    refused(
        "hole_in_triangle",
        "1,2,3\n,5\n6\n",
        ", line 2, column 1: a hole: nothing is known of this latency; fill it, or leave the hosts \
         concerned out",
    );
    refused(
        "negative",
        "0,1,2\n1,0,3\n2,-3,0\n",
        ", line 3, column 2: -3 ms is negative; a latency is at least 0",
    );
    refused(
        "not_a_number",
        "0,NaN\n1,0\n",
        ", line 1, column 2: NaN is not finite; leave out hosts that cannot be reached",
    );
    refused(
        "infinite",
        "0,1\ninf,0\n",
        ", line 2, column 1: inf is not finite; leave out hosts that cannot be reached",
    );
    refused(
        "word",
        "0,1\nn/a,0\n",
        ", line 2, column 1: \"n/a\" is not a number of milliseconds; write one, as in 12.5",
    );
    refused(
        "unit",
        "0,133000\n133000,0\n",
        ", line 1, column 2: 133000 ms is more than 60000 ms; latencies are in milliseconds",
    );
    refused(
        "diagonal",
        "0,1\n1,7\n",
        ", line 2, column 2: a host is 7 ms from itself; the diagonal is 0",
    );
}

#[test]
fn a_matrix_of_a_wrong_shape_is_refused() {
    let refused = |test: &str, text: &str, message: &str| {
        refused(test, "m.csv", text.as_bytes(), message);
    };
    refused(
        "short_row",
        "0,1,2\n\n1,0\n2,3,0\n",
        ", line 3: row 2 has 2 values, but 3 rows make a matrix of 3 columns; give every host a \
         row and a column",
    );
    refused(
        "carriage_returns",
        "0,1,2\r\n\r\n\r\n1,0\r\n2,3,0\r\n",
        ", line 4: row 2 has 2 values, but 3 rows make a matrix of 3 columns; give every host a \
         row and a column",
    );
    refused(
        "oblong",
        "0,1,2\n1,0,2\n",
        ", line 1: row 1 has 3 values, but 2 rows make a matrix of 2 columns; give every host a \
         row and a column",
    );
    refused(
        "triangle",
        "1,2,3\n4,5,6\n7\n",
        ", line 2: row 2 has 3 values; where each row is one shorter than the one before, this is \
         an upper triangle, and row 2 of 3 needs 2",
    );
    for (test, text, line, row, have, need) in [
        ("triangle_cut", "1,2,3\n4,5\n", 2, 3, 0, 1),
        ("triangle_first", "1,2\n4,5\n7\n", 1, 1, 2, 3),
        ("triangle_last", "1,2,3,4\n5,6,7\n8,9\n1,2\n", 4, 4, 2, 1),
    ] {
        let rows = if test == "triangle_last" { 4 } else { 3 };
        let message = format!(
            ", line {line}: row {row} has {have} values; where each row is one shorter than the one \
             before, this is an upper triangle, and row {row} of {rows} needs {need}"
        );
        refused(test, text, &message);
    }
    refused(
        "header",
        "site,a,b,c\na,0,1\nb,1,0\n",
        ", line 1: row 0 has 3 values, but 2 rows make a matrix of 2 columns; give every host a \
         row and a column",
    );
    refused(
        "label",
        "site,a,b\na,0,1\nc,1,0\n",
        ", line 3, column 1: row \"c\" stands where column \"b\" does; in a labelled matrix, \
         rows and \
         columns are the same hosts in the same order",
    );
    refused(
        "label_twice",
        "site,a,a\na,0,1\na,1,0\n",
        ", line 3, column 1: the host \"a\" is there twice; give each a name of its own",
    );
    refused(
        "wide",
        &["1"; 16_385].join(","),
        ", line 1: has more than the 16384 rows or columns that a matrix may have; leave hosts out",
    );
    refused(
        "long",
        &"1\n".repeat(16_385),
        ", line 16385: has more than the 16384 rows or columns that a matrix may have; leave hosts \
         out",
    );
}

#[test]
fn a_file_that_holds_no_text_is_refused() {
    refused("none", "m.csv", b"", ": is empty; a topology has at least one host");
    refused("blank", "m.json", b"\n \n", ": is empty; a topology has at least one host");
    let latin = b"0,1\n1,\xe9\n";
    refused("latin", "m.csv", latin, ", line 2: is not UTF-8 from here on; save it as UTF-8");
    refused(
        "kind",
        "m.txt",
        b"0,1\n1,0\n",
        ": is of no known kind; a topology's name ends in .json or .csv",
    );
    let folder = folder("folder", &[]);
    let shown = load(&folder).unwrap_err().to_string();
    assert!(shown.ends_with("folder: is not a file; name a .json or .csv file"), "{shown}");
    let shown = load(folder.join("none.csv")).unwrap_err().to_string();
    assert!(shown.contains("none.csv: cannot be read: "), "{shown}");
}

#[test]
fn a_file_beyond_all_sizes_is_refused_before_it_is_read() {
    let folder = folder("huge", &[("m.csv", b"")]);
    let file = fs::File::options().write(true).open(folder.join("m.csv")).unwrap();
    // Sparse: it takes no room.
    file.set_len((1 << 30) + 1).unwrap();
    let shown = load(folder.join("m.csv")).unwrap_err().to_string();
    assert!(shown.ends_with(": has 1073741825 bytes, more than 1073741824; is this a topology?"));
}

#[test]
fn hosts_and_their_matrix_belong_together() {
    let hosts = b"host,asn,hop1,hop2\na,7,r1,*\nb,8,r2,r3\n".as_slice();
    let pair = folder("pair", &[("x_hosts.csv", hosts), ("x_rtt_upper_ms.csv", b"12.5\n")]);
    for name in ["x_hosts.csv", "x_rtt_upper_ms.csv"] {
        let topology = load(pair.join(name)).unwrap();
        assert_eq!((topology.name.as_str(), names(&topology)), ("x", vec!["a", "b"]));
        assert_eq!(topology.one_way(0, 1), Duration::from_micros(6_250));
        assert!(topology.hosts[0].routers[1].is_silent());
        assert_eq!(topology.regions(), 2);
    }
    let refused = |test, name, text, message| {
        let folder = folder(test, &[(name, text)]);
        let shown = load(folder.join(name)).unwrap_err().to_string();
        assert_eq!(shown.strip_prefix(folder.to_str().unwrap()), Some(message));
    };
    refused(
        "no_matrix",
        "x_hosts.csv",
        hosts,
        "/x_hosts.csv: needs x_rtt_upper_ms.csv beside it, which is not there; add it",
    );
    refused(
        "no_hosts",
        "x_rtt_upper_ms.csv",
        b"12.5\n",
        "/x_rtt_upper_ms.csv: needs x_hosts.csv beside it, which is not there; add it, or rename \
         this file to use the bare matrix",
    );
    let folder = folder("sizes", &[("x_hosts.csv", hosts), ("x_rtt_upper_ms.csv", b"1,2\n3\n")]);
    let shown = load(folder.join("x_hosts.csv")).unwrap_err().to_string();
    assert!(shown.contains("x_rtt_upper_ms.csv: is for 3 hosts, but "), "{shown}");
    assert!(shown.ends_with("x_hosts.csv has 2; they belong together"), "{shown}");
    let shown = load(folder.join("y_hosts.csv")).unwrap_err().to_string();
    assert!(shown.contains("y_hosts.csv: cannot be read: "), "{shown}");
}

#[test]
fn a_table_of_hosts_with_a_fault_is_refused() {
    let refused = |test: &str, text: &str, message| {
        let matrix = ("h_rtt_upper_ms.csv", b"12.5\n".as_slice());
        let folder = folder(test, &[("h_hosts.csv", text.as_bytes()), matrix]);
        let shown = load(folder.join("h_hosts.csv")).expect_err(message).to_string();
        let behind = shown.strip_prefix(folder.join("h_hosts.csv").to_str().unwrap());
        assert_eq!(behind, Some(message), "{shown}");
    };
    refused(
        "host_twice",
        "host,hop1\na,r1\nb,r1\na,r2\n",
        ", line 4, column 1: the host \"a\" is there twice; give each a name of its own",
    );
    refused(
        "no_hop",
        "host,hop1,hop2\na,r1,r2\nb,,r2\n",
        ", line 3, column 2: a hole: nothing is known of this column here; fill it, or leave the \
         hosts concerned out",
    );
    refused(
        "ragged",
        "host,hop1,hop2\na,r1\n",
        ", line 2: has 2 values under a header of 3; write * for a router that is silent",
    );
    refused(
        "no_host",
        "name,asn\na,7\n",
        ", line 1: has no column \"host\"; the first line names the columns",
    );
    refused("no_rows", "host,hop1\n", ": a topology needs at least one host; ask for more");
}

#[test]
fn a_table_of_hosts_without_latencies_does_not_run_on_invented_ones() {
    let text = b"host,asn,hop1\na,7,r1\nb,8,r2\n";
    refused(
        "no_latencies",
        "stacks.csv",
        text,
        ": has hosts and no latencies; call it NAME_hosts.csv, and put NAME_rtt_upper_ms.csv \
         beside it",
    );
}

/// A built-in JSON file with one passage changed.
fn changed(file: &str, from: &str, to: &str) -> Vec<u8> {
    let text = fs::read_to_string(format!("{DATA}/{file}")).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn a_platform_with_a_fault_is_refused() {
    let refused = |test, from, to, message| {
        let text = changed("grid5000/grid5000_2010-06.json", from, to);
        refused(test, "p.json", &text, message);
    };
    refused(
        "json",
        "\"name\":",
        "\"name\"",
        ", line 2, column 9: expected `:`; compare it with \
         tests/sim/data",
    );
    refused(
        "platform_hole",
        "[6.886, 0.0, 8.019,",
        "[6.886, 0.0, null,",
        ", line 115, column 21: a hole: nothing is known of a latency; fill it, or leave the hosts \
         concerned out",
    );
    refused(
        "platform_negative",
        "[6.886, 0.0, 8.019,",
        "[6.886, 0.0, -8.019,",
        ", line 115, column 23: -8.019 ms is negative; a latency is at least 0",
    );
    refused(
        "platform_short_row",
        "[6.886, 0.0, 8.019,",
        "[6.886, 0.0,",
        ", line 113: row 2 has 8 values, but 9 rows make a matrix of 9 columns; give every host \
         a row and a column",
    );
    refused(
        "platform_row",
        "  [6.886, 0.0, 8.019, 4.0, 8.51, 6.605, 8.674, 6.874, 8.021],\n",
        "",
        ", line 113: is for 8 hosts, but the list of sites has 9; they belong together",
    );
    refused(
        "platform_diagonal",
        "[6.886, 0.0, 8.019,",
        "[6.886, 0.25, 8.019,",
        ", line 113: a host is 0.25 ms from itself; the diagonal is 0",
    );
    refused(
        "no_paper_range",
        "site_oneway_ms_paper_range",
        "something_else",
        ", line 135: a hole: nothing is known of site_oneway_ms_paper_range; fill it, or leave the hosts \
         concerned out",
    );
    refused(
        "cluster_twice",
        "\"id\": \"violette\"",
        "\"id\": \"pastel\"",
        ", line 435: the cluster \"pastel\" is there twice; give each a name of its own",
    );
    refused(
        "site_unknown",
        "  \"sophia\",\n",
        "  \"sofia\",\n",
        ", line 91: there is no row in site_order for \"sophia\"; check the spelling",
    );
    refused(
        "platform_huge",
        "\"hosts\": 48,",
        "\"hosts\": 18446744073709551615,",
        ": 18446744073709551615 hosts are more than the 100000 that are supported; ask for fewer",
    );
    refused(
        "platform_or_not",
        "\"sites\": [",
        "\"places\": [",
        ": has neither \"sites\" nor \
         \"domains\"; compare it with tests/sim/data",
    );
}

#[test]
fn domains_with_a_fault_are_refused() {
    let refused = |test, from, to, message| {
        let text = changed("synthetic/four_domains.json", from, to);
        refused(test, "d.json", &text, message);
    };
    refused(
        "pair_missing",
        "\"2-4\": 10, ",
        "",
        ", line 4: a hole: nothing is known of domains 2-4; fill it, or leave the hosts concerned \
         out",
    );
    refused(
        "pair_twice",
        "\"2-4\": 10,",
        "\"2-4\": 10, \"4-2\": 11,",
        ", line 4: the pair of domains \"4-2\" is there twice; give each a name of its own",
    );
    refused(
        "pair_unknown",
        "\"2-4\": 10,",
        "\"2-5\": 10,",
        ", line 4: there is no pair of domains \"2-5\"; check the spelling",
    );
    refused(
        "domain_negative",
        "\"1-2\": 20",
        "\"1-2\": -20",
        ", line 4, column 41: -20 ms is negative; a latency is at least 0",
    );
    refused(
        "domain_twice",
        "\"id\": 3",
        "\"id\": 2",
        ", line 12: the domain \"2\" is there twice; give each a name of its own",
    );
    refused(
        "host_in_two_domains",
        "[11, 12,",
        "[11, 10,",
        ", line 12: the host \"10\" is there twice; give each a name of its own",
    );
    refused(
        "source_unknown",
        "\"source_host\": 1",
        "\"source_host\": 21",
        ", line 7: there is no host \"21\"; check the spelling",
    );
    let path = format!("{DATA}/synthetic/four_domains.json");
    let shape = Shape { hosts: Some(3), ..Shape::default() };
    let shown = Topology::load(Path::new(&path), &shape).unwrap_err().to_string();
    let expected = "of 3 hosts domain 4 would have none; ask for more";
    assert!(shown.ends_with(expected), "{shown}");
    let empty = br#"{"name": "none", "oneway_ms_between_domains": {},
        "oneway_ms_inside_a_domain": 1, "domains": []}"#;
    let path = folder("no-domains", &[("none.json", empty.as_slice())]).join("none.json");
    let shape = Shape { hosts: Some(5), ..Shape::default() };
    let shown = Topology::load(&path, &shape).unwrap_err().to_string();
    assert!(shown.ends_with("a topology needs at least one host; ask for more"), "{shown}");
}
