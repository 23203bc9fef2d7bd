//! A record as its line of JSON. Every request pays for it, so the names of the fields are written as they stand, and a text that
//! needs no escape is copied whole. Everything else is left to `serde_json`, which would write the same line of the same record.

use serde_json::{Result, to_writer};

use super::record::{Record, by_name, timestamp};
use crate::rejection::Reason;

impl Record<'_> {
    /// The record as a line of JSON, with its end.
    ///
    /// # Errors
    /// None that can happen: texts and numbers always serialize.
    pub fn line(&self) -> Result<Vec<u8>> {
        let mut written = Vec::with_capacity(LINE_USUAL);
        let line = &mut written;
        line.extend_from_slice(br#"{"time":""#);
        line.extend_from_slice(&timestamp(self.time));
        line.push(b'"');
        text(line, r#","event":"#, Some(self.event))?;
        number(line, r#","version":"#, Some(self.version.into()))?;
        text(line, r#","request_id":"#, Some(self.request_id))?;
        text(line, r#","trace_id":"#, self.trace_id)?;
        text(line, r#","decision":"#, Some(self.decision.as_str()))?;
        text(line, r#","reason":"#, self.reason.map(Reason::as_str))?;
        text(line, r#","caller":"#, self.caller)?;
        text(line, r#","claimed_caller":"#, self.claimed_caller)?;
        text(line, r#","issuer":"#, self.issuer)?;
        text(line, r#","kid":"#, self.kid)?;
        text(line, r#","alg":"#, self.alg)?;
        text(line, r#","jti":"#, self.jti)?;
        line.extend_from_slice(br#","claims":"#);
        to_writer(&mut *line, &by_name(self.claims))?;
        text(line, r#","method":"#, Some(self.method))?;
        text(line, r#","path":"#, Some(self.path))?;
        number(line, r#","status":"#, Some(self.status.into()))?;
        number(line, r#","request_bytes":"#, Some(self.request_bytes))?;
        number(line, r#","response_bytes":"#, Some(self.response_bytes))?;
        number(line, r#","duration_us":"#, Some(self.duration_us))?;
        number(line, r#","authentication_us":"#, Some(self.authentication_us))?;
        number(line, r#","upstream_us":"#, self.upstream_us)?;
        text(line, r#","client":"#, self.client)?;
        if self.forwarded_for.is_some() {
            text(line, r#","forwarded_for":"#, self.forwarded_for)?;
        }
        line.extend_from_slice(b"}\n");
        Ok(written)
    }
}

fn text(line: &mut Vec<u8>, name: &str, text: Option<&str>) -> Result<()> {
    line.extend_from_slice(name.as_bytes());
    let Some(text) = text else {
        line.extend_from_slice(b"null");
        return Ok(());
    };
    // Every byte is looked at, so that many are in one instruction: most texts have none that is escaped.
    if text.bytes().fold(false, |found, byte| found | is_escaped(byte)) {
        return to_writer(line, text);
    }
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    line.push(b'"');
    Ok(())
}

fn number(line: &mut Vec<u8>, name: &str, number: Option<u64>) -> Result<()> {
    line.extend_from_slice(name.as_bytes());
    to_writer(line, &number)
}

/// Whether a byte of a text cannot stand in a JSON string as it is (RFC 8259 §7).
const fn is_escaped(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\')
}

/// Room for a line without long names, in bytes.
const LINE_USUAL: usize = 640;
