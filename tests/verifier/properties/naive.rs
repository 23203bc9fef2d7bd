//! A second implementation of what `json.rs` and `jwt/parse.rs` read, written from the RFCs without looking at speed: plain
//! recursion over characters for JSON (RFC 8259), a table for base64url (RFC 4648 §5).

use callgate::json::{DEPTH_MAX, MEMBERS_MAX, Number, Value};

/// A JSON value. Names and texts are whole, numbers are as they were written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Naive {
    Array(Vec<Naive>),
    Bool(bool),
    Null,
    Number(String),
    Object(Vec<(String, Naive)>),
    String(String),
}

/// The object that a text is, or nothing.
pub(crate) fn object(text: &[u8]) -> Option<Vec<(String, Naive)>> {
    let text: Vec<char> = std::str::from_utf8(text).ok()?.chars().collect();
    let mut reader = Reader { text: &text, at: 0 };
    reader.space();
    let value = reader.value(usize::from(DEPTH_MAX))?;
    reader.space();
    match value {
        Naive::Object(members) if reader.at == text.len() => Some(members),
        _ => None,
    }
}

struct Reader<'t> {
    text: &'t [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        (self.take()? == wanted).then_some(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Naive> {
        match self.peek()? {
            '{' => self.members(depth.checked_sub(1)?),
            '[' => self.elements(depth.checked_sub(1)?),
            '"' => self.string().map(Naive::String),
            't' => self.word("true", Naive::Bool(true)),
            'f' => self.word("false", Naive::Bool(false)),
            'n' => self.word("null", Naive::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, value: Naive) -> Option<Naive> {
        word.chars().try_for_each(|character| self.expect(character))?;
        Some(value)
    }

    fn members(&mut self, depth: usize) -> Option<Naive> {
        let mut members: Vec<(String, Naive)> = Vec::new();
        self.expect('{')?;
        self.space();
        if self.peek()? == '}' {
            self.at += 1;
            return Some(Naive::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.expect(':')?;
            self.space();
            let value = self.value(depth)?;
            if members.iter().any(|(earlier, _)| *earlier == name) || members.len() == MEMBERS_MAX {
                return None;
            }
            members.push((name, value));
            self.space();
            match self.take()? {
                ',' => {}
                '}' => return Some(Naive::Object(members)),
                _ => return None,
            }
        }
    }

    fn elements(&mut self, depth: usize) -> Option<Naive> {
        let mut elements = Vec::new();
        self.expect('[')?;
        self.space();
        if self.peek()? == ']' {
            self.at += 1;
            return Some(Naive::Array(elements));
        }
        loop {
            self.space();
            elements.push(self.value(depth)?);
            self.space();
            match self.take()? {
                ',' => {}
                ']' => return Some(Naive::Array(elements)),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.take()? {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                control if control < ' ' => return None,
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.take()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.hex()?;
                if !(0xd800..0xe000).contains(&first) {
                    return char::from_u32(first);
                }
                self.expect('\\')?;
                self.expect('u')?;
                let second = self.hex()?;
                if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
                    return None;
                }
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            same @ ('"' | '\\' | '/') => same,
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |number, _| Some(number * 16 + self.take()?.to_digit(16)?))
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|character| character.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<Naive> {
        let start = self.at;
        if self.peek() == Some('-') {
            self.at += 1;
        }
        if self.peek() == Some('0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == Some('.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let number: String = self.text[start..self.at].iter().collect();
        number.parse::<f64>().ok()?.is_finite().then_some(Naive::Number(number))
    }
}

/// Whether the two implementations read the same.
pub(crate) fn same(naive: &Naive, value: &Value<'_>) -> bool {
    match (naive, value) {
        (Naive::Array(naive), Value::Array(value)) => {
            naive.len() == value.len() && naive.iter().zip(value).all(|(naive, value)| same(naive, value))
        }
        (Naive::Bool(naive), Value::Bool(value)) => naive == value,
        (Naive::Null, Value::Null) => true,
        (Naive::Number(naive), Value::Number(Number::Unsigned(value))) => naive.parse::<u64>() == Ok(*value),
        (Naive::Number(naive), Value::Number(Number::Negative(value))) => naive.parse::<i64>() == Ok(*value),
        (Naive::Number(naive), Value::Number(Number::Float(value))) => {
            // Both round; the last bits may differ.
            let exact: f64 = naive.parse().expect("a number");
            naive.parse::<u64>().is_err()
                && (naive == "-0" || naive.parse::<i64>().is_err())
                && (exact - value).abs() <= exact.abs() * 1e-12
        }
        (Naive::Object(naive), Value::Object(value)) => same_members(naive, value),
        (Naive::String(naive), Value::String(value)) => naive == value,
        _ => false,
    }
}

/// Whether two objects have the same members in the same order.
pub(crate) fn same_members(naive: &[(String, Naive)], value: &callgate::json::Object<'_>) -> bool {
    let members: Vec<_> = value.members().collect();
    naive.len() == members.len()
        && naive.iter().zip(members).all(|((name, naive), (other, value))| name == other && same(naive, value))
}

/// The bytes that a base64url text stands for, if it is the one text that stands for them.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = Vec::new();
    for character in text.chars() {
        let index = ALPHABET.chars().position(|letter| letter == character)?;
        bits.extend((0..6).rev().map(|bit| index >> bit & 1));
    }
    let rest = bits.split_off(bits.len() / 8 * 8);
    if rest.len() >= 6 || rest.contains(&1) {
        return None;
    }
    Some(bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit == 1))).collect())
}

/// Header and claims of a token, by the rules of form alone.
pub(crate) fn token(text: &str) -> Option<[Vec<(String, Naive)>; 2]> {
    let parts: Vec<_> = text.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return None };
    base64url(signature)?;
    let header = base64url(header).filter(|header| header.len() <= callgate::jwt::parse::HEADER_MAX)?;
    let header = object(&header)?;
    let find = |name: &str| header.iter().find(|(member, _)| member == name).map(|(_, value)| value);
    let absent = ["crit", "b64", "zip", "enc"].into_iter().all(|name| find(name).is_none());
    let texts = ["alg", "kid", "typ"].into_iter().all(|name| matches!(find(name), None | Some(Naive::String(_))));
    let short = !matches!(find("kid"), Some(Naive::String(kid)) if kid.len() > callgate::jwt::parse::KID_MAX);
    (absent && texts && short && find("alg").is_some()).then_some(())?;
    Some([header, object(&base64url(payload)?)?])
}
