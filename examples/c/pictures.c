/* Windows of acceleration to pictures and features, and a stream to pictures.
 *
 *     pictures WINDOWS.f32 N_SAMPLES NFFT HOP OUT [HEIGHT WIDTH]
 *
 * WINDOWS.f32 holds windows [3][N_SAMPLES] of float32 in g, one after the other. Written are
 *     OUT.u8      a picture [3][HEIGHT][WIDTH] of each window, by default [3][96][128]
 *     OUT.f32     the same, normalised as for ImageNet
 *     OUT.lmm     LMM features [3][NFFT / 2 + 1] of each window
 *     OUT.stream  pictures of the windows as one stream, one every 5 HOP samples
 */
#include <stdio.h>
#include <stdlib.h>

#include "imuspec.h"

/* Ends the program where a function of imuspec did not do what it should. */
static void check(const char *function, int32_t code)
{
    if (code != IMUSPEC_OK) {
        fprintf(stderr, "%s: %s\n", function, imuspec_error_message(code));
        exit(1);
    }
}

static FILE *open_file(const char *path, const char *suffix, const char *mode)
{
    char name[4096];
    FILE *file;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    file = fopen(name, mode);
    if (file == NULL) {
        perror(name);
        exit(1);
    }
    return file;
}

static void *new_memory(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (memory == NULL) {
        fprintf(stderr, "memory: expected %lu bytes, got none\n", (unsigned long)(n * size));
        exit(1);
    }
    return memory;
}

int main(int argc, char **argv)
{
    ImuspecPictureSettings settings;
    ImuspecLmmSettings lmm_settings;
    ImuspecPicture *picture;
    ImuspecStream *stream;
    ImuspecLmm *lmm;
    size_t height, width, bins, n_samples, n_pixels;
    FILE *windows, *levels_file, *tensors_file, *features_file, *stream_file;
    float *x, *tensor, *features;
    uint8_t *levels;

    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: pictures WINDOWS.f32 N_SAMPLES NFFT HOP OUT [HEIGHT WIDTH] (imuspec %s)\n",
                imuspec_version());
        return 2;
    }
    n_samples = strtoul(argv[2], NULL, 10);

    /* Settings are the defaults of rgb_image in Python, with what is changed here. */
    check("defaults", imuspec_picture_defaults(&settings, sizeof settings));
    settings.n_samples = (uint32_t)n_samples;
    settings.nfft = (uint32_t)strtoul(argv[3], NULL, 10);
    settings.noverlap = settings.nfft - (uint32_t)strtoul(argv[4], NULL, 10);
    if (argc == 8) {
        settings.height = (uint32_t)strtoul(argv[6], NULL, 10);
        settings.width = (uint32_t)strtoul(argv[7], NULL, 10);
    }
    check("picture", imuspec_picture_new(&settings, &picture));
    check("stream", imuspec_stream_new(&settings, 5 * (settings.nfft - settings.noverlap), &stream));

    check("defaults", imuspec_lmm_defaults(&lmm_settings, sizeof lmm_settings));
    lmm_settings.n_samples = settings.n_samples;
    lmm_settings.nfft = settings.nfft;
    lmm_settings.hop = settings.nfft / 2;
    check("lmm", imuspec_lmm_new(&lmm_settings, &lmm));

    check("size", imuspec_picture_size(picture, &height, &width));
    check("bins", imuspec_lmm_bins(lmm, &bins));
    n_pixels = 3 * height * width;
    x = new_memory(3 * n_samples, sizeof *x);
    levels = new_memory(n_pixels, sizeof *levels);
    tensor = new_memory(n_pixels, sizeof *tensor);
    features = new_memory(3 * bins, sizeof *features);

    windows = open_file(argv[1], "", "rb");
    levels_file = open_file(argv[5], ".u8", "wb");
    tensors_file = open_file(argv[5], ".f32", "wb");
    features_file = open_file(argv[5], ".lmm", "wb");
    stream_file = open_file(argv[5], ".stream", "wb");

    while (fread(x, sizeof *x, 3 * n_samples, windows) == 3 * n_samples) {
        size_t i;
        check("u8", imuspec_picture_u8(picture, x, 3 * n_samples, levels, n_pixels));
        fwrite(levels, sizeof *levels, n_pixels, levels_file);
        check("f32", imuspec_picture_f32(picture, x, 3 * n_samples, tensor, n_pixels));
        fwrite(tensor, sizeof *tensor, n_pixels, tensors_file);
        check("lmm", imuspec_lmm_f32(lmm, x, 3 * n_samples, features, 3 * bins));
        fwrite(features, sizeof *features, 3 * bins, features_file);

        /* As from a sensor: a sample of the three axes at a time. */
        for (i = 0; i < n_samples; i++) {
            float sample[3];
            int32_t n_pictures;
            sample[0] = x[i];
            sample[1] = x[n_samples + i];
            sample[2] = x[2 * n_samples + i];
            check("push", imuspec_stream_push_u8(stream, sample, 3, levels, n_pixels, &n_pictures));
            if (n_pictures > 0) {
                fwrite(levels, sizeof *levels, n_pixels, stream_file);
            }
        }
    }
    if (ferror(windows) || fclose(levels_file) || fclose(tensors_file) || fclose(features_file) || fclose(stream_file)) {
        perror("files");
        return 1;
    }
    fclose(windows);
    free(x);
    free(levels);
    free(tensor);
    free(features);
    imuspec_picture_free(picture);
    imuspec_stream_free(stream);
    imuspec_lmm_free(lmm);
    return 0;
}
