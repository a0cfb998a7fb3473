//! Clocks, by one plain system call: rustix asks the vDSO, whose parser is larger than what it saves us.

use linux_raw_sys::general as c;
use rustix::event::Timespec;

use super::{Errno, raw};

/// The clocks that every kernel has (clock_gettime(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ClockId {
    /// Since 1970, UTC.
    Realtime = c::CLOCK_REALTIME,
    /// It never goes back.
    Monotonic = c::CLOCK_MONOTONIC,
    /// Since the machine was booted, sleep included.
    Boottime = c::CLOCK_BOOTTIME,
}

/// What a clock shows.
#[cfg(target_pointer_width = "64")]
pub fn clock_gettime(clock: ClockId) -> Timespec {
    let mut time = [0i64; 2];
    let _ = read(c::__NR_clock_gettime, clock, &mut time); // a clock that exists can be read
    Timespec { tv_sec: time[0], tv_nsec: time[1] as _ }
}

/// What a clock shows. The call that knows the years after 2038 came with Linux 5.1.
#[cfg(target_pointer_width = "32")]
pub fn clock_gettime(clock: ClockId) -> Timespec {
    let mut time = [0i64; 2];
    if read(c::__NR_clock_gettime64, clock, &mut time).is_ok() {
        return Timespec { tv_sec: time[0], tv_nsec: time[1] as _ };
    }
    let mut time = [0i32; 2];
    let _ = read(c::__NR_clock_gettime, clock, &mut time); // a clock that exists can be read
    Timespec { tv_sec: i64::from(time[0]), tv_nsec: time[1] as _ }
}

fn read<T>(call: u32, clock: ClockId, time: &mut [T; 2]) -> Result<usize, Errno> {
    // SAFETY: each call writes two words of the size that the functions above give them.
    unsafe { raw::call(call, [clock as usize, time.as_mut_ptr() as usize, 0, 0, 0, 0]) }
}

/// Milliseconds of a clock that never goes back.
pub fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// A span of that many milliseconds.
pub fn milliseconds(count: u64) -> Timespec {
    Timespec { tv_sec: (count / 1000) as i64, tv_nsec: (count % 1000 * 1_000_000) as _ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_time_that_the_standard_library_tells() {
        let theirs = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!((0..=1).contains(&(clock_gettime(ClockId::Realtime).tv_sec - theirs as i64)));
        assert!(now_ms() > 0);
    }
}
