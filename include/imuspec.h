/* imuspec for C: windows of acceleration to pictures and features, without Python. The same bits as imuspec in Python.
 *
 * Every function that can fail returns IMUSPEC_OK or an IMUSPEC_ERROR_ code. A handle has all memory that its calls need: only
 * the functions that make and free handles take or give back memory. One handle serves one call at a time; different
 * handles may be used at the same time from different threads. Memory that the system refuses ends the program.
 *
 * This file is made from rust/capi by cbindgen. */

#ifndef IMUSPEC_H
#define IMUSPEC_H

#include <stddef.h>
#include <stdint.h>

// The call did what it says.
#define IMUSPEC_OK 0

// A pointer is null, or not aligned for what it points to.
#define IMUSPEC_ERROR_POINTER 1

// struct_size is not the size of the settings: they were not filled by the function of defaults.
#define IMUSPEC_ERROR_STRUCT_SIZE 2

// n_axes is neither 1 nor 3.
#define IMUSPEC_ERROR_AXES 3

// n_samples is 0, above IMUSPEC_MAX_SAMPLES, or too small for the frames.
#define IMUSPEC_ERROR_SAMPLES 4

// nfft is too small, or above IMUSPEC_MAX_SAMPLES.
#define IMUSPEC_ERROR_NFFT 5

// noverlap is not below nfft.
#define IMUSPEC_ERROR_NOVERLAP 6

// hop is 0.
#define IMUSPEC_ERROR_HOP 7

// levels, norm, resize, precision, preset, missing or cap is none of its values.
#define IMUSPEC_ERROR_CHOICE 8

// height and width are not both 0 or both within 1 to IMUSPEC_MAX_PIXELS.
#define IMUSPEC_ERROR_SIZE 9

// range_low_db is not below range_high_db, or one of them is not finite.
#define IMUSPEC_ERROR_RANGE 10

// The floor is negative or not finite, or given with a norm that has one, or 0 for a feature.
#define IMUSPEC_ERROR_FLOOR 11

// preset is given with other levels, norm or resize than the defaults.
#define IMUSPEC_ERROR_PRESET 12

// The number of samples given is not n_axes times n_samples (of a stream: n_axes).
#define IMUSPEC_ERROR_INPUT_LENGTH 13

// The number of values that out has room for is not what the handle writes.
#define IMUSPEC_ERROR_OUTPUT_LENGTH 14

// A sample is NaN or infinity.
#define IMUSPEC_ERROR_NOT_FINITE 15

// The spectrogram of one axis would have more than 2^26 cells.
#define IMUSPEC_ERROR_CELLS 16

// A bug in imuspec: please report it.
#define IMUSPEC_ERROR_INTERNAL 17

// Most samples of a window, and of a frame.
#define IMUSPEC_MAX_SAMPLES (1 << 20)

// Most rows, and columns, of a picture.
#define IMUSPEC_MAX_PIXELS (1 << 12)

// levels: the greys of matplotlib's Greys.
#define IMUSPEC_LEVELS_GREYS 0

// levels: floor(255 u + 1/2).
#define IMUSPEC_LEVELS_LINEAR 1

// norm: the least and largest cell of an axis are black and white.
#define IMUSPEC_NORM_AXIS_WINDOW 0

// norm: those of all axes of the window.
#define IMUSPEC_NORM_JOINT_WINDOW 1

// norm: range_low_db and range_high_db.
#define IMUSPEC_NORM_FIXED 2

// resize: to 480 x 640 by nearest neighbour, then down by the bilinear filter of Pillow.
#define IMUSPEC_RESIZE_CANVAS 0

// resize: the bilinear filter of Pillow.
#define IMUSPEC_RESIZE_ANTIALIAS 1

// resize: the two nearest lines at half-pixel centres, as OpenCV.
#define IMUSPEC_RESIZE_BILINEAR 2

// precision: float32 where its rounding cannot show, else float64.
#define IMUSPEC_PRECISION_AUTO 0

// precision: float64, the definition.
#define IMUSPEC_PRECISION_FLOAT64 1

// precision: float32.
#define IMUSPEC_PRECISION_FLOAT32 2

// preset: none.
#define IMUSPEC_PRESET_NONE 0

// preset: the picture of the IMG2IMU authors' app.
#define IMUSPEC_PRESET_ANDROID 1

// missing: NaN and infinity are an error.
#define IMUSPEC_MISSING_RAISE 0

// missing: frames with NaN or infinity are black.
#define IMUSPEC_MISSING_MASK 1

// Features of windows of one length. One call at a time may use it; other handles may be in use meanwhile.
typedef struct ImuspecLmm ImuspecLmm;

// Pictures of windows of one length. One call at a time may use it; other handles may be in use meanwhile.
typedef struct ImuspecPicture ImuspecPicture;

// Pictures of a stream. One call at a time may use it; other handles may be in use meanwhile.
typedef struct ImuspecStream ImuspecStream;

// The settings of features: those of imuspec.log_mean_magnitude in Python. Fill it with imuspec_lmm_defaults.
typedef struct ImuspecLmmSettings {
  // sizeof(ImuspecLmmSettings); later versions may append fields.
  uint32_t struct_size;
  // 3, or 1. Default 3.
  uint32_t n_axes;
  // Samples of a window on each axis. Default 300.
  uint32_t n_samples;
  // Samples of a frame. Default 32.
  uint32_t nfft;
  // Samples from one frame to the next. Default 16.
  uint32_t hop;
  // 1: floor is the largest value instead, as the paper's equations print it. Default 0.
  uint32_t cap;
  // The smallest mean before the logarithm. Default 0.1.
  double floor;
} ImuspecLmmSettings;

// The settings of a picture: those of imuspec.rgb_image in Python. Fill it with imuspec_picture_defaults, then change fields.
typedef struct ImuspecPictureSettings {
  // sizeof(ImuspecPictureSettings); later versions may append fields.
  uint32_t struct_size;
  // 3, or 1, which is copied to the three channels. Default 3.
  uint32_t n_axes;
  // Samples of a window on each axis. Default 500.
  uint32_t n_samples;
  // Samples of a frame. Default 128.
  uint32_t nfft;
  // Samples that neighbouring frames share. Default 120.
  uint32_t noverlap;
  // IMUSPEC_LEVELS_... Default greys.
  uint32_t levels;
  // IMUSPEC_NORM_... Default axis-window.
  uint32_t norm;
  // IMUSPEC_RESIZE_... Default canvas.
  uint32_t resize;
  // Rows; 0 with width 0: nfft / 2 + 1. Default 96.
  uint32_t height;
  // Columns; 0 with height 0: a column for each frame. Default 128.
  uint32_t width;
  // IMUSPEC_PRECISION_... Default auto.
  uint32_t precision;
  // IMUSPEC_PRESET_... Default none.
  uint32_t preset;
  // IMUSPEC_MISSING_... Default raise.
  uint32_t missing;
  // 0.
  uint32_t reserved;
  // Decibels of black and white with IMUSPEC_NORM_FIXED. Default -60 and 40.
  double range_low_db;
  // See range_low_db.
  double range_high_db;
  // Cells weaker than the largest less this are drawn as if they were that strong, dB; 0: none. Default 0.
  double floor_db;
} ImuspecPictureSettings;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library, as "0.1.0".
const char *imuspec_version(void);

// What a code means, in English; of an unknown code "unknown code". Never null, and never to be freed.
const char *imuspec_error_message(int32_t code);

// Fills settings with the defaults of imuspec.log_mean_magnitude, for windows of 3 axes and 300 samples.
//
// # Safety
// `settings` is null or may be written for `struct_size` bytes.
int32_t imuspec_lmm_defaults(struct ImuspecLmmSettings *settings, uint32_t struct_size);

// Makes a handle that computes features by `settings`, with all memory that it will need. On an error `*lmm` is null.
//
// # Safety
// `settings` and `lmm` are null or point to such; `*lmm` may be written.
int32_t imuspec_lmm_new(const struct ImuspecLmmSettings *settings, struct ImuspecLmm **lmm);

// Writes the number of bins, nfft / 2 + 1; a window has n_axes * bins features.
//
// # Safety
// Each pointer is null or valid.
int32_t imuspec_lmm_bins(const struct ImuspecLmm *lmm, size_t *bins);

// Computes the features of a window: x is [n_axes][n_samples] of n values in g, out [n_axes][bins] of n_out values.
// The features of an axis with NaN are NaN.
//
// # Safety
// `lmm` is null or a handle that no other call uses; `x` and `out` are null or hold `n` and `n_out` values, apart.
int32_t imuspec_lmm_f32(struct ImuspecLmm *lmm, const float *x, size_t n, float *out, size_t n_out);

// Frees a handle; null is left alone.
//
// # Safety
// `lmm` is null or a handle that was not freed; it must not be used again.
void imuspec_lmm_free(struct ImuspecLmm *lmm);

// Fills settings with the defaults of imuspec.rgb_image, for windows of 3 axes and 500 samples.
//
// # Safety
// `settings` is null or may be written for `struct_size` bytes.
int32_t imuspec_picture_defaults(struct ImuspecPictureSettings *settings, uint32_t struct_size);

// Makes a handle that draws windows by `settings`, with all memory that it will need. On an error `*picture` is null.
//
// # Safety
// `settings` and `picture` are null or point to such; `*picture` may be written.
int32_t imuspec_picture_new(const struct ImuspecPictureSettings *settings, struct ImuspecPicture **picture);

// Writes rows and columns of a picture; a picture has 3 * rows * columns values.
//
// # Safety
// Each pointer is null or valid.
int32_t imuspec_picture_size(const struct ImuspecPicture *picture, size_t *height, size_t *width);

// Draws a window as levels: x is [n_axes][n_samples] of n values in g, out [3][rows][columns] of n_out values.
//
// # Safety
// `picture` is null or a handle that no other call uses; `x` and `out` are null or hold `n` and `n_out` values, apart.
int32_t imuspec_picture_u8(struct ImuspecPicture *picture, const float *x, size_t n, uint8_t *out, size_t n_out);

// As imuspec_picture_u8, but (level / 255 - mean) / sd with the means and standard deviations of ImageNet.
//
// # Safety
// As [`imuspec_picture_u8`].
int32_t imuspec_picture_f32(struct ImuspecPicture *picture, const float *x, size_t n, float *out, size_t n_out);

// Frees a handle; null is left alone.
//
// # Safety
// `picture` is null or a handle that was not freed; it must not be used again.
void imuspec_picture_free(struct ImuspecPicture *picture);

// Makes a handle that draws a picture every `hop` samples, of the n_samples before, as imuspec.ImageStream in Python.
//
// The pictures are those of IMUSPEC_PRECISION_FLOAT64, whatever the settings. Each column is computed once where hop is a
// multiple of nfft - noverlap; for another hop all of a picture is computed when it is due. On an error `*stream` is null.
//
// # Safety
// `settings` and `stream` are null or point to such; `*stream` may be written.
int32_t imuspec_stream_new(const struct ImuspecPictureSettings *settings,
                           uint32_t hop,
                           struct ImuspecStream **stream);

// Writes rows and columns of a picture; a picture has 3 * rows * columns values.
//
// # Safety
// Each pointer is null or valid.
int32_t imuspec_stream_size(const struct ImuspecStream *stream, size_t *height, size_t *width);

// Takes one sample of each axis, x is [n_axes] of n values in g. Where it completes a picture, draws it into out, of
// n_out values, and sets *n_pictures to 1; else out is left alone and *n_pictures is 0. On an error nothing is taken.
//
// # Safety
// `stream` is null or a handle that no other call uses; the others are null or hold as many values as stated, apart.
int32_t imuspec_stream_push_u8(struct ImuspecStream *stream,
                               const float *x,
                               size_t n,
                               uint8_t *out,
                               size_t n_out,
                               int32_t *n_pictures);

// As imuspec_stream_push_u8, with pictures as of imuspec_picture_f32.
//
// # Safety
// As [`imuspec_stream_push_u8`].
int32_t imuspec_stream_push_f32(struct ImuspecStream *stream,
                                const float *x,
                                size_t n,
                                float *out,
                                size_t n_out,
                                int32_t *n_pictures);

// Frees a handle; null is left alone.
//
// # Safety
// `stream` is null or a handle that was not freed; it must not be used again.
void imuspec_stream_free(struct ImuspecStream *stream);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* IMUSPEC_H */
