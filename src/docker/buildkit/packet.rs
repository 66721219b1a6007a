//! The packets that files travel in, as gRPC frames them. Bytes alone: no files, no connection.

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bytes::{Buf as _, BufMut as _, BytesMut};
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::recipe::{Entry, Kind};

/// Not compressed, and four bytes of length.
const HEADER: usize = 5;
/// What a receiver says is short; more than this is not its protocol.
const LONGEST: usize = 1 << 20;

/// Go's bits for what a file is, which are not Unix's.
mod mode {
    pub(super) const FOLDER: u32 = 1 << 31;
    pub(super) const LINK: u32 = 1 << 27;
    pub(super) const PIPE: u32 = 1 << 25;
    pub(super) const SETUID: u32 = 1 << 23;
    pub(super) const SETGID: u32 = 1 << 22;
    pub(super) const STICKY: u32 = 1 << 20;
}

/// Tells of a file. Whoever owns it here, in the image it is root's.
pub(super) fn stat(to: &mut BytesMut, entry: Entry) {
    let mut mode = entry.mode & 0o777;
    for (unix, go) in [(0o4000, mode::SETUID), (0o2000, mode::SETGID), (0o1000, mode::STICKY)] {
        if entry.mode & unix != 0 {
            mode |= go;
        }
    }
    let (kind, size, linkname) = match entry.kind {
        Kind::File => (0, entry.size, String::new()),
        Kind::Folder => (mode::FOLDER, 0, String::new()),
        Kind::Link(to) => (mode::LINK, to.len() as u64, to),
        Kind::Pipe => (mode::PIPE, 0, String::new()),
    };
    let stat = Stat {
        path: entry.path,
        mode: mode | kind,
        size: size.cast_signed(),
        mod_time: entry.modified,
        linkname,
        ..Stat::default()
    };
    put(
        to,
        &Packet { r#type: PacketType::PacketStat.into(), stat: Some(stat), ..Packet::default() },
    );
}

/// Tells that there are no more files.
pub(super) fn last_stat(to: &mut BytesMut) {
    put(to, &Packet { r#type: PacketType::PacketStat.into(), ..Packet::default() });
}

/// A piece of a file; without bytes it is the file's end.
pub(super) fn data(to: &mut BytesMut, id: u32, bytes: &[u8]) {
    // By hand, since the message would own a copy of the bytes.
    let id_length = if id == 0 { 0 } else { 1 + encoded_len_varint(id.into()) };
    let data_length =
        if bytes.is_empty() { 0 } else { 1 + encoded_len_varint(bytes.len() as u64) + bytes.len() };
    let length = 2 + id_length + data_length;
    to.reserve(HEADER + length);
    to.put_u8(0);
    to.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    to.put_u8(0x08);
    to.put_u8(2);
    if id != 0 {
        to.put_u8(0x18);
        encode_varint(id.into(), to);
    }
    if !bytes.is_empty() {
        to.put_u8(0x22);
        encode_varint(bytes.len() as u64, to);
        to.put_slice(bytes);
    }
}

/// Both sides have what they want.
pub(super) fn fin(to: &mut BytesMut) {
    put(to, &Packet { r#type: PacketType::PacketFin.into(), ..Packet::default() });
}

/// It cannot go on.
pub(super) fn error(to: &mut BytesMut, words: &str) {
    let data = words.as_bytes().to_vec();
    put(to, &Packet { r#type: PacketType::PacketErr.into(), data, ..Packet::default() });
}

fn put(to: &mut BytesMut, packet: &Packet) {
    let length = packet.encoded_len();
    to.reserve(HEADER + length);
    to.put_u8(0);
    to.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    packet.encode_raw(to);
}

/// What a receiver says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The bytes of a file.
    File(u32),
    /// Nothing more.
    Fin,
    /// It cannot go on.
    Error(String),
}

/// Takes the first whole packet off what has come; nothing while it is not whole.
///
/// # Errors
/// What has come is not this protocol.
pub(super) fn take(from: &mut BytesMut) -> Result<Option<Asked>, String> {
    let Some(header) = from.get(..HEADER) else { return Ok(None) };
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if header[0] != 0 || length > LONGEST {
        return Err(format!("a packet of {length} bytes"));
    }
    if from.len() < HEADER + length {
        return Ok(None);
    }
    from.advance(HEADER);
    let packet = Packet::decode(from.split_to(length)).map_err(|error| error.to_string())?;
    match PacketType::try_from(packet.r#type) {
        Ok(PacketType::PacketReq) => Ok(Some(Asked::File(packet.id))),
        Ok(PacketType::PacketFin) => Ok(Some(Asked::Fin)),
        Ok(PacketType::PacketErr) => {
            Ok(Some(Asked::Error(String::from_utf8_lossy(&packet.data).into_owned())))
        }
        _ => Err(format!("a packet of type {}", packet.r#type)),
    }
}
