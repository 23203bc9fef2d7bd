//! What people write who come from other products: each with the whole line that they are told.

/// What is replaced in the good configuration, by what, and the error.
pub(crate) const ERRORS: &[(&str, &str, &str)] = &[
    ("{ url", "{ jwks_uri", "14:10: error: issuers[0].keys.jwks_uri: unknown key; write url = \"https://…\""),
    ("{ url", "{ jwksUri", "14:10: error: issuers[0].keys.jwksUri: unknown key; write url = \"https://…\""),
    (
        "{ url",
        "{ jwks",
        "14:10: error: issuers[0].keys.jwks: unknown key; write url = \"https://…\" for a key set on the network, or file = \
         \"…\" for one on this machine",
    ),
    ("{ url", "{ path", "14:10: error: issuers[0].keys.path: unknown key; write file = \"…\""),
    (
        "jwks.json\"",
        "jwks.json\", jwks_uri = \"https://auth.example/\"",
        "14:50: error: issuers[0].keys.jwks_uri: unknown key; \"url\" is already there, so remove this one",
    ),
    (
        "keys = { url = \"https://auth.example/jwks.json\" }",
        "jwksUri = \"https://auth.example/jwks.json\"",
        "14:1: error: issuers[0].jwksUri: unknown key; write keys = { url = \"https://…\" }",
    ),
    (
        "keys = { url = \"https://auth.example/jwks.json\" }",
        "keys = \"https://auth.example/jwks.json\"",
        "14:8: error: issuers[0].keys: expected a table, found the string \"https://auth.example/jwks.json\"; write { url = \
         \"https://auth.example/jwks.json\" }",
    ),
    (
        "keys = { url = \"https://auth.example/jwks.json\" }",
        "keys = \"/etc/keys.json\"",
        "14:8: error: issuers[0].keys: expected a table, found the string \"/etc/keys.json\"; write { file = \"/etc/keys.json\" }",
    ),
    (
        "keys =",
        "clock_skew = \"1m\"\nkeys =",
        "14:1: error: issuers[0].clock_skew: unknown key; write leeway = \"30s\"",
    ),
    (
        "keys =",
        "clockSkewSeconds = 60\nkeys =",
        "14:1: error: issuers[0].clockSkewSeconds: unknown key; write leeway = \"30s\"",
    ),
    (
        "3000\"",
        "3000\"\nprotocol = \"http2\"",
        "6:12: error: upstream.protocol: unknown protocol \"http2\"; write \"h2c\", which is HTTP/2 without TLS; allowed: http1, \
         h2c",
    ),
    (
        "3000\"",
        "3000\"\nprotocol = \"HTTP/1.1\"",
        "6:12: error: upstream.protocol: unknown protocol \"HTTP/1.1\"; write \"http1\"; allowed: http1, h2c",
    ),
    (
        "[\"ES256\"]",
        "\"RS256\"",
        "13:14: error: issuers[0].algorithms: expected a list, found the string \"RS256\"; write [\"RS256\"]",
    ),
    (
        "\"127.0.0.1:3000\"",
        "\"https://127.0.0.1:3000/api\"",
        "5:11: error: upstream.address: \"https://127.0.0.1:3000/api\" is no address of an upstream (IP:PORT, HOST:PORT or \
         unix:/PATH); TLS to the upstream is not supported; if the service also speaks without it, write \"127.0.0.1:3000\"",
    ),
    (
        "\"127.0.0.1:3000\"",
        "\"::1:3000\"",
        "5:11: error: upstream.address: \"::1:3000\" is no address of an upstream (IP:PORT, HOST:PORT or unix:/PATH); write \
         \"[::1]:3000\"",
    ),
    (
        "\"0.0.0.0:8080\"",
        "\":::8080\"",
        "2:11: error: listen.address: \":::8080\" is no IP address with a port; write \"[::]:8080\"",
    ),
    (
        "",
        "[[public]]\npath = \"/a\"\nmethods = [\"*\"]",
        "17:12: error: public[0].methods[0]: \"*\" is no method; name each method, for example [\"GET\", \"HEAD\"]",
    ),
    (
        "",
        "[[report]]\npath = \"/a\"\nmethods = [\"*\"]",
        "17:12: error: report[0].methods[0]: \"*\" is no method; name each method, for example [\"GET\", \"HEAD\"]",
    ),
];

/// What is replaced, by what, and the warning.
pub(crate) const WARNINGS: &[(&str, &str, &str)] = &[
    (
        "[\"email\"]",
        "[\"email\", \"${AUDIENCE}\"]",
        "12:23: warning: issuers[0].audiences[1]: \"${AUDIENCE}\" is taken literally: environment variables are not replaced in \
         this file",
    ),
    (
        "\"https://auth.example\"",
        "\"https://${HOST}/a\"",
        "11:10: warning: issuers[0].issuer: \"${HOST}\" is taken literally: environment variables are not replaced in this file",
    ),
];
