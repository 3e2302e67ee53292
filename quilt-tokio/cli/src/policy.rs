//! The administrator's policy as a file.

use quilt_tokio::proto::Policy;
use quilt_tokio::proto::policy::Prefix;
use quilt_tokio::proto::protocol::Registry;
use std::net::IpAddr;

/// Reads a policy: one `name = value` a line, `#` starts a comment. Whatever is not named keeps
/// its default.
///
/// # Errors
/// The number of the line that is wrong, from 1, and what is wrong with it.
pub(crate) fn parse(text: &str, registry: &Registry) -> Result<Policy, (usize, String)> {
    let mut policy = Policy::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            set(&mut policy, line, registry).map_err(|error| (number, error))?;
        }
    }
    Ok(policy)
}

fn set(policy: &mut Policy, line: &str, registry: &Registry) -> Result<(), String> {
    let (name, value) = line.split_once('=').ok_or("there is no = in it")?;
    let protocol = |name: &str| {
        let plugin = registry.named(name.trim());
        plugin.map(|p| p.id()).ok_or_else(|| format!("there is no protocol {:?}", name.trim()))
    };
    match (name.trim(), value.trim()) {
        ("order", value) => {
            policy.order = value.split(',').map(protocol).collect::<Result<_, _>>()?
        }
        ("inter-patch", value) => policy.inter_patch = protocol(value)?,
        ("forbid", value) => {
            let (name, prefix) = value.split_once(' ').ok_or("write: forbid = PROTOCOL IP/BITS")?;
            policy.forbidden.push((protocol(name)?, parse_prefix(prefix.trim())?));
        }
        ("representatives", value) => {
            let range = value
                .split_once("..")
                .and_then(|(min, max)| Some((min.trim().parse().ok()?, max.trim().parse().ok()?)));
            let (min, max) = range
                .filter(|&(min, max)| (1..=max).contains(&min) && max <= 8)
                .ok_or("write: representatives = MIN..MAX, from 1 to 8")?;
            (policy.representatives_min, policy.representatives_max) = (min, max);
        }
        (other, _) => {
            return Err(format!(
                "there is no setting {other:?}, only order, forbid, inter-patch and representatives"
            ));
        }
    }
    Ok(())
}

fn parse_prefix(text: &str) -> Result<Prefix, String> {
    let prefix = text.split_once('/').and_then(|(address, bits)| {
        let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Prefix { address, bits })
    });
    prefix.ok_or_else(|| format!("{text:?} is not a prefix such as 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt_tokio::proto::ProtocolId;

    fn read(text: &str) -> Result<Policy, (usize, String)> {
        parse(text, &Registry::standard())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(read(" # nothing\n\n"), Ok(Policy::default()));
    }

    #[test]
    fn every_setting_is_read() {
        let policy = read(
            "order = omni, donet\nforbid = ipmc 10.0.0.0/8 # no\nforbid = omni fd00::/8\n\
             inter-patch=donet\nrepresentatives = 1..4",
        );
        let prefix = |address: &str, bits| Prefix { address: address.parse().unwrap(), bits };
        assert_eq!(
            policy,
            Ok(Policy {
                order: vec![ProtocolId::OMNI, ProtocolId::DONET],
                forbidden: vec![
                    (ProtocolId::IPMC, prefix("10.0.0.0", 8)),
                    (ProtocolId::OMNI, prefix("fd00::", 8)),
                ],
                inter_patch: ProtocolId::DONET,
                representatives_min: 1,
                representatives_max: 4,
            })
        );
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        for (text, line) in [
            ("order ipmc", 1),
            ("\norder = ipmc, tcp", 2),
            ("forbid = ipmc", 1),
            ("forbid = ipmc 10.0.0.0/33", 1),
            ("\n\nrepresentatives = 3..2", 3),
            ("representatives = 0..2", 1),
            ("speed = 9", 1),
        ] {
            assert_eq!(read(text).unwrap_err().0, line, "{text}");
        }
    }
}
