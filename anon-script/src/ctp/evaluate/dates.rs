//! The functions of dates.

use super::Stop;
use super::{Evaluator, Function, Text};
use crate::ctp::date::{self, Day};
use crate::ctp::digest;
use crate::ctp::expression::{Call, trim};
use crate::ctp::reference::From;
use crate::ctp::words;

/// The days over which `@hashdate` spreads its dates.
const HASHED_DAYS: i64 = 3_650;

impl Evaluator<'_> {
    pub(super) fn date(&mut self, call: &Call) -> Text {
        let Some(value) = self.read(Self::required(call, 0)?) else {
            return Ok(self.command(Function::Remove, "@remove()"));
        };
        let changed = match call.function {
            Function::HashDate => match self.read(Self::required(call, 1)?) {
                None => return Ok(self.command(Function::Remove, "@remove()")),
                Some(key) => date::shift(&value, hashed_days(&key)),
            },
            Function::IncrementDate => self
                .increment(call)
                .and_then(|days| date::shift(&value, i64::from(days))),
            _ => self
                .fields(call)
                .and_then(|fields| date::modify(&value, fields)),
        };
        Ok(match changed {
            Some(date) => date,
            None => self.command(Function::Empty, "@empty()"),
        })
    }

    /// Returns the days of `@incrementdate`: a number, or what the lookup table has for an element.
    fn increment(&self, call: &Call) -> Option<i32> {
        let text = match call.argument(2) {
            None => self.resolve(call.argument(1)?)?.to_owned(),
            Some(kind) => {
                let kind = self.resolve(kind)?;
                let key = self.key(call.argument(1)?);
                self.tables.lookup()?.find(kind, &key)?.to_owned()
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "CTP counts 32 bits")]
        let days = trim(&text).parse::<i64>().ok()? as i32;
        Some(days)
    }

    /// Returns year, month and day of `@modifydate`. `None` for one that stays.
    fn fields(&self, call: &Call) -> Option<[Option<i64>; 3]> {
        let field = |at: usize| {
            let text = self.resolve(call.argument(at)?)?;
            let number = words::integer(trim(text)).filter(|number| *number >= 0);
            Some(number.map(i64::from))
        };
        Some([field(1)?, field(2)?, field(3)?])
    }

    pub(super) fn date_interval(&self, call: &Call) -> Text {
        let failed =
            Stop::Quarantine("a date has no interval to the base date of the lookup table");
        let days = self.interval(call).ok_or(failed)?;
        let Some(origin) = call.argument(3) else {
            return Ok(days.to_string());
        };
        let origin = self.resolve(origin).and_then(date::day).ok_or(failed)?;
        origin.plus(days).digits().ok_or(failed)
    }

    fn interval(&self, call: &Call) -> Option<i64> {
        let date: Day = date::day(&self.read(call.argument(0)?)?)?;
        let kind = call.argument(1)?;
        let mut path = self.path(call.argument(2)?)?;
        if path.from == From::Here {
            path.from = From::Enclosing;
        }
        let key = self.facts.text(&path)?;
        let base = self.tables.lookup()?.find(kind, &key)?;
        Some(date.since(date::american_day(base)?))
    }
}

/// Returns the days by which `@hashdate` moves the dates of a key: never 0.
fn hashed_days(key: &str) -> i64 {
    let last = i64::try_from(digest::number(key) % 10_000).unwrap_or(0);
    match last % HASHED_DAYS {
        0 => -1,
        days => -days,
    }
}
