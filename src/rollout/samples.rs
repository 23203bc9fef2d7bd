//! Samples in the text format of Prometheus, as far as an instance writes it.

use std::collections::BTreeMap;

/// All samples of a scrape.
pub(super) struct Samples(Vec<Sample>);

/// One value with its labels.
pub(super) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Samples {
    /// Reads what can be read; other lines are passed over.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The samples of this name.
    pub(super) fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The only value of this name, or 0.
    pub(super) fn value(&self, name: &str) -> f64 {
        self.named(name).next().map_or(0.0, |sample| sample.value)
    }
}

impl Sample {
    /// The value of a label; empty if there is none.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.trim_end().rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, self::labels(labels.strip_suffix('}')?)?),
        None => (series, BTreeMap::new()),
    };
    Some(Sample { name: name.to_owned(), labels, value })
}

/// `a="b",c="d"`, with `\\`, `\"` and `\n` in the values.
fn labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let name: String = rest.by_ref().take_while(|c| *c != '=').collect();
        if rest.next()? != '"' {
            return None;
        }
        let mut value = String::new();
        loop {
            match rest.next()? {
                '"' => break,
                '\\' => value.push(match rest.next()? {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        labels.insert(name.trim().to_owned(), value);
        if rest.peek() == Some(&',') {
            rest.next();
        }
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels_and_other_lines_are_not() {
        let text = "# HELP a b\na 5\nb{x=\"1, \\\"2\\\"}\",y=\"\"} 1e3\nbroken{x=1} 2\nnonsense\n";
        let samples = Samples::parse(text);
        assert_eq!(samples.0.len(), 2);
        assert!((samples.value("a") - 5.0).abs() < f64::EPSILON);
        let b = samples.named("b").next().unwrap();
        assert_eq!((b.label("x"), b.label("y"), b.label("z")), ("1, \"2\"}", "", ""));
        assert!((b.value - 1000.0).abs() < f64::EPSILON);
    }
}
