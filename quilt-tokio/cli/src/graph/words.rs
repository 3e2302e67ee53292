//! Numbers and times as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A round-trip time with two digits that matter.
pub(super) fn round_trip(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..100 => format!("{micros} µs"),
        // What would be rounded up to 1,000 µs has the next unit.
        100..995 => format!("{} µs", (micros + 5) / 10 * 10),
        995..9_950 => format!("{:.1} ms", micros as f64 / 1e3),
        9_950..99_500 => format!("{:.0} ms", micros as f64 / 1e3),
        99_500..995_000 => format!("{} ms", (micros + 5_000) / 10_000 * 10),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// A time of day and a date.
pub(super) fn moment(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = date(seconds / 86_400);
    let month = MONTHS.get(month).copied().unwrap_or_default();
    format!("{hour:02}:{minute:02}:{second:02} UTC on {day} {month} {year}")
}

/// Year, month from 0 and day from 1 of a day since 1 January 1970.
fn date(mut day: u64) -> (u64, usize, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if day < days {
            break;
        }
        (day, year) = (day - days, year + 1);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 0;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        (day, month) = (day - days, month + 1);
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_words() {
        for (seconds, text) in [
            (0, "00:00:00 UTC on 1 January 1970"),
            (951_782_399, "23:59:59 UTC on 28 February 2000"),
            (951_782_400, "00:00:00 UTC on 29 February 2000"),
            (1_798_761_599, "23:59:59 UTC on 31 December 2026"),
        ] {
            assert_eq!(moment(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn round_trips_have_two_digits_that_matter() {
        for (micros, text) in [
            (7, "7 µs"),
            (994, "990 µs"),
            (995, "1.0 ms"),
            (9_949, "9.9 ms"),
            (9_950, "10 ms"),
            (42_400, "42 ms"),
            (123_456, "120 ms"),
            (995_000, "1.0 s"),
        ] {
            assert_eq!(round_trip(Duration::from_micros(micros)), text);
        }
    }
}
