//! Fields of a header that identify a person.
//!
//! Formats whose headers are known keep a list of fields that say nothing of a person; everything else identifies, free
//! text and fields of later firmware included. Tables may name a field as they like: there the words of the name decide.

use super::Header;

/// Fields of Axivity headers and annotations (openmovement, `cwa.h` and OmGui) that say nothing of a person: study code,
/// study centre, exercise type and place on the body among them.
const CWA: [&str; 11] = [
    "session_id",
    "firmware",
    "logging_start",
    "logging_stop",
    "last_change",
    "range_g",
    "gyroscope_range_dps",
    "_c",
    "_s",
    "_x",
    "_p",
];
/// Fields of `info.txt` that say nothing of a person. The side and the dominance of the limb together tell the handedness,
/// so that only the side is here.
const GT3X: [&str; 21] = [
    "Serial Number",
    "Device Type",
    "Firmware",
    "Battery Voltage",
    "Sample Rate",
    "Start Date",
    "Stop Date",
    "Last Sample Time",
    "TimeZone",
    "Download Date",
    "Board Revision",
    "Unexpected Resets",
    "Acceleration Scale",
    "Acceleration Min",
    "Acceleration Max",
    "Limb",
    "Side",
    "Mode",
    "Delay",
    "axes",
    "archive_damage",
];
/// Fields of GENEActiv headers that say nothing of a person.
const GENEACTIV: [&str; 33] = [
    "Device Unique Serial Code",
    "Device Type",
    "Device Model",
    "Device Location Code",
    "Device Firmware Version",
    "Calibration Date",
    "Measurement Frequency",
    "Measurement Period",
    "Start Time",
    "Time Zone",
    "Study Centre",
    "Study Code",
    "Exercise Type",
    "Config Time",
    "Extract Time",
    "Accelerometer Range",
    "Accelerometer Resolution",
    "Accelerometer Units",
    "Light Meter Range",
    "Light Meter Resolution",
    "Light Meter Units",
    "Temperature Sensor Range",
    "Temperature Sensor Resolution",
    "Temperature Sensor Units",
    "x gain",
    "x offset",
    "y gain",
    "y offset",
    "z gain",
    "z offset",
    "Volts",
    "Lux",
    "Number of Pages",
];
/// Fields of Matrix headers that say nothing of a person.
const MATRIX: [&str; 3] = ["range_g", "gyroscope_range_dps", "packets"];
/// Words in the names of other headers' fields that identify.
const WORDS: [&str; 27] = [
    "subject",
    "participant",
    "patient",
    "person",
    "name",
    "birth",
    "dob",
    "sex",
    "gender",
    "age",
    "race",
    "ethnicity",
    "height",
    "weight",
    "mass",
    "handedness",
    "note",
    "notes",
    "comment",
    "comments",
    "remark",
    "remarks",
    "operator",
    "investigator",
    "address",
    "email",
    "phone",
];
/// Whether a header's field of this name identifies a person.
pub fn identifies(format: &str, name: &str) -> bool {
    let unlisted = |plain: &[&str]| !plain.contains(&name);
    match format {
        "cwa" => unlisted(&CWA),
        "gt3x" => unlisted(&GT3X),
        "geneactiv" => unlisted(&GENEACTIV),
        "matrix" => unlisted(&MATRIX),
        // the number of a public participant, which the study itself gives out
        "nhanes" if name == "participant" => false,
        _ => {
            let lower = name.to_lowercase();
            let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.any(|word| WORDS.contains(&word) || word == "dateofbirth")
        }
    }
}

/// Moves the fields that identify from a header's metadata to [`Header::identifying`].
pub fn split(header: &mut Header) {
    let format = header.format;
    let (identifying, plain) =
        std::mem::take(&mut header.metadata).into_iter().partition(|(name, _)| identifies(format, name));
    header.metadata = plain;
    header.identifying = identifying;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_person_are_split_off_and_those_of_the_device_stay() {
        for (format, name) in [
            ("geneactiv", "Subject Code"),
            ("geneactiv", "Date of Birth"),
            ("geneactiv", "Sex"),
            ("geneactiv", "Subject Notes"),
            ("geneactiv", "a field of next year"),
            ("gt3x", "Subject Name"),
            ("gt3x", "DateOfBirth"),
            ("gt3x", "Dominance"),
            ("gt3x", "metadata_0"),
            ("cwa", "_sc"),
            ("cwa", "_sn"),
            ("cwa", "notes"),
            ("cwa", "annotation_firmware"),
            ("matrix", "remarks"),
            ("csv", "Subject ID"),
            ("table", "patient_name"),
        ] {
            assert!(identifies(format, name), "{format} {name}");
        }
        for (format, name) in [
            ("geneactiv", "Device Location Code"),
            ("gt3x", "Serial Number"),
            ("cwa", "_p"),
            ("csv", "acceleration_unit"),
            ("nhanes", "participant"),
            ("matrix", "range_g"),
        ] {
            assert!(!identifies(format, name), "{format} {name}");
        }
        let pair = |name: &str| (name.to_owned(), "x".to_owned());
        let mut header = Header { format: "gt3x", metadata: vec![pair("Firmware"), pair("Sex")], ..Header::default() };
        split(&mut header);
        assert_eq!((header.metadata, header.identifying), (vec![pair("Firmware")], vec![pair("Sex")]));
    }
}
