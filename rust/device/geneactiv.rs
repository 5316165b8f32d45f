//! GENEActiv `.bin`: text, a header of `name:value` lines and pages of 300 samples.
//!
//! A page is ten lines: `Recorded Data`, serial number, sequence number, page time, temperature, battery, rate, and one line
//! of 3600 hexadecimal digits. A sample is x, y, z of 12 bits (two's complement), light of 10, the button and a zero;
//! g = (raw * 100 - offset) / gain, lux = raw * lux / volts with the numbers of the section `Calibration Data`
//! (Activinsights, "GENEActiv software manual", file format; GGIRread, `readGENEActiv`). Notes may hold zeros and line feeds,
//! so names are sought, not counted. Every page states its time: that is what times it, not the nominal rate.

use super::calendar::{Order, date_time};
use super::lines::{Line, Lines};
use super::source::Source;
use super::{Batch, Block, Event, Header, Quality, Reader, Stamp, Timestamps};
use crate::error::{Error, Result};

/// Samples of a whole page, and hexadecimal digits of a sample.
const PAGE: usize = 300;
const DIGITS: usize = 12;
/// Pages decoded in one call.
const BATCH: usize = 32;
/// Lines and characters that a header may have.
const MAX_HEADER: u64 = 1 << 20;
const MAX_VALUE: usize = 1 << 10;
const NO_DIGIT: u8 = 0xff;
const MARK: &[u8] = b"Recorded Data";

/// Value of each hexadecimal digit.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler, and no byte of a file is an index
const NIBBLES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match b as u8 {
            d @ b'0'..=b'9' => d - b'0',
            d @ b'A'..=b'F' => d - b'A' + 10,
            d @ b'a'..=b'f' => d - b'a' + 10,
            _ => NO_DIGIT,
        };
        b += 1;
    }
    table
};

/// True where the first bytes are a GENEActiv header.
pub fn sniff(first: &[u8]) -> bool {
    let has = |what: &[u8]| first.windows(what.len()).any(|w| w == what);
    first.starts_with(b"Device Identity") || (has(b"\nCalibration Data") && has(b"Recorded Data"))
}

/// Why the first bytes are a GENEActiv file that cannot be read: one in UTF-16, or pages without a header.
pub(super) fn refusal(first: &[u8]) -> Option<Error> {
    let has = |what: &[u8]| first.windows(what.len()).any(|w| w == what);
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        let narrow: Vec<u8> = first.iter().copied().skip(2).filter(|b| *b != 0).collect();
        let reason = "expected text of one byte a character, got UTF-16: the file was saved anew by another program";
        return sniff(&narrow).then(|| Error::malformed("geneactiv", 0, reason));
    }
    let reason = "header: expected lines from 'Device Identity' to 'Calibration Data' before the pages, got none";
    (has(b"Recorded Data") && has(b"\nPage Time:")).then(|| Error::malformed("geneactiv", 0, reason))
}

/// Value of a line `name:value` of this name.
fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?.trim_ascii())
}

fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let first = text.split_ascii_whitespace().next()?;
    first.parse().ok().filter(|v: &f64| v.is_finite())
}

/// What the lines of a page before its samples say.
#[derive(Debug, Clone, Default)]
struct Page {
    offset: u64,
    sequence: Option<u64>,
    time: Option<i64>,
    temperature: f32,
    battery: f32,
    rate: Option<f64>,
    lines: u32,
}

impl Page {
    fn learn(&mut self, line: &[u8]) {
        if let Some(text) = value(line, "Sequence Number") {
            self.sequence = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
        } else if let Some(text) = value(line, "Page Time") {
            self.time = date_time(text, Order::YearMonthDay);
        } else if let Some(text) = value(line, "Temperature") {
            self.temperature = number(text).map_or(f32::NAN, |v| v as f32);
        } else if let Some(text) = value(line, "Battery voltage") {
            self.battery = number(text).map_or(f32::NAN, |v| v as f32);
        } else if let Some(text) = value(line, "Measurement Frequency") {
            self.rate = number(text).filter(|r| (0.1..=10_000.0).contains(r));
        }
    }
}

/// g of each 12-bit value of one axis.
fn table(gain: f64, offset: f64) -> Vec<f32> {
    let signed = |raw: i32| if raw >= 2048 { raw - 4096 } else { raw };
    (0..4096).map(|raw| ((f64::from(signed(raw)) * 100.0 - offset) / gain) as f32).collect()
}

/// A GENEActiv file.
pub struct GeneActiv {
    lines: Lines,
    timestamps: Timestamps,
    header: Header,
    /// g of each raw value, by axis.
    grams: [Vec<f32>; 3],
    lux: f32,
    stated_pages: Option<u64>,
    /// The page whose samples have not come yet.
    page: Option<Page>,
    /// Inside of lines that belong to no page.
    astray: bool,
    index: u64,
    sound: u64,
    last: Option<u64>,
    broken: bool,
}

impl GeneActiv {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Malformed`] without calibration; the file system's.
    pub fn new(source: Source, timestamps: Timestamps) -> Result<Self> {
        let mut lines = Lines::new(source);
        let mut header = Header { format: "geneactiv", device: "GENEActiv".into(), ..Header::default() };
        let mut found = Found::default();
        let mut first = None;
        while let Some(line) = lines.next()? {
            let text = lines.bytes(&line);
            if text == MARK {
                first = Some(Page { offset: line.offset, temperature: f32::NAN, battery: f32::NAN, ..Page::default() });
                break;
            }
            if lines.position() > MAX_HEADER {
                return Err(Error::Limit { what: "bytes of a GENEActiv header", max: MAX_HEADER });
            }
            found.learn(text, &mut header);
        }
        let (gain, offset) = found.axes(lines.position())?;
        let [x, y, z] =
            [0, 1, 2].map(|a| table(gain.get(a).copied().unwrap_or(1.0), offset.get(a).copied().unwrap_or(0.0)));
        Ok(Self {
            lines,
            timestamps,
            header,
            grams: [x, y, z],
            lux: match (found.volts, found.lux) {
                (Some(volts), Some(lux)) if volts != 0.0 => (lux / volts) as f32,
                _ => f32::NAN,
            },
            stated_pages: found.pages,
            page: first,
            astray: false,
            index: 0,
            sound: 0,
            last: None,
            broken: false,
        })
    }

    fn leave_out(&mut self, kind: &'static str, page: &Page, quality: &mut Quality) {
        quality.note(Event { time: page.time, ..Event::at(kind, page.offset, self.index) });
        self.index += 1;
        self.broken = true;
    }

    /// Does the page continue the one before it?
    fn follows(&mut self, page: &Page, quality: &mut Quality) -> bool {
        let (last, broken) = (self.last, std::mem::take(&mut self.broken));
        self.last = page.sequence;
        let (Some(last), Some(now)) = (last, page.sequence) else { return self.sound > 0 && !broken };
        let mut note =
            |kind, count| quality.note(Event { time: page.time, count, ..Event::at(kind, page.offset, self.index) });
        if now == 0 && last != 0 {
            note("restart", 1);
        } else if now == last {
            note("repeated_page", 1);
        } else if now < last {
            note("out_of_order", 1);
        } else if now - last > 1 && !broken {
            note("lost_pages", now - last - 1);
        }
        now.wrapping_sub(last) == 1 && !broken
    }

    /// Decodes a page's samples.
    fn take(&mut self, page: &Page, line: &Line, batch: &mut Batch, quality: &mut Quality) {
        let digits = self.lines.bytes(line).trim_ascii_end();
        let digits = digits.get(..=PAGE * DIGITS).unwrap_or(digits).to_vec();
        let whole = digits.len() == PAGE * DIGITS;
        let sound = digits.iter().all(|b| NIBBLES.get(usize::from(*b)).is_some_and(|d| *d != NO_DIGIT));
        let rate = page.rate.or((self.header.nominal_rate > 0.0).then_some(self.header.nominal_rate));
        let (Some(time), Some(rate)) = (page.time, rate) else { return self.leave_out("bad_page", page, quality) };
        if self.timestamps == Timestamps::Actipy && !(whole && sound) {
            return self.leave_out(if whole { "bad_page" } else { "short_page" }, page, quality);
        }
        let n = (digits.len() / DIGITS).min(PAGE);
        if n == 0 {
            return self.leave_out("short_page", page, quality);
        }
        let new_run = !self.follows(page, quality);
        let from = batch.len();
        let bad = decode(&digits, n, &self.grams, self.lux, batch);
        if bad > 0 {
            let event = Event::at("bad_samples", line.offset, self.index);
            quality.note(Event { time: Some(time), count: bad, ..event });
        }
        if !whole {
            let event = Event::at(if n < PAGE { "short_page" } else { "long_page" }, page.offset, self.index);
            quality.note(Event { time: Some(time), value: n as f64, ..event });
            self.broken = true;
        }
        let stamp = match self.timestamps {
            Timestamps::Device => Stamp::At { at: 0, time },
            Timestamps::Actipy => {
                let start = (time / 1_000_000) as f64;
                batch.time.resize(from, 0);
                batch.time.extend((0..n).map(|i| (start + i as f64 * 1000.0 / rate) as i64 * 1_000_000));
                Stamp::Each
            }
        };
        if self.header.nominal_rate == 0.0 {
            self.header.nominal_rate = rate;
        }
        batch.blocks.push(Block {
            n: n as u32,
            offset: page.offset,
            index: self.index,
            rate,
            stamp,
            new_run,
            temperature: page.temperature,
            light: f32::NAN,
            battery: page.battery,
        });
        self.index += 1;
        self.sound += 1;
    }

    /// One line; true when it was a page's samples.
    fn line(&mut self, line: &Line, batch: &mut Batch, quality: &mut Quality) -> bool {
        let text = self.lines.bytes(line);
        let (mark, blank) = (text.trim_ascii_end() == MARK, text.trim_ascii().is_empty());
        if mark {
            if let Some(page) = self.page.take() {
                self.leave_out("bad_page", &page, quality);
            }
            self.astray = false;
            self.page = Some(Page { offset: line.offset, temperature: f32::NAN, battery: f32::NAN, ..Page::default() });
            return false;
        }
        let Some(page) = &mut self.page else {
            if !self.astray && !blank {
                self.astray = true;
                self.broken = true;
                quality.note(Event::at("unknown_line", line.offset, self.index));
            }
            return false;
        };
        page.lines += 1;
        // the tenth line, and wherever it stands one that can be nothing else
        let samples = page.lines >= 9 || (text.len() > 256 && !text.contains(&b':'));
        if !samples {
            page.learn(text);
            return false;
        }
        if let Some(page) = self.page.take() {
            self.take(&page, line, batch, quality);
        }
        true
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        if let Some(page) = self.page.take() {
            self.leave_out("short_page", &page, quality);
        }
        let offset = self.lines.position();
        self.lines.source().note_damage(self.index, quality);
        if let Some(stated) = self.stated_pages.filter(|s| *s > self.index) {
            quality.note(Event { count: stated - self.index, ..Event::at("missing_pages", offset, self.index) });
        }
        if self.sound == 0 {
            let pages = self.index;
            let reason = format!("expected at least one sound page, got none among {pages}");
            return Err(Error::malformed("geneactiv", offset, reason));
        }
        Ok(())
    }
}

impl Reader for GeneActiv {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        let room = self.lines.source().size_hint().map(|bytes| bytes / 3600 * PAGE as u64 + PAGE as u64);
        room.map(|room| self.stated_pages.map_or(room, |pages| room.min(pages.saturating_mul(PAGE as u64))))
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        let mut pages = 0;
        while pages < BATCH {
            let Some(line) = self.lines.next()? else {
                self.end(quality)?;
                return Ok(false);
            };
            pages += usize::from(self.line(&line, batch, quality));
        }
        Ok(true)
    }
}

/// Appends `n` samples of hexadecimal digits; a sample with anything else in it is missing. Returns how many are.
fn decode(digits: &[u8], n: usize, grams: &[Vec<f32>; 3], lux: f32, batch: &mut Batch) -> u64 {
    let from = batch.len();
    batch.light.resize(from, f32::NAN);
    let mut bad = 0;
    for sample in digits.as_chunks::<DIGITS>().0.iter().take(n) {
        let field = |at: usize| {
            let nibble = |i: usize| {
                let b = sample.get(at + i).copied().unwrap_or(0);
                NIBBLES.get(usize::from(b)).copied().unwrap_or(NO_DIGIT)
            };
            let (a, b, c) = (nibble(0), nibble(1), nibble(2));
            let raw = usize::from(a & 15) << 8 | usize::from(b & 15) << 4 | usize::from(c & 15);
            (a | b | c <= 15).then_some(raw)
        };
        let raw = (field(0), field(3), field(6), field(9));
        let (Some(x), Some(y), Some(z), Some(last)) = raw else {
            bad += 1;
            batch.xyz.iter_mut().for_each(|channel| channel.push(f32::NAN));
            batch.light.push(f32::NAN);
            continue;
        };
        for ((channel, table), raw) in batch.xyz.iter_mut().zip(grams).zip([x, y, z]) {
            channel.push(table.get(raw).copied().unwrap_or(f32::NAN));
        }
        batch.light.push((last >> 2) as f32 * lux);
    }
    bad
}

/// What the header says.
#[derive(Debug, Default)]
struct Found {
    calibration: bool,
    gain: [Option<f64>; 3],
    offset: [Option<f64>; 3],
    volts: Option<f64>,
    lux: Option<f64>,
    pages: Option<u64>,
}

impl Found {
    fn learn(&mut self, line: &[u8], header: &mut Header) {
        if line.trim_ascii() == b"Calibration Data" {
            self.calibration = true;
            return;
        }
        let clean: Vec<u8> = line.iter().copied().filter(|b| *b != 0).take(MAX_VALUE).collect();
        let text = String::from_utf8_lossy(&clean);
        let Some((name, value)) = text.split_once(':').map(|(n, v)| (n.trim(), v.trim())) else { return };
        if value.is_empty() {
            return;
        }
        let numeric = number(value.as_bytes());
        if self.calibration {
            for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
                if name.strip_prefix(letter) == Some(" gain") {
                    self.gain.iter_mut().skip(axis).take(1).for_each(|g| *g = numeric);
                } else if name.strip_prefix(letter) == Some(" offset") {
                    self.offset.iter_mut().skip(axis).take(1).for_each(|o| *o = numeric);
                }
            }
        }
        match name {
            "Volts" => self.volts = numeric,
            "Lux" => self.lux = numeric,
            "Number of Pages" => self.pages = value.parse().ok(),
            "Device Unique Serial Code" => header.device_id = value.to_owned(),
            "Measurement Frequency" => header.nominal_rate = numeric.filter(|r| *r > 0.0).unwrap_or(0.0),
            _ => {}
        }
        header.metadata.push((name.to_owned(), value.to_owned()));
    }

    fn axes(&self, offset: u64) -> Result<([f64; 3], [f64; 3])> {
        let missing = |what: &str| {
            Error::malformed(
                "geneactiv",
                offset,
                format!("{what} of every axis: expected a number, got none in the header"),
            )
        };
        let whole = |of: [Option<f64>; 3]| match of {
            [Some(x), Some(y), Some(z)] => Some([x, y, z]),
            _ => None,
        };
        let gain = whole(self.gain).filter(|g| g.iter().all(|v| *v != 0.0)).ok_or_else(|| missing("gain"))?;
        Ok((gain, whole(self.offset).ok_or_else(|| missing("offset"))?))
    }
}
