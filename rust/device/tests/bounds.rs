//! Time and memory that hostile files may take: steps of the readers' loops, counted, and samples that wait.

use std::fmt::Write;

use super::super::{Batch, Block, Chunk, Event, Header, Quality, Reader, Stamp, Stream, Timestamps, steps};
use super::blocks::{archive, cwa};
use super::{RULES, count, geneactiv, matrix};
use crate::device::nhanes::logs::{Logs, MAX_LOG};
use crate::error::{Error, Result};

/// Steps of reading `bytes`, whatever comes out.
fn steps_of(bytes: &[u8], rule: Timestamps) -> u64 {
    steps::taken();
    let _ = count(bytes, rule);
    steps::taken()
}

/// Bytes of the `n`th size of a hostile file.
type Hostile = fn(usize) -> Vec<u8>;

fn repeated(start: Vec<u8>, part: &[u8], n: usize) -> Vec<u8> {
    [start, part.repeat(n)].concat()
}

fn packet_head(count: u32) -> Vec<u8> {
    let words = [1, 1000, 1010, count, 0, 0, 0];
    [b"MDTCPACK".to_vec(), words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()].concat()
}

/// A tar of members of these names without a byte in them.
fn tar(names: impl Iterator<Item = String>) -> Vec<u8> {
    let mut out = Vec::new();
    for name in names {
        let mut head = [0u8; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[124..136].copy_from_slice(b"00000000000\0");
        head[148..156].fill(b' ');
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend(head);
    }
    out
}

fn hour(i: usize) -> String {
    format!("{i}/GT3XPLUS-AccelerationCalibrated-2x5x0.NEO1.2000-01-03-08-00-00-000-P0000.sensor.csv")
}

fn table(rows: impl Iterator<Item = (f64, f64)>) -> Vec<u8> {
    let mut text = "time,x,y,z\n".to_owned();
    rows.for_each(|(time, x)| {
        let _ = writeln!(text, "{:.2},{x:.3},0.1,0.9", 1.6e9 + time);
    });
    text.into_bytes()
}

fn in_order(n: usize) -> impl Iterator<Item = (f64, f64)> {
    (0..n).map(|i| (i as f64 / 100.0, i as f64 / 1e3))
}

const HOSTILE: [(&str, Hostile); 21] = [
    ("matrix: marks", |n| repeated(matrix(1), b"MDTCPACK", 40_000 * n)),
    ("matrix: packets that state two hours", |n| repeated(matrix(1), &packet_head(2_000_000), 10_000 * n)),
    ("matrix: packets that hold others", |n| repeated(matrix(1), &packet_head(200), 10_000 * n)),
    ("matrix: sound packets", |n| matrix(60 * n as u32)),
    ("cwa: magic words", |n| repeated(cwa(1, 0, 0, 0).to_vec(), b"AX\xfc\x01", 100_000 * n)),
    ("cwa: blocks a byte out of place", |n| repeated(Vec::new(), &[&cwa(1, 0, 0, 0)[..], b"\0"].concat(), 800 * n)),
    ("cwa: bad check sums", |n| repeated(cwa(1, 0, 0, 0).to_vec(), &cwa(1, 1, 1, 0).map(|b| b ^ 1), 800 * n)),
    ("cwa: sound blocks", |n| (0..800 * n).flat_map(|i| cwa(1, i as u32, i as u32 % 60, 0)).collect()),
    ("gt3x: separators", |n| log(&b"\x1e".repeat(300_000 * n))),
    ("gt3x: records that state 64 KiB", |n| log(&b"\x1e\0\0\0\0\0\xff\xff".repeat(40_000 * n))),
    ("gt3x: zeros", |n| log(&vec![0; 300_000 * n])),
    ("geneactiv: marks", |n| repeated(geneactiv(2), b"Recorded Data\r\n", 20_000 * n)),
    ("geneactiv: lines", |n| repeated(geneactiv(2), b"a:b\r\n", 60_000 * n)),
    ("geneactiv: pages of one sequence number", |n| {
        let page = geneactiv(1);
        let from = page.windows(13).position(|w| w == b"Recorded Data").unwrap();
        repeated(geneactiv(2), &page[from..], 60 * n)
    }),
    ("nhanes: hours without a byte", |n| tar((0..700 * n).map(hour))),
    ("nhanes: one long name", |n| repeated(tar([hour(0)].into_iter()), &tar(["x".repeat(99)].into_iter()), 700 * n)),
    ("text: blank lines", |n| repeated(table(in_order(100)), b"\n", 300_000 * n)),
    ("text: one line", |n| repeated(table(in_order(100)), b"a", 3_000_000 * n)),
    ("text: one time", |n| table(in_order(2000).chain((0..20_000 * n).map(|i| (20.0, i as f64))))),
    ("text: rows that change places", |n| {
        table(in_order(20_000 * n).map(|(t, x)| (t + (x * 1e5 % 7.0).floor() / 50.0, x)))
    }),
    ("text: a gap every fourth row", |n| {
        table((0..20_000 * n).map(|i| ((i / 4) as f64 + (i % 4) as f64 / 100.0, i as f64)))
    }),
];

/// A `.gt3x` of a second of samples and what follows.
fn log(rest: &[u8]) -> Vec<u8> {
    let info = b"Serial Number: MOS2D1\nSample Rate: 30\n";
    archive(&[("info.txt", info), ("log.bin", &repeated(Vec::new(), rest, 1))])
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn reading_takes_steps_in_proportion_to_the_bytes() {
    for (name, hostile) in HOSTILE {
        for rule in RULES {
            // of a size at which the rows that are looked ahead at are no longer the whole file
            let (once, twice) = (hostile(2), hostile(4));
            let bytes = twice.len() as u64;
            let [once, twice] = [once, twice].map(|bytes| steps_of(&bytes, rule));
            let ratio = twice as f64 / once as f64;
            assert!(ratio <= 2.2, "{name} by {rule:?}: {once} steps, {twice} of twice the bytes");
            assert!(twice >= bytes / 2, "{name} by {rule:?}: {twice} steps of {bytes} bytes");
        }
    }
}

/// Steps that take less than half a second: most are bytes.
const MOMENT: u64 = 30_000_000;

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn reading_asks_for_ctrl_c_every_moment() {
    for (name, hostile) in HOSTILE {
        for rule in RULES {
            let bytes = hostile(8);
            steps::unasked();
            let total = steps_of(&bytes, rule);
            let unasked = steps::unasked();
            assert!(unasked <= MOMENT, "{name} by {rule:?}: {unasked} steps of {total} without a question");
        }
    }
}

/// Blocks of a million samples of which only the first tells its time.
struct Timeless {
    header: Header,
    left: u64,
}

impl Reader for Timeless {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        None
    }

    fn read(&mut self, batch: &mut Batch, _: &mut Quality) -> Result<bool> {
        let n = 1 << 20;
        let from = batch.len();
        batch.xyz.iter_mut().for_each(|axis| axis.resize(from + n, 1.0));
        let stamp =
            if self.left == 12 { Stamp::At { sample: 0, time: 1_600_000_000_000_000_000 } } else { Stamp::Follows };
        let (index, nan) = (12 - self.left, f32::NAN);
        batch.blocks.push(Block {
            n: n as u32,
            offset: index,
            index,
            rate: 100.0,
            stamp,
            new_run: false,
            restart: false,
            temperature: nan,
            light: nan,
            battery: nan,
        });
        self.left -= 1;
        Ok(self.left > 0)
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn samples_without_a_stamp_wait_for_eleven_hours_and_not_for_ever() {
    let header = Header { format: "cwa", ..Header::default() };
    let mut stream = Stream::new(Box::new(Timeless { header, left: 12 }), Timestamps::Device);
    let mut chunk = Chunk::default();
    let (mut n, mut last, mut longest) = (0, None, 0);
    while stream.next(&mut chunk).unwrap() {
        n += chunk.data.len();
        longest = longest.max(chunk.data.len());
        for time in &chunk.data.time {
            assert!(last.replace(*time).is_none_or(|last| (*time - last - 10_000_000).abs() <= 1), "{time} {last:?}");
        }
    }
    assert_eq!(n, 12 << 20);
    assert!(longest <= 5 << 20, "{longest}");
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn events_beyond_the_first_hundred_thousand_are_counted_alone() {
    let mut quality = Quality::default();
    (0..150_000).for_each(|i| quality.note(Event::at("bad_row", i, i)));
    assert_eq!((quality.events.len(), quality.count("bad_row")), (100_000, 150_000));
    assert_eq!(quality.count("events_not_listed"), 50_000);
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn rows_of_one_time_without_end_are_refused() {
    let one_time = table((0..1000).map(|i| (20.0, f64::from(i))));
    let rows = repeated(table(in_order(2000)), &one_time["time,x,y,z\n".len()..], 2200);
    let refused = count(&rows, Timestamps::Device);
    assert!(
        matches!(&refused, Err(Error::Malformed { reason, .. }) if reason.contains("times that differ")),
        "{refused:?}"
    );
}

#[test]
fn logs_of_one_participant_that_are_too_long_together_are_refused() {
    let mut logs = Logs::default();
    (0..4).for_each(|_| logs.add(vec![0; MAX_LOG]).unwrap());
    assert!(matches!(logs.add(vec![0]), Err(Error::Limit { .. })));
}
