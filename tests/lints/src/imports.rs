//! Imports that are only used by an attribute that is expanded second.

/// `biz_tags` below.
pub mod tags_below {
    use throughline::biz_tags;

    /// Both.
    #[throughline::traced]
    #[biz_tags(number)]
    #[must_use]
    pub fn both(number: u64) -> u64 {
        number
    }
}

/// `traced` below.
pub mod span_below {
    use throughline::traced;

    /// Both.
    #[throughline::biz_tags(number)]
    #[traced]
    #[must_use]
    pub fn both(number: u64) -> u64 {
        number
    }
}

/// Both imported, `biz_tags` below.
pub mod imported_tags_below {
    use throughline::{biz_tags, traced};

    /// Both.
    #[traced]
    #[biz_tags(number)]
    pub async fn both(number: u64) -> u64 {
        number
    }
}

/// Both imported, `traced` below.
pub mod imported_span_below {
    use throughline::{biz_tags, traced};

    /// Both.
    #[biz_tags(number)]
    #[traced]
    pub async fn both(number: u64) -> u64 {
        number
    }
}

/// A job, and its tags below.
pub mod job_above {
    use throughline::{biz_tags, traced_spawn};

    /// Both.
    #[traced_spawn]
    #[biz_tags(number)]
    pub async fn both(number: u64) -> u64 {
        number
    }
}

/// A job, and its tags above.
pub mod job_below {
    use throughline::{biz_tags, traced_spawn};

    /// Both.
    #[biz_tags(number)]
    #[traced_spawn(blocking)]
    pub fn both(number: u64) -> u64 {
        number
    }
}

/// Three attributes, by three ways.
pub mod three {
    use throughline::{biz_tags as facts, traced as span};

    /// All.
    #[throughline::biz_tags(number)]
    #[span]
    #[throughline::biz_tags(text)]
    #[must_use]
    pub fn all(number: u64, text: &str) -> u64 {
        number.saturating_add(u64::from(text.is_empty()))
    }

    /// By another name.
    #[facts(number)]
    #[must_use]
    pub fn other(number: u64) -> u64 {
        number
    }
}

/// In an `impl` block.
pub mod block {
    use throughline::{biz_tags, traced};

    /// A type.
    #[derive(Debug, Clone, Copy)]
    pub struct Block;

    #[throughline::traced]
    impl Block {
        /// Tagged.
        #[biz_tags(number)]
        #[must_use]
        pub fn tagged(&self, number: u64) -> u64 {
            number
        }

        /// Named.
        #[traced("named")]
        pub fn named(&self) {}
    }
}

/// Under a condition.
pub mod conditional {
    use throughline::{biz_tags, traced};

    /// Both.
    #[cfg_attr(all(), traced)]
    #[cfg_attr(all(), biz_tags(number))]
    #[must_use]
    pub fn both(number: u64) -> u64 {
        number
    }
}
