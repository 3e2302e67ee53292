//! The text form of a policy.

use super::{Policy, Prefix};
use crate::ProtocolId;
use crate::protocol::{Plugin, Registry};
use crate::wire::Assignment;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

/// Why a policy cannot serve; `Display` says where, what, why and the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The line of the text, from 1; 0 if it lies in no line.
    pub line: usize,
    /// What is wrong.
    pub fault: PolicyFault,
}

/// What is wrong in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyFault {
    /// A line starts with a word that is no wish.
    UnknownWish(String),
    /// A wish is stated a second time.
    Repeated(&'static str),
    /// A protocol is not in the registry.
    UnknownProtocol {
        /// How it was called.
        name: String,
        /// The names of those in the registry.
        known: Vec<&'static str>,
    },
    /// The order of protocols is empty.
    EmptyOrder,
    /// A wish has too few or too many words; how it should look.
    Malformed(&'static str),
    /// A word is no range of addresses.
    BadPrefix(String),
    /// The numbers of representatives cannot be kept.
    BadRepresentatives {
        /// The wanted minimum.
        min: u8,
        /// The wanted maximum.
        max: u8,
    },
}

const ORDER: &str = "order PROTOCOL...";
const FORBID: &str = "forbid PROTOCOL ADDRESS/BITS";
const INTER_PATCH: &str = "inter-patch PROTOCOL";
const REPRESENTATIVES: &str = "representatives MIN..MAX";

/// How many representatives a region may have.
const REPRESENTATIVES_RANGE: RangeInclusive<u8> = 1..=Assignment::MAX_REPRESENTATIVES as u8;

impl Policy {
    /// Reads a policy; what the text does not mention is as in [`Policy::default`]. One wish a
    /// line, `#` starts a comment:
    ///
    /// ```text
    /// order ipmc donet omni
    /// forbid ipmc 10.1.0.0/16     # any number of these
    /// inter-patch omni
    /// representatives 2..3        # both included
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str, registry: &Registry) -> Result<Self, PolicyError> {
        let mut draft = Draft { policy: Self::default(), seen: Vec::new(), registry };
        for (line, number) in text.lines().zip(1..) {
            let wish = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = wish.split_whitespace().collect();
            draft.wish(&words).map_err(|fault| PolicyError { line: number, fault })?;
        }
        draft.policy.check(registry)?;
        Ok(draft.policy)
    }

    /// Whether the policy can serve with these protocols.
    ///
    /// # Errors
    /// The first thing that is wrong, in line 0.
    pub fn check(&self, registry: &Registry) -> Result<(), PolicyError> {
        let fault = |fault| PolicyError { line: 0, fault };
        if self.order.is_empty() {
            return Err(fault(PolicyFault::EmptyOrder));
        }
        for &protocol in self.order.iter().chain([&self.inter_patch]) {
            if registry.get(protocol).is_none() {
                return Err(fault(unknown(&protocol.to_string(), registry)));
            }
        }
        check_range(self.representatives_min, self.representatives_max).map_err(fault)
    }
}

/// A policy that is being read.
struct Draft<'a> {
    policy: Policy,
    seen: Vec<&'static str>,
    registry: &'a Registry,
}

impl Draft<'_> {
    fn wish(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        match *words {
            [] => {}
            ["order"] => return Err(PolicyFault::EmptyOrder),
            ["order", ref names @ ..] => {
                self.once(ORDER)?;
                let order: Result<_, _> = names.iter().map(|name| self.protocol(name)).collect();
                self.policy.order = order?;
            }
            ["forbid", name, prefix] => {
                let bad = |()| PolicyFault::BadPrefix(prefix.to_string());
                let prefix: Prefix = prefix.parse().map_err(bad)?;
                self.policy.forbidden.push((self.protocol(name)?, prefix));
            }
            ["inter-patch", name] => {
                self.once(INTER_PATCH)?;
                self.policy.inter_patch = self.protocol(name)?;
            }
            ["representatives", range] => {
                self.once(REPRESENTATIVES)?;
                let range = range
                    .split_once("..")
                    .and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
                let (min, max) = range.ok_or(PolicyFault::Malformed(REPRESENTATIVES))?;
                check_range(min, max)?;
                self.policy.representatives_min = min;
                self.policy.representatives_max = max;
            }
            ["forbid", ..] => return Err(PolicyFault::Malformed(FORBID)),
            ["inter-patch", ..] => return Err(PolicyFault::Malformed(INTER_PATCH)),
            ["representatives", ..] => return Err(PolicyFault::Malformed(REPRESENTATIVES)),
            [word, ..] => return Err(PolicyFault::UnknownWish(word.to_string())),
        }
        Ok(())
    }

    /// Notes a wish that may stand in one line only.
    fn once(&mut self, form: &'static str) -> Result<(), PolicyFault> {
        if self.seen.contains(&form) {
            return Err(PolicyFault::Repeated(form));
        }
        self.seen.push(form);
        Ok(())
    }

    /// The protocol that people, or [`ProtocolId`]'s `Display`, call `name`.
    fn protocol(&self, name: &str) -> Result<ProtocolId, PolicyFault> {
        let number = || name.strip_prefix("protocol-")?.parse().ok().map(ProtocolId);
        let plugin =
            self.registry.named(name).or_else(|| number().and_then(|id| self.registry.get(id)));
        plugin.map(Plugin::id).ok_or_else(|| unknown(name, self.registry))
    }
}

fn unknown(name: &str, registry: &Registry) -> PolicyFault {
    let known = registry.iter().map(Plugin::name).collect();
    PolicyFault::UnknownProtocol { name: name.to_string(), known }
}

fn check_range(min: u8, max: u8) -> Result<(), PolicyFault> {
    let possible = REPRESENTATIVES_RANGE.contains(&min) && REPRESENTATIVES_RANGE.contains(&max);
    if possible && min <= max {
        return Ok(());
    }
    Err(PolicyFault::BadRepresentatives { min, max })
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "policy: {}", self.fault),
            line => write!(f, "policy, line {line}: {}", self.fault),
        }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownWish(word) => write!(
                f,
                "no wish is called `{word}`; write `{ORDER}`, `{FORBID}`, `{INTER_PATCH}` or \
                 `{REPRESENTATIVES}`"
            ),
            Self::Repeated(form) => {
                write!(f, "`{form}` is stated a second time, and one must win; keep one of them")
            }
            Self::UnknownProtocol { name, known } => {
                write!(f, "no protocol is called `{name}`; use one of {}", known.join(", "))
            }
            Self::EmptyOrder => {
                write!(f, "no protocol is named, so nothing could run; write `{ORDER}`")
            }
            Self::Malformed(form) => write!(f, "the line does not have the form `{form}`"),
            Self::BadPrefix(text) => write!(
                f,
                "`{text}` is no range of addresses; write one as in 10.1.0.0/16 or 2001:db8::/32"
            ),
            Self::BadRepresentatives { min, max } => write!(
                f,
                "a region cannot have {min} to {max} representatives; write MIN..MAX with {} <= \
                 MIN <= MAX <= {}",
                REPRESENTATIVES_RANGE.start(),
                REPRESENTATIVES_RANGE.end()
            ),
        }
    }
}

impl core::error::Error for PolicyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, String> {
        Policy::parse(text, &Registry::standard()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(parse("\n  # nothing\n"), Ok(Policy::default()));
    }

    #[test]
    fn what_is_displayed_is_read_back() {
        let text = "order omni ipmc\nforbid ipmc 10.1.0.0/16 # lab\nforbid omni 2001:db8::/32\n\
                    inter-patch donet\nrepresentatives 1..6";
        let policy = parse(text).unwrap();
        assert_eq!(policy.order, [ProtocolId::OMNI, ProtocolId::IPMC]);
        assert_eq!((policy.representatives_min, policy.representatives_max), (1, 6));
        assert_eq!(parse(&policy.to_string()), Ok(policy));
        assert_eq!(parse(&Policy::default().to_string()), Ok(Policy::default()));
    }

    #[test]
    fn every_error_says_line_what_and_cure() {
        for (text, parts) in [
            ("\nordre ipmc", ["line 2", "`ordre`", "write `order"]),
            ("order ipmc smoke", ["line 1", "`smoke`", "use one of ipmc, donet, omni"]),
            ("order # none", ["line 1", "no protocol is named", "write `order"]),
            ("order omni\norder ipmc", ["line 2", "second time", "keep one"]),
            ("forbid ipmc", ["line 1", "form", "forbid PROTOCOL ADDRESS/BITS"]),
            ("forbid ipmc 10.1.0.0/33", ["line 1", "`10.1.0.0/33`", "as in 10.1.0.0/16"]),
            ("inter-patch smoke", ["line 1", "`smoke`", "use one of"]),
            ("representatives 2", ["line 1", "form", "representatives MIN..MAX"]),
            ("representatives 0..3", ["line 1", "0 to 3", "1 <= MIN <= MAX <= 6"]),
            ("representatives 3..2", ["line 1", "3 to 2", "1 <= MIN <= MAX <= 6"]),
            ("representatives 2..9", ["line 1", "2 to 9", "1 <= MIN <= MAX <= 6"]),
        ] {
            let error = parse(text).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn an_inter_patch_protocol_must_be_registered() {
        let registry = Registry::empty().with(crate::ipmc::Ipmc::default());
        let error = Policy::parse("order ipmc", &registry).unwrap_err();
        assert_eq!(error.to_string(), "policy: no protocol is called `omni`; use one of ipmc");
    }
}
