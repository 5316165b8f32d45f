//! Rows of a table: in memory or, beyond some, in nameless temporary files.

use std::ops::Range;
use std::path::Path;

use super::Batch;
use super::column::Column;
use crate::error::Result;

/// Columns of one length; those that the table does not have stay empty.
#[derive(Debug, Default)]
pub struct Stored {
    /// ns since 1970, local device clock; [`i64::MIN`] if missing.
    pub time: Column<i64>,
    /// Acceleration.
    pub xyz: [Column<f32>; 3],
    /// Angular rate, degrees a second.
    pub gyro: [Column<f32>; 3],
    /// Lux.
    pub light: Column<f32>,
    /// Degrees Celsius.
    pub temperature: Column<f32>,
    /// Index into the header's labels, -1 without a label.
    pub annotation: Column<i32>,
}

impl Stored {
    /// No rows; folder as for [`Column::new`].
    pub fn new(folder: Option<&Path>) -> Self {
        let floats = || Column::new(folder);
        Self {
            time: Column::new(folder),
            xyz: std::array::from_fn(|_| floats()),
            gyro: std::array::from_fn(|_| floats()),
            light: floats(),
            temperature: floats(),
            annotation: Column::new(folder),
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// No row yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the rows of a batch, which has the same channels each time, behind these. Its blocks stay.
    ///
    /// # Errors
    /// Those of [`Column::append`].
    pub fn append(&mut self, batch: &mut Batch) -> Result<()> {
        batch.pad();
        self.time.append(&batch.time)?;
        let stored = self.xyz.iter_mut().chain(&mut self.gyro).chain([&mut self.light, &mut self.temperature]);
        let added = batch.xyz.iter().chain(&batch.gyro).chain([&batch.light, &batch.temperature]);
        stored.zip(added).try_for_each(|(stored, added)| stored.append(added))?;
        self.annotation.append(&batch.annotation)?;
        batch.truncate(0, 0);
        Ok(())
    }

    /// A copy of some rows.
    ///
    /// # Errors
    /// Those of [`Column::piece`].
    pub fn piece(&mut self, part: Range<usize>) -> Result<Batch> {
        let mut floats = self.xyz.iter_mut().chain(&mut self.gyro).chain([&mut self.light, &mut self.temperature]);
        let mut next = || floats.next().map_or(Ok(Vec::new()), |column| column.piece(part.clone()));
        Ok(Batch {
            xyz: [next()?, next()?, next()?],
            gyro: [next()?, next()?, next()?],
            light: next()?,
            temperature: next()?,
            time: self.time.piece(part.clone())?,
            annotation: self.annotation.piece(part)?,
            ..Batch::default()
        })
    }

    /// A copy of some rows in the opposite order, counted from the last.
    ///
    /// # Errors
    /// Those of [`Column::piece`].
    pub fn piece_from_end(&mut self, part: Range<usize>) -> Result<Batch> {
        let n = self.len();
        let mut batch = self.piece(n.saturating_sub(part.end)..n.saturating_sub(part.start))?;
        batch.reverse();
        Ok(batch)
    }
}
