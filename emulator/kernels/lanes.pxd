"""The loops of the learning engine over a piece of a row, each for whole vectors."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t

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
    #define PREFETCH(address) __builtin_prefetch(address, 1)
    #define CLIP(y, low, high) y = y < (low) ? (low) : y; y = y > (high) ? (high) : y
    typedef int32_t *__restrict lanes_t;
    typedef const int32_t *__restrict in_t;
    typedef int16_t *__restrict factor_t;        /* a factor has at most 10 bits, as it is clipped */
    typedef const int16_t *__restrict of_t;
    typedef const uint8_t *__restrict column_t;

    KERNEL void widen(factor_t x, column_t column, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = column[i];
    }
    KERNEL void scale_bits(factor_t x, column_t column, int64_t n, int32_t value) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = (int16_t)((uint16_t)column[i] * (uint16_t)value);
    }
    KERNEL void is_set(factor_t x, column_t column, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = column[i] != 0;
    }
    KERNEL void adjust(factor_t x, int64_t n, int32_t constant, int32_t sign, int32_t low, int32_t high) {
        for (int64_t i = 0; i < WHOLE(n); i++) {
            int32_t y = x[i] + constant;
            if (sign) y = (y > 0) - (y < 0);
            CLIP(y, low, high);
            x[i] = (int16_t)y;
        }
    }
    KERNEL void weights_of(factor_t x, in_t word, int64_t n) {
        for (int64_t i = 0; i < n; i++) x[i] = (int16_t)(word[i] >> 23);
    }
    KERNEL void delays_of(factor_t x, in_t word, int64_t n) {
        for (int64_t i = 0; i < n; i++) x[i] = (int16_t)(word[i] >> 16 & 63);
    }
    KERNEL void load_weights(lanes_t a, in_t word, int64_t n) {
        for (int64_t i = 0; i < n; i++) a[i] = (word[i] >> 23) * 128;
    }
    KERNEL void load_delays(lanes_t a, in_t word, int64_t n) {
        for (int64_t i = 0; i < n; i++) a[i] = (word[i] >> 16 & 63) * 128;
    }
    KERNEL void load_tags(lanes_t a, of_t tag, int64_t n) {
        for (int64_t i = 0; i < n; i++) a[i] = tag[i] * 128;
    }
    KERNEL void hash_lanes(lanes_t x, in_t id, int64_t n, uint32_t k0, uint32_t k1) {
        for (int64_t i = 0; i < WHOLE(n); i++) x[i] = (int32_t)keyed_hash((uint32_t)id[i], k0, k1);
    }
    KERNEL void hash_run(lanes_t x, int64_t n, uint32_t first, uint32_t k0, uint32_t k1) {
        uint32_t whole = (uint32_t)WHOLE(n);  /* vectors of 32-bit counters */
        for (uint32_t i = 0; i < whole; i++) x[i] = (int32_t)keyed_hash(first + i, k0, k1);
    }
    /* A product of zero adds and clips nothing: `loose` where the accumulator may not hold what it began with. */
    #define SUM(product) \\
        if (loose) { \\
            for (int64_t i = 0; i < WHOLE(n); i++) { \\
                int32_t p = (int32_t)((uint32_t)((product) >> down) << up), y = p; \\
                CLIP(y, low, high); \\
                y += a[i]; \\
                CLIP(y, low, high); \\
                a[i] = p ? y : a[i]; \\
            } \\
        } else { \\
            for (int64_t i = 0; i < WHOLE(n); i++) { \\
                int32_t y = (int32_t)((uint32_t)((product) >> down) << up); \\
                CLIP(y, low, high); \\
                y += a[i]; \\
                CLIP(y, low, high); \\
                a[i] = y; \\
            } \\
        }
    KERNEL void mac0(lanes_t a, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low, int32_t high,
                     int32_t loose) {
        SUM(m)
    }
    KERNEL void mac1(lanes_t a, of_t f, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low, int32_t high,
                     int32_t loose) {
        SUM(f[i] * m)
    }
    KERNEL void mac2(lanes_t a, of_t f, of_t g, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low,
                     int32_t high, int32_t loose) {
        SUM(f[i] * g[i] * m)
    }
    KERNEL void mac(lanes_t a, in_t product, int64_t n, int32_t down, int32_t up, int32_t low, int32_t high,
                    int32_t loose) {
        SUM(product[i])
    }
    KERNEL void start(lanes_t p, of_t f, int64_t n, int32_t m) {
        for (int64_t i = 0; i < WHOLE(n); i++) p[i] = f[i] * m;
    }
    KERNEL void multiply(lanes_t p, of_t f, int64_t n) {
        for (int64_t i = 0; i < WHOLE(n); i++) p[i] *= f[i];
    }
    /* a / 128, and one more where the fraction is `least` or more, or more than 7 random bits; clipped. With `loose`,
       what stood there `before` stays where nothing was added to it. */
    #define EACH_ROUNDED(more, before, put) \\
        for (int64_t i = 0; i < n; i++) { \\
            int32_t old = (before), y = (a[i] + (more)) >> 7; \\
            CLIP(y, low, high); \\
            y = loose && a[i] == old * 128 ? old : y; \\
            put; \\
        }
    #define ROUNDED(before, put) \\
        if (random) { \\
            EACH_ROUNDED(127 - ((int32_t)((uint32_t)random[i] >> shift) & 127), before, put) \\
        } else { \\
            EACH_ROUNDED(128 - least, before, put) \\
        }
    /* All in one pass, for the most common rules: weights plus one or two products of one factor each. */
    typedef struct { int32_t m, down, up; } scale_t;
    typedef struct { int32_t sum_low, sum_high, low, high, least; } range_t;
    #define ADD(f, s) \\
        y = (int32_t)((uint32_t)((f) * s##m >> s##down) << s##up); \\
        CLIP(y, sum_low, sum_high); \\
        a += y; \\
        CLIP(a, sum_low, sum_high);
    #define EACH(sums, more) \\
        for (int64_t i = 0; i < n; i++) { \\
            int32_t y, a = (word[i] >> 23) * 128; \\
            sums \\
            a = (a + (more)) >> 7; \\
            CLIP(a, low, high); \\
            word[i] = (int32_t)(((uint32_t)word[i] & 0x007FFFFFu) | (uint32_t)a << 23); \\
        }
    #define SCALE(s) int32_t s##m = s->m, s##down = s->down, s##up = s->up;
    #define LEARN(sums) \\
        int32_t sum_low = r->sum_low, sum_high = r->sum_high, low = r->low, high = r->high, least = r->least; \\
        if (random) EACH(sums, 127 - (int32_t)((uint32_t)random[i] >> 25)) else EACH(sums, 128 - least)
    KERNEL void learn1(lanes_t word, in_t random, int64_t n, const range_t *r, of_t f, const scale_t *s) {
        SCALE(s)
        LEARN(ADD(f[i], s))
    }
    KERNEL void learn2(lanes_t word, in_t random, int64_t n, const range_t *r, of_t f, const scale_t *s, of_t g,
                       const scale_t *t) {
        SCALE(s)
        SCALE(t)
        LEARN(ADD(f[i], s) ADD(g[i], t))
    }
    KERNEL void put_weights(lanes_t word, in_t a, in_t random, int64_t n, int32_t shift, int32_t least, int32_t low,
                            int32_t high, int32_t loose) {
        ROUNDED(word[i] >> 23, word[i] = (int32_t)(((uint32_t)word[i] & 0x007FFFFFu) | (uint32_t)y << 23))
    }
    KERNEL void put_delays(lanes_t word, in_t a, in_t random, int64_t n, int32_t shift, int32_t least, int32_t low,
                           int32_t high, int32_t loose) {
        ROUNDED(word[i] >> 16 & 63, word[i] = (int32_t)(((uint32_t)word[i] & ~0x7F0000u) | (uint32_t)y << 16))
    }
    KERNEL void put_tags(factor_t tag, in_t a, in_t random, int64_t n, int32_t shift, int32_t least, int32_t low,
                         int32_t high, int32_t loose) {
        ROUNDED(tag[i], tag[i] = (int16_t)y)
    }
    """
    void PREFETCH(const void *address) nogil
    void widen(int16_t *x, const uint8_t *column, int64_t n) nogil
    void scale_bits(int16_t *x, const uint8_t *column, int64_t n, int32_t value) nogil
    void is_set(int16_t *x, const uint8_t *column, int64_t n) nogil
    void adjust(int16_t *x, int64_t n, int32_t constant, int32_t sign, int32_t low, int32_t high) nogil
    void weights_of(int16_t *x, const int32_t *word, int64_t n) nogil
    void delays_of(int16_t *x, const int32_t *word, int64_t n) nogil
    void load_weights(int32_t *a, const int32_t *word, int64_t n) nogil
    void load_delays(int32_t *a, const int32_t *word, int64_t n) nogil
    void load_tags(int32_t *a, const int16_t *tag, int64_t n) nogil
    void hash_lanes(int32_t *x, const int32_t *id, int64_t n, uint32_t k0, uint32_t k1) nogil
    void hash_run(int32_t *x, int64_t n, uint32_t first, uint32_t k0, uint32_t k1) nogil
    void mac0(
        int32_t *a, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low, int32_t high, int32_t loose
    ) nogil
    void mac1(
        int32_t *a, const int16_t *f, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low, int32_t high,
        int32_t loose,
    ) nogil
    void mac2(
        int32_t *a, const int16_t *f, const int16_t *g, int64_t n, int32_t m, int32_t down, int32_t up, int32_t low,
        int32_t high, int32_t loose,
    ) nogil
    void mac(
        int32_t *a, const int32_t *product, int64_t n, int32_t down, int32_t up, int32_t low, int32_t high,
        int32_t loose,
    ) nogil
    void start(int32_t *p, const int16_t *f, int64_t n, int32_t m) nogil
    void multiply(int32_t *p, const int16_t *f, int64_t n) nogil
    ctypedef struct scale_t:
        int32_t m
        int32_t down
        int32_t up
    ctypedef struct range_t:
        int32_t sum_low
        int32_t sum_high
        int32_t low
        int32_t high
        int32_t least
    void learn1(
        int32_t *word, const int32_t *random, int64_t n, const range_t *r, const int16_t *f, const scale_t *s
    ) nogil
    void learn2(
        int32_t *word, const int32_t *random, int64_t n, const range_t *r, const int16_t *f, const scale_t *s,
        const int16_t *g, const scale_t *t,
    ) nogil
    void put_weights(
        int32_t *word, const int32_t *a, const int32_t *random, int64_t n, int32_t shift, int32_t least, int32_t low,
        int32_t high, int32_t loose,
    ) nogil
    void put_delays(
        int32_t *word, const int32_t *a, const int32_t *random, int64_t n, int32_t shift, int32_t least, int32_t low,
        int32_t high, int32_t loose,
    ) nogil
    void put_tags(
        int16_t *tag, const int32_t *a, const int32_t *random, int64_t n, int32_t shift, int32_t least, int32_t low,
        int32_t high, int32_t loose,
    ) nogil
