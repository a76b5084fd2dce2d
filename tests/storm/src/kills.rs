//! Kills of any service at any moment, each of which loses what was in the memory of the process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::facts::{Fact, Outcome};

/// A process that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) process: u64,
    pub(crate) role: &'static str,
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
}

/// `OTEL_BSP_SCHEDULE_DELAY`, by default.
const SCHEDULE_DELAY: u64 = 5000;

/// How long an ended span can stay in memory, in nanoseconds: its trace is held until its local root has ended, or for
/// one schedule delay, and is exported after another one; plus a second for the export.
fn longest_in_memory() -> u64 {
    let delay = std::env::var("OTEL_BSP_SCHEDULE_DELAY").ok().and_then(|delay| delay.parse().ok());
    (2 * delay.unwrap_or(SCHEDULE_DELAY) + 1000) * 1_000_000
}

/// What was lost by the kills of one service.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Toll {
    pub(crate) kills: u64,
    /// Steps that had not ended.
    pub(crate) open: u64,
    /// Steps whose span had ended, but was not exported.
    pub(crate) ended: u64,
    /// Spans of calls, below steps whose own span has arrived.
    pub(crate) calls: u64,
    /// How long before the kill the first of the ended steps had ended.
    pub(crate) oldest: Duration,
}

/// The kills of a run, and what they are known to have lost.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    by_process: HashMap<u64, Death>,
    in_memory: u64,
    pub(crate) tolls: BTreeMap<&'static str, Toll>,
    /// Requests whose trace lacks something that was lost.
    pub(crate) requests: HashSet<u64>,
}

impl Kills {
    pub(crate) fn new(deaths: &[Death]) -> Self {
        let mut kills = Self { in_memory: longest_in_memory(), ..Self::default() };
        for death in deaths {
            kills.by_process.insert(death.process, *death);
            kills.tolls.entry(death.role).or_default().kills += 1;
        }
        kills
    }

    /// Whether this process was killed.
    pub(crate) fn has(&self, process: u64) -> bool {
        self.by_process.contains_key(&process)
    }

    /// The kill that may have lost the span of this step, and those of its hops and calls: the process was killed
    /// during the step, or before the span had to be exported.
    pub(crate) fn may_take(&self, fact: &Fact) -> Option<&Death> {
        let death = self.by_process.get(&fact.process())?;
        (fact.outcome == Outcome::Killed || fact.ended + self.in_memory >= death.at).then_some(death)
    }

    fn toll(&mut self, fact: &Fact) -> Option<&mut Toll> {
        let death = *self.may_take(fact)?;
        if fact.request != u64::MAX {
            self.requests.insert(fact.request);
        }
        let toll = self.tolls.entry(death.role).or_default();
        if fact.outcome != Outcome::Killed {
            toll.oldest = toll.oldest.max(Duration::from_nanos(death.at.saturating_sub(fact.ended)));
        }
        Some(toll)
    }

    /// Counts a step whose span has not arrived, if a kill may have lost it.
    pub(crate) fn take_step(&mut self, fact: &Fact) -> bool {
        let killed = fact.outcome == Outcome::Killed;
        let Some(toll) = self.toll(fact) else { return false };
        *(if killed { &mut toll.open } else { &mut toll.ended }) += 1;
        true
    }

    /// Counts missing spans of calls, below a step whose span has arrived, if a kill may have lost them.
    pub(crate) fn take_calls(&mut self, fact: &Fact, calls: u32) -> bool {
        self.toll(fact).map(|toll| toll.calls += u64::from(calls)).is_some()
    }
}
