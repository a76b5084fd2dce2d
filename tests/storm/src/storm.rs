//! One run: starts the services, sends the requests, causes the faults that come from outside of the services, and
//! collects the facts and the spans.

use std::sync::Arc;
use std::time::{Duration, Instant};

use throughline_load::Collector;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::board::{Board, Report};
use crate::brokers::{self, double};
use crate::check::{Findings, check};
use crate::config::{Config, Side, System};
use crate::plan::{Plan, fault};
use crate::process::Process;
use crate::received::Inbox;
use crate::store;

/// How many requests are in flight at once.
const WINDOW: usize = 128;

/// A run without progress for this long has failed.
const STALLED: Duration = Duration::from_secs(90);

/// The services, downstream ones first: each is ready before those that call it start.
const ROLES: [&str; 8] = ["archive", "analytics", "shipping", "billing", "stock", "pricing", "orders", "gateway"];

/// The result of a run.
pub(crate) struct Run {
    pub(crate) side: Side,
    pub(crate) findings: Findings,
    pub(crate) spans: u64,
    pub(crate) duplicates: u64,
    pub(crate) elapsed: Duration,
    pub(crate) kills: u64,
    /// The sum over all services.
    pub(crate) report: Report,
    pub(crate) outages: u64,
    pub(crate) plan: Plan,
}

impl Run {
    /// Whether every guarantee holds.
    pub(crate) fn is_whole(&self) -> bool {
        self.side != Side::Ours || (self.findings.breaks.is_empty() && self.report.lost == 0)
    }
}

/// Runs the plan on one side. Fails if the services do not complete all requests.
pub(crate) async fn run(plan: Plan, side: Side, doubles: bool) -> Result<Run, String> {
    let board = Arc::new(Board::default());
    let inbox = Arc::new(Inbox::default());
    let accepting = Arc::clone(&inbox);
    let collector = Collector::start(move |request| accepting.accept(&request)).map_err(|error| error.to_string())?;
    let collector = Arc::new(collector);
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_millis());
    let mut config = Config::find(side, format!("storm-{}-{now}", side.name()), doubles);
    config.double = double::serve().await;
    config.collector = collector.endpoint();
    brokers::prepare(&config).await;

    config.lethal = plan.service_kills > 0;
    let (services, gateway) = start(&mut config, &board).await;
    let (over, is_over) = watch::channel(false);
    let killing = tokio::spawn(kill(plan, services, config.clone(), Arc::clone(&board), is_over.clone()));
    let start = Instant::now();
    let outage = tokio::spawn(outage(plan, Arc::clone(&board), Arc::clone(&collector), is_over));
    let mut load = tokio::spawn(send_all(plan, gateway, Arc::clone(&board)));
    let finished = wait(plan, &board).await;
    let elapsed = start.elapsed();
    if finished.is_ok() {
        // Repeated requests may still be in flight.
        let _ = timeout(STALLED, &mut load).await;
    }
    load.abort();
    let _ = over.send(true);
    let outages = outage.await.map_err(|error| error.to_string())?;
    let (mut services, kills) = killing.await.map_err(|error| error.to_string())?;
    let mut report = Report::default();
    // Upstream services first, so that what they still send is received.
    for role in ROLES.iter().rev() {
        let at = services.iter().position(|service| service.role() == *role).expect("every role runs");
        let one = services.swap_remove(at).stop().await;
        report.processor += one.processor;
        report.exported += one.exported;
        report.lost += one.lost;
    }
    if let Some(address) = config.server(System::MySql) {
        store::drop_table(address, &config.run).await;
    }
    finished?;
    let received = inbox.take();
    let ((facts, batches), mut deaths) = (board.take(), board.take_deaths());
    if !config.lethal {
        // A service exports everything before it asks to be killed, so nothing may be missing.
        deaths.clear();
    }
    let findings = match side {
        Side::Off => Findings::default(),
        _ => check(plan.requests, &facts, &batches, &received, &deaths),
    };
    plan.show.into_iter().flat_map(|request| received.show(request)).for_each(|line| println!("{line}"));
    let (spans, duplicates) = (received.rows.len() as u64, received.duplicates);
    Ok(Run { side, findings, spans, duplicates, elapsed, kills, report, outages, plan })
}

async fn start(config: &mut Config, board: &Arc<Board>) -> (Vec<Process>, String) {
    let (mut services, mut gateway) = (Vec::new(), String::new());
    for role in ROLES {
        let mut service = Process::start(role, config, board);
        let address = service.ready().await;
        match role {
            "pricing" => config.pricing = address,
            "orders" => config.orders = address,
            "gateway" => gateway = address,
            _ => {}
        }
        services.push(service);
    }
    (services, gateway)
}

/// Sends every request, [`WINDOW`] of them at once.
async fn send_all(plan: Plan, gateway: String, board: Arc<Board>) {
    let client = reqwest::Client::new();
    let window = Arc::new(Semaphore::new(WINDOW));
    let mut calls = JoinSet::new();
    for request in 0..plan.requests {
        let permit = Arc::clone(&window).acquire_owned().await.expect("nobody closes it");
        board.open(request, permit);
        let faults = plan.faults(request);
        let url = format!("http://{gateway}/tenants/{}/orders/{request}", Plan::tenant(request));
        let call = client.post(url).body(format!("{request} 0 {faults} 1"));
        calls.spawn(order(plan, call, request, Arc::clone(&board)));
        while let Some(ended) = calls.try_join_next() {
            ended.expect("no call fails");
        }
    }
    while let Some(ended) = calls.join_next().await {
        ended.expect("no call fails");
    }
}

/// Sends one request, and repeats it if its gateway was killed.
async fn order(plan: Plan, call: reqwest::RequestBuilder, request: u64, board: Arc<Board>) {
    let lethal = plan.service_kills > 0;
    let hangs_up = plan.faults(request) & fault::HANG_UP != 0;
    // Longer than a service takes to restart.
    for _ in 0..1000 {
        let (held, fate) = (hangs_up.then(|| board.held(request)), lethal.then(|| board.fate(request)));
        let response = call.try_clone().expect("the body is text").send();
        let hung_up = async {
            let Some(held) = held else { std::future::pending().await };
            // Hangs up once the request is held. Without kills, the order is sure to be fulfilled.
            let _ = held.await;
            let Some(fate) = fate else { return true };
            fate.await.unwrap_or_default()
        };
        let done = tokio::select! {
            biased;
            response = response => match response {
                Ok(response) => {
                    assert!(response.status().is_success(), "{response:?}");
                    true
                }
                Err(error) => {
                    assert!(lethal, "the gateway runs: {error}");
                    false
                }
            },
            fulfilled = hung_up => fulfilled,
        };
        if done {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the gateway does not restart");
}

/// Waits until every request has all of its steps.
async fn wait(plan: Plan, board: &Board) -> Result<(), String> {
    let (mut done, mut since) = (0, Instant::now());
    while board.done() < plan.requests {
        sleep(Duration::from_millis(20)).await;
        if board.done() > done {
            (done, since) = (board.done(), Instant::now());
        } else if since.elapsed() > STALLED {
            let mut missing = board.missing();
            missing.truncate(10);
            return Err(format!("{done} of {} requests are done, and no more:\n{}", plan.requests, missing.join("\n")));
        }
    }
    Ok(())
}

/// Kills services until the run is over: any of them as planned, and billing whenever it asks for it. Returns the
/// running services, and the number of kills.
async fn kill(
    plan: Plan,
    mut services: Vec<Process>,
    config: Config,
    board: Arc<Board>,
    mut over: watch::Receiver<bool>,
) -> (Vec<Process>, u64) {
    let mut kills = 0;
    for (done, later, which) in plan.service_kills(ROLES.len() as u64) {
        tokio::select! {
            // All are killed, even if the last requests are done in the meantime.
            biased;
            () = reached(&board, done) => {}
            _ = over.wait_for(|over| *over) => return (services, kills),
        }
        sleep(Duration::from_millis(later)).await;
        services[which].replace(&config, &board).await;
        kills += 1;
    }
    let billing = services.iter().position(|service| service.role() == "billing").expect("every role runs");
    loop {
        tokio::select! {
            () = services[billing].wants_kill() => {}
            _ = over.wait_for(|over| *over) => return (services, kills),
        }
        services[billing].replace(&config, &board).await;
        kills += 1;
    }
}

/// Completes when this many requests are done.
async fn reached(board: &Board, done: u64) {
    while board.done() < done {
        sleep(Duration::from_millis(5)).await;
    }
}

/// Stops the collector when a third of the requests is done, and restarts it after another twelfth, or after ten
/// seconds. Returns the number of outages.
async fn outage(plan: Plan, board: Arc<Board>, collector: Arc<Collector>, mut over: watch::Receiver<bool>) -> u64 {
    let (from, to) = (plan.requests / 3, plan.requests / 3 + plan.requests / 12);
    tokio::select! {
        () = reached(&board, from), if plan.outage => {}
        _ = over.wait_for(|over| *over) => return 0,
    }
    let stopping = Arc::clone(&collector);
    tokio::task::spawn_blocking(move || stopping.stop()).await.expect("no panic");
    let _ = timeout(Duration::from_secs(10), reached(&board, to)).await;
    collector.listen().expect("the port is reserved");
    1
}
