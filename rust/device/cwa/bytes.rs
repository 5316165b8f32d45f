//! Sizes and marks of the parts of a file, and its little-endian numbers; 0 beyond the end.

pub(super) const BLOCK: usize = 512;
pub(super) const MAGIC: [u8; 4] = [b'A', b'X', 0xfc, 0x01];
pub(super) const HEADER_MAGIC: [u8; 4] = [b'M', b'D', 0xfc, 0x03];
/// A stamp this far from the time by the samples before it is no drift, ns: a day.
pub(super) const WILD: u64 = 86_400_000_000_000;

#[inline]
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    bytes.get(offset..offset + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}
#[inline]
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..offset + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}
#[inline]
pub(super) fn u8_at(bytes: &[u8], offset: usize) -> u8 {
    bytes.get(offset).copied().unwrap_or(0)
}
