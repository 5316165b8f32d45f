//! The points of a grid: in one array, or in pieces, of which those that hold nothing take no memory and the oldest lie in a
//! temporary file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::device::columns::Planar;
use crate::error::{Error, Result};
use crate::threads;

/// Points of a piece: 36 minutes at 30 Hz.
const PIECE: usize = 1 << 16;
/// Values of a piece, and its bytes in the file.
const VALUES: usize = 3 * PIECE;
const BYTES: usize = 4 * VALUES;
/// Pieces in memory: 229 MB, a week at 30 Hz and a little more.
const IN_MEMORY: usize = 291;

/// Acceleration on the grid, g, [3, points]; NaN where nothing was measured.
#[derive(Debug)]
pub enum Points {
    /// One array, for a caller who asks for it.
    Array(Planar, usize),
    /// Pieces, for a caller who writes them to a store.
    Pieces(Pieces),
}

impl Default for Points {
    fn default() -> Self {
        Self::Array(Planar::default(), 0)
    }
}

impl Points {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Array(_, n) => *n,
            Self::Pieces(pieces) => pieces.n,
        }
    }

    /// No point yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends points.
    ///
    /// # Errors
    /// [`Error::Limit`] where the machine has no room for them, [`Error::Io`] where the temporary file cannot be written.
    pub fn append(&mut self, rows: &[Vec<f32>; 3]) -> Result<()> {
        match self {
            Self::Array(planar, n) => {
                planar.append(*n, rows)?;
                *n += rows[0].len();
                Ok(())
            }
            Self::Pieces(pieces) => pieces.append(rows),
        }
    }

    /// Hands each stretch that may hold a value to `work`, in order: its first point, and the values of the three axes.
    /// `work` returns whether it changed them.
    ///
    /// # Errors
    /// [`Error::Io`] where the temporary file cannot be read or written.
    pub fn for_each(&mut self, mut work: impl FnMut(usize, [&mut [f32]; 3]) -> bool) -> Result<()> {
        match self {
            Self::Array(planar, n) => {
                let mut rows = planar.rows(*n).map(|row| row.chunks_mut(PIECE));
                let (Some(x), Some(y), Some(z)) = (rows.next(), rows.next(), rows.next()) else { return Ok(()) };
                for (i, ((x, y), z)) in x.zip(y).zip(z).enumerate() {
                    threads::check_interrupt()?;
                    work(i * PIECE, [x, y, z]);
                }
                Ok(())
            }
            Self::Pieces(pieces) => pieces.for_each(&mut work),
        }
    }
}

#[derive(Debug)]
enum Piece {
    /// All missing.
    Missing,
    /// Axis after axis.
    Here(Vec<f32>),
    /// The number of its place in the file.
    InFile(u64),
}

/// A grid in pieces.
#[derive(Debug)]
pub struct Pieces {
    pieces: Vec<Piece>,
    /// The piece that is being filled, axis after axis.
    last: Vec<f32>,
    n: usize,
    /// Pieces in memory, the most there may be, and the first piece that may be one of them.
    here: usize,
    most: usize,
    oldest: usize,
    folder: PathBuf,
    file: Option<(File, u64)>,
}

impl Pieces {
    /// No points. Pieces that memory shall not hold go to a nameless temporary file in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self::with_most(folder, IN_MEMORY)
    }

    /// The same with at most so many pieces in memory.
    fn with_most(folder: &Path, most: usize) -> Self {
        let (pieces, last, file) = Default::default();
        Self { pieces, last, n: 0, here: 0, most, oldest: 0, folder: folder.into(), file }
    }

    fn append(&mut self, rows: &[Vec<f32>; 3]) -> Result<()> {
        let n = rows[0].len();
        let mut from = 0;
        while from < n {
            let filled = self.n % PIECE;
            if self.last.is_empty() {
                self.last = room()?;
            }
            let to = n.min(from + PIECE - filled);
            for (axis, row) in self.last.chunks_exact_mut(PIECE).zip(rows) {
                axis[filled..filled + to - from].copy_from_slice(&row[from..to]);
            }
            self.n += to - from;
            from = to;
            if self.n.is_multiple_of(PIECE) {
                self.end_piece()?;
            }
        }
        Ok(())
    }

    /// Puts the last piece, which is full, behind the others.
    fn end_piece(&mut self) -> Result<()> {
        if self.last.iter().all(|value| value.is_nan()) {
            self.pieces.push(Piece::Missing);
            return Ok(());
        }
        self.pieces.push(Piece::Here(std::mem::take(&mut self.last)));
        self.here += 1;
        if self.here > self.most {
            let is_here = |piece: &Piece| matches!(piece, Piece::Here(_));
            while !self.pieces.get(self.oldest).is_some_and(is_here) {
                self.oldest += 1;
            }
            let place = self.file.as_ref().map_or(0, |(_, places)| *places);
            if let Some(Piece::Here(values)) =
                self.pieces.get_mut(self.oldest).map(|piece| std::mem::replace(piece, Piece::InFile(place)))
            {
                self.write(place, &values)?;
                self.last = values;
                self.here -= 1;
            }
        }
        Ok(())
    }

    /// The file, which is made when it is first needed.
    fn file(&mut self) -> io::Result<&mut (File, u64)> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert((tempfile::tempfile_in(&self.folder)?, 0))),
        }
    }

    fn write(&mut self, place: u64, values: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let written = self.file().and_then(|(file, places)| {
            *places = (*places).max(place + 1);
            file.seek(SeekFrom::Start(place * BYTES as u64))?;
            file.write_all(&bytes)
        });
        written.map_err(|error| self.failed(error))
    }

    fn read(&mut self, place: u64, values: &mut [f32]) -> Result<()> {
        let mut bytes = vec![0; BYTES];
        let read = self.file().and_then(|(file, _)| {
            file.seek(SeekFrom::Start(place * BYTES as u64))?;
            file.read_exact(&mut bytes)
        });
        read.map_err(|error| self.failed(error))?;
        values.iter_mut().zip(bytes.as_chunks().0).for_each(|(value, bytes)| *value = f32::from_le_bytes(*bytes));
        Ok(())
    }

    /// The error of the temporary file, with its folder.
    fn failed(&self, error: io::Error) -> Error {
        let folder = self.folder.display();
        io::Error::new(error.kind(), format!("temporary file of the grid in {folder}: {error}")).into()
    }

    fn for_each(&mut self, work: &mut dyn FnMut(usize, [&mut [f32]; 3]) -> bool) -> Result<()> {
        let mut spare = Vec::new();
        for i in 0..self.pieces.len() {
            threads::check_interrupt()?;
            match &mut self.pieces[i] {
                Piece::Missing => {}
                Piece::Here(values) => {
                    work(i * PIECE, axes(values, PIECE));
                }
                &mut Piece::InFile(place) => {
                    if spare.is_empty() {
                        spare = room()?;
                    }
                    self.read(place, &mut spare)?;
                    if work(i * PIECE, axes(&mut spare, PIECE)) {
                        self.write(place, &spare)?;
                    }
                }
            }
        }
        if !self.n.is_multiple_of(PIECE) {
            work(self.n - self.n % PIECE, axes(&mut self.last, self.n % PIECE));
        }
        Ok(())
    }

    /// How many points.
    pub fn len(&self) -> usize {
        self.n
    }

    /// No point.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Copies the points from `first` on to `rows` [3, length]; NaN after the last.
    ///
    /// # Errors
    /// [`Error::Io`] where the temporary file cannot be read.
    pub fn copy(&mut self, first: usize, rows: &mut [f32]) -> Result<()> {
        let length = rows.len() / 3;
        let end = self.n.min(first + length);
        rows.fill(f32::NAN);
        let mut spare = Vec::new();
        let mut from = first;
        while from < end {
            let (index, within) = (from / PIECE, from % PIECE);
            let to = end.min((index + 1) * PIECE);
            if let Some(&Piece::InFile(place)) = self.pieces.get(index) {
                spare.resize(VALUES, 0.0);
                self.read(place, &mut spare)?;
            }
            let values = match self.pieces.get(index) {
                Some(Piece::Missing) => None,
                Some(Piece::Here(values)) => Some(values),
                Some(Piece::InFile(_)) => Some(&spare),
                None => Some(&self.last),
            };
            for (row, axis) in rows.chunks_exact_mut(length).zip(values.into_iter().flat_map(|v| v.chunks_exact(PIECE)))
            {
                row[from - first..to - first].copy_from_slice(&axis[within..within + to - from]);
            }
            from = to;
        }
        Ok(())
    }
}

/// Memory of a piece.
fn room() -> Result<Vec<f32>> {
    let mut values = Vec::new();
    let limit = |_| Error::Limit { name: "bytes of memory for one recording", max: BYTES as u64 };
    values.try_reserve_exact(VALUES).map_err(limit)?;
    values.resize(VALUES, f32::NAN);
    Ok(values)
}

/// The first `n` values of each axis of a piece.
fn axes(values: &mut [f32], n: usize) -> [&mut [f32]; 3] {
    let (x, rest) = values.split_at_mut(PIECE);
    let (y, z) = rest.split_at_mut(PIECE);
    [x, y, z].map(|axis| &mut axis[..n])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` points of which a stretch is missing, appended in uneven parts.
    fn filled(points: &mut Points, n: usize) -> [Vec<f32>; 3] {
        let value = |axis: usize, i: usize| match i {
            70_000..270_000 => f32::NAN,
            _ => (i * 3 + axis) as f32 * 0.25,
        };
        let all = [0, 1, 2].map(|axis| (0..n).map(|i| value(axis, i)).collect::<Vec<_>>());
        let (mut from, mut step) = (0, 1);
        while from < n {
            let to = n.min(from + step);
            points.append(&all.each_ref().map(|row| row[from..to].to_vec())).unwrap();
            (from, step) = (to, (step * 7) % 150_001 + 1);
        }
        all
    }

    fn bits(rows: &[f32]) -> Vec<u32> {
        rows.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn points_in_pieces_and_in_a_file_are_those_of_one_array() {
        let folder = std::env::temp_dir();
        for n in [0, 1, PIECE - 1, PIECE, 700_000, 10 * PIECE] {
            for most in [0, 1, 3, 100] {
                let mut points = Points::Pieces(Pieces::with_most(&folder, most));
                let mut all = filled(&mut points, n);
                points
                    .for_each(|first, axes| {
                        for (axis, row) in axes.into_iter().enumerate() {
                            row.iter_mut().zip(first..).for_each(|(value, i)| *value += (i % 5 + axis) as f32);
                        }
                        true
                    })
                    .unwrap();
                for (axis, row) in all.iter_mut().enumerate() {
                    row.iter_mut().enumerate().for_each(|(i, value)| *value += (i % 5 + axis) as f32);
                }
                assert_eq!(points.len(), n);
                let Points::Pieces(mut pieces) = points else { unreachable!() };
                assert!(pieces.here <= most.max(1));
                for (first, length) in [(0, n), (n / 2, 1000), (65_530, 140_000), (n, 10)] {
                    let mut rows = vec![7.0; 3 * length];
                    pieces.copy(first, &mut rows).unwrap();
                    let expected = all.each_ref().map(|row| {
                        (first..first + length).map(|i| row.get(i).copied().unwrap_or(f32::NAN)).collect::<Vec<_>>()
                    });
                    assert!(bits(&rows) == bits(&expected.concat()), "{n} {most} {first}");
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn what_is_missing_takes_no_memory() {
        let mut points = Points::Pieces(Pieces::new(&std::env::temp_dir()));
        let gap = [(); 3].map(|()| vec![f32::NAN; PIECE]);
        for _ in 0..1000 {
            points.append(&gap).unwrap();
        }
        let Points::Pieces(pieces) = points else { unreachable!() };
        assert_eq!((pieces.here, pieces.file.is_none(), pieces.n), (0, true, 1000 * PIECE));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let mut points = Points::Pieces(Pieces::with_most(Path::new("/no/such/folder"), 0));
        let error = points.append(&[(); 3].map(|()| vec![1.0; PIECE])).unwrap_err();
        assert!(error.to_string().contains("temporary file of the grid in /no/such/folder"), "{error}");
    }
}
