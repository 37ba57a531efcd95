//! Days and times of the Gregorian calendar, in UTC.

/// Year, month, day of the Gregorian calendar and the number of the day since 1970.
///
/// Years are counted from March, so that the day a leap year adds is the last of its year.
pub fn civil(epoch: u64) -> (u64, u64, u64, u64) {
    const ERA: u64 = 146_097; // days in 400 years
    let days = epoch / 86_400;
    let shifted = days + 719_468; // since 0000-03-01
    let era = shifted / ERA;
    let day_of_era = shifted % ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day, days)
}

/// A time as RFC 3339 writes it: `2023-11-14T22:13:20Z`.
pub fn rfc3339(epoch: u64) -> String {
    let (year, month, day, _) = civil(epoch);
    let (hour, minute, second) = (epoch / 3600 % 24, epoch / 60 % 60, epoch % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use crate::calendar::rfc3339;

    #[test]
    fn times() {
        for (epoch, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_294_967_295, "2106-02-07T06:28:15Z"),
        ] {
            assert_eq!(rfc3339(epoch), expected);
        }
    }
}
