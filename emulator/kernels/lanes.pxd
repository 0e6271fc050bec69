"""The loops of the learning engine over the synapses of a batch, each for whole vectors."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from emulator.kernels.hashing cimport keyed_hash

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__)
    #define KERNEL static __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
    #else
    #define KERNEL static
    #endif
    #define WHOLE(n) (((n) + 15) & ~15)          /* whole vectors: what stands behind is overwritten or not read */
    #define CLIP(y, low, high) y = y < (low) ? (low) : y; y = y > (high) ? (high) : y
    typedef int32_t *__restrict lanes_t;
    typedef const int32_t *__restrict in_t;

    KERNEL void fill(lanes_t x, int64_t n, int32_t value) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = value;
    }
    KERNEL void widen(lanes_t x, const uint8_t *__restrict column, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = column[i];
    }
    static inline void gather(lanes_t x, const uint8_t *__restrict column, in_t index, int64_t n) {
        for (int64_t i = 0; i < n; i++) x[i] = column[index[i]];
    }
    KERNEL void scale_bits(lanes_t x, const uint8_t *__restrict column, int64_t n, int32_t value) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = -(int32_t)column[i] & value;
    }
    KERNEL void look_up(lanes_t x, const uint8_t *__restrict column, in_t table, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = table[column[i]];
    }
    KERNEL void is_set(lanes_t x, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = x[i] != 0;
    }
    KERNEL void hash_lanes(lanes_t x, in_t id, int64_t n, uint32_t k0, uint32_t k1) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = (int32_t)keyed_hash((uint32_t)id[i], k0, k1);
    }
    KERNEL void hash_run(lanes_t x, int64_t n, uint32_t first, uint32_t k0, uint32_t k1) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = (int32_t)keyed_hash(first + (uint32_t)i, k0, k1);
    }
    KERNEL void adjust(lanes_t x, int64_t n, int32_t constant, int32_t sign, int32_t low, int32_t high) {
        for (int64_t i = 0; i < WHOLE(n); i++) {
            int32_t y = x[i] + constant;
            if (sign) y = (y > 0) - (y < 0);
            CLIP(y, low, high);
            x[i] = y;
        }
    }
    KERNEL void weights_of(lanes_t x, in_t word, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = word[i] >> 23;
    }
    KERNEL void delays_of(lanes_t x, in_t word, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = word[i] >> 16 & 63;
    }
    KERNEL void load(lanes_t a, in_t x, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) a[i] = x[i] * 128;
    }
    KERNEL void copy(lanes_t a, in_t x, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) a[i] = x[i];
    }
    KERNEL void multiply(lanes_t p, in_t f, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) p[i] *= f[i];
    }
    #define SUM(product) \\
        for (int64_t i = 0; i < WHOLE(n); i++) { \\
            int32_t y = (int32_t)((uint32_t)((product) >> down) << up); \\
            CLIP(y, low, high); \\
            y += a[i]; \\
            CLIP(y, low, high); \\
            a[i] = y; \\
        }
    KERNEL void mac(lanes_t a, in_t p, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low, int32_t high) {
        SUM(p[i] * m)
    }
    KERNEL void mac2(lanes_t a, in_t p, in_t f, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low,
                     int32_t high) {
        SUM(p[i] * f[i] * m)
    }
    /* a / 128, rounded as `mode` says with 7 of the random bits, and clipped */
    KERNEL void finish(lanes_t a, in_t random, int64_t n, int32_t mode, int32_t shift, int32_t low, int32_t high) {
        if (mode == 2) {
            for (int64_t i = 0; i < WHOLE(n); i++) {
                int32_t y = (a[i] >> 7) + (((int32_t)((uint32_t)random[i] >> shift) & 127) < (a[i] & 127));
                CLIP(y, low, high);
                a[i] = y;
            }
        } else {
            int32_t least = mode == 1 ? 64 : 127;
            for (int64_t i = 0; i < WHOLE(n); i++) {
                int32_t y = (a[i] >> 7) + ((a[i] & 127) > least);
                CLIP(y, low, high);
                a[i] = y;
            }
        }
    }
    KERNEL void put_weights(lanes_t word, in_t w, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++)
            word[i] = (int32_t)(((uint32_t)word[i] & 0x007FFFFFu) | ((uint32_t)w[i] << 23));
    }
    KERNEL void put_delays(lanes_t word, in_t d, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++)
            word[i] = (int32_t)(((uint32_t)word[i] & ~0x7F0000u) | ((uint32_t)d[i] << 16));
    }
    """
    void PREFETCH "__builtin_prefetch"(const void *address) nogil
    void fill(int32_t *x, int64_t n, int32_t value) nogil
    void widen(int32_t *x, const uint8_t *column, int64_t n) nogil
    void gather(int32_t *x, const uint8_t *column, const int32_t *index, int64_t n) nogil
    void scale_bits(int32_t *x, const uint8_t *column, int64_t n, int32_t value) nogil
    void look_up(int32_t *x, const uint8_t *column, const int32_t *table, int64_t n) nogil
    void is_set(int32_t *x, int64_t n) nogil
    void hash_lanes(int32_t *x, const int32_t *id, int64_t n, uint32_t k0, uint32_t k1) nogil
    void hash_run(int32_t *x, int64_t n, uint32_t first, uint32_t k0, uint32_t k1) nogil
    void adjust(int32_t *x, int64_t n, int32_t constant, int32_t sign, int32_t low, int32_t high) nogil
    void weights_of(int32_t *x, const int32_t *word, int64_t n) nogil
    void delays_of(int32_t *x, const int32_t *word, int64_t n) nogil
    void load(int32_t *a, const int32_t *x, int64_t n) nogil
    void copy(int32_t *a, const int32_t *x, int64_t n) nogil
    void multiply(int32_t *p, const int32_t *f, int64_t n) nogil
    void mac(
        int32_t *a, const int32_t *p, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low, int32_t high
    ) nogil
    void mac2(
        int32_t *a, const int32_t *p, const int32_t *f, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low,
        int32_t high,
    ) nogil
    void finish(
        int32_t *a, const int32_t *random, int64_t n, int32_t mode, int32_t shift, int32_t low, int32_t high
    ) nogil
    void put_weights(int32_t *word, const int32_t *w, int64_t n) nogil
    void put_delays(int32_t *word, const int32_t *d, int64_t n) nogil
