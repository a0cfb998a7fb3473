//! Points in time as RFC 3339 text, in UTC. It does not ask a clock.

use core::fmt::{self, Display, Formatter};

/// A point in time since 1970 as Go's RFC3339Nano prints it: the fraction without its trailing zeros, and none if it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Whole seconds.
    pub seconds: u64,
    /// Below 1 000 000 000.
    pub nanoseconds: u32,
}

impl Time {
    /// The same without a fraction, as log lines have it.
    pub fn whole(self) -> Self {
        Time { nanoseconds: 0, ..self }
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.seconds / 86400, self.seconds % 86400);
        let (year, month, day) = date(days);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        let (mut digits, mut fraction) = (9, self.nanoseconds);
        while digits > 0 && fraction % 10 == 0 {
            (digits, fraction) = (digits - 1, fraction / 10);
        }
        if digits > 0 {
            write!(f, ".{fraction:0digits$}")?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of the Gregorian calendar from the days since 1970-01-01. Years are counted from March, so that the leap day
/// ends one, in eras of 400 years, which all have the same number of days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: u64, nanoseconds: u32) -> String {
        Time { seconds, nanoseconds }.to_string()
    }

    #[test]
    fn known_moments_are_right() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(text(seconds, 0), expected);
        }
    }

    #[test]
    fn the_fraction_has_no_trailing_zeros() {
        for (nanoseconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (999_999_999, "1970-01-01T00:00:00.999999999Z"),
            (100_000_000, "1970-01-01T00:00:00.1Z"),
            (120_000, "1970-01-01T00:00:00.00012Z"),
            (50_000_010, "1970-01-01T00:00:00.05000001Z"),
        ] {
            assert_eq!(text(0, nanoseconds), expected);
        }
        assert_eq!(Time { seconds: 1, nanoseconds: 5 }.whole().to_string(), "1970-01-01T00:00:01Z");
    }

    /// Counts every day by the rules of the calendar, which is another way than the formula above.
    #[test]
    fn every_day_of_six_hundred_years_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..600 * 365 {
            assert_eq!(date(days), (year, month, day), "day {days}");
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn the_c_librarys_dates_are_the_same() {
        let moments: Vec<u64> = (0..400).map(|index| index * 9_876_543 + index * index * 7919).collect();
        let list = moments.iter().map(|seconds| format!("@{seconds}\n")).collect::<String>();
        let path = std::env::temp_dir().join(format!("ocinit-dates-{}", std::process::id()));
        std::fs::write(&path, list).unwrap();
        let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-f"]).arg(&path).output();
        std::fs::remove_file(&path).unwrap();
        let Ok(output) = output else { return eprintln!("skipped: no date(1) on this host") };
        let ours: String = moments.iter().map(|seconds| text(*seconds, 0) + "\n").collect();
        assert_eq!(ours, String::from_utf8(output.stdout).unwrap());
    }
}
