//! cpu.shares of cgroup v1 as cpu.weight of cgroup v2, by the formula on which the runtimes agreed in 2025, without floating point.
//!
//! `weight = ⌈10^((l² + 125·l) / 612 − 7/34)⌉` with `l = log₂(shares)`; 2 becomes 1, 1024 becomes 100, 262144 becomes 10000.

/// Fixed point: numbers are multiples of 2^-BITS.
const BITS: u32 = 48;
const ONE: u128 = 1 << BITS;

/// log₂(10).
const LOG2_OF_10: u128 = 935_039_633_142_894; // ⌊log₂(10)·2^48⌋

/// The weight for a number of shares from 2 to 262144; what lies outside is taken as the nearest of them.
pub(super) fn of_shares(shares: u64) -> u64 {
    const LEAST: u64 = 2;
    const MOST: u64 = 262_144;
    match shares {
        ..=LEAST => 1,
        MOST.. => 10_000,
        _ => {
            let l = log2(u128::from(shares));
            let exponent = (((l * l) >> BITS) + 125 * l) / 612 - 7 * ONE / 34;
            ceiling(exp2((exponent * LOG2_OF_10) >> BITS))
        }
    }
}

/// The whole number that is not below, but for what the last bits may be wrong by: the powers of ten are met exactly.
fn ceiling(value: u128) -> u64 {
    const SLACK: u128 = 1 << 12;
    ((value + ONE - 1 - SLACK) >> BITS) as u64
}

/// Bit by bit: squaring a number from 1 to 2 tells the next bit of its logarithm.
fn log2(number: u128) -> u128 {
    let whole = number.ilog2();
    let mut rest = (number << BITS) >> whole;
    let mut result = u128::from(whole) << BITS;
    for bit in (0..BITS).rev() {
        rest = (rest * rest) >> BITS;
        if rest >= 2 * ONE {
            rest >>= 1;
            result |= 1 << bit;
        }
    }
    result
}

/// Bit by bit: the factor of each bit is the square root of the one before.
fn exp2(number: u128) -> u128 {
    let mut result = ONE;
    let mut factor = 2 * ONE;
    for bit in (0..BITS).rev() {
        factor = (factor << BITS).isqrt();
        if number >> bit & 1 == 1 {
            result = (result * factor) >> BITS;
        }
    }
    result << (number >> BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchors_are_met() {
        assert_eq!([0, 1, 2, 1024, 262_144, u64::MAX].map(of_shares), [1, 1, 1, 100, 10_000, 10_000]);
    }

    #[test]
    fn every_number_of_shares_gives_what_floating_point_gives() {
        let reference = |shares: u64| {
            let l = (shares as f64).log2();
            (10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0)).ceil() as u64
        };
        // Where 128 bits take many instructions, and these are emulated, a sample has to do.
        let step = if cfg!(target_pointer_width = "64") { 1 } else { 1021 };
        let wrong: Vec<u64> = (3..262_144).step_by(step).filter(|shares| of_shares(*shares) != reference(*shares)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
