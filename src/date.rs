//! Days of the Gregorian calendar, as ISO 8601 writes them.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;

use crate::error::UserError;

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Days in 400 years.
const ERA: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01. Years are counted from March, so that the day a leap year adds is the last of
/// its year.
const TO_1970: u64 = 719_468;

/// A day, 1970-01-01 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    days: u64,
}

impl Date {
    /// The day of a time in seconds since 1970, in UTC.
    pub fn of_epoch(epoch: u64) -> Self {
        Self { days: epoch / DAY }
    }

    /// Its number since 1970-01-01.
    pub fn days(self) -> u64 {
        self.days
    }

    /// How many days it is after `earlier`; 0 when it is before.
    pub fn days_since(self, earlier: Self) -> u64 {
        self.days.saturating_sub(earlier.days)
    }

    /// Year, month and day of the month.
    pub fn civil(self) -> (u64, u64, u64) {
        let shifted = self.days + TO_1970;
        let (era, day_of_era) = (shifted / ERA, shifted % ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        (era * 400 + year_of_era + u64::from(month <= 2), month, day)
    }

    /// The day with this year, month and day of the month; `None` when there is none, or it is before 1970.
    pub fn from_civil(year: u64, month: u64, day: u64) -> Option<Self> {
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
        {
            return None;
        }
        let shifted_year = year - u64::from(month <= 2);
        let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
        let month_from_march = (month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let date = Self { days: (era * ERA + day_of_era).checked_sub(TO_1970)? };
        // The 30th of February is another day by then.
        (date.civil() == (year, month, day)).then_some(date)
    }
}

/// A time in seconds since 1970 as RFC 3339 writes it: `2023-11-14T22:13:20Z`.
pub fn rfc3339(epoch: u64) -> String {
    let (hour, minute, second) = (epoch / 3600 % 24, epoch / 60 % 60, epoch % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", Date::of_epoch(epoch))
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Date {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_shaped = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let mut numbers = text.split('-').filter(|_| is_shaped).map(|part| part.parse().ok());
        let mut next = || numbers.next().flatten();
        let date = next().zip(next()).zip(next());
        let date = date.and_then(|((year, month), day)| Self::from_civil(year, month, day));
        date.ok_or_else(|| {
            UserError::usage(format!("`{}` is not a date", text.escape_debug()))
                .hint("write it as YYYY-MM-DD, such as `2027-01-31`")
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::date::{Date, rfc3339};

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

    #[test]
    fn dates() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1970-03-01", 59),
            ("2000-02-29", 11_016),
            ("2023-11-14", 19_675),
            ("2100-03-01", 47_541),
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!((date.days(), date.to_string().as_str()), (days, text));
            assert_eq!(Date::of_epoch(days * 86_400 + 86_399), date);
        }
        for bad in
            ["", "2023-11-1", "2023-02-29", "2100-02-29", "2023-13-01", "1969-12-31", "2023-00-00"]
        {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
        for bad in ["2023/11/14", "+023-11-14", "2023-11-14T00:00:00Z", "2023-04-31"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ages() {
        let [first, last] = ["2024-02-28", "2024-03-01"].map(|text| text.parse::<Date>().unwrap());
        assert_eq!((last.days_since(first), first.days_since(last)), (2, 0));
    }
}
