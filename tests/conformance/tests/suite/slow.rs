//! Applications that do not read, and hosts that stand still.

use crate::messages;
use quilt_conformance::{Group, Mix, conformance, options, until};
use quilt_tokio::proto::{Counter, GapCause, Limits};
use quilt_tokio::{Notice, Options};
use std::time::{Duration, Instant};

conformance!(
    who_does_not_read_delays_nobody_and_gets_everything_later,
    who_does_not_read_for_longer_than_the_window_lasts_is_told_what_it_missed,
    who_stands_still_delays_nobody_and_catches_up,
);

const COUNT: usize = 300;
const LEN: usize = 10_000;
/// No fragment of such a message but the last is shorter.
const FRAGMENT_LEN: u64 = 1_000;

fn who_does_not_read_delays_nobody_and_gets_everything_later(mix: Mix) {
    let mut group = Group::of(mix, 4);
    for sleeper in [1, 2] {
        group[sleeper].read(false);
    }
    group[0].send_all(messages(COUNT, LEN));
    group.settle();
    for sleeper in [1, 2] {
        group[sleeper].read(true);
    }
    group.check_all_came();
}

fn who_does_not_read_for_longer_than_the_window_lasts_is_told_what_it_missed(mix: Mix) {
    let mut group = Group::of(mix, 2);
    for number in 2..4 {
        let limits = Limits { window_bytes: 1 << 20, ..Limits::default() };
        group.join(Options { limits, ..options(0, number) });
        group[number].read(false);
    }
    group[0].send_all(messages(COUNT, LEN));
    group.settle();
    let source = group[0].source();
    for sleeper in 2..4 {
        // Pieces go along several paths, and one that comes when the window is past its message is
        // dropped: it has come all the same.
        let most = (COUNT * LEN) as u64 * 9 / 10;
        until("most has come in", || {
            let late = group[sleeper].count(Counter::DroppedLate) * FRAGMENT_LEN;
            group[sleeper].count(Counter::PayloadBytesFirst) + late >= most
        });
        group[sleeper].read(true);
        group[sleeper].wait_for_messages(source, COUNT);
        let host = &mut group[sleeper];
        let lagged: Vec<_> = host
            .told()
            .into_iter()
            .filter(|notice| !quilt_conformance::harmless(notice))
            .map(|notice| match notice {
                Notice::Lagged { source, messages } => (source, messages, GapCause::Lagged),
                other => panic!("{other:?}"),
            })
            .collect();
        let (gaps, not_whole): (Vec<_>, Vec<_>) =
            host.gaps().iter().copied().partition(|(_, _, cause)| *cause == GapCause::Lagged);
        assert_eq!(gaps, lagged);
        assert!(not_whole.iter().all(|(_, _, cause)| *cause == GapCause::WindowFull));
        // The window has room for 104 of them at most.
        let missed: u64 = lagged.iter().chain(&not_whole).map(|(_, messages, _)| messages).sum();
        assert!((100..COUNT as u64 - 80).contains(&missed), "{lagged:?}, {not_whole:?}");
    }
    group[0].send_all(messages(10, LEN));
    group.check();
    group.check_nobody_misbehaved();
}

/// One of the publisher's three neighbours at a time: were it half of them, it would be told to wait.
fn who_stands_still_delays_nobody_and_catches_up(mix: Mix) {
    let mut group = Group::of(mix, 4);
    group[0].send_all(messages(10, LEN));
    group.settle();
    let times = [1, 2].map(|sleeper| {
        let frozen = group[sleeper].freeze();
        let time = transfer_time(&mut group, (1..4).filter(|&number| number != sleeper));
        drop(frozen);
        group.settle();
        time
    });
    let all_awake = transfer_time(&mut group, 1..4);
    // Who is held up by it is so until it is taken for dead, for up to three seconds.
    let most = all_awake * 3 + Duration::from_secs(1);
    assert!(times.iter().all(|&time| time < most), "{times:?}, and {all_awake:?} with all awake");
    group.check_all_came();
}

/// How long it takes until all of `receivers` have what host 0 sends.
fn transfer_time(group: &mut Group, receivers: impl Iterator<Item = usize>) -> Duration {
    let (source, started) = (group[0].source(), Instant::now());
    group[0].send_all(messages(COUNT, LEN));
    let count = group[0].published();
    receivers.for_each(|number| group[number].wait_for_messages(source, count));
    started.elapsed()
}
