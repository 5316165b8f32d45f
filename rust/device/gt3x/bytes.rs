//! Little-endian numbers of a record; 0 beyond its end.

/// Bytes of a member of the archive read at once.
pub(super) const PIECE: usize = 64 << 10;

#[inline]
pub(super) fn u8_at(bytes: &[u8], offset: usize) -> u8 {
    bytes.get(offset).copied().unwrap_or(0)
}
#[inline]
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from(u8_at(bytes, offset)) | u16::from(u8_at(bytes, offset + 1)) << 8
}
#[inline]
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset)) | u32::from(u16_at(bytes, offset + 2)) << 16
}
