//! What the fuzz targets do with their bytes: read them to the end, or prepare them, in memory.
//!
//! Any bytes must give samples or an error: no panic, no overflow, no endless loop, no memory beyond what the bytes can hold.
//! The last byte of an input selects the options of an execution: the rule of time, the rate of rows without times, the settings of
//! the preparation, and whether check sums are made right, without which hardly a changed byte gets past them.
//!
//! The core's modules are compiled here rather than taken from its crate: without the spectral kernels, which nothing here
//! calls, a target builds in a minute instead of ten.

#![allow(dead_code)]

use std::sync::Arc;

use device::{Chunk, Reading, Timestamps};
use preparation::{Order, Settings};
use signal::grid::Method;
use signal::{calibrate, wear};

#[path = "../../rust/arrays.rs"]
pub mod arrays;
#[path = "../../rust/cpu.rs"]
pub mod cpu;
#[path = "../../rust/device/mod.rs"]
pub mod device;
#[path = "../../rust/error.rs"]
pub mod error;
#[path = "../../rust/preparation/mod.rs"]
pub mod preparation;
#[path = "../../rust/signal/mod.rs"]
pub mod signal;
pub mod sums;
#[path = "../../rust/threads.rs"]
pub mod threads;

/// Samples that a byte without compression stands for at most.
const DENSEST: u64 = 64;
/// First bytes of compressed ones; a tar may have such members.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"PK", b"GT3XPLUS"];

/// An input: the bytes of a file, and a byte of options.
pub struct Input {
    bytes: Vec<u8>,
    options: u8,
}

impl Input {
    /// Takes the last byte off.
    pub fn new(data: &[u8]) -> Self {
        let (options, bytes) = data.split_last().unwrap_or((&0, &[]));
        Self { bytes: bytes.to_vec(), options: *options }
    }

    /// Puts the mark of a format at its position, so that its reader takes the bytes.
    pub fn mark(mut self, position: usize, mark: &[u8]) -> Self {
        if let Some(bytes) = self.bytes.get_mut(position..position + mark.len()) {
            bytes.copy_from_slice(mark);
        }
        self
    }

    /// Makes check sums right, if the options say so.
    pub fn sums(mut self, make: fn(&mut [u8])) -> Self {
        if self.options & 1 == 0 {
            make(&mut self.bytes);
        }
        self
    }

    /// Puts the bytes before and after the first zero byte into a zip archive, as a `.gt3x` has them.
    pub fn zipped(mut self) -> Self {
        self.bytes = sums::archive(&self.bytes, self.options & 8 != 0);
        self
    }

    fn reading(&self) -> Reading {
        let timestamps = if self.options & 2 == 0 { Timestamps::Device } else { Timestamps::Actipy };
        let rate = (self.options & 4 != 0).then_some(40.0);
        let temporary = (self.options & 128 != 0).then(std::env::temp_dir);
        Reading { rate, temporary, ..timestamps.into() }
    }

    /// Reads to the end.
    ///
    /// # Panics
    /// If a promise of the readers is broken.
    pub fn read(self) {
        let reading = self.reading();
        let compressed = COMPRESSED.iter().any(|mark| self.bytes.starts_with(mark));
        let most = if compressed { u64::MAX } else { self.bytes.len() as u64 * DENSEST };
        let Ok(mut stream) = device::open_bytes(self.bytes.into(), &reading) else { return };
        let mut chunk = Chunk::default();
        let (mut samples, mut last) = (0, None);
        while let Ok(true) = stream.next(&mut chunk) {
            let n = chunk.data.len();
            assert!(
                chunk.data.xyz.iter().all(|axis| axis.len() == n) && chunk.data.time.len() == n,
                "channels of one length"
            );
            assert!(
                chunk.run_starts.is_sorted() && chunk.run_starts.iter().all(|start| *start < n),
                "runs begin at samples"
            );
            for (row, &time) in chunk.data.time.iter().enumerate() {
                let goes_on = last.replace(time).is_none_or(|before| before < time);
                assert!(
                    goes_on || reading.timestamps == Timestamps::Actipy || chunk.run_starts.contains(&row),
                    "time rises within a run"
                );
            }
            samples += n as u64;
        }
        assert!(samples <= most, "samples that the bytes can hold");
        let summary = stream.finish();
        assert!(!(summary.damaged_share < 0.0 || summary.damaged_share > 1.0), "a share from 0 to 1");
    }

    /// Prepares by one of sixteen settings, with windows so short that a few seconds of samples are enough.
    ///
    /// # Panics
    /// If a promise of the preparation is broken.
    pub fn prepare(self) {
        const SECOND: i64 = 1_000_000_000;
        let (order, method) = match self.options & 2 {
            0 => (Order::Paper, Method::Linear),
            _ => (Order::Actipy, Method::Nearest),
        };
        let calibration = calibrate::Options {
            min_windows: 3,
            cube_g: 0.0,
            temperature: self.options & 8 != 0,
            ..calibrate::Options::default()
        };
        let settings = Settings {
            reading: self.reading(),
            order,
            lowpass: (self.options & 16 == 0).then_some((4.0, 8)),
            across_gaps: order == Order::Actipy,
            rate: if self.options & 32 == 0 { 30.0 } else { 10.0 },
            method,
            calibration: Some((SECOND, calibration)),
            nonwear: wear::Options {
                tolerance_g: 0.013,
                window: SECOND,
                step: SECOND,
                patience: SECOND,
                rule: wear::LengthRule::Plain,
            },
            min_wear_s: 1.0,
            max_gap_s: 1.0,
            fill_idle_sleep: self.options & 64 == 0,
        };
        let Ok(prepared) = preparation::prepare_bytes(&Arc::from(self.bytes), &settings) else { return };
        let n = prepared.n;
        assert!(prepared.acceleration.len() == n, "every point of the grid");
        for ranges in [&prepared.segments, &prepared.nonwear] {
            assert!(ranges.iter().all(|(from, to)| from <= to && *to <= n), "ranges on the grid");
            assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "ranges in order");
        }
        assert!(prepared.missing <= n, "no more points than the grid has");
        assert!(prepared.bridged <= prepared.samples, "a bridged gap lies before a sample");
        let _ = prepared.events();
    }
}
