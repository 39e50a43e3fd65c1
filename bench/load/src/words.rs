//! A line of orders: a verb, names, then `key=value` words.

use std::str::FromStr;

/// One line, taken apart.
pub struct Words<'a> {
    plain: Vec<&'a str>,
    given: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    /// Take a line apart.
    pub fn of(line: &'a str) -> Self {
        let mut words = Self {
            plain: Vec::new(),
            given: Vec::new(),
        };
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(pair) => words.given.push(pair),
                None => words.plain.push(word),
            }
        }
        words
    }

    /// The word at a place; the verb is at 0.
    pub fn at(&self, place: usize) -> Result<&'a str, String> {
        self.plain
            .get(place)
            .copied()
            .ok_or_else(|| format!("word {place} is missing"))
    }

    /// A value, if it is given.
    pub fn find<T: FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        let Some((_, value)) = self.given.iter().find(|(name, _)| *name == key) else {
            return Ok(None);
        };
        value
            .parse()
            .map(Some)
            .map_err(|_| format!("{key}={value} cannot be read"))
    }

    /// A value, or its default.
    pub fn get<T: FromStr>(&self, key: &str, default: T) -> Result<T, String> {
        Ok(self.find(key)?.unwrap_or(default))
    }

    /// A value that must be there.
    pub fn need<T: FromStr>(&self, key: &str) -> Result<T, String> {
        self.find(key)?.ok_or_else(|| format!("{key} is missing"))
    }
}
