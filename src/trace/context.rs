//! The W3C Trace Context: what a request came with, and its own place in a trace.

/// The trace that a request came with (W3C Trace Context §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// 32 lower-case hexadecimal digits.
    trace: String,
    /// The caller's span: 16 lower-case hexadecimal digits.
    parent: String,
    is_sampled: bool,
}

/// The place of one request in a trace, when it is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanContext {
    pub(super) trace: String,
    pub(super) span: String,
    pub(super) parent: Option<String>,
}

impl Context {
    /// Reads the `traceparent` field: exactly one, of version 00 or a later one, with ids that are not zero. Anything else
    /// is no trace.
    #[must_use]
    pub fn read<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let line = std::str::from_utf8(line).ok()?;
        let mut parts = line.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_whole = parts.next().is_none() || version != "00";
        let sound = is_whole && is_hex(version, 2) && version != "ff" && is_id(trace, 32) && is_id(parent, 16);
        let flags = u8::from_str_radix(flags, 16).ok().filter(|_| is_hex(flags, 2))?;
        sound.then(|| Self { trace: trace.to_owned(), parent: parent.to_owned(), is_sampled: flags & 1 == 1 })
    }

    /// The id of the trace.
    #[must_use]
    pub fn trace(&self) -> &str {
        &self.trace
    }
}

impl SpanContext {
    /// A place in the trace that the request came with, or in a new one: `None` if it is not to be traced. The caller's
    /// decision holds; without one, `sample` of a hundred are traced.
    #[must_use]
    pub fn take(context: Option<&Context>, sample: u8) -> Option<Self> {
        let (trace, parent) = match context {
            Some(context) if context.is_sampled => (context.trace.clone(), Some(context.parent.clone())),
            Some(_) => return None,
            None => {
                let id = uuid::Uuid::now_v7();
                let [.., chance] = id.into_bytes();
                if u16::from(chance) * 100 >= u16::from(sample) * 256 {
                    return None;
                }
                (id.simple().to_string(), None)
            }
        };
        // The second half of such an id is random.
        let (_, span) = uuid::Uuid::now_v7().as_u64_pair();
        Some(Self { trace, span: format!("{span:016x}"), parent })
    }

    /// The id of the trace.
    #[must_use]
    pub fn trace(&self) -> &str {
        &self.trace
    }

    /// The `traceparent` for the upstream: its spans are children of ours.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str, length: usize) -> bool {
    is_hex(text, length) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(lines: &[&str]) -> Option<Context> {
        Context::read(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn a_sound_traceparent_is_read_and_every_other_is_no_trace() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let context = read(&[&good]).unwrap();
        assert_eq!((context.trace(), context.is_sampled), (TRACE, true));
        assert!(!read(&[&format!("00-{TRACE}-00f067aa0ba902b7-00")]).unwrap().is_sampled);
        assert!(read(&[&format!("01-{TRACE}-00f067aa0ba902b7-01-more")]).is_some(), "a later version may add parts");
        for bad in [
            String::new(),
            TRACE.to_owned(),
            format!("{good}-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-1"),
            format!("00-{TRACE}-00f067aa0ba902b7-+1"),
            format!("00-{TRACE}x-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(read(&[&bad]), None, "{bad}");
        }
        assert_eq!(read(&[&good, &good]), None, "two are none");
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_trace_is_continued_as_its_caller_decided() {
        let sampled = read(&[&format!("00-{TRACE}-00f067aa0ba902b7-01")]);
        let place = SpanContext::take(sampled.as_ref(), 0).expect("the caller samples");
        assert_eq!((place.trace(), place.parent.as_deref()), (TRACE, Some("00f067aa0ba902b7")));
        let next = place.traceparent();
        assert!(next.starts_with(&format!("00-{TRACE}-")) && next.ends_with("-01"), "{next}");
        assert_ne!(read(&[&next]).unwrap().parent, "00f067aa0ba902b7");
        let unsampled = read(&[&format!("00-{TRACE}-00f067aa0ba902b7-00")]);
        assert_eq!(SpanContext::take(unsampled.as_ref(), 100), None);
    }

    #[test]
    fn without_a_trace_so_many_of_a_hundred_begin_one() {
        let traced = |sample| (0..2000).filter(|_| SpanContext::take(None, sample).is_some()).count();
        assert_eq!((traced(0), traced(100)), (0, 2000));
        assert!((700..1300).contains(&traced(50)), "about a half");
        assert!(read(&[&SpanContext::take(None, 100).unwrap().traceparent()]).is_some(), "it is a sound one");
    }
}
