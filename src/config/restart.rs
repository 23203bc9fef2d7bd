//! Which keys can change while the process runs, and which need a restart: those of what is opened once and kept. A test
//! holds every key of the schema to be one or the other.

use super::settings::Compiled;

impl Compiled {
    /// The keys whose values differ in `next` and that cannot change while the process runs.
    #[must_use]
    pub fn fixed_changes(&self, next: &Self) -> Vec<&'static str> {
        let checks = [
            ("admin.address", self.admin != next.admin),
            ("admin.page", self.page != next.page),
            ("audit", self.audit != next.audit),
            ("limits.connections", self.limits.connections != next.limits.connections),
            ("listen.address", self.listen.to_string() != next.listen.to_string()),
            ("listen.http2", self.http2 != next.http2),
            ("listen.socket_mode", self.listen.mode() != next.listen.mode()),
            ("listen.tls", self.tls != next.tls),
            ("log.format", self.log.format != next.log.format),
            ("reload.watch", self.reload != next.reload),
            ("tracing", self.tracing != next.tracing),
        ];
        checks.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{load_str, schema};

    /// The keys, or whole tables, that a reload brings into force.
    const LIVE: &[&str] = &[
        "cache",
        "caller",
        "dpop",
        "forwarding",
        "issuers",
        "keys",
        "limits.body_size",
        "limits.close_at_expiry",
        "limits.head_size",
        "limits.head_time",
        "limits.header_count",
        "limits.idle_time",
        "limits.key_wait",
        "limits.read_timeout",
        "limits.requests",
        "limits.requests_per_connection",
        "limits.token_size",
        "limits.tunnel_idle_time",
        "limits.write_timeout",
        "log.level",
        "mode",
        "protected_resource",
        "public",
        "readiness",
        "refusals",
        "replay",
        "report",
        "revocation",
        "shutdown",
        "token",
        "upstream",
        "wimse",
    ];

    /// The keys, or whole tables, that a reload refuses to change.
    const RESTART: &[&str] = &["admin", "audit", "limits.connections", "listen", "log.format", "reload", "tracing"];

    const GOOD: &str = r#"
        [listen]
        address = "127.0.0.1:0"
        [upstream]
        address = "127.0.0.1:3000"
        [admin]
        address = "127.0.0.1:0"
        [[issuers]]
        issuer = "https://a.example"
        audiences = ["a"]
        algorithms = ["ES256"]
        keys = { discovery = true }
    "#;

    fn changes(before: &str, after: &str) -> Vec<&'static str> {
        let load = |more: &str| load_str("sidecar.toml", &format!("{more}{GOOD}"), Path::new("")).unwrap();
        load(before).fixed_changes(&load(after))
    }

    #[test]
    fn what_is_opened_once_cannot_change_and_is_named() {
        assert!(changes("", "").is_empty());
        for (more, key) in [
            ("audit.queue = 5", "audit"),
            ("audit.file = \"audit.log\"", "audit"),
            ("limits.connections = 5", "limits.connections"),
            ("log.format = \"json\"", "log.format"),
            ("reload.watch = false", "reload.watch"),
            ("tracing.endpoint = \"http://127.0.0.1:4318\"", "tracing"),
        ] {
            assert_eq!(changes("", more), [key]);
        }
        for more in [
            "mode = \"report\"",
            "replay.store = \"redis://valkey\"",
            "limits.key_wait = \"2s\"",
            "log.level = \"debug\"",
            "shutdown.drain = \"1s\"",
        ] {
            assert!(changes("", more).is_empty(), "{more}");
        }
        let load = |text: &str| load_str("sidecar.toml", text, Path::new("")).unwrap();
        assert_eq!(load(GOOD).fixed_changes(&load(&GOOD.replacen(":0", ":1", 1))), ["listen.address"]);
        let socket = |mode: &str| {
            let table = format!("address = \"unix:/run/a.sock\"\nsocket_mode = \"{mode}\"");
            load(&GOOD.replacen("address = \"127.0.0.1:0\"", &table, 1))
        };
        let http1 = load(&GOOD.replacen("[listen]", "[listen]\nhttp2 = false", 1));
        assert_eq!(load(GOOD).fixed_changes(&http1), ["listen.http2"]);
        let no_page = load(&GOOD.replacen("[admin]", "[admin]\npage = false", 1));
        assert_eq!(load(GOOD).fixed_changes(&no_page), ["admin.page"]);
        assert_eq!(socket("0660").fixed_changes(&socket("0666")), ["listen.socket_mode"]);
        assert!(socket("0660").fixed_changes(&socket("660")).is_empty());
        assert_eq!(
            load(GOOD).fixed_changes(&load(
                &GOOD.replace("[admin]\n        address = \"127.0.0.1:0\"", "[admin]\naddress = \"127.0.0.1:9\"")
            )),
            ["admin.address"]
        );
    }

    #[test]
    fn every_key_is_said_to_change_or_to_need_a_restart() {
        let schema = schema();
        let mut keys = Vec::new();
        for (table, member) in schema["properties"].as_object().unwrap() {
            let definition = member["$ref"].as_str().and_then(|path| schema["$defs"].get(path.rsplit('/').next()?));
            match definition.and_then(|definition| definition["properties"].as_object()) {
                Some(members) => keys.extend(members.keys().map(|key| format!("{table}.{key}"))),
                None => keys.push(table.clone()),
            }
        }
        assert!(keys.len() > 15, "the schema is read: {keys:?}");
        let covers = |listed: &&&str, key: &str| key == **listed || key.starts_with(&format!("{listed}."));
        for key in &keys {
            let times = LIVE.iter().chain(RESTART).filter(|listed| covers(listed, key)).count();
            assert_eq!(times, 1, "{key} must be in LIVE or in RESTART, and if there, in fixed_changes");
        }
        for listed in LIVE.iter().chain(RESTART) {
            assert!(keys.iter().any(|key| covers(&listed, key)), "{listed} is no key any more");
        }
    }
}
