//! `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`: which traces are recorded.

use std::fmt;

use opentelemetry_sdk::trace::Sampler;

use super::{ConfigError, Env};

/// The sampler for the root span of a trace. Every other span follows its parent, whatever the name of the sampler.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum RootSampler {
    #[default]
    AlwaysOn,
    AlwaysOff,
    Ratio(f64),
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct SamplerConfig {
    pub(crate) root: RootSampler,
    /// The configured name, if it is not that of a parent-based sampler. It is used as if it were.
    pub(crate) not_parent_based: Option<&'static str>,
    /// Whether there is an argument although the sampler takes none.
    pub(crate) has_unused_argument: bool,
}

const NAME: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

impl SamplerConfig {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        const NAMES: [&str; 6] = [
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ];
        let has_argument = env.get(ARGUMENT).is_some();
        let Some(name) = env.choice(NAME, &NAMES.map(|name| (name, name)))? else {
            return Ok(Self { has_unused_argument: has_argument, ..Self::default() });
        };
        let parent_based = name.strip_prefix("parentbased_");
        let root = match parent_based.unwrap_or(name) {
            "always_off" => RootSampler::AlwaysOff,
            "traceidratio" => {
                let ratio =
                    env.parse(ARGUMENT, "a number from 0.0 to 1.0", |ratio: &f64| (0.0..=1.0).contains(ratio))?;
                RootSampler::Ratio(ratio.unwrap_or(1.0))
            }
            _ => RootSampler::AlwaysOn,
        };
        let has_unused_argument = has_argument && !matches!(root, RootSampler::Ratio(_));
        Ok(Self { root, not_parent_based: parent_based.is_none().then_some(name), has_unused_argument })
    }

    /// Warnings about settings that are ignored or changed.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let parent_based = self.not_parent_based.map(|name| {
            format!("`{NAME}` is `{name}`, which would produce partial traces; using `parentbased_{name}`")
        });
        let root = self.root;
        let unused = self.has_unused_argument.then(|| format!("`{ARGUMENT}` is ignored: {root} takes no argument"));
        parent_based.into_iter().chain(unused)
    }
}

impl RootSampler {
    pub(crate) fn sampler(self) -> Sampler {
        match self {
            Self::AlwaysOn => Sampler::AlwaysOn,
            Self::AlwaysOff => Sampler::AlwaysOff,
            Self::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        }
    }
}

impl fmt::Display for RootSampler {
    /// The name of the effective sampler.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlwaysOn => f.write_str("`parentbased_always_on`"),
            Self::AlwaysOff => f.write_str("`parentbased_always_off`"),
            Self::Ratio(ratio) => write!(f, "`parentbased_traceidratio` ({ratio})"),
        }
    }
}
