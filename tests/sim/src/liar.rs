//! Hosts that run the machine, and say something else.

use quilt_proto::wire::{
    Assembler, Data, Frame, Frames, MAX_DATAGRAM_BYTES, MAX_STREAM_PACKET_BYTES, PREFIX_BYTES,
    Pull, Wanted,
};
use quilt_proto::{Chunks, FragmentId, Notice, Seq, Source};
use std::fmt;

/// How often each request is made that a host has no need of.
const FLOOD: usize = 5;

/// Puts other frames in the place of each that a host would send, or other notices in the place of
/// each that its application would be told.
pub struct Lie(To);

type Tells = Box<dyn FnMut(Frame) -> Vec<Frame>>;

/// To whom it is told.
enum To {
    /// To hosts, over streams.
    Streams(Tells),
    /// The same, and in datagrams.
    All(Tells),
    /// To the host's own application.
    Application(Box<dyn FnMut(Notice) -> Vec<Notice>>),
}

impl Lie {
    /// What `lie` makes of each frame over streams. Where that does not fit a packet, the truth is
    /// told.
    pub fn new(lie: impl FnMut(Frame) -> Vec<Frame> + 'static) -> Self {
        Self(To::Streams(Box::new(lie)))
    }

    /// The same in datagrams, multicast ones included.
    pub fn everywhere(lie: impl FnMut(Frame) -> Vec<Frame> + 'static) -> Self {
        Self(To::All(Box::new(lie)))
    }

    /// What `lie` makes of each notice for the host's own application. To other hosts the truth is
    /// told.
    pub fn at_home(lie: impl FnMut(Notice) -> Vec<Notice> + 'static) -> Self {
        Self(To::Application(Box::new(lie)))
    }

    /// What the application is told in the place of this notice.
    pub(crate) fn told_at_home(&mut self, notice: Notice) -> Vec<Notice> {
        match &mut self.0 {
            To::Application(lie) => lie(notice),
            To::Streams(_) | To::All(_) => vec![notice],
        }
    }

    /// The packet that goes out on a stream in the place of this one.
    pub(crate) fn told(&mut self, packet: Chunks) -> Chunks {
        let (To::Streams(lie) | To::All(lie)) = &mut self.0 else { return packet };
        let mut inner = packet.clone();
        inner.split_to(PREFIX_BYTES);
        let Some(mut bytes) = instead_of(lie, inner, MAX_STREAM_PACKET_BYTES) else {
            return packet;
        };
        let mut told = Assembler::prefix(bytes.len()).to_vec();
        told.append(&mut bytes);
        told.into()
    }

    /// The datagram that goes out in the place of this one.
    pub(crate) fn told_by_datagram(&mut self, packet: Chunks) -> Chunks {
        let To::All(lie) = &mut self.0 else { return packet };
        instead_of(lie, packet.clone(), MAX_DATAGRAM_BYTES).map_or(packet, Chunks::from)
    }
}

/// What is said in the place of a packet; `None` if that is no packet, or what comes of it is too
/// long.
fn instead_of(lie: &mut Tells, packet: Chunks, most: usize) -> Option<Vec<u8>> {
    let frames = Frames::decode(packet).ok()?;
    let mut bytes = frames.header().encode().to_vec();
    for frame in frames.flatten().flat_map(lie) {
        frame.encode(&mut bytes);
    }
    (bytes.len() <= most).then_some(bytes)
}

impl fmt::Debug for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lie")
    }
}

/// A way to be bad, of a host that is a member like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Badness {
    /// Takes children and partners, and gives nobody a fragment.
    Withholds,
    /// The same, and says that it has all that it has heard of.
    Boasts,
    /// Gives other fragments than it was asked for, and asks for all that there is, again and again.
    Confuses,
}

impl Badness {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Withholds, Self::Boasts, Self::Confuses];

    /// What it does, in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Withholds => "give nothing",
            Self::Boasts => "say that they have all, give nothing",
            Self::Confuses => "give the wrong fragment, ask for all",
        }
    }

    /// What a bad host says.
    pub fn lie(self) -> Lie {
        Lie::everywhere(match self {
            Self::Withholds => withhold,
            Self::Boasts => boast,
            Self::Confuses => confuse,
        })
    }
}

/// Gives nobody anything.
pub fn withhold(frame: Frame) -> Vec<Frame> {
    match frame {
        Frame::Data(_) => vec![],
        other => vec![other],
    }
}

/// Has everything, and does not give it.
pub fn boast(frame: Frame) -> Vec<Frame> {
    match frame {
        Frame::Data(_) | Frame::NotHeld(_) => vec![],
        other => claim_all(other),
    }
}

/// Says that nothing is missing.
pub fn claim_all(frame: Frame) -> Vec<Frame> {
    match frame {
        Frame::Held { group, patch, more, mut sources } => {
            sources.iter_mut().for_each(|held| held.missing.clear());
            vec![Frame::Held { group, patch, more, sources }]
        }
        other => vec![other],
    }
}

fn confuse(frame: Frame) -> Vec<Frame> {
    answer_wrongly(frame).into_iter().flat_map(ask_for_all).collect()
}

/// Gives the first fragment for any that is asked for. All have that one, or had it: nobody takes
/// what is false for true.
pub fn answer_wrongly(frame: Frame) -> Vec<Frame> {
    match frame {
        Frame::Data(Data { solicited: true, fragment, .. }) if fragment.seq > Seq(0) => {
            let Frame::Data(data) = frame else { return vec![] };
            vec![Frame::Data(Data { fragment: FragmentId { seq: Seq(0), ..fragment }, ..data })]
        }
        other => vec![other],
    }
}

/// Asks for all that there is with each word.
pub fn ask_for_all(frame: Frame) -> Vec<Frame> {
    match frame {
        Frame::Held { group, patch, ref sources, .. } if !sources.is_empty() => {
            let held = &sources[0];
            let source = Source { host: held.host.tag(), incarnation: held.incarnation };
            let wanted = (held.low.0..held.next.0).map(|seq| Wanted {
                first: FragmentId { source, seq: Seq(seq), index: 0 },
                last: u16::MAX,
            });
            let wanted: Vec<Wanted> = wanted.take(Pull::MAX_WANTED).collect();
            let mut frames = vec![Frame::Pull(Pull { group, patch, wanted }); FLOOD];
            frames.push(frame);
            frames
        }
        other => vec![other],
    }
}
