//! The timers of RFC 3261 table 4 and RFC 6026, and how long they run.

use std::time::Duration;

/// A timer of a transaction, by its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// INVITE client: send the request again (unreliable transports).
    A,
    /// INVITE client: no response at all.
    B,
    /// Proxy: an INVITE branch rings without end (§16.8). Kept by the owner of the response context.
    C,
    /// INVITE client: wait for repeated non-2xx responses.
    D,
    /// Non-INVITE client: send the request again (unreliable transports).
    E,
    /// Non-INVITE client: no final response.
    F,
    /// INVITE server: send the non-2xx final response again (unreliable transports).
    G,
    /// INVITE server: no ACK.
    H,
    /// INVITE server: wait for repeated ACKs.
    I,
    /// Non-INVITE server: wait for repeated requests.
    J,
    /// Non-INVITE client: wait for repeated responses.
    K,
    /// INVITE server: wait for repeated INVITEs after a 2xx (RFC 6026 §7.1).
    L,
    /// INVITE client: wait for more 2xx responses (RFC 6026 §7.2).
    M,
    /// Server: the transaction user is slow, a 100 (Trying) is due (§17.2.1: 200 ms; RFC 4320 §4.1).
    Trying,
    /// INVITE client: no final response came after the CANCEL (§9.1).
    Cancelled,
}

/// The base values that all timers are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// T1: estimated round-trip time.
    pub t1: Duration,
    /// T2: longest interval between repetitions of non-INVITE requests and INVITE responses.
    pub t2: Duration,
    /// T4: longest time that a message stays in the network.
    pub t4: Duration,
    /// Timer C; §16.6 step 11 wants more than three minutes.
    pub c: Duration,
    /// Timers B and F: how long a request waits for any response. `None` means 64·T1.
    pub fr: Option<Duration>,
}

/// Timer D over unreliable transports is at least this long, whatever T1 is (§17.1.1.2).
const TIMER_D_MINIMUM: Duration = Duration::from_secs(32);

/// A 100 is due when the transaction user of an INVITE has not answered for this long (§17.2.1).
const INVITE_TRYING: Duration = Duration::from_millis(200);

impl Timers {
    /// The defaults of RFC 3261 table 4.
    pub const RFC3261: Self = Self {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        c: Duration::from_secs(185),
        fr: None,
    };
}

impl Default for Timers {
    fn default() -> Self {
        Self::RFC3261
    }
}

impl Timers {
    /// 64·T1, the length of a transaction.
    pub fn lifetime(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// How long `timer` runs. `repetition` counts how often the repeating timers (A, E, G) have fired before.
    /// For the waiting timers (D, I, J, K) this is the value for unreliable transports; over reliable ones they
    /// are zero and the machines end at once. [`Timer::Trying`] is that of a non-INVITE transaction.
    pub fn duration(&self, timer: Timer, repetition: u8) -> Duration {
        match timer {
            Timer::A => self.doubled(repetition),
            Timer::E | Timer::G => self.doubled(repetition).min(self.t2),
            Timer::B | Timer::F => self.fr.unwrap_or_else(|| self.lifetime()),
            Timer::H | Timer::J | Timer::L | Timer::M | Timer::Cancelled => self.lifetime(),
            Timer::C => self.c,
            Timer::D => self.lifetime().max(TIMER_D_MINIMUM),
            Timer::I | Timer::K => self.t4,
            Timer::Trying => self.non_invite_trying(),
        }
    }

    /// When a 100 to an INVITE is due.
    pub fn invite_trying(&self) -> Duration {
        INVITE_TRYING
    }

    /// RFC 4320 §4.1: "the amount of time it takes a client transaction's Timer E to be reset to T2": the sum of
    /// the intervals below T2, 3.5 s with the default values.
    fn non_invite_trying(&self) -> Duration {
        let mut elapsed = Duration::ZERO;
        let mut interval = self.t1;
        while interval < self.t2 && !interval.is_zero() {
            elapsed += interval;
            interval = interval.saturating_mul(2);
        }
        elapsed
    }

    fn doubled(&self, times: u8) -> Duration {
        self.t1.saturating_mul(1 << times.min(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(timer: Timer, repetition: u8) -> u128 {
        Timers::default().duration(timer, repetition).as_millis()
    }

    #[test]
    fn timer_a_doubles_without_a_ceiling() {
        let intervals: Vec<_> = (0..7).map(|n| milliseconds(Timer::A, n)).collect();
        assert_eq!(intervals, [500, 1000, 2000, 4000, 8000, 16000, 32000]);
    }

    #[test]
    fn timers_e_and_g_double_up_to_t2() {
        for timer in [Timer::E, Timer::G] {
            let intervals: Vec<_> = (0..6).map(|n| milliseconds(timer, n)).collect();
            assert_eq!(intervals, [500, 1000, 2000, 4000, 4000, 4000]);
        }
    }

    #[test]
    fn repetition_counts_saturate() {
        assert!(milliseconds(Timer::A, u8::MAX) >= milliseconds(Timer::A, 16));
        assert_eq!(milliseconds(Timer::E, u8::MAX), 4000);
    }

    #[test]
    fn the_lifetime_of_a_transaction_is_64_t1() {
        for timer in [Timer::B, Timer::F, Timer::H, Timer::J, Timer::L, Timer::M] {
            assert_eq!(milliseconds(timer, 0), 32_000);
        }
    }

    #[test]
    fn timer_d_is_at_least_32_seconds_even_if_t1_is_short() {
        let timers = Timers { t1: Duration::from_millis(10), ..Timers::default() };
        assert_eq!(timers.duration(Timer::D, 0), Duration::from_secs(32));
    }

    #[test]
    fn a_100_to_a_non_invite_is_due_when_timer_e_reaches_t2() {
        assert_eq!(milliseconds(Timer::Trying, 0), 3500);
        let timers = Timers { t1: Duration::ZERO, ..Timers::default() };
        assert_eq!(timers.duration(Timer::Trying, 0), Duration::ZERO);
    }

    #[test]
    fn timer_c_is_longer_than_three_minutes() {
        assert!(Timers::default().c > Duration::from_secs(180));
    }
}
