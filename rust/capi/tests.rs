use std::ffi::{CStr, c_char};
use std::path::Path as File;

use super::lmm::*;
use super::picture::*;
use super::stream::*;
use super::*;
use crate::arrays::Signals;
use crate::cpu::Path;
use crate::spectral::image::painter::Painter;
use crate::spectral::image::stream::Stream;
use crate::spectral::magnitude::features::{Moment, Resolution, log_magnitudes};

fn picture_settings(change: impl FnOnce(&mut ImuspecPictureSettings)) -> ImuspecPictureSettings {
    let mut settings = std::mem::MaybeUninit::uninit();
    let size = size_of::<ImuspecPictureSettings>() as u32;
    // SAFETY: room for the settings, which the function fills.
    let mut settings = unsafe {
        assert_eq!(imuspec_picture_defaults(settings.as_mut_ptr(), size), IMUSPEC_OK);
        settings.assume_init()
    };
    change(&mut settings);
    settings
}

fn lmm_settings(change: impl FnOnce(&mut ImuspecLmmSettings)) -> ImuspecLmmSettings {
    let mut settings = std::mem::MaybeUninit::uninit();
    // SAFETY: room for the settings, which the function fills.
    let mut settings = unsafe {
        assert_eq!(imuspec_lmm_defaults(settings.as_mut_ptr(), size_of::<ImuspecLmmSettings>() as u32), IMUSPEC_OK);
        settings.assume_init()
    };
    change(&mut settings);
    settings
}

/// Settings that go every way through the kernels.
fn many_settings() -> Vec<ImuspecPictureSettings> {
    vec![
        picture_settings(|_| ()),
        picture_settings(|s| (s.nfft, s.noverlap, s.levels) = (64, 32, IMUSPEC_LEVELS_LINEAR)),
        picture_settings(|s| (s.nfft, s.noverlap, s.norm) = (60, 47, IMUSPEC_NORM_JOINT_WINDOW)),
        picture_settings(|s| (s.norm, s.precision) = (IMUSPEC_NORM_FIXED, IMUSPEC_PRECISION_FLOAT32)),
        picture_settings(|s| (s.resize, s.precision) = (IMUSPEC_RESIZE_BILINEAR, IMUSPEC_PRECISION_FLOAT64)),
        picture_settings(|s| (s.resize, s.height, s.width) = (IMUSPEC_RESIZE_ANTIALIAS, 30, 200)),
        picture_settings(|s| (s.height, s.width, s.floor_db) = (0, 0, 80.0)),
        picture_settings(|s| s.preset = IMUSPEC_PRESET_ANDROID),
        picture_settings(|s| (s.missing, s.n_axes, s.n_samples) = (IMUSPEC_MISSING_MASK, 1, 700)),
        picture_settings(|s| (s.nfft, s.noverlap, s.n_samples) = (1024, 1000, 1500)),
    ]
}

/// Windows of all kinds: noise on gravity, silence, a constant, faint and huge ones, one spike.
fn many_windows(n_axes: usize, n_samples: usize) -> Vec<Vec<f32>> {
    let noise = |i: usize| (i.wrapping_mul(2_654_435_761) % 10_007) as f32 / 10_007.0 - 0.5;
    let n = n_axes * n_samples;
    let window = |f: &dyn Fn(usize) -> f32| (0..n).map(f).collect::<Vec<f32>>();
    vec![
        window(&|i| noise(i) + (i / n_samples) as f32),
        window(&|_| 0.0),
        window(&|_| 1.0),
        window(&|i| 1.0 + 1e-7 * noise(i)),
        window(&|i| 1e33 * noise(i)),
        window(&|i| if i == n / 2 { 1.0 } else { 0.0 }),
        window(&|i| (i as f32 * 0.3).sin()),
    ]
}

fn new_picture(settings: &ImuspecPictureSettings) -> *mut ImuspecPicture {
    let mut picture = std::ptr::null_mut();
    // SAFETY: settings, and room for a handle.
    assert_eq!(unsafe { imuspec_picture_new(settings, &mut picture) }, IMUSPEC_OK, "{settings:?}");
    picture
}

fn new_stream(settings: &ImuspecPictureSettings, hop: u32) -> *mut ImuspecStream {
    let mut stream = std::ptr::null_mut();
    // SAFETY: settings, and room for a handle.
    assert_eq!(unsafe { imuspec_stream_new(settings, hop, &mut stream) }, IMUSPEC_OK, "{settings:?}");
    stream
}

fn new_lmm(settings: &ImuspecLmmSettings) -> *mut ImuspecLmm {
    let mut lmm = std::ptr::null_mut();
    // SAFETY: settings, and room for a handle.
    assert_eq!(unsafe { imuspec_lmm_new(settings, &mut lmm) }, IMUSPEC_OK, "{settings:?}");
    lmm
}

fn size_of_picture(picture: *const ImuspecPicture) -> usize {
    let (mut height, mut width) = (0, 0);
    // SAFETY: a handle, and room for the two.
    assert_eq!(unsafe { imuspec_picture_size(picture, &mut height, &mut width) }, IMUSPEC_OK);
    3 * height * width
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn pictures_are_those_of_the_batch_and_take_no_memory() {
    for settings in many_settings() {
        let (n_axes, n_samples) = (settings.axes(), settings.length());
        let painter = Painter::new(settings.recipe().unwrap(), n_samples).unwrap();
        let picture = new_picture(&settings);
        let n = size_of_picture(picture);
        let (mut bytes, mut floats) = (vec![0u8; n], vec![0f32; n]);
        let mut windows = many_windows(n_axes, n_samples);
        if settings.missing == IMUSPEC_MISSING_MASK {
            windows[0][n_samples / 2] = f32::NAN;
        }
        for (w, x) in windows.iter().enumerate() {
            // SAFETY: a handle, and the lengths of the vectors.
            let (codes, calls, _) = allocations::of(|| unsafe {
                [
                    imuspec_picture_u8(picture, x.as_ptr(), x.len(), bytes.as_mut_ptr(), n),
                    imuspec_picture_f32(picture, x.as_ptr(), x.len(), floats.as_mut_ptr(), n),
                ]
            });
            assert_eq!((codes, calls), ([IMUSPEC_OK; 2], 0), "window {w} of {settings:?}");
            let signals = Signals::contiguous(x, n_samples).unwrap();
            let (mut want, mut normalised) = (vec![0u8; n], vec![0f32; n]);
            painter.draw(&signals, n_axes, &mut want).unwrap();
            painter.draw(&signals, n_axes, &mut normalised).unwrap();
            assert!(bytes == want, "window {w} of {settings:?}");
            assert!(floats.iter().zip(&normalised).all(|(a, b)| a.to_bits() == b.to_bits()), "window {w}");
        }
        // SAFETY: a handle, used no more.
        unsafe { imuspec_picture_free(picture) };
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn a_stream_draws_the_pictures_of_its_windows_and_takes_no_memory() {
    for (k, settings) in many_settings().into_iter().enumerate().filter(|(_, s)| s.n_samples >= s.nfft) {
        let column = settings.nfft - settings.noverlap;
        // Windows that begin on columns, that do not, and with gaps between them.
        for hop in [column * 5, column * 5 + 1, column * 200].into_iter().take(if k == 0 { 3 } else { 2 }) {
            let (n_axes, length) = (settings.axes(), settings.length());
            let mut twin = Stream::new(settings.recipe().unwrap(), length, hop as usize, n_axes).unwrap();
            let stream = new_stream(&settings, hop);
            let n = 3 * twin.plan().size().iter().product::<usize>();
            let (mut out, mut want, mut n_pictures, mut total) = (vec![0u8; n], vec![0u8; n], 0, 0);
            for i in 0..length + (3 * hop as usize).min(1200) + 1 {
                let x: Vec<f32> = (0..n_axes).map(|a| ((i * 37 + a * 101) % 211) as f32 / 211.0).collect();
                let before = twin.pictures(1);
                twin.push(
                    &Signals::contiguous(&x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), 1).unwrap(),
                    &mut want[..n * before],
                )
                .unwrap();
                // SAFETY: a handle, and the lengths of the vectors.
                let (code, calls, _) = allocations::of(|| unsafe {
                    imuspec_stream_push_u8(stream, x.as_ptr(), n_axes, out.as_mut_ptr(), n, &mut n_pictures)
                });
                assert_eq!(
                    (code, calls, n_pictures),
                    (IMUSPEC_OK, 0, before as i32),
                    "sample {i}, hop {hop}, {settings:?}"
                );
                assert!(before == 0 || out == want, "sample {i}, hop {hop}, {settings:?}");
                total += n_pictures;
            }
            assert!(total > 0);
            // SAFETY: a handle, used no more.
            unsafe { imuspec_stream_free(stream) };
        }
    }
}

#[test]
fn features_are_those_of_the_batch_and_take_no_memory() {
    for (n_axes, n_samples, nfft, hop, cap) in [(3, 300, 32, 16, 0), (1, 1000, 50, 7, 1), (3, 20, 256, 1, 0)] {
        let settings = lmm_settings(|s| {
            (s.n_axes, s.n_samples, s.nfft, s.hop, s.cap) = (n_axes, n_samples, nfft, hop, cap);
        });
        let lmm = new_lmm(&settings);
        let mut bins = 0;
        // SAFETY: a handle, and room for the number.
        assert_eq!(unsafe { imuspec_lmm_bins(lmm, &mut bins) }, IMUSPEC_OK);
        assert_eq!(bins, nfft as usize / 2 + 1);
        let (n, time) = (n_axes as usize * bins, n_samples as usize);
        let resolution = Resolution { nfft: nfft as usize, hop: hop as usize, floor: 0.1, cap: cap == 1 };
        let mut windows = many_windows(n_axes as usize, time);
        windows[0][time / 2] = f32::NAN;
        for x in windows {
            let (mut out, mut want) = (vec![0.0f32; n], vec![0.0f32; n]);
            // SAFETY: a handle, and the lengths of the vectors.
            let (code, calls, _) =
                allocations::of(|| unsafe { imuspec_lmm_f32(lmm, x.as_ptr(), x.len(), out.as_mut_ptr(), n) });
            assert_eq!((code, calls), (IMUSPEC_OK, 0), "{settings:?}");
            let signals = Signals::contiguous(&x, time).unwrap();
            log_magnitudes(&signals, &[resolution], Moment::Mean, vec![&mut want], Path::best()).unwrap();
            assert!(out.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits()), "{settings:?}");
        }
        // SAFETY: a handle, used no more.
        unsafe { imuspec_lmm_free(lmm) };
    }
}

#[test]
fn a_freed_handle_gives_back_all_its_memory_and_a_handle_takes_no_more_than_is_stated() {
    let settings = picture_settings(|_| ());
    // SAFETY: a handle, used no more.
    unsafe { imuspec_picture_free(new_picture(&settings)) }; // whatever is made once stays
    let (picture, _, bytes) = allocations::of(|| new_picture(&settings));
    assert!(bytes < 320_000, "picture: {bytes}");
    // SAFETY: a handle, used no more.
    assert_eq!(allocations::of(|| unsafe { imuspec_picture_free(picture) }).2, -bytes);
    let (stream, _, bytes) = allocations::of(|| new_stream(&settings, 40));
    assert!(bytes < 260_000, "stream: {bytes}");
    // SAFETY: a handle, used no more.
    assert_eq!(allocations::of(|| unsafe { imuspec_stream_free(stream) }).2, -bytes);
    let (lmm, _, bytes) = allocations::of(|| new_lmm(&lmm_settings(|_| ())));
    assert!(bytes < 60_000, "features: {bytes}");
    // SAFETY: a handle, used no more.
    assert_eq!(allocations::of(|| unsafe { imuspec_lmm_free(lmm) }).2, -bytes);
}

#[test]
fn a_setting_that_cannot_be_is_refused_with_its_code() {
    type Change = fn(&mut ImuspecPictureSettings);
    let cases: [(Change, i32); 22] = [
        (|s| s.struct_size -= 8, IMUSPEC_ERROR_STRUCT_SIZE),
        (|s| s.reserved = 1, IMUSPEC_ERROR_STRUCT_SIZE),
        (|s| s.n_axes = 2, IMUSPEC_ERROR_AXES),
        (|s| s.n_samples = 0, IMUSPEC_ERROR_SAMPLES),
        (|s| s.n_samples = u32::MAX, IMUSPEC_ERROR_SAMPLES),
        (|s| s.nfft = 7, IMUSPEC_ERROR_NFFT),
        (|s| s.nfft = u32::MAX, IMUSPEC_ERROR_NFFT),
        (|s| s.noverlap = 128, IMUSPEC_ERROR_NOVERLAP),
        (|s| s.levels = 2, IMUSPEC_ERROR_CHOICE),
        (|s| s.norm = 3, IMUSPEC_ERROR_CHOICE),
        (|s| s.resize = 3, IMUSPEC_ERROR_CHOICE),
        (|s| s.precision = 3, IMUSPEC_ERROR_CHOICE),
        (|s| s.preset = 2, IMUSPEC_ERROR_CHOICE),
        (|s| s.missing = 2, IMUSPEC_ERROR_CHOICE),
        (|s| s.height = 0, IMUSPEC_ERROR_SIZE),
        (|s| s.width = 5000, IMUSPEC_ERROR_SIZE),
        (|s| (s.height, s.width, s.n_samples) = (0, 0, 1 << 20), IMUSPEC_ERROR_SIZE),
        (|s| (s.norm, s.range_low_db) = (IMUSPEC_NORM_FIXED, 40.0), IMUSPEC_ERROR_RANGE),
        (|s| s.floor_db = -1.0, IMUSPEC_ERROR_FLOOR),
        (|s| (s.norm, s.floor_db) = (IMUSPEC_NORM_FIXED, 80.0), IMUSPEC_ERROR_FLOOR),
        (|s| (s.preset, s.levels) = (IMUSPEC_PRESET_ANDROID, IMUSPEC_LEVELS_LINEAR), IMUSPEC_ERROR_PRESET),
        (|s| (s.n_samples, s.nfft, s.noverlap) = (1 << 20, 1 << 15, (1 << 15) - 1), IMUSPEC_ERROR_CELLS),
    ];
    for (change, code) in cases {
        let settings = picture_settings(change);
        let (mut picture, mut stream) = (std::ptr::dangling_mut(), std::ptr::dangling_mut());
        // SAFETY: settings, and room for a handle.
        unsafe {
            assert_eq!(imuspec_picture_new(&settings, &mut picture), code, "{settings:?}");
            assert_eq!(imuspec_stream_new(&settings, 8, &mut stream), code, "{settings:?}");
        }
        assert!(picture.is_null() && stream.is_null());
    }
    let (mut stream, mut lmm) = (std::ptr::null_mut(), std::ptr::null_mut());
    let short = picture_settings(|s| s.n_samples = 100);
    // SAFETY: settings, and room for a handle.
    unsafe {
        assert_eq!(imuspec_stream_new(&picture_settings(|_| ()), 0, &mut stream), IMUSPEC_ERROR_HOP);
        assert_eq!(imuspec_stream_new(&short, 8, &mut stream), IMUSPEC_ERROR_SAMPLES);
        let mut refused = |change: fn(&mut ImuspecLmmSettings)| imuspec_lmm_new(&lmm_settings(change), &mut lmm);
        assert_eq!(refused(|s| s.struct_size = 0), IMUSPEC_ERROR_STRUCT_SIZE);
        assert_eq!(refused(|s| s.n_axes = 0), IMUSPEC_ERROR_AXES);
        assert_eq!(refused(|s| s.n_samples = 0), IMUSPEC_ERROR_SAMPLES);
        assert_eq!(refused(|s| s.nfft = 1), IMUSPEC_ERROR_NFFT);
        assert_eq!(refused(|s| s.nfft = 1 << 21), IMUSPEC_ERROR_NFFT);
        assert_eq!(refused(|s| s.hop = 0), IMUSPEC_ERROR_HOP);
        assert_eq!(refused(|s| s.cap = 2), IMUSPEC_ERROR_CHOICE);
        assert_eq!(refused(|s| s.floor = 0.0), IMUSPEC_ERROR_FLOOR);
        assert_eq!(imuspec_picture_defaults(&mut picture_settings(|_| ()), 8), IMUSPEC_ERROR_STRUCT_SIZE);
        assert_eq!(imuspec_lmm_defaults(&mut lmm_settings(|_| ()), 8), IMUSPEC_ERROR_STRUCT_SIZE);
    }
}

#[test]
fn a_call_with_null_or_wrong_lengths_is_refused_without_memory_and_leaves_the_handle_as_it_was() {
    let settings = picture_settings(|_| ());
    let (picture, stream, lmm) = (new_picture(&settings), new_stream(&settings, 8), new_lmm(&lmm_settings(|_| ())));
    let (n, n_lmm) = (size_of_picture(picture), 3 * 17);
    let (x, mut out, mut floats) = (vec![0.5f32; 1501], vec![7u8; n], vec![0f32; n]);
    let mut bad = x.clone();
    bad[700] = f32::NAN;
    let (x, bad, to, real) = (x.as_ptr(), bad.as_ptr(), out.as_mut_ptr(), floats.as_mut_ptr());
    let (null, mut n_pictures) = (std::ptr::null::<f32>(), 5);
    let misaligned = x.cast::<u8>().wrapping_add(1).cast::<f32>();
    let (none_u8, none_f32) = (std::ptr::null_mut::<u8>(), std::ptr::null_mut::<f32>());
    // SAFETY: handles, null, or the lengths of the vectors.
    let (codes, calls, _) = allocations::of(|| unsafe {
        [
            (imuspec_picture_u8(std::ptr::null_mut(), x, 1500, to, n), IMUSPEC_ERROR_POINTER),
            (imuspec_picture_u8(picture, null, 1500, to, n), IMUSPEC_ERROR_POINTER),
            (imuspec_picture_u8(picture, misaligned, 1500, to, n), IMUSPEC_ERROR_POINTER),
            (imuspec_picture_u8(picture, x, 1500, none_u8, n), IMUSPEC_ERROR_POINTER),
            (imuspec_picture_u8(picture, x, 1501, to, n), IMUSPEC_ERROR_INPUT_LENGTH),
            (imuspec_picture_u8(picture, x, 1500, to, n - 1), IMUSPEC_ERROR_OUTPUT_LENGTH),
            (imuspec_picture_u8(picture, bad, 1500, to, n), IMUSPEC_ERROR_NOT_FINITE),
            (imuspec_picture_f32(picture, bad, 1500, real, n), IMUSPEC_ERROR_NOT_FINITE),
            (imuspec_picture_size(picture, std::ptr::null_mut(), &mut 0), IMUSPEC_ERROR_POINTER),
            (imuspec_stream_push_u8(std::ptr::null_mut(), x, 3, to, n, &mut n_pictures), IMUSPEC_ERROR_POINTER),
            (imuspec_stream_push_u8(stream, x, 3, to, n, std::ptr::null_mut()), IMUSPEC_ERROR_POINTER),
            (imuspec_stream_push_u8(stream, x, 2, to, n, &mut n_pictures), IMUSPEC_ERROR_INPUT_LENGTH),
            (imuspec_stream_push_u8(stream, x, 3, to, 0, &mut n_pictures), IMUSPEC_ERROR_OUTPUT_LENGTH),
            (imuspec_stream_push_f32(stream, bad.add(699), 3, real, n, &mut n_pictures), IMUSPEC_ERROR_NOT_FINITE),
            (imuspec_stream_size(stream, &mut 0, std::ptr::null_mut()), IMUSPEC_ERROR_POINTER),
            (imuspec_lmm_f32(lmm, x, 900, none_f32, n_lmm), IMUSPEC_ERROR_POINTER),
            (imuspec_lmm_f32(lmm, x, 899, real, n_lmm), IMUSPEC_ERROR_INPUT_LENGTH),
            (imuspec_lmm_f32(lmm, x, 900, real, n_lmm + 1), IMUSPEC_ERROR_OUTPUT_LENGTH),
            (imuspec_lmm_bins(std::ptr::null(), &mut 0), IMUSPEC_ERROR_POINTER),
            (imuspec_picture_new(std::ptr::null(), &mut std::ptr::null_mut()), IMUSPEC_ERROR_POINTER),
            (imuspec_picture_new(&settings, std::ptr::null_mut()), IMUSPEC_ERROR_POINTER),
        ]
    });
    for (i, (code, expected)) in codes.into_iter().enumerate() {
        assert_eq!(code, expected, "case {i}");
    }
    assert_eq!((calls, n_pictures), (0, 0));
    // The stream has taken nothing: 500 samples make its first picture.
    for i in 0..500 {
        // SAFETY: a handle, and the lengths of the vectors.
        assert_eq!(unsafe { imuspec_stream_push_u8(stream, x, 3, to, n, &mut n_pictures) }, IMUSPEC_OK);
        assert_eq!(n_pictures, i32::from(i == 499));
    }
    // SAFETY: handles, used no more, and null.
    unsafe {
        imuspec_picture_free(picture);
        imuspec_stream_free(stream);
        imuspec_lmm_free(lmm);
        imuspec_picture_free(std::ptr::null_mut());
        imuspec_stream_free(std::ptr::null_mut());
        imuspec_lmm_free(std::ptr::null_mut());
    }
}

#[test]
fn a_panic_is_a_code() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let code = run(|| panic!("a bug"));
    std::panic::set_hook(hook);
    assert_eq!(code, IMUSPEC_ERROR_INTERNAL);
}

fn text(pointer: *const c_char) -> &'static str {
    // SAFETY: the functions return static text that ends in zero.
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
}

#[test]
fn every_code_has_a_message_of_its_own() {
    assert_eq!(text(imuspec_version()), env!("CARGO_PKG_VERSION"));
    let messages: std::collections::BTreeSet<_> = (-1..=18).map(|code| text(imuspec_error_message(code))).collect();
    assert_eq!(messages.len(), 19); // -1 and 18 are unknown
    assert_eq!(text(imuspec_error_message(i32::MIN)), "unknown code");
}

#[test]
fn the_header_is_that_of_the_code() {
    let root = File::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config).with_src(root.join("rust/capi/mod.rs"));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let (made, path) = (String::from_utf8(made).unwrap(), root.join("include/imuspec.h"));
    if std::env::var_os("IMUSPEC_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == made, "include/imuspec.h: run `make header`");
}
