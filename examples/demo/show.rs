//! How the demo looks. Colours only on a terminal, and never against `NO_COLOR`.

use std::io::IsTerminal;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::stage::Stage;
use testkit::email_service::Received;
use testkit::http::{Answer, Head};

/// The demo's voice.
pub(crate) struct Show {
    colours: bool,
}

/// An ANSI style.
#[derive(Clone, Copy)]
enum Style {
    Bad = 31,
    Bold = 1,
    Dim = 2,
    Good = 32,
    Name = 36,
}

impl Show {
    /// Looks at the terminal once.
    pub(crate) fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: !unwanted && std::io::stdout().is_terminal() }
    }

    /// Who is on the stage.
    pub(crate) fn opening(&self, stage: &Stage) {
        println!("{}", self.paint(Style::Bold, "Callgate: who is calling?"));
        println!();
        self.line("callers", &format!("send to http://{}", stage.sidecar.listen()));
        self.line(
            "callgate",
            &format!("checks their tokens; metrics and readiness at http://{}", stage.sidecar.admin()),
        );
        self.line("email service", &format!("listens behind it at {}", stage.email.address().for_config()));
        self.line("issuer", &format!("{} publishes its keys at {}", stage.issuer.name(), stage.issuer.jwks_url()));
        self.line("another", &format!("{} is trusted too, at {}", stage.partner.name(), stage.partner.jwks_url()));
    }

    /// Opens a scenario.
    pub(crate) fn title(&self, title: &str) {
        println!("\n{}", self.paint(Style::Bold, title));
    }

    /// A remark.
    pub(crate) fn note(&self, text: &str) {
        println!("  {text}");
    }

    /// What the caller sends.
    pub(crate) fn request(&self, request: &str) {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let mut lines = head.split("\r\n");
        println!("  {} {}", self.paint(Style::Name, "→"), lines.next().unwrap_or_default());
        for line in lines.filter(|line| !line.starts_with("Host:") && !line.starts_with("Connection: close")) {
            println!("    {}", shorten(line));
            if let Some(claims) = line.strip_prefix("Authorization: Bearer ").and_then(claims) {
                println!("    {}", self.paint(Style::Dim, &format!("its claims: {claims}")));
            }
        }
        if !body.is_empty() {
            println!("    {}", shorten(body));
        }
    }

    /// What the caller is told.
    pub(crate) fn answer(&self, answer: &Answer) {
        let style = if answer.status() < 400 { Style::Good } else { Style::Bad };
        let line = answer.head.start.trim_start_matches("HTTP/1.1 ");
        println!("  {} {}", self.paint(Style::Name, "←"), self.paint(style, line));
        for name in ["WWW-Authenticate", "Retry-After", "Content-Type"] {
            for value in answer.head.all(name) {
                println!("    {name}: {value}");
            }
        }
        let text = answer.text();
        let body = if answer.json().is_object() { spread(&text) } else { text };
        for line in body.lines() {
            println!("    {line}");
        }
    }

    /// What the email service saw.
    pub(crate) fn received(&self, received: &[Received]) {
        if received.is_empty() {
            self.line("email service", "saw nothing");
        }
        for Received { head, body } in received {
            self.line("email service", &format!("saw {} {}, {} bytes", head.method(), head.target(), body.len()));
            for (name, value) in callers(head) {
                println!("    {}: {value}", self.paint(Style::Good, name));
            }
        }
    }

    /// An audit record.
    pub(crate) fn audit(&self, record: &str) {
        self.line("audit", &self.paint(Style::Dim, record));
    }

    /// How a scenario went.
    pub(crate) fn verdict(&self, verdict: &Result<(), String>) {
        match verdict {
            Ok(()) => println!("  {}", self.paint(Style::Good, "✔ as it should be")),
            Err(why) => println!("  {}", self.paint(Style::Bad, &format!("✘ {why}"))),
        }
    }

    /// How all of it went.
    pub(crate) fn summary(&self, count: usize, failed: &[&str]) {
        println!();
        if failed.is_empty() {
            println!("{}", self.paint(Style::Good, &format!("✔ All {count} scenarios went as they should.")));
            return;
        }
        println!("{}", self.paint(Style::Bad, &format!("✘ {} of {count} scenarios failed:", failed.len())));
        for title in failed {
            println!("  {title}");
        }
    }

    /// Commands to copy, each under a comment.
    pub(crate) fn code(&self, lines: &[(&str, String)]) {
        println!();
        for (comment, line) in lines {
            println!("{}\n{line}\n", self.paint(Style::Dim, &format!("# {comment}")));
        }
    }

    /// Something that a person on the stage has to say.
    pub(crate) fn line(&self, who: &str, what: &str) {
        println!("  {} {what}", self.paint(Style::Name, &format!("{who:<13}")));
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colours { format!("\u{1b}[{}m{text}\u{1b}[0m", style as u8) } else { text.to_owned() }
    }
}

/// The header fields that tell the email service who is calling.
fn callers(head: &Head) -> impl Iterator<Item = &(String, String)> {
    head.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().contains("caller"))
}

/// Cuts what is too long for a person, which is mostly tokens.
fn shorten(line: &str) -> String {
    if line.chars().count() <= 110 {
        return line.to_owned();
    }
    let start: String = line.chars().take(64).collect();
    let end: String = line.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect();
    format!("{start}…{end}")
}

/// What a token claims, for the reader's eyes; nothing if it is no token.
fn claims(token: &str) -> Option<String> {
    let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    String::from_utf8(URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// JSON on several lines, with its members in the order in which they were sent.
fn spread(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for character in json.trim().chars() {
        let structure = !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        match character {
            '{' | '[' if structure => depth += 1,
            '}' | ']' if structure => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
            }
            ' ' | '\n' if structure => continue,
            _ => {}
        }
        out.push(character);
        match character {
            '{' | '[' | ',' if structure => new_line(&mut out, depth),
            ':' if structure => out.push(' '),
            _ => {}
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}
