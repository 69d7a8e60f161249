//! Values for tests: unlike the defaults, unlike each other, the same in every run.

/// Hands out values in a fixed order.
#[derive(Debug)]
pub struct Sampler {
    drawn: i64,
    /// What every boolean is.
    pub flag: bool,
    /// Whether lists are to be empty and everything that may be null is to be null.
    pub empty: bool,
    /// How many items a list has otherwise.
    items: usize,
    /// Whether text is as short as it can be, and not always new.
    terse: bool,
}

impl Sampler {
    /// Starts anew.
    pub const fn new(flag: bool, empty: bool) -> Self {
        Self { drawn: 0, flag, empty, items: 2, terse: false }
    }

    /// Starts anew, with so many items a list and the shortest text there is.
    pub const fn terse(items: usize) -> Self {
        Self { drawn: 0, flag: true, empty: false, items, terse: true }
    }

    /// A number from 1 to 120, so that it fits every type; a message rarely has more fields than that.
    pub fn number(&mut self) -> i64 {
        self.drawn += 1;
        (self.drawn - 1) % 120 + 1
    }

    /// A short word that was not used before. It is never freed: tests end.
    pub fn text(&mut self) -> &'static str {
        self.drawn += 1;
        if self.terse {
            return "t";
        }
        Box::leak(format!("text{}", self.drawn).into_boxed_str())
    }

    /// How many items a list gets.
    pub const fn items(&self) -> usize {
        if self.empty { 0 } else { self.items }
    }
}
