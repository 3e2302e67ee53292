//! The proof that a datagram's sender receives what is sent to its address.

use crate::{Rng, Time};
use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use core::time::Duration;
use siphasher::sip::SipHasher13;

/// How long a cookie is given out; it is accepted for as long again.
const PERIOD: Duration = Duration::from_secs(60);

/// Makes and checks cookies. They are computed, not kept: an unproven request costs no memory.
#[derive(Debug)]
pub(super) struct Cookies {
    key: (u64, u64),
}

impl Cookies {
    pub(super) fn new(mut rng: Rng) -> Self {
        Self { key: (rng.next_u64(), rng.next_u64()) }
    }

    /// The cookie for an address. Never 0, which stands for none.
    pub(super) fn cookie(&self, now: Time, address: SocketAddr) -> u64 {
        self.in_period(period(now), address)
    }

    /// Whether an address was given this cookie in this period or the one before.
    pub(super) fn is_valid(&self, now: Time, address: SocketAddr, cookie: u64) -> bool {
        let this = period(now);
        cookie == self.in_period(this, address)
            || this.checked_sub(1).is_some_and(|last| cookie == self.in_period(last, address))
    }

    fn in_period(&self, period: u128, address: SocketAddr) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_u128(period);
        address.ip().to_canonical().hash(&mut hasher);
        hasher.write_u16(address.port());
        hasher.finish().max(1)
    }
}

fn period(now: Time) -> u128 {
    now.since(Time::ZERO).as_nanos().checked_div(PERIOD.as_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_proves_one_address_for_one_to_two_minutes() {
        let cookies = Cookies::new(Rng::new(1));
        let (here, there) = (([192, 0, 2, 1], 4_000).into(), ([192, 0, 2, 1], 4_001).into());
        let given = Time::from_millis(59_999);
        let cookie = cookies.cookie(given, here);
        assert!(cookies.is_valid(given, here, cookie));
        assert!(cookies.is_valid(Time::from_millis(119_999), here, cookie));
        assert!(!cookies.is_valid(Time::from_millis(120_000), here, cookie));
        assert!(!cookies.is_valid(given, there, cookie));
        assert!(!cookies.is_valid(given, here, 0));
        assert!(!Cookies::new(Rng::new(2)).is_valid(given, here, cookie));
    }
}
