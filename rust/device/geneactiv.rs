//! GENEActiv `.bin`: text, a header of `name:value` lines and pages of 300 samples.
//!
//! A page is ten lines: `Recorded Data`, serial number, sequence number, page time, temperature, battery, rate, and one line
//! of 3600 hexadecimal digits. A sample is x, y, z of 12 bits (two's complement), light of 10, the button and a zero;
//! g = (raw * 100 - offset) / gain, lux = raw * lux / volts with the numbers of the section `Calibration Data`
//! (Activinsights, "GENEActiv software manual", file format; GGIRread, `readGENEActiv`). Notes may hold zeros and line feeds,
//! so names are sought, not counted. Every page states its time: that is what times it, not the nominal rate.
//! A page that is there twice is dropped, and pages that changed places go back to theirs; by actipy's rule neither is done.

use std::collections::VecDeque;

use super::copies::Copies;
use super::lines::{Line, Lines};
use super::source::Source;
use super::steps;
use super::{Batch, Block, DateOrder, Event, Header, Quality, Reader, Reading, Stamp, Timestamps};
use crate::error::{Error, Result};
use header::{HeaderFields, table};
use pace::{RATE_DIFFERS, rate_by_times};
use page::{DIGITS, Held, PAGE, Page, began_anew, decode, is_hexadecimal};

mod header;
mod pace;
mod page;

/// Pages decoded in one call.
const BATCH: usize = 32;
/// Bytes that a header may have.
const MAX_HEADER: u64 = 1 << 20;
/// Pages held back for one that was written out of order.
const AHEAD: usize = 8;
/// A page time farther from its neighbours' is wild, ns: a day.
const WILD: u64 = 86_400_000_000_000;
const MARK: &[u8] = b"Recorded Data";
const HEADER_MARK: &[u8] = b"Device Identity";

/// True where the first bytes are a GENEActiv header.
pub fn sniff(first: &[u8]) -> bool {
    let has = |text: &[u8]| first.windows(text.len()).any(|w| w == text);
    first.starts_with(b"Device Identity") || (has(b"\nCalibration Data") && has(b"Recorded Data"))
}

/// Why the first bytes are a GENEActiv file that cannot be read: one in UTF-16, or pages without a header.
pub(super) fn refusal(first: &[u8]) -> Option<Error> {
    let has = |text: &[u8]| first.windows(text.len()).any(|w| w == text);
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        let narrow: Vec<u8> = first.iter().copied().skip(2).filter(|b| *b != 0).collect();
        let reason = "expected text of one byte a character, got UTF-16: the file was saved anew by another program";
        return sniff(&narrow).then(|| Error::malformed("geneactiv", 0, reason));
    }
    let reason = "header: expected lines from 'Device Identity' to 'Calibration Data' before the pages, got none";
    (has(b"Recorded Data") && has(b"\nPage Time:")).then(|| Error::malformed("geneactiv", 0, reason))
}

/// A GENEActiv file.
pub struct GeneActiv {
    lines: Lines,
    timestamps: Timestamps,
    date_order: DateOrder,
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
    waiting: VecDeque<Held>,
    copies: Copies,
    /// Time of the last page that has come.
    latest: Option<i64>,
    /// Rate by the times of the pages, where it is not the one that they state.
    rate_by_times: Option<f64>,
    /// Sequence number of the last page, and the time at which the next one begins.
    last: Option<u64>,
    due: Option<i64>,
    broken: bool,
    /// Serial number of the pages.
    serial: String,
    /// Another file's header has come: what follows is not of this recording.
    foreign: bool,
    /// The last page had too few samples or too many.
    cut: bool,
    /// What could not be read of the first page that was left out.
    unread: Option<String>,
    assumed_order: bool,
}

impl GeneActiv {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Malformed`] without calibration; the file system's.
    pub fn new(source: Source, reading: &Reading) -> Result<Self> {
        let mut lines = Lines::new(source);
        let mut header = Header { format: "geneactiv", device: "GENEActiv".into(), ..Header::default() };
        let mut fields = HeaderFields::default();
        let mut first = None;
        while let Some(line) = lines.next()? {
            let text = lines.bytes(&line);
            if text == MARK {
                first = Some(Page::at(line.offset));
                break;
            }
            if lines.position() > MAX_HEADER {
                return Err(Error::Limit { name: "bytes of a GENEActiv header", max: MAX_HEADER });
            }
            fields.learn(text, &mut header);
        }
        let (gain, offset) = fields.axes(lines.position())?;
        let [x, y, z] =
            [0, 1, 2].map(|a| table(gain.get(a).copied().unwrap_or(1.0), offset.get(a).copied().unwrap_or(0.0)));
        Ok(Self {
            lines,
            timestamps: reading.timestamps,
            date_order: reading.date_order,
            header,
            grams: [x, y, z],
            lux: match (fields.volts, fields.lux) {
                (Some(volts), Some(lux)) if volts != 0.0 => (lux / volts) as f32,
                _ => f32::NAN,
            },
            stated_pages: fields.pages,
            page: first,
            astray: false,
            index: 0,
            sound: 0,
            waiting: VecDeque::new(),
            copies: Copies::default(),
            latest: None,
            rate_by_times: None,
            last: None,
            due: None,
            broken: false,
            serial: String::new(),
            foreign: false,
            cut: false,
            unread: None,
            assumed_order: false,
        })
    }

    fn leave_out(&mut self, kind: &'static str, page: &Page, quality: &mut Quality) {
        quality.note(Event { time: page.time, ..Event::at(kind, page.offset, self.index) });
        self.unread = self.unread.take().or_else(|| page.unread.clone());
        self.index += 1;
        self.broken = true;
    }

    /// Does the page continue the one before it?
    fn follows(&mut self, held: &Held, quality: &mut Quality) -> bool {
        let (last, broken) = (self.last, held.broken || self.cut);
        self.last = held.page.sequence;
        let (Some(last), Some(now)) = (last, held.page.sequence) else { return self.sound > 0 && !broken };
        let mut note = |kind, count| {
            quality.note(Event { time: Some(held.time), count, ..Event::at(kind, held.page.offset, held.index) });
        };
        if began_anew(Some(last), Some(now)) {
            note("restart", 1);
        } else if now <= last && self.timestamps == Timestamps::Device {
            note("out_of_order", 1);
        } else if now > last && now - last > 1 && !broken {
            note("lost_pages", now - last - 1);
        }
        now.wrapping_sub(last) == 1 && !broken
    }

    /// Whether a page is of another device than the first one, or behind another file's header.
    fn is_foreign(&mut self, page: &Page, quality: &mut Quality) -> bool {
        let event = |kind| Event { time: page.time, ..Event::at(kind, page.offset, self.index) };
        if self.serial.is_empty() && !page.serial.is_empty() {
            self.serial.clone_from(&page.serial);
            if self.header.device_id.is_empty() {
                self.header.device_id.clone_from(&page.serial);
            } else if self.header.device_id != page.serial {
                quality.note(event("session_differs"));
            }
        }
        let foreign = self.foreign || (!page.serial.is_empty() && page.serial != self.serial);
        if foreign {
            quality.note(event("other_session"));
        }
        foreign
    }

    /// Takes a page with its samples into the queue, unless it cannot be used or is there already.
    fn receive(&mut self, page: Page, line: &Line, quality: &mut Quality) {
        let digits = self.lines.bytes(line).trim_ascii_end();
        let digits = digits.get(..=PAGE * DIGITS).unwrap_or(digits).to_vec();
        let whole = digits.len() == PAGE * DIGITS;
        let rate = page.rate.or((self.header.nominal_rate > 0.0).then_some(self.header.nominal_rate));
        let (Some(time), Some(rate)) = (page.time, rate) else { return self.leave_out("bad_page", &page, quality) };
        if self.timestamps == Timestamps::Actipy && !(whole && is_hexadecimal(&digits)) {
            return self.leave_out(if whole { "bad_page" } else { "short_page" }, &page, quality);
        }
        if digits.len() < DIGITS {
            return self.leave_out("short_page", &page, quality);
        }
        if self.is_foreign(&page, quality) && self.timestamps == Timestamps::Device {
            self.index += 1;
            return;
        }
        if page.assumed_order && !std::mem::replace(&mut self.assumed_order, true) {
            quality.note(Event { time: Some(time), ..Event::at("assumed_date_order", page.offset, self.index) });
        }
        let held = Held { page, digits, index: self.index, rate, time, broken: std::mem::take(&mut self.broken) };
        self.index += 1;
        let back = self.latest.is_some_and(|latest| time <= latest);
        self.latest = self.latest.max(Some(time));
        if self.copies.repeats(held.sum(), back) {
            quality.note(Event { time: Some(time), ..Event::at("repeated_page", held.page.offset, held.index) });
            if self.timestamps == Timestamps::Device {
                return;
            }
        }
        self.waiting.push_back(held);
    }

    /// Decodes the pages whose turn it is, once enough have come or `all` have.
    fn take_turns(&mut self, all: bool, batch: &mut Batch, quality: &mut Quality) {
        let ahead = if all || self.timestamps == Timestamps::Actipy { 0 } else { AHEAD };
        while self.waiting.len() > ahead {
            steps::count(self.waiting.len());
            let due = self.last.map(|last| last.wrapping_add(1));
            let turn = self.waiting.iter().position(|held| due.is_some() && held.page.sequence == due);
            let Some(held) = self.waiting.remove(turn.unwrap_or(0)) else { return };
            if turn.is_some_and(|turn| turn > 0) {
                let event = Event::at("out_of_order", held.page.offset, held.index);
                quality.note(Event { time: Some(held.time), ..event });
            }
            if self.sound == 0 {
                self.check_rate(&held, quality);
            }
            self.take(&Held { rate: self.rate_by_times.unwrap_or(held.rate), ..held }, batch, quality);
        }
    }

    /// Holds the rate that the first pages state against their times, which win where they agree on another.
    fn check_rate(&mut self, first: &Held, quality: &mut Quality) {
        if self.timestamps == Timestamps::Actipy {
            return;
        }
        let pages: Vec<&Held> = std::iter::once(first).chain(&self.waiting).collect();
        let times: Vec<_> = pages.iter().map(|page| (page.page.sequence, page.time, page.n())).collect();
        let Some(rate) = rate_by_times(&times).filter(|rate| (rate / first.rate - 1.0).abs() > RATE_DIFFERS) else {
            return;
        };
        let event = Event::at("rate_differs", first.page.offset, first.index);
        quality.note(Event { time: Some(first.time), value: rate, ..event });
        (self.rate_by_times, self.header.nominal_rate) = (Some(rate), rate);
    }

    /// Whether a page's time is far from where its neighbours put it.
    fn is_wild(&self, held: &Held) -> bool {
        let Some(next) = self.waiting.front() else { return false };
        let length = (PAGE as f64 * 1e9 / held.rate) as i64;
        let due = self.due.unwrap_or_else(|| next.time.saturating_sub(length));
        let steps = next.page.sequence.zip(held.page.sequence).and_then(|(next, now)| next.checked_sub(now));
        let later = due.saturating_add(length);
        // without pages before it, those behind it must agree with each other
        let agree = self.due.is_some()
            || self.waiting.get(1).is_some_and(|second| second.time.abs_diff(next.time.saturating_add(length)) <= WILD);
        steps == Some(1) && agree && held.time.abs_diff(due) > WILD && next.time.abs_diff(later) <= WILD
    }

    /// Decodes a page's samples.
    fn take(&mut self, held: &Held, batch: &mut Batch, quality: &mut Quality) {
        let (page, rate, n) = (&held.page, held.rate, held.n());
        let event = |kind| Event { time: Some(held.time), ..Event::at(kind, page.offset, held.index) };
        let before = self.last;
        let new_run = !self.follows(held, quality);
        let from = batch.len();
        let bad = decode(&held.digits, n, &self.grams, self.lux, batch);
        if bad > 0 {
            quality.note(Event { count: bad, ..event("bad_samples") });
        }
        if held.digits.len() != PAGE * DIGITS {
            let kind = if n < PAGE { "short_page" } else { "long_page" };
            quality.note(Event { value: n as f64, ..event(kind) });
        }
        self.cut = held.digits.len() != PAGE * DIGITS;
        let wild = self.timestamps == Timestamps::Device && self.is_wild(held);
        if wild {
            quality.note(event("wild_stamp"));
        }
        let length = (n as f64 * 1e9 / rate) as i64;
        let begins = if wild { self.due } else { Some(held.time) };
        self.due = begins.map(|begins| begins.saturating_add(length));
        let stamp = match self.timestamps {
            Timestamps::Device if wild => Stamp::Follows,
            Timestamps::Device => Stamp::At { sample: 0, time: held.time },
            Timestamps::Actipy => {
                let start = (held.time / 1_000_000) as f64;
                batch.time.resize(from, 0);
                let ms = |i: usize| (start + i as f64 * 1000.0 / rate) as i64;
                batch.time.extend((0..n).map(|i| ms(i).saturating_mul(1_000_000)));
                Stamp::Each
            }
        };
        if self.header.nominal_rate == 0.0 {
            self.header.nominal_rate = rate;
        }
        self.header.unit_s = self.header.unit_s.max(PAGE as f64 / rate);
        batch.blocks.push(Block {
            n: n as u32,
            offset: page.offset,
            index: held.index,
            rate,
            stamp,
            new_run: new_run && !wild,
            restart: began_anew(before, page.sequence),
            temperature: page.temperature,
            light: f32::NAN,
            battery: page.battery,
        });
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
            self.page = Some(Page::at(line.offset));
            return false;
        }
        let Some(page) = &mut self.page else {
            self.foreign |= self.sound > 0 && text.trim_ascii_end() == HEADER_MARK;
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
            page.learn(text, self.date_order);
            return false;
        }
        if let Some(page) = self.page.take() {
            self.receive(page, line, quality);
            self.take_turns(false, batch, quality);
        }
        true
    }

    fn end(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<()> {
        if let Some(page) = self.page.take() {
            self.leave_out("short_page", &page, quality);
        }
        self.take_turns(true, batch, quality);
        let offset = self.lines.position();
        self.lines.source().note_damage(self.index, quality);
        if let Some(stated) = self.stated_pages.filter(|s| *s > self.index) {
            quality.note(Event { count: stated - self.index, ..Event::at("missing_pages", offset, self.index) });
        }
        if self.sound == 0 {
            let pages = self.index;
            let unread = self.unread.as_ref().map(|line| format!("; the first one's line '{line}' cannot be read"));
            let unread = unread.unwrap_or_default();
            let reason = format!("expected at least one sound page, got none among {pages}{unread}");
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
                self.end(batch, quality)?;
                return Ok(false);
            };
            pages += usize::from(self.line(&line, batch, quality));
        }
        Ok(true)
    }
}
