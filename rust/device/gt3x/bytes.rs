//! Little-endian numbers of a record; 0 beyond its end.

/// Bytes of a member of the archive read at once.
pub(super) const PIECE: usize = 64 << 10;

#[inline]
pub(super) fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}
#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from(u8_at(bytes, at)) | u16::from(u8_at(bytes, at + 1)) << 8
}
#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}
