//! What happens to each request: decided from a seed, so that a run can be repeated.

/// A seed and a size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) requests: u64,
    /// How often the billing service is killed.
    pub(crate) kills: u64,
    /// How often any service is killed, at any moment. There are no other kills then, and no outage, so that the losses
    /// of these kills can be told from breaks.
    pub(crate) service_kills: u64,
    /// Whether the collector has an outage.
    pub(crate) outage: bool,
    /// A request whose spans are printed.
    pub(crate) show: Option<u64>,
}

/// The faults that can be planned for a request. Each is a bit of [`Order::faults`](crate::facts::Order).
pub(crate) mod fault {
    /// The order service fails at the first attempt, and the gateway calls it again.
    pub(crate) const RETRY: u32 = 1;
    /// Pricing does not respond to the first attempt, and the gateway gives up waiting for it.
    pub(crate) const TIMEOUT: u32 = 1 << 1;
    /// The caller hangs up before the response.
    pub(crate) const HANG_UP: u32 = 1 << 2;
    /// A task of pricing panics.
    pub(crate) const PANIC: u32 = 1 << 3;
    /// Two ways to price race, and the slower one is dropped.
    pub(crate) const RACE: u32 = 1 << 4;
    /// Billing puts the message back into its queue the first time.
    pub(crate) const REDELIVER: u32 = 1 << 5;
    /// Billing takes its time.
    pub(crate) const SLOW: u32 = 1 << 6;
    /// A detached job fails.
    pub(crate) const JOB_FAILS: u32 = 1 << 7;
    /// Billing is killed while it has the message.
    pub(crate) const KILL: u32 = 1 << 8;
    /// Stock fails the first time, and its Kafka consumer seeks back to the message: it and all later ones are
    /// delivered again.
    pub(crate) const REWIND: u32 = 1 << 9;
    /// Shipping fails the first time, and RocketMQ delivers the message once more.
    pub(crate) const RECONSUME: u32 = 1 << 10;

    /// Each with its share of the requests, in percent; [`KILL`] is planned by number.
    pub(super) const SHARES: [(u32, u64); 10] = [
        (RETRY, 10),
        (TIMEOUT, 5),
        (HANG_UP, 5),
        (PANIC, 5),
        (RACE, 10),
        (REDELIVER, 5),
        (SLOW, 5),
        (JOB_FAILS, 5),
        (REWIND, 1),
        (RECONSUME, 2),
    ];

    /// Their descriptions in the report.
    pub(crate) const NAMES: [(u32, &str); 11] = [
        (RETRY, "failed calls that are retried"),
        (TIMEOUT, "calls that time out"),
        (HANG_UP, "callers that hang up"),
        (PANIC, "tasks that panic"),
        (RACE, "losing branches of a select"),
        (REDELIVER, "messages that RabbitMQ delivers again"),
        (REWIND, "messages to which a consumer of Kafka goes back"),
        (RECONSUME, "messages that RocketMQ delivers again"),
        (SLOW, "slow consumers"),
        (JOB_FAILS, "detached jobs that fail"),
        (KILL, "consumers that are killed"),
    ];
}

impl Plan {
    /// The faults of request number `request`.
    pub(crate) fn faults(self, request: u64) -> u32 {
        let mut random = self.seed ^ request.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut faults = 0;
        for (fault, share) in fault::SHARES {
            random = next(random);
            if random % 100 < share {
                faults |= fault;
            }
        }
        if self.kills_at(request) { faults | fault::KILL } else { faults }
    }

    /// The kills are spread over the run.
    fn kills_at(self, request: u64) -> bool {
        let distance = self.requests / (self.kills + 1);
        distance > 0 && request > 0 && request % distance == 0 && request / distance <= self.kills
    }

    /// When services are killed: the number of requests that are done by then, a delay after that in milliseconds, and
    /// the index of the service, of `services`. All services take turns.
    pub(crate) fn service_kills(self, services: u64) -> Vec<(u64, u64, usize)> {
        let distance = self.requests / (self.service_kills + 1);
        let one = |kill: u64| {
            let random = next(self.seed ^ kill.wrapping_mul(0xd134_2543_de82_ef95));
            let done = distance * (kill + 1) + random % (distance / 2 + 1);
            let service = (self.seed + kill) % services.max(1);
            (done, next(random) % 50, usize::try_from(service).unwrap_or_default())
        };
        (0..self.service_kills).map(one).collect()
    }

    /// The tenant of a request.
    pub(crate) fn tenant(request: u64) -> String {
        format!("t{}", request % 10)
    }
}

/// The next number of `SplitMix64`.
fn next(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_repeats_itself_and_has_every_fault() {
        let plan = Plan { seed: 1, requests: 2000, kills: 3, service_kills: 8, outage: true, show: None };
        let faults: Vec<u32> = (0..2000).map(|request| plan.faults(request)).collect();
        assert_eq!(faults, (0..2000).map(|request| plan.faults(request)).collect::<Vec<_>>());
        for (fault, name) in fault::NAMES {
            assert!(faults.iter().any(|faults| faults & fault != 0), "{name}");
        }
        assert_eq!(faults.iter().filter(|faults| *faults & fault::KILL != 0).count(), 3);
        assert!(faults.contains(&0), "some requests have no fault");
        let kills = plan.service_kills(8);
        assert_eq!(kills, plan.service_kills(8));
        assert_eq!(kills.iter().map(|(_, _, service)| service).collect::<std::collections::HashSet<_>>().len(), 8);
        assert!(kills.iter().all(|(done, _, _)| (1..2000).contains(done)), "{kills:?}");
    }
}
