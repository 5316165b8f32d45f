//! The time of each sample, from the stamps of its blocks.
//!
//! A device states now and then "my clock showed T at sample s". Inside a run those statements are knots and time is
//! piecewise linear between them; before the first and after the last it goes on with the mean rate of the nearest
//! [`SPAN`] knots. A run ends where the reader says so (sequence break, restart), where the nominal rate changes, and where
//! two stamps are farther apart, or nearer, than their samples allow ([`TOLERANCE`]).
//!
//! The stored fraction of an Axivity stamp has lost its lowest bit, so that about one stamp in `131072 / rate` names the
//! neighbouring sample. A lone knot one whole sample off the line of its neighbours is put back on that line.

use std::collections::VecDeque;

/// Knots whose mean rate carries the ends of a run, and so the knots that a run's first line waits for.
const SPAN: usize = 16;
/// Share of a block's length by which its stamp may differ from its nominal length before the run ends.
const TOLERANCE: f64 = 0.10;

/// Samples from `from` on (until the next line's): `time + (sample - sample) * period`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// First sample, counted from the start of the recording, that this line times.
    pub from: i64,
    /// The sample at which the clock showed `time`.
    pub sample: i64,
    /// ns since 1970, local device clock.
    pub time: i64,
    /// ns a sample.
    pub period: f64,
}

impl Line {
    /// Times of the samples from `first` on, `n` of them at most: in 1/65536 ns by whole numbers, which takes a fifth of the
    /// time of a product in float64 and its rounding, and stays within 1 ns of it.
    pub fn times(&self, first: i64, n: usize) -> Times {
        const ONE: f64 = 65536.0;
        let step = (self.period * ONE).round() as i64;
        let since = (((first - self.sample) as f64 * self.period * ONE).round() as i64).saturating_add(1 << 15);
        // A line that falls (its stamps were put back by a sample) is walked down from above zero.
        let fall = if step < 0 { step.saturating_mul(n as i64) >> 16 } else { 0 };
        Times {
            base: self.time.wrapping_add((since >> 16).saturating_add(fall)),
            part: (since & 0xffff).wrapping_sub(fall.saturating_mul(1 << 16)) as u64,
            step: step as u64,
        }
    }
}

/// Times along a line, one after the other.
pub struct Times {
    base: i64,
    /// 1/65536 ns since `base`; never negative, so that a logical shift does, which every vector unit has.
    part: u64,
    step: u64,
}

impl Times {
    /// Writes the next times.
    pub fn fill(&mut self, out: &mut [i64]) {
        for time in out {
            *time = self.base.wrapping_add((self.part >> 16) as i64);
            self.part = self.part.wrapping_add(self.step);
        }
    }

    /// Appends the next `n` times.
    pub fn append(&mut self, n: usize, out: &mut Vec<i64>) {
        let from = out.len();
        out.resize(from + n, 0);
        self.fill(out.get_mut(from..).unwrap_or_default());
    }
}

#[derive(Debug, Clone, Copy)]
struct Knot {
    sample: i64,
    time: i64,
}

/// What the clock noticed at a stamp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Break {
    /// The stamp continues the run.
    None,
    /// The reader or the rate began a new run; the seconds from the old run's expected next sample to this one's first.
    Run(f64),
    /// The clock disagrees with the samples by so many seconds (positive: forward): a new run begins.
    Jump(f64),
}

/// Turns stamps into lines, run by run, with a delay of a few stamps.
pub struct Clock {
    knots: VecDeque<Knot>,
    run_start: i64,
    nominal: f64,
    ratio: f64,
    lined_to: i64,
    head_done: bool,
    open: bool,
    /// Lines made and not yet taken.
    pub lines: VecDeque<Line>,
    /// Stamps put back by a whole sample: (sample, time).
    pub snapped: Vec<(i64, i64)>,
    /// Sum of samples and of ns between first and last knots of the runs that are closed.
    pub measured: (f64, f64),
    /// Largest distance of a stamp from its neighbours' line, ns; snapped ones left out.
    pub worst_residual: f64,
    first: Option<Knot>,
    /// The line made last.
    last: Option<Line>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            knots: VecDeque::new(),
            run_start: 0,
            nominal: 0.0,
            ratio: 1.0,
            lined_to: 0,
            head_done: false,
            open: false,
            lines: VecDeque::new(),
            snapped: Vec::new(),
            measured: (0.0, 0.0),
            worst_residual: 0.0,
            first: None,
            last: None,
        }
    }
}

impl Clock {
    /// A block begins at sample `start`; the clock showed `time` at sample `sample`; `rate` is its nominal rate in Hz.
    /// `new_run`: the reader knows that it does not continue what came before.
    pub fn stamp(&mut self, start: i64, sample: i64, time: i64, rate: f64, new_run: bool) -> Break {
        let nominal = 1e9 / rate;
        let mut outcome = Break::None;
        if let (true, Some(&last)) = (self.open, self.knots.back()) {
            if time == last.time && sample.abs_diff(last.sample) <= 1 && !new_run {
                return outcome; // a clock of whole seconds names one sample twice
            }
            let steps = sample.saturating_sub(last.sample) as f64;
            let expected = steps * nominal;
            let apart = time.saturating_sub(last.time) as f64 - expected;
            let same_rate = (nominal - self.nominal).abs() <= 1e-9 * nominal;
            if new_run || !same_rate {
                let period = self.mean_period();
                let ended = last.time as f64 + (start - last.sample) as f64 * period;
                let begins = time as f64 - (sample - start) as f64 * nominal * if same_rate { self.ratio } else { 1.0 };
                outcome = Break::Run((begins - ended) / 1e9);
            } else if steps < 1.0 || apart.abs() > TOLERANCE * expected + (2.0 * nominal).min(0.5 * expected) {
                outcome = Break::Jump(apart / 1e9);
            }
            if outcome != Break::None {
                self.close(start);
            }
        }
        self.begin(start, nominal);
        self.first = self.first.or(Some(Knot { sample, time }));
        self.knots.push_back(Knot { sample, time });
        self.advance();
        outcome
    }

    /// A block without a stamp of its own begins at sample `start`; true where a run begins with it.
    pub fn follow(&mut self, start: i64, rate: f64, new_run: bool) -> bool {
        let nominal = 1e9 / rate;
        let begins = new_run || !self.open || (nominal - self.nominal).abs() > 1e-9 * nominal;
        if begins && self.open {
            self.close(start);
        }
        self.begin(start, nominal);
        begins
    }

    /// Opens a run unless one is open.
    fn begin(&mut self, start: i64, nominal: f64) {
        if self.open {
            return;
        }
        self.open = true;
        self.run_start = start;
        self.head_done = false;
        self.lined_to = start;
        if nominal != self.nominal {
            self.ratio = 1.0;
        }
        self.nominal = nominal;
        self.first = None;
    }

    /// No more stamps: the last run's samples get their lines.
    pub fn finish(&mut self, end: i64) {
        if self.open {
            self.close(end);
        }
    }

    /// Samples before this one have their lines.
    pub fn timed_to(&self) -> i64 {
        self.lined_to
    }

    /// Mean nominal-to-measured ratio times the nominal period: the best guess of the present period, ns.
    fn mean_period(&self) -> f64 {
        match (self.knots.front(), self.knots.back()) {
            (Some(a), Some(b)) if self.knots.len() >= 3 && b.sample > a.sample => {
                b.time.saturating_sub(a.time) as f64 / (b.sample - a.sample) as f64
            }
            _ => self.nominal * self.ratio,
        }
    }

    /// Distance in ns of the middle of three knots from the line of the outer two.
    fn residual(a: Knot, middle: Knot, b: Knot) -> f64 {
        let slope = b.time.saturating_sub(a.time) as f64 / (b.sample - a.sample) as f64;
        middle.time.saturating_sub(a.time) as f64 - (middle.sample - a.sample) as f64 * slope
    }

    /// Moves `knot` onto the line if it is one whole sample off, else remembers how far off it is.
    fn settle(&mut self, index: usize, residual: f64) {
        let off = residual.abs() / self.nominal;
        if (off - 1.0).abs() < 0.25 {
            if let Some(knot) = self.knots.get_mut(index) {
                knot.time = knot.time.saturating_sub(residual.round() as i64);
                self.snapped.push((knot.sample, knot.time));
            }
        } else {
            self.worst_residual = self.worst_residual.max(residual.abs());
        }
    }

    fn settle_middle(&mut self, index: usize) {
        if let (Some(&a), Some(&m), Some(&b)) =
            (self.knots.get(index - 1), self.knots.get(index), self.knots.get(index + 1))
        {
            self.settle(index, Self::residual(a, m, b));
        }
    }

    /// A knot at an end of the run against the line of the two beside it.
    fn settle_end(&mut self, index: usize, near: usize, far: usize) {
        if let (Some(&k), Some(&near), Some(&far)) = (self.knots.get(index), self.knots.get(near), self.knots.get(far))
        {
            let slope = far.time.saturating_sub(near.time) as f64 / (far.sample - near.sample) as f64;
            let line = near.time as f64 + (k.sample - near.sample) as f64 * slope;
            self.settle(index, k.time as f64 - line);
        }
    }

    fn push_line(&mut self, from: i64, knot: Knot, period: f64) {
        let line = Line { from, sample: knot.sample, time: knot.time, period };
        self.last = Some(line);
        self.lines.push_back(line);
    }

    /// The line between knots `index` and `index + 1`, for samples from the first's (or the run's start) on.
    fn join(&mut self, index: usize) {
        if let (Some(&a), Some(&b)) = (self.knots.get(index), self.knots.get(index + 1)) {
            let period = b.time.saturating_sub(a.time) as f64 / (b.sample - a.sample) as f64;
            let from = a.sample.max(self.run_start);
            if b.sample > from {
                self.push_line(from, a, period);
                self.lined_to = self.lined_to.max(b.sample);
            }
        }
    }

    fn head(&mut self) {
        let n = self.knots.len();
        for index in 1..n.saturating_sub(1) {
            self.settle_middle(index);
        }
        if n >= 4 {
            self.settle_end(0, 1, 2);
        }
        if let Some(&first) = self.knots.front()
            && first.sample > self.run_start
        {
            let period = self.mean_period();
            self.push_line(self.run_start, first, period);
            self.lined_to = self.lined_to.max(first.sample);
        }
        self.head_done = true;
    }

    fn advance(&mut self) {
        let n = self.knots.len();
        if !self.head_done {
            if n == SPAN {
                self.head();
                // all but the last knot have been settled: lines up to the last but one
                for index in 0..n - 2 {
                    self.join(index);
                }
            }
            return;
        }
        self.settle_middle(n - 2);
        self.join(n - 3);
        if n > SPAN {
            self.knots.pop_front();
        }
    }

    fn close(&mut self, end: i64) {
        let n = self.knots.len();
        let from_start = !self.head_done;
        if from_start {
            self.head();
        }
        if n >= 4 {
            self.settle_end(n - 1, n - 2, n - 3);
        }
        let first_open = if from_start { 0 } else { n.saturating_sub(2) };
        for index in first_open..n.saturating_sub(1) {
            self.join(index);
        }
        let period = self.mean_period();
        if self.knots.is_empty() {
            // no stamp in the whole run: it goes on from the last time that is known
            let since = |line: Line| (self.run_start.saturating_sub(line.sample) as f64 * line.period) as i64;
            let time = self.last.map_or(0, |line| line.time.saturating_add(since(line)));
            self.push_line(self.run_start, Knot { sample: self.run_start, time }, period);
        }
        if let Some(&last) = self.knots.back() {
            let from = last.sample.max(self.lined_to).max(self.run_start);
            if end > from {
                self.push_line(from, last, period);
            }
            if let Some(first) = self.first
                && n >= 3
                && last.sample > first.sample
            {
                let (samples, ns) = ((last.sample - first.sample) as f64, last.time.saturating_sub(first.time) as f64);
                self.measured.0 += samples;
                self.measured.1 += ns;
                self.ratio = ns / samples / self.nominal;
            }
        }
        // a stamp may name a sample that lies behind the run's last
        while self.lines.back().is_some_and(|line| line.from >= end) {
            self.lines.pop_back();
        }
        self.lined_to = end;
        self.knots.clear();
        self.open = false;
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
