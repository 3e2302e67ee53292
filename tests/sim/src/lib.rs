//! The network that Quilt's core is judged on: hosts, routers, NATs, switches and links in virtual
//! time, under the unchanged machines of [`quilt_proto`].

pub mod topology;
