//! Columns of a table that name the subject or device of each row.

use super::fields;

/// Names of such columns, without their unit; python/imuspec/recording/owners.py has the same.
pub(super) const NAMES: [&str; 22] = [
    "animal",
    "animalid",
    "device",
    "deviceid",
    "id",
    "participant",
    "participantid",
    "patient",
    "patientid",
    "person",
    "personid",
    "pid",
    "sensor",
    "sensorid",
    "serial",
    "serialnumber",
    "subj",
    "subject",
    "subjectid",
    "user",
    "userid",
    "wearer",
];

/// Rows of a second value, from which a column is no count of packets.
const LONG: u32 = 512;

/// Whether rows are of several subjects or devices, by a column that names them.
///
/// Any other text is another subject. A number that rises after fewer than [`LONG`] rows counts rows or packets, and a column
/// with fractions is measured.
#[derive(Default)]
pub(super) struct Owner {
    last: Vec<u8>,
    rows: u32,
    changed: bool,
    measured: bool,
}

impl Owner {
    /// Looks at the next row, and returns whether it is of another subject or device.
    pub(super) fn look(&mut self, owner: &[u8]) -> bool {
        if self.measured || fields::is_missing(owner) {
            return false;
        }
        if self.last == owner {
            self.rows = self.rows.saturating_add(1);
            return self.changed && self.rows >= LONG;
        }
        let number = |text: &[u8]| str::from_utf8(text).ok()?.trim().parse::<f64>().ok();
        let (before, now) = (number(&self.last), number(owner));
        self.measured = now.is_some_and(|now| now.fract() != 0.0);
        self.changed = !self.last.is_empty();
        self.last.clear();
        self.last.extend_from_slice(owner);
        self.rows = 1;
        self.changed && !self.measured && before.zip(now).is_none_or(|(before, now)| now <= before)
    }
}
