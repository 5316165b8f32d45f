//! The second half of a pass: filtered samples onto the grid and into windows, where it may on a thread of its own.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::edges::{Edge, note_edges};
use super::filtering::{Filtering, Piece};
use super::points::{Pieces, Points};
use super::settings::{Order, Settings};
use crate::device::columns::Planar;
use crate::error::{Error, Result};
use crate::signal::grid::{Grid, GridTimes};
use crate::signal::resample::Resampler;
use crate::signal::windows::{Missing, WindowStatistics};

/// Points that a grid may have: 100 days at 30 Hz.
const MAX_POINTS: u64 = 100 * 86_400 * 30;
/// Points that room is made for at once: a week at 30 Hz. More room comes with more samples.
const MAX_HINT: u64 = 20_000_000;
/// Pieces of filtered samples that wait for the second thread: some thousand samples each.
const WAITING: usize = 4;

/// Windows of calibration and non-wear, and the rows around their starts.
pub struct Windows {
    pub calibration: Option<WindowStatistics>,
    pub nonwear: WindowStatistics,
    pub edges: Vec<Edge>,
    row_before: i64,
}

impl Windows {
    fn push(&mut self, time: &[i64], values: [&[f32]; 3]) {
        if let Some(windows) = &mut self.calibration {
            windows.push(time, values, &[]);
        }
        self.nonwear.push(time, values, &[]);
    }
}

/// The grid and its windows up to now.
pub struct Gridded<'a> {
    settings: &'a Settings,
    start: i64,
    resampler: Resampler,
    points: [Vec<f32>; 3],
    time: Vec<i64>,
    timed: GridTimes,
    pub windows: Windows,
    pub acceleration: Points,
    /// Points of the grid.
    pub n: usize,
}

impl<'a> Gridded<'a> {
    /// An empty grid whose first point has the time `start`, ns; `room`: points that may come.
    pub fn new(settings: &'a Settings, grid: Grid, resampler: Resampler, start: i64, room: u64) -> Result<Self> {
        let statistics = |length, missing| WindowStatistics::new(length, Some(start), missing);
        let calibration = match &settings.calibration {
            Some((length, _)) => Some(statistics(*length, Missing::Skip)?),
            None => None,
        };
        let nonwear = statistics(settings.nonwear.step, Missing::Fill)?;
        let acceleration = match &settings.reading.temporary {
            Some(folder) => Points::Pieces(Pieces::new(folder)),
            // a hint that finds no room is none
            None => Points::Array(Planar::with_capacity(room.min(MAX_HINT) as usize).unwrap_or_default(), 0),
        };
        let (points, time, edges) = Default::default();
        let windows = Windows { calibration, nonwear, edges, row_before: i64::MIN };
        let timed = GridTimes::new(grid);
        Ok(Self { settings, start, resampler, points, time, timed, windows, acceleration, n: 0 })
    }

    /// Takes filtered samples of the present run.
    fn push(&mut self, time: &[i64], values: [&[f32]; 3]) -> Result<()> {
        if self.settings.order == Order::Actipy {
            let Windows { edges, row_before, .. } = &mut self.windows;
            note_edges(edges, row_before, self.start, self.settings.nonwear.step, time);
            self.windows.push(time, values);
        }
        self.resampler.push(time, values, &mut self.points)?;
        self.keep_points()
    }

    fn keep_points(&mut self) -> Result<()> {
        let Self { points, time, timed, .. } = self;
        let n = points[0].len();
        if (self.n + n) as u64 > MAX_POINTS {
            return Err(Error::Limit { name: "points on the grid of one recording", max: MAX_POINTS });
        }
        if self.settings.order == Order::Paper {
            time.resize(n, 0);
            timed.ahead(time);
            timed.skip(n);
            self.windows.push(time, points.each_ref().map(Vec::as_slice));
        }
        self.acceleration.append(points)?;
        self.n += n;
        points.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    fn finish(mut self, count: u64) -> Result<Self> {
        self.resampler.finish(count, &mut self.points);
        self.keep_points()?;
        Ok(self)
    }
}

/// The second half on the caller's thread or on another; it meets the same samples in the same order.
pub enum SecondHalf<'scope, 'a> {
    Here(Box<Gridded<'a>>),
    There(Away<'scope, 'a>),
}

pub struct Away<'scope, 'a> {
    send: SyncSender<Piece>,
    spent: Receiver<Piece>,
    /// `None` once its error was passed on.
    thread: Option<ScopedJoinHandle<'scope, Result<Gridded<'a>>>>,
}

impl<'scope, 'a: 'scope> SecondHalf<'scope, 'a> {
    /// On a thread of the scope, if there is one to be had.
    pub fn begin(gridded: Gridded<'a>, scope: Option<&'scope Scope<'scope, '_>>) -> Self {
        let Some(scope) = scope else { return Self::Here(Box::new(gridded)) };
        let (hand_over, begin) = channel::<Gridded<'a>>();
        let (send, pieces) = sync_channel::<Piece>(WAITING);
        let (give_back, spent) = channel();
        let work = move || {
            let mut gridded = begin.recv().map_err(|_| Error::Interrupted)?;
            for mut piece in pieces {
                gridded.push(&piece.time, piece.values.each_ref().map(Vec::as_slice))?;
                piece.values.iter_mut().for_each(Vec::clear);
                let _ = give_back.send(piece); // the first half may have ended
            }
            Ok(gridded)
        };
        match Builder::new().name("imuspec".into()).spawn_scoped(scope, work) {
            Ok(thread) => match hand_over.send(gridded) {
                Ok(()) => Self::There(Away { send, spent, thread: Some(thread) }),
                Err(back) => Self::Here(Box::new(back.0)),
            },
            Err(_) => Self::Here(Box::new(gridded)),
        }
    }

    /// Takes what the filter has given.
    pub fn take(&mut self, filter: &mut Filtering) -> Result<()> {
        if filter.values[0].is_empty() {
            return Ok(());
        }
        match self {
            Self::Here(gridded) => {
                let (time, values) = filter.filtered();
                gridded.push(time, values)?;
                filter.taken();
                Ok(())
            }
            Self::There(away) => {
                let mut piece = away.spent.try_recv().unwrap_or_default();
                filter.move_to(&mut piece);
                match away.send.send(piece) {
                    Ok(()) => Ok(()),
                    Err(_) => joined(&mut away.thread).map(|_| ()),
                }
            }
        }
    }

    /// Ends the grid with so many points.
    pub fn finish(self, count: u64) -> Result<Gridded<'a>> {
        match self {
            Self::Here(gridded) => gridded.finish(count),
            Self::There(Away { send, mut thread, .. }) => {
                drop(send);
                joined(&mut thread)?.finish(count)
            }
        }
    }
}

fn joined<'a>(thread: &mut Option<ScopedJoinHandle<'_, Result<Gridded<'a>>>>) -> Result<Gridded<'a>> {
    match thread.take().map(ScopedJoinHandle::join) {
        Some(Ok(outcome)) => outcome,
        Some(Err(panic)) => resume_unwind(panic),
        None => Err(Error::Interrupted),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn empty(settings: &Settings) -> Gridded<'_> {
        let grid = Grid::new(0, settings.rate).unwrap();
        let resampler = Resampler::new(grid, settings.method, 1.0, 100.0).unwrap();
        Gridded::new(settings, grid, resampler, 0, 0).unwrap()
    }

    /// Samples at 100 Hz, handed over in pieces of unlike lengths.
    fn fill<'a: 'scope, 'scope>(second: &mut SecondHalf<'scope, 'a>, settings: &Settings, n: i64) -> Result<()> {
        let mut filter = Filtering::new(settings);
        filter.begin(100.0)?;
        let (mut from, mut length) = (0, 1);
        while from < n {
            let time: Vec<i64> = (from..n.min(from + length)).map(|i| i * 10_000_000).collect();
            let axis: Vec<f32> = time.iter().map(|t| (*t as f32 * 1e-8).sin()).collect();
            filter.push([&axis, &axis, &axis], &time);
            second.take(&mut filter)?;
            (from, length) = (from + length, length * 3 % 5003);
        }
        filter.finish();
        second.take(&mut filter)
    }

    /// Points, the bits of their values, and the windows.
    fn filled<'a: 'scope, 'scope>(
        mut second: SecondHalf<'scope, 'a>,
        settings: &Settings,
    ) -> (usize, Vec<u32>, String) {
        fill(&mut second, settings, 50_000).unwrap();
        let done = second.finish(15_000).unwrap();
        let Points::Array(mut planar, n) = done.acceleration else { unreachable!() };
        let values = planar.rows(n).flat_map(|row| row.iter().map(|v| v.to_bits())).collect();
        (n, values, format!("{:?}", done.windows.nonwear.finish()))
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn a_grid_that_is_filled_on_a_thread_is_the_same() {
        let settings = settings();
        let here = filled(SecondHalf::begin(empty(&settings), None), &settings);
        assert_eq!(here.0, 15_000);
        std::thread::scope(|scope| {
            let there = SecondHalf::begin(empty(&settings), Some(scope));
            assert!(matches!(there, SecondHalf::There(_)));
            assert!(filled(there, &settings) == here);
        });
    }

    #[test]
    fn an_error_of_the_thread_reaches_the_caller() {
        let settings = settings();
        std::thread::scope(|scope| {
            let full = Gridded { n: MAX_POINTS as usize, ..empty(&settings) };
            let mut second = SecondHalf::begin(full, Some(scope));
            let outcome = fill(&mut second, &settings, 1_000_000).and_then(|()| second.finish(1).map(|_| ()));
            assert!(matches!(outcome, Err(Error::Limit { .. })));
        });
    }
}
