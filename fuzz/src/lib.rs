//! What every fuzz target does with its bytes: read them to the end as a recording, by both rules of time.
//!
//! Any bytes must give samples or an error: no panic, no endless loop, no memory beyond what the file can hold.

use std::io::Write;

use imuspec::device::{self, Chunk, Timestamps};

/// Writes `data` to a file with `magic` put where the format wants it, so that the reader under test takes it, and reads it.
pub fn read_to_the_end(data: &[u8], magic: &[(usize, &[u8])]) {
    let mut bytes = data.to_vec();
    for (at, mark) in magic {
        if let Some(place) = bytes.get_mut(*at..at + mark.len()) {
            place.copy_from_slice(mark);
        }
    }
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("room for it");
    for timestamps in [Timestamps::Device, Timestamps::Actipy] {
        let Ok(mut stream) = device::open(file.path(), timestamps.into()) else { continue };
        let mut chunk = Chunk::default();
        let mut samples = 0;
        while let Ok(true) = stream.next(&mut chunk) {
            assert_eq!(chunk.data.time.len(), chunk.data.len());
            samples += chunk.data.len();
        }
        assert!(samples <= bytes.len().saturating_mul(64), "more samples than the bytes can hold");
        let _ = stream.finish();
    }
}
