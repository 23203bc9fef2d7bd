//! What operators and issuers do while callers call: keys rotate, an issuer fails, the configuration and the audit's file change, and
//! everything that can be watched is watched.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::http::{Connection, PATIENCE};
use testkit::issuer::Behaviour;
use testkit::process::run;

use crate::Activity;
use crate::world::{Instance, Trouble, World, limits};

/// One act, with its number. An error is something that must not have happened.
type Act = fn(&World, u64) -> Result<(), String>;

/// Everything that goes on beside the traffic: each act again and again, with a pause of so many milliseconds.
pub(crate) fn all() -> Vec<Activity> {
    let acts: [(&str, u64, Act); 5] = [
        ("rotation", 11_000, rotate_keys),
        ("trouble", 7_000, make_trouble),
        ("reload", 13_000, reload),
        ("audit", 17_000, move_audit),
        ("scraper", 2_000, scrape),
    ];
    let activity = |(name, pause, act): (&str, u64, Act)| -> Activity {
        let go_on = move |world: &Arc<World>| {
            let mut number = 0;
            while world.pause(Duration::from_millis(pause)) {
                if let Err(what) = act(world, number) {
                    world.ledger.fault(&what);
                }
                number += 1;
            }
        };
        (name.to_owned(), Box::new(go_on))
    };
    acts.into_iter().map(activity).collect()
}

/// A new key signs at once. The oldest of four goes, which has signed nothing for half a minute.
fn rotate_keys(world: &World, number: u64) -> Result<(), String> {
    world.steady.add_key(&format!("rotated-{number}"));
    let withdrawn = world.steady.keep_keys(4).pop();
    world.ledger.event("keys that came");
    // Its tokens are refused for certain after the next refresh.
    if let Some(withdrawn) = withdrawn
        && world.pause(Duration::from_secs(8))
    {
        *world.withdrawn.lock().expect("nobody fails with it") = Some(withdrawn);
        world.ledger.event("keys that were withdrawn");
    }
    Ok(())
}

/// The issuer's keys cannot be fetched: for a time in which the last ones serve, and each third time for longer than that.
fn make_trouble(world: &World, number: u64) -> Result<(), String> {
    let issuer = &world.troubled;
    let kinds = [
        Behaviour::Endless,
        Behaviour::Failing,
        Behaviour::Garbage,
        Behaviour::Slow(Duration::from_secs(3)),
        Behaviour::Truncated,
        Behaviour::Empty,
        Behaviour::Redirecting,
    ];
    // What takes the most memory comes first and three times, so that each thread of the runtime has met it in the warm-up.
    let kind = kinds.get(usize::try_from(number.saturating_sub(2) % 8).expect("it is below 8"));
    let is_down = kind.is_none();
    match kind {
        Some(kind) => issuer.behave(*kind),
        None => issuer.go_down(),
    }
    // Until the keys are stale, counted from a fetch that may have been two seconds before.
    world.pause(Duration::from_millis(4500));
    if number % 3 == 2 {
        world.expect_trouble(Trouble::Open);
        world.pause(Duration::from_secs(6));
        world.expect_trouble(Trouble::Unavailable);
        world.pause(Duration::from_secs(4));
        world.ledger.event("outages of an issuer for longer than its keys serve");
    } else {
        world.ledger.event("outages of an issuer for less than its keys serve");
    }
    let was = world.trouble().0;
    if was != Trouble::Passes {
        world.expect_trouble(Trouble::Open);
    }
    issuer.behave(Behaviour::Healthy);
    if is_down {
        issuer.come_up();
    }
    if was != Trouble::Passes {
        // Its keys are asked for every two seconds, each time for at most one.
        world.pause(Duration::from_secs(5));
        world.expect_trouble(Trouble::Passes);
    }
    Ok(())
}

/// Another configuration, each time by another way.
fn reload(world: &World, number: u64) -> Result<(), String> {
    for instance in &world.instances {
        let sidecar = &instance.sidecar;
        let (good, bad) = (
            r#"callgate_config_reloads_total{result="success"}"#,
            r#"callgate_config_reloads_total{result="failure"}"#,
        );
        let changed = limits(if number.is_multiple_of(2) { "2500ms" } else { "2s" });
        let write = |text: &str| fs::write(sidecar.config(), text).map_err(|error| error.to_string());
        match number % 4 {
            0 | 1 => {
                let before = sample(instance.sidecar.admin(), good);
                write(&format!("{}{changed}", instance.config))?;
                wait(instance, good, before)?;
                world.ledger.event("reloads of a changed file");
            }
            2 => {
                let before = sample(instance.sidecar.admin(), good);
                sidecar.process().signal(Signal::SIGHUP);
                wait(instance, good, before)?;
                world.ledger.event("reloads by SIGHUP");
            }
            _ => {
                let before = sample(instance.sidecar.admin(), bad);
                write(&format!("{}{changed}nonsense = 1\n", instance.config))?;
                wait(instance, bad, before)?;
                world.ledger.event("reloads of a file with an error, which change nothing");
                write(&format!("{}{changed}", instance.config))?;
                let admin = sidecar.admin().to_string();
                let ended = run(&world.binary, &["reload", "--admin", &admin])?;
                if ended.code != Some(0) {
                    return Err(format!("callgate reload: {ended:?}"));
                }
                world.ledger.event("reloads by callgate reload");
            }
        }
    }
    Ok(())
}

/// The audit's file is moved away.
fn move_audit(world: &World, _: u64) -> Result<(), String> {
    for instance in &world.instances {
        // The new file comes with a record, so not without traffic.
        if instance.audit.rotate(|| world.goes_on()).map_err(|error| format!("{}: {error}", instance.name))? {
            world.ledger.event("audit files that were moved away");
        }
    }
    Ok(())
}

/// What a Prometheus, a kubelet and a person with the page ask.
fn scrape(world: &World, number: u64) -> Result<(), String> {
    for instance in &world.instances {
        let paths: &[&str] =
            if number.is_multiple_of(5) { &["/livez", "/readyz", "/status", "/"] } else { &["/livez", "/readyz"] };
        for path in paths {
            let answer = instance.sidecar.ask_admin(path);
            if answer.status() != 200 {
                return Err(format!("{} {path}: {} {}", instance.name, answer.status(), answer.text()));
            }
            world.ledger.event("answers of the admin port");
        }
        for name in ["callgate_audit_lost_total", "callgate_log_lines_lost_total", "callgate_connections_evicted_total"]
        {
            if sample(instance.sidecar.admin(), name) > 0.0 {
                return Err(format!("{}: {name} is {}", instance.name, sample(instance.sidecar.admin(), name)));
            }
        }
    }
    Ok(())
}

/// The sum of all samples whose line begins so.
pub(crate) fn sample(admin: SocketAddr, name: &str) -> f64 {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let answer = Connection::open(admin).and_then(|mut connection| connection.exchange(request));
    let text = answer.expect("the admin port answers").text();
    let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<f64>().ok()).sum()
}

fn wait(instance: &Instance, name: &str, before: f64) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while sample(instance.sidecar.admin(), name) <= before {
        if Instant::now() > end {
            return Err(format!("{}: {name} stays {before}", instance.name));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
