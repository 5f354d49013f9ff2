//! How dear a scrypt hash is.

use scrypt::Params;

/// The parameters of scrypt, within bounds that no stored text may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    log_n: u8,
    r: u32,
    p: u32,
}

impl Cost {
    /// 16 MiB a hash. OWASP holds 2^17/8/1, 2^16/8/2, 2^15/8/3 and 2^13/8/10 for equivalent: this one is the
    /// quickest but one, and fits small containers.
    pub const OWASP: Self = Self { log_n: 14, r: 8, p: 5 };

    const MAX_LOG_N: u8 = 17;
    const MAX_R: u32 = 8;
    const MAX_P: u32 = 10;

    /// The memory of the dearest cost there is, in bytes.
    pub(super) const MAX_MEMORY: u64 = 128 << 20;

    /// `None` outside `log_n` 1 to 17, `r` 1 to 8, `p` 1 to 10.
    pub const fn new(log_n: u8, r: u32, p: u32) -> Option<Self> {
        if log_n < 1 || log_n > Self::MAX_LOG_N || r < 1 || r > Self::MAX_R || p < 1 || p > Self::MAX_P {
            return None;
        }
        Some(Self { log_n, r, p })
    }

    pub const fn log_n(self) -> u8 {
        self.log_n
    }

    pub const fn r(self) -> u32 {
        self.r
    }

    pub const fn p(self) -> u32 {
        self.p
    }

    /// Bytes that one hash occupies while it is computed.
    pub fn memory(self) -> u64 {
        (128 * u64::from(self.r)) << self.log_n
    }

    // `Params` refuses nothing inside our bounds (a test tries them all), so the fallback is never taken.
    pub(super) fn params(self) -> Params {
        Params::new(self.log_n, self.r, self.p).unwrap_or(Params::RECOMMENDED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cost_within_bounds_is_one_scrypt_accepts_and_fits_the_largest_memory() {
        for log_n in 1..=Cost::MAX_LOG_N {
            for r in 1..=Cost::MAX_R {
                for p in 1..=Cost::MAX_P {
                    let cost = Cost::new(log_n, r, p).unwrap();
                    let params = cost.params();
                    assert_eq!((params.log_n(), params.r(), params.p()), (log_n, r, p));
                    assert!(cost.memory() <= Cost::MAX_MEMORY);
                }
            }
        }
    }

    #[test]
    fn costs_out_of_bounds_do_not_exist() {
        for (log_n, r, p) in
            [(0, 8, 1), (18, 8, 1), (14, 0, 1), (14, 9, 1), (14, 8, 0), (14, 8, 11), (255, u32::MAX, u32::MAX)]
        {
            assert_eq!(Cost::new(log_n, r, p), None, "{log_n} {r} {p}");
        }
    }

    #[test]
    fn a_hash_of_today_occupies_sixteen_mebibytes() {
        assert_eq!(Cost::OWASP.memory(), 16 << 20);
        assert_eq!(Cost::new(Cost::OWASP.log_n(), Cost::OWASP.r(), Cost::OWASP.p()), Some(Cost::OWASP));
    }
}
