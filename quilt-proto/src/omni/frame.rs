//! What the hosts of an OMNI tree say to each other.

use super::values::*;
use crate::protocol::Body;
use crate::wire::{Contact, DecodeError, Reader, Writer};
use alloc::vec::Vec;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// How far is it to you, and where do you stand? From a host whose tree ranks so.
    Probe { nonce: u64, rank: Rank },
    /// The answer.
    ProbeReply { nonce: u64, offer: Offer },
    /// Be my parent; or, to the parent: send me more, or less, from now on.
    /// By which plan, 0 for none; how many clients there are in and below me; and the round trip
    /// between us in microseconds, 0 if I do not know it.
    Attach { mode: Mode, contact: Contact, plan: u64, weight: u32, rtt: u32 },
    /// Be the parent of that host, or hand this on to a child of yours. From the host, or from a
    /// parent. Which search it belongs to, and as in [`Frame::Attach`]; and how often it may be handed
    /// on.
    Seek { mode: Mode, contact: Contact, nonce: u64, weight: u32, rtt: u32, hops: u8 },
    /// The answer of one to whom it was handed on: I am your parent.
    Adopt { nonce: u64, mode: Mode, lineage: Lineage },
    /// I am your parent.
    Accept { mode: Mode, lineage: Lineage },
    /// I am not, or not so; these may be.
    Refuse { others: Vec<Contact> },
    /// From a parent: where you stand.
    Path(Lineage),
    /// I am no longer your child, or else: you are no longer mine. Where two hosts change places, each
    /// is the other's child for a moment.
    Detach { as_child: bool },
    /// As both kinds of [`Frame::Detach`], of one that leaves the patch: whoever inherits from it may.
    Leave,
    /// From a child: what is below me.
    Status(Sketch),
    /// I may arrange these anew, and you are one of them: what do you know? Wait so long for a plan.
    Gather { nonce: u64, wait_ms: u16, members: Vec<Contact> },
    /// The answer.
    Facts(Facts),
    /// Take me in instead of that child of yours, which comes to me.
    Displace(Displacement),
    /// Become my child, or stay it, and go on with the plan below you.
    Invite(Plan),
}

impl Body for Frame {
    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Probe { nonce, rank } => {
                out.u8(1);
                out.u64(*nonce);
                out.bool(rank.provisional);
                out.host(rank.root);
            }
            Self::ProbeReply { nonce, offer } => {
                out.u8(2);
                out.u64(*nonce);
                put_way(out, &offer.way);
                out.u8(offer.room_full);
                out.u8(offer.room_digests);
                out.u32(offer.weight);
                put_others(out, &offer.others);
            }
            Self::Attach { mode, contact, plan, weight, rtt } => {
                out.u8(3);
                put_mode(out, *mode);
                out.contact(contact);
                out.u64(*plan);
                out.u32(*weight);
                out.u32(*rtt);
            }
            Self::Accept { mode, lineage } => {
                out.u8(4);
                put_mode(out, *mode);
                put_lineage(out, lineage);
            }
            Self::Refuse { others } => {
                out.u8(5);
                put_others(out, others);
            }
            Self::Path(lineage) => {
                out.u8(6);
                put_lineage(out, lineage);
            }
            Self::Detach { as_child } => {
                out.u8(7);
                out.bool(*as_child);
            }
            Self::Leave => out.u8(13),
            Self::Seek { mode, contact, nonce, weight, rtt, hops } => {
                out.u8(14);
                put_mode(out, *mode);
                out.contact(contact);
                out.u64(*nonce);
                out.u32(*weight);
                out.u32(*rtt);
                out.u8(*hops);
            }
            Self::Adopt { nonce, mode, lineage } => {
                out.u8(15);
                out.u64(*nonce);
                put_mode(out, *mode);
                put_lineage(out, lineage);
            }
            Self::Status(sketch) => {
                out.u8(8);
                put_sketch(out, sketch);
            }
            Self::Gather { nonce, wait_ms, members } => {
                out.u8(9);
                out.u64(*nonce);
                out.u16(*wait_ms);
                put_members(out, members);
            }
            Self::Facts(facts) => {
                out.u8(10);
                put_facts(out, facts);
            }
            Self::Displace(displacement) => {
                out.u8(12);
                put_displacement(out, displacement);
            }
            Self::Invite(plan) => {
                out.u8(11);
                put_plan(out, plan);
            }
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            1 => {
                let nonce = from.u64()?;
                let rank = Rank { provisional: from.bool("provisional")?, root: from.host()? };
                Self::Probe { nonce, rank }
            }
            2 => Self::ProbeReply {
                nonce: from.u64()?,
                offer: Offer {
                    way: take_way(from)?,
                    room_full: from.u8()?,
                    room_digests: from.u8()?,
                    weight: from.u32()?,
                    others: take_others(from)?,
                },
            },
            3 => Self::Attach {
                mode: take_mode(from)?,
                contact: from.contact()?,
                plan: from.u64()?,
                weight: from.u32()?,
                rtt: from.u32()?,
            },
            4 => Self::Accept { mode: take_mode(from)?, lineage: take_lineage(from)? },
            5 => Self::Refuse { others: take_others(from)? },
            6 => Self::Path(take_lineage(from)?),
            7 => Self::Detach { as_child: from.bool("as child")? },
            8 => Self::Status(take_sketch(from)?),
            9 => Self::Gather {
                nonce: from.u64()?,
                wait_ms: from.u16()?,
                members: take_members(from)?,
            },
            10 => Self::Facts(take_facts(from)?),
            11 => Self::Invite(take_plan(from)?),
            12 => Self::Displace(take_displacement(from)?),
            13 => Self::Leave,
            14 => Self::Seek {
                mode: take_mode(from)?,
                contact: from.contact()?,
                nonce: from.u64()?,
                weight: from.u32()?,
                rtt: from.u32()?,
                hops: from.u8()?,
            },
            15 => Self::Adopt {
                nonce: from.u64()?,
                mode: take_mode(from)?,
                lineage: take_lineage(from)?,
            },
            kind => return Err(DecodeError::UnknownKind(kind)),
        })
    }
}

#[cfg(test)]
mod tests;
