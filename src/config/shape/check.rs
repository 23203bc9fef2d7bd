//! The check of a document against its [`Shape`]. It reports everything that is wrong, and replaces wrong values in a copy by
//! ones of the right shape, so that the rules can check the rest of the file. A copy with replaced values is never run: the
//! errors are reported by then.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use super::{Member, Members, Shape, plain};
use crate::config::document::{Document, Part};
use crate::config::path::KeyPath;
use crate::config::problem::{Problem, Severity};

/// A document that has the right shape, with replaced values where it had not.
pub(crate) struct Checked<'t> {
    pub value: Spanned<DeValue<'t>>,
    pub problems: Vec<Problem>,
    /// The problems with what is not there. In a document with syntax errors it may only have been misread.
    pub absences: Vec<Problem>,
    /// The keys that were wrong or missing: what the rules say about them means nothing.
    pub invalid_keys: Vec<KeyPath>,
}

/// Checks the value of a document, to which others may have added, against the shape it should have.
pub(crate) fn check<'t>(document: &Document<'t>, mut value: Spanned<DeValue<'t>>, shape: &Shape) -> Checked<'t> {
    let mut checker = Checker { document, shape, problems: Vec::new(), absences: Vec::new(), invalid_keys: Vec::new() };
    checker.check(shape, &KeyPath::root(), value.get_mut());
    Checked { value, problems: checker.problems, absences: checker.absences, invalid_keys: checker.invalid_keys }
}

struct Checker<'d, 't> {
    document: &'d Document<'t>,
    /// The shape of the whole document.
    shape: &'d Shape,
    problems: Vec<Problem>,
    absences: Vec<Problem>,
    invalid_keys: Vec<KeyPath>,
}

impl<'t> Checker<'_, 't> {
    /// Checks a value, corrects what is within it, and says whether it is itself of the right kind.
    fn check(&mut self, shape: &Shape, path: &KeyPath, value: &mut DeValue<'t>) -> bool {
        if let DeValue::String(text) = &*value
            && let Some(variable) = variable(text)
        {
            let message =
                format!("{variable:?} is taken literally: environment variables are not replaced in this file");
            self.problems.push(self.document.problem(Severity::Warning, path, Part::Value, message));
        }
        let error = match (shape, &mut *value) {
            (Shape::Boolean, DeValue::Boolean(_)) | (Shape::Text { .. }, DeValue::String(_)) => None,
            (Shape::Integer { least, most }, DeValue::Integer(integer)) => out_of_bounds(integer, *least, *most),
            (Shape::Choice { what, values, never, instead }, DeValue::String(text)) => {
                no_choice(what, values, never, instead, text)
            }
            (Shape::List(item), DeValue::Array(items)) => {
                for (index, value) in items.iter_mut().enumerate() {
                    if !self.check(item, &path.index(index), value.get_mut()) {
                        *value.get_mut() = placeholder(item);
                    }
                }
                None
            }
            (Shape::Map(item), DeValue::Table(entries)) => {
                for key in names(entries) {
                    let Some(value) = entries.get_mut(key.as_str()) else { continue };
                    if !self.check(item, &path.key(&key), value.get_mut()) {
                        entries.remove(key.as_str());
                    }
                }
                None
            }
            (Shape::Table(members), DeValue::Table(entries)) => {
                self.check_table(members, path, entries);
                None
            }
            (Shape::Either(shapes), value) if shapes.iter().any(|shape| is_kind(shape, value)) => None,
            (Shape::Either(shapes), value)
                if let Some(shape) = shapes.iter().find(|shape| holds_more(shape, value)) =>
            {
                return self.check(shape, path, value);
            }
            (expected, found) => Some(wrong_kind(expected, found, path)),
        };
        let Some(error) = error else { return true };
        self.report(path, Part::Value, error);
        false
    }

    fn check_table(&mut self, members: &Members, path: &KeyPath, entries: &mut DeTable<'t>) {
        let mut meant = Vec::new();
        for key in names(entries) {
            let here = path.key(&key);
            let Some(member) = members.known.get(&key) else {
                meant.extend(self.report_unknown(members, &here, &key, entries));
                entries.remove(key.as_str());
                continue;
            };
            let Some(value) = entries.get_mut(key.as_str()) else { continue };
            if !self.check(&member.shape, &here, value.get_mut()) {
                entries.remove(key.as_str());
            }
        }
        for (key, member) in members.required() {
            let is_there = |key: &str| entries.contains_key(key) || self.invalid_keys.contains(&path.key(key));
            if entries.contains_key(key.as_str()) || members.other(key).is_some_and(is_there) {
                continue;
            }
            let here = path.key(key);
            // A misspelt or wrong key is reported already, and that is enough. So is a preset, whatever it would have brought.
            let awaits_preset = members.is_in_presets(key) && self.invalid_keys.contains(&path.key("preset"));
            if !meant.contains(key) && !self.invalid_keys.contains(&here) && !awaits_preset {
                let message = missing(key, member);
                self.absences.push(self.document.problem(Severity::Error, &here, Part::Value, message));
            }
            self.invalid_keys.push(here);
            entries.insert(Spanned::new(0..0, key.clone().into()), Spanned::new(0..0, placeholder(&member.shape)));
        }
    }

    /// Reports an unknown key and returns the one that was meant, if that can be told.
    fn report_unknown(
        &mut self,
        members: &Members,
        here: &KeyPath,
        key: &str,
        entries: &DeTable<'t>,
    ) -> Option<String> {
        if let Some((near, write)) = members.instead(key) {
            let message = match entries.contains_key(near) {
                true => format!("unknown key; {near:?} is already there, so remove this one"),
                false => format!("unknown key; write {write}"),
            };
            self.report(here, Part::Name, message);
            return Some(near.to_owned());
        }
        if let Some(near) = nearest(key, members.known.keys().map(String::as_str)) {
            let near = near.to_owned();
            if entries.contains_key(near.as_str()) {
                self.report(here, Part::Name, format!("unknown key; {near:?} is already there, so remove this one"));
                return None;
            }
            self.report(here, Part::Name, format!("unknown key; did you mean {near:?}?"));
            return Some(near);
        }
        let tables = self.shape.tables_with(key);
        let message = if tables.is_empty() {
            let known: Vec<_> = members.known.keys().map(String::as_str).collect();
            format!("unknown key; allowed here: {}", known.join(", "))
        } else {
            format!("unknown key here; {key:?} belongs in {}", tables.join(" or "))
        };
        self.report(here, Part::Name, message);
        None
    }

    fn report(&mut self, path: &KeyPath, part: Part, message: String) {
        self.problems.push(self.document.problem(Severity::Error, path, part, message));
        self.invalid_keys.push(path.clone());
    }
}

fn names(entries: &DeTable<'_>) -> Vec<String> {
    entries.keys().map(|key| key.get_ref().to_string()).collect()
}

/// The first `${…}` of a text, which other formats replace by a variable of the environment.
fn variable(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let rest = text.get(start..)?;
    rest.get(..=rest.find('}')?)
}

/// The known word that was probably meant: one that differs by little more than a slip of the finger, or else one of which the
/// written word is a part, or that is a part of it.
fn nearest<'w>(written: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let written = plain(written);
    let far = |word: &str| {
        let distance = strsim::damerau_levenshtein(&written, word);
        let shorter = word.len().min(written.len());
        let slip = distance <= (shorter / 3).clamp(1, 3);
        let part = shorter >= 3 && (word.contains(&written) || written.contains(word));
        (slip || part).then_some((!slip, distance))
    };
    known.filter_map(|word| Some((far(&plain(word))?, word))).min_by_key(|(far, _)| *far).map(|(_, word)| word)
}

fn no_choice(
    what: &str,
    values: &[String],
    never: &BTreeMap<String, String>,
    instead: &BTreeMap<String, String>,
    written: &str,
) -> Option<String> {
    if values.iter().any(|value| value == written) {
        return None;
    }
    let allowed = values.join(", ");
    let never = never.iter().find(|(value, _)| value.eq_ignore_ascii_case(written));
    if let Some((_, write)) = instead.iter().find(|(value, _)| value.eq_ignore_ascii_case(written)) {
        return Some(format!("unknown {what} {written:?}; write {write}; allowed: {allowed}"));
    }
    Some(match (never, nearest(written, values.iter().map(String::as_str))) {
        (Some((_, why)), _) => format!("{written:?} is never accepted: {why}; allowed: {allowed}"),
        (None, Some(near)) => format!("unknown {what} {written:?}; did you mean {near:?}? Allowed: {allowed}"),
        (None, None) => format!("unknown {what} {written:?}; allowed: {allowed}"),
    })
}

fn out_of_bounds(integer: &DeInteger<'_>, least: Option<i64>, most: Option<i64>) -> Option<String> {
    let (least, most) = (least.unwrap_or(i64::MIN), most.unwrap_or(i64::MAX));
    let value = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
    let inside = value.is_some_and(|value| (least..=most).contains(&value));
    (!inside).then(|| format!("{integer} is out of range; allowed: {least} to {most}"))
}

fn missing(key: &str, member: &Member) -> String {
    match (&member.shape, &member.example) {
        (Shape::Table(members), None) => {
            format!("this table is missing; add [{key}] with {}", required(members))
        }
        (Shape::List(item), None) if matches!(**item, Shape::Table(_)) => {
            let Shape::Table(members) = &**item else { return String::new() };
            format!("there is none; add [[{key}]] with {}", required(members))
        }
        (_, Some(example)) => format!("this key is missing; add it, for example {key} = {example}"),
        (_, None) => "this key is missing; add it".to_owned(),
    }
}

/// The keys that a new table needs, with examples.
fn required(members: &Members) -> String {
    let line = |(key, member): (&String, &Member)| match &member.example {
        Some(example) => format!("{key} = {example}"),
        None => key.clone(),
    };
    members.required().map(line).collect::<Vec<_>>().join(", ")
}

fn is_kind(shape: &Shape, value: &DeValue<'_>) -> bool {
    match (shape, value) {
        (Shape::Boolean, DeValue::Boolean(_)) | (Shape::Text { .. }, DeValue::String(_)) => true,
        (Shape::Integer { least, most }, DeValue::Integer(integer)) => out_of_bounds(integer, *least, *most).is_none(),
        _ => false,
    }
}

/// Whether a shape and a value are both a list or both a table, whatever is in it.
fn holds_more(shape: &Shape, value: &DeValue<'_>) -> bool {
    matches!((shape, value), (Shape::List(_), DeValue::Array(_)) | (Shape::Map(_) | Shape::Table(_), DeValue::Table(_)))
}

/// What was found where something else belongs, and how to write that.
fn wrong_kind(expected: &Shape, found: &DeValue<'_>, path: &KeyPath) -> String {
    let wanted = kind(expected);
    let advice = match (expected, found) {
        (Shape::List(item), DeValue::Table(_)) if matches!(**item, Shape::Table(_)) => {
            format!("; write [[{path}]] instead of [{path}]")
        }
        (Shape::Table(_), DeValue::Array(_)) => format!("; write [{path}], once"),
        (Shape::List(_), DeValue::String(text)) => format!("; write [{text:?}]"),
        (Shape::Either(shapes), DeValue::String(text)) if shapes.iter().any(|one| matches!(one, Shape::List(_))) => {
            format!("; write [{text:?}]")
        }
        (Shape::Table(members), DeValue::String(text)) if members.known.contains_key("url") => {
            let key = if text.contains("://") { "url" } else { "file" };
            format!("; write {{ {key} = {text:?} }}")
        }
        (Shape::Text { .. }, DeValue::Integer(port)) if path.to_string().ends_with(".address") => {
            format!("; write the host too, as in \"127.0.0.1:{port}\"")
        }
        (Shape::Text { what, .. }, DeValue::Integer(number)) if what == "string" => format!("; write \"{number}\""),
        (Shape::Text { .. }, DeValue::Integer(_)) => "; add the unit and quotes".to_owned(),
        (Shape::Integer { .. }, DeValue::String(text)) if text.parse::<i64>().is_ok() => {
            format!("; write {text}, without quotes")
        }
        (Shape::Boolean, DeValue::String(text)) if matches!(&**text, "true" | "false") => {
            format!("; write {text}, without quotes")
        }
        _ => String::new(),
    };
    format!("expected {wanted}, found {}{advice}", shown(found))
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Boolean => "true or false".to_owned(),
        Shape::Choice { values, .. } => format!("one of {}", values.join(", ")),
        Shape::Either(shapes) => shapes.iter().map(kind).collect::<Vec<_>>().join(" or "),
        Shape::Integer { .. } => "an integer".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(_) | Shape::Table(_) => "a table".to_owned(),
        Shape::Text { what, example: Some(example) } => format!("a {what} such as {example}"),
        Shape::Text { what, example: None } => format!("a {what}"),
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Boolean(word) => word.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Integer(number) => format!("the integer {number}"),
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Some value of this shape.
fn placeholder<'t>(shape: &Shape) -> DeValue<'t> {
    match shape {
        Shape::Boolean => DeValue::Boolean(false),
        Shape::Choice { values, .. } => DeValue::String(values.first().cloned().unwrap_or_default().into()),
        Shape::Either(shapes) => shapes.first().map_or(DeValue::Boolean(false), placeholder),
        Shape::Integer { .. } => DeValue::Integer(DeInteger::default()),
        Shape::List(_) => DeValue::Array(DeArray::new()),
        Shape::Map(_) => DeValue::Table(DeTable::new()),
        Shape::Table(members) => {
            let entry = |(key, member): (&String, &Member)| {
                (Spanned::new(0..0, key.clone().into()), Spanned::new(0..0, placeholder(&member.shape)))
            };
            DeValue::Table(members.required().map(entry).collect())
        }
        Shape::Text { .. } => DeValue::String("".into()),
    }
}
