//! A column of a table: values in memory or, beyond some, in a nameless temporary file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::room;
use crate::error::{Error, Result};
use crate::threads;

/// Bytes in memory beyond which a column goes to its file.
const HELD: usize = 8 << 20;
/// Values handed out at a time.
const PIECE: usize = 1 << 16;

/// A number of a column.
pub trait Value: Copy + Default {
    /// Appends its bytes.
    fn put(self, bytes: &mut Vec<u8>);
    /// The number of these bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! value {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Self {
                bytes.try_into().map(Self::from_le_bytes).unwrap_or_default()
            }
        }
    )*};
}
value!(u8, i32, u64, i64, f32, f64);

/// Values of one kind, appended at the end and read by ranges.
#[derive(Debug, Default)]
pub struct Column<T> {
    /// Values behind those in the file.
    held: Vec<T>,
    /// Values in the file.
    n_filed: usize,
    file: Option<File>,
    folder: Option<PathBuf>,
}

impl<T: Value> Column<T> {
    /// No values. With a folder, those that memory shall not hold go to a nameless temporary file there.
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_path_buf), ..Self::default() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.n_filed + self.held.len()
    }

    /// No value yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends values.
    ///
    /// # Errors
    /// [`Error::Limit`] where the machine has no room for them, [`Error::Io`] where the temporary file cannot be written.
    pub fn append(&mut self, values: &[T]) -> Result<()> {
        room::join(&mut self.held, values)?;
        match &self.folder {
            Some(folder) if self.held.len() * size_of::<T>() > HELD => {
                let mut bytes = Vec::with_capacity(self.held.len() * size_of::<T>());
                self.held.iter().for_each(|value| value.put(&mut bytes));
                let written = file_in(&mut self.file, folder).and_then(|file| {
                    file.seek(SeekFrom::End(0))?;
                    file.write_all(&bytes)
                });
                written.map_err(|error| failed(folder, &error))?;
                self.n_filed += self.held.len();
                self.held.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The values of a range, as far as there are some.
    ///
    /// # Errors
    /// [`Error::Io`] where the temporary file cannot be read.
    pub fn piece(&mut self, range: Range<usize>) -> Result<Vec<T>> {
        let end = range.end.min(self.len());
        let filed = range.start.min(end)..end.min(self.n_filed);
        let mut values = Vec::new();
        if let (Some(file), Some(folder)) = (self.file.as_mut().filter(|_| !filed.is_empty()), &self.folder) {
            let mut bytes = vec![0; filed.len() * size_of::<T>()];
            let read = file
                .seek(SeekFrom::Start((filed.start * size_of::<T>()) as u64))
                .and_then(|_| file.read_exact(&mut bytes));
            read.map_err(|error| failed(folder, &error))?;
            values.extend(bytes.chunks_exact(size_of::<T>()).map(T::get));
        }
        let held = range.start.max(self.n_filed) - self.n_filed..end.max(self.n_filed) - self.n_filed;
        values.extend_from_slice(self.held.get(held).unwrap_or_default());
        Ok(values)
    }

    /// Hands the values to `work`, stretch after stretch in order, until it returns `false`.
    ///
    /// # Errors
    /// Those of [`Column::piece`] and of `work`, and [`Error::Interrupted`].
    pub fn for_each(&mut self, mut work: impl FnMut(&[T]) -> Result<bool>) -> Result<()> {
        for start in (0..self.len()).step_by(PIECE) {
            threads::check_interrupt()?;
            if !work(&self.piece(start..start + PIECE)?)? {
                break;
            }
        }
        Ok(())
    }

    /// The first `n` values for which `take` has one.
    ///
    /// # Errors
    /// Those of [`Column::for_each`].
    pub fn first<U>(&mut self, n: usize, take: impl Fn(T) -> Option<U>) -> Result<Vec<U>> {
        let mut found = Vec::new();
        self.for_each(|values| {
            found.extend(values.iter().filter_map(|value| take(*value)).take(n - found.len()));
            Ok(found.len() < n)
        })?;
        Ok(found)
    }

    /// Another column of the values that `of` makes of these, in the same folder.
    ///
    /// # Errors
    /// Those of [`Column::append`] and [`Column::for_each`].
    pub fn map<U: Value>(mut self, of: impl Fn(T) -> U) -> Result<Column<U>> {
        let mut made = Column::new(self.folder.as_deref());
        self.for_each(|values| {
            made.append(&values.iter().map(|value| of(*value)).collect::<Vec<U>>())?;
            Ok(true)
        })?;
        Ok(made)
    }

    /// Folder of its temporary file.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}

/// The file, which is made when it is first needed.
fn file_in<'a>(file: &'a mut Option<File>, folder: &Path) -> io::Result<&'a mut File> {
    match file {
        Some(file) => Ok(file),
        none => Ok(none.insert(tempfile::tempfile_in(folder)?)),
    }
}

/// The error of the temporary file, with its folder.
fn failed(folder: &Path, error: &io::Error) -> Error {
    io::Error::new(error.kind(), format!("temporary file of the columns in {}: {error}", folder.display())).into()
}

/// Texts in order.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Column<u8>,
    ends: Column<u64>,
}

impl Texts {
    /// Longest text that is stored, bytes: no time is as long. A longer one becomes empty.
    const LONGEST: usize = 256;

    /// No texts; folder as for [`Column::new`].
    pub fn new(folder: Option<&Path>) -> Self {
        Self { bytes: Column::new(folder), ends: Column::new(folder) }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Appends texts without the blanks around them.
    ///
    /// # Errors
    /// Those of [`Column::append`].
    pub fn append<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let (mut bytes, mut ends, before) = (Vec::new(), Vec::new(), self.bytes.len());
        for text in texts {
            let text = text.trim();
            bytes.extend_from_slice(if text.len() > Self::LONGEST { b"" } else { text.as_bytes() });
            ends.push((before + bytes.len()) as u64);
        }
        self.bytes.append(&bytes)?;
        self.ends.append(&ends)
    }

    /// Hands the texts to `work` in order, until it returns `false`.
    ///
    /// # Errors
    /// Those of [`Column::for_each`].
    pub fn for_each(&mut self, mut work: impl FnMut(&[u8]) -> Result<bool>) -> Result<()> {
        let Self { bytes, ends } = self;
        let mut from = 0;
        ends.for_each(|ends| {
            let stretch = bytes.piece(from..ends.last().map_or(from, |end| *end as usize))?;
            let mut begin = 0;
            for end in ends.iter().map(|end| *end as usize - from) {
                if !work(stretch.get(begin..end).unwrap_or_default())? {
                    return Ok(false);
                }
                begin = end;
            }
            from += begin;
            Ok(true)
        })
    }

    /// The column of the numbers that `of` makes of them, in the same folder.
    ///
    /// # Errors
    /// Those of [`Column::append`] and [`Column::for_each`].
    pub fn map<U: Value>(mut self, mut of: impl FnMut(&[u8]) -> U) -> Result<Column<U>> {
        let mut made = Column::new(self.ends.folder());
        let mut stretch = Vec::with_capacity(PIECE);
        self.for_each(|text| {
            stretch.push(of(text));
            if stretch.len() == PIECE {
                made.append(&stretch)?;
                stretch.clear();
            }
            Ok(true)
        })?;
        made.append(&stretch)?;
        Ok(made)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const N: usize = 3 * HELD / 8 + 12_345;

    fn filled(folder: Option<&Path>) -> Column<i64> {
        let mut column = Column::new(folder);
        for start in (0..N).step_by(10_000) {
            column.append(&(start..N.min(start + 10_000)).map(|value| value as i64).collect::<Vec<_>>()).unwrap();
        }
        column
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn a_column_in_a_file_has_the_values_of_one_in_memory() {
        let folder = std::env::temp_dir();
        let (mut filed, mut held) = (filled(Some(&folder)), filled(None));
        assert!(filed.n_filed >= 2 * HELD / 8 && filed.held.len() * 8 <= HELD && held.n_filed == 0);
        assert_eq!((filed.len(), held.len()), (N, N));
        let edge = filed.n_filed;
        for range in [0..10, edge - 3..edge + 4, edge..edge + 1, N - 5..N + 9, N..N + 2, 5..5] {
            let expected: Vec<i64> = range.clone().take_while(|value| *value < N).map(|value| value as i64).collect();
            assert_eq!(filed.piece(range.clone()).unwrap(), expected, "{range:?}");
            assert_eq!(held.piece(range).unwrap(), expected);
        }
        let mut odd = filed.map(|value| 2.0 * value as f64 + 1.0).unwrap();
        assert!(odd.n_filed > 0);
        assert_eq!(odd.first(2, |value| (value > 1e5).then_some(value)).unwrap(), [100_001.0, 100_003.0]);
        assert_eq!(odd.piece(N - 1..N).unwrap(), [2.0 * N as f64 - 1.0]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn texts_come_back_trimmed_and_in_order() {
        let folder = std::env::temp_dir();
        let mut texts = Texts::new(Some(&folder));
        let numbers: Vec<String> = (0..2 * PIECE + 3).map(|number| format!(" {} ", "7".repeat(number % 150))).collect();
        texts.append(numbers.iter().map(String::as_str)).unwrap();
        texts.append([&*"8".repeat(257), "", "end"]).unwrap();
        assert!(texts.bytes.n_filed > 0);
        let lengths = texts.map(|text| if text == b"end" { -1 } else { text.len() as i64 });
        let mut expected: Vec<i64> = (0..2 * PIECE + 3).map(|number| (number % 150) as i64).collect();
        expected.extend([0, 0, -1]);
        assert_eq!(lengths.unwrap().piece(0..usize::MAX).unwrap(), expected);
    }
}
