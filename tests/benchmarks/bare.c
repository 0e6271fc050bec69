/* The least work that visits the same memory: what the kernels are measured against. Nothing is sorted, counted,
 * recorded or checked here; rows come in the order in which they are visited. */
#include <stdint.h>
#include <string.h>

typedef struct { uint32_t start; uint16_t length, block; } row_t;
typedef struct { int32_t core, first_compartment, scale; } block_t;
enum { AHEAD = 12, LINE = 16, CHUNK = 64 };
#define WHOLE(n) (((n) + 15) & ~15)  /* the arrays are longer: vectors need no remainder */

int64_t walk(const row_t *rows, int64_t n_rows, const uint32_t *packed, const block_t *blocks, int32_t *input) {
    int64_t n_events = 0;
    for (int64_t r = 0; r < n_rows; r++) {
        if (r + AHEAD < n_rows) {
            const row_t *next = rows + r + AHEAD;
            for (int k = 0; k < next->length; k += LINE) __builtin_prefetch(packed + next->start + k);
            __builtin_prefetch(packed + next->start + next->length - 1);
        }
        const uint32_t *word = packed + rows[r].start;
        int32_t *target = input + blocks[rows[r].block].first_compartment;
        int32_t scale = blocks[rows[r].block].scale;
        for (int k = 0; k < rows[r].length; k++) target[word[k] & 0xFFFF] += ((int32_t)word[k] >> 23) * scale;
        n_events += rows[r].length;
    }
    return n_events;
}

static inline int32_t retained(int32_t x, int32_t m) {
    return (x >> 12) * m + (((x & 4095) * m + ((x >> 31) & 4095)) >> 12);
}

/* Integer leaky integrate-and-fire, with the loads and stores that its state needs and none of the counters. */
void update(
    int32_t *restrict u, int32_t *restrict v, uint8_t *restrict left, const uint16_t *restrict u_retain,
    const uint16_t *restrict v_retain, const int32_t *restrict bias, const int32_t *restrict threshold,
    const uint8_t *restrict refractory, int32_t *restrict input, uint8_t *restrict fired, int64_t n
) {
    for (int64_t i = 0; i < n; i++) {
        int32_t now = (int32_t)((uint32_t)(retained(u[i], u_retain[i]) + input[i]) << 8) >> 8;
        int32_t volt = retained(v[i], v_retain[i]) + now + bias[i], wait = left[i];
        input[i] = 0;
        u[i] = now;
        volt = volt < -8388607 ? -8388607 : volt;
        volt = volt > 8388607 ? 8388607 : volt;
        volt &= -(int32_t)(wait == 0);
        int32_t spike = -(int32_t)(volt > threshold[i]);
        v[i] = volt & ~spike;
        fired[i] = (uint8_t)(spike & 1);
        wait = (refractory[i] & spike) | (wait & ~spike);
        left[i] = (uint8_t)(wait - (wait != 0));
    }
}

typedef struct { uint32_t start, pre; int32_t first; uint16_t length; uint8_t x1, fired; } visit_t;

static inline uint32_t keyed(uint32_t x, uint32_t k0, uint32_t k1) {
    x += k0;
    x ^= x >> 17; x *= 0xed5ad4bbu;
    x ^= x >> 11; x += k1; x *= 0xac4c1b51u;
    x ^= x >> 15; x *= 0x31848babu;
    return x ^ (x >> 14);
}

static inline int32_t between(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : x;
}

/* 2^-2*x1*y0 - 2^-2*y1*x0 with epochs of one step, weights -256 to 255, in the accumulator's 16 bits. */
static inline uint32_t learned(uint32_t word, int32_t x1, int32_t y0, int32_t y1, int32_t x0, uint32_t random) {
    int32_t a = ((int32_t)word >> 23) * 128;
    a = between(a + ((x1 & -y0) << 5), -32769, 32767);
    a = between(a - ((y1 & -x0) << 5), -32769, 32767);
    a = (a >> 7) + ((int32_t)(random >> 25) < (a & 127));
    return (word & 0x007FFFFFu) | (uint32_t)between(a, -256, 255) << 23;
}

/* Visit targets that are anywhere: look their values up, then work on whole vectors. */
static void visit(
    uint32_t *restrict word, int n, int32_t first, const uint8_t *restrict y0, const uint8_t *restrict y1,
    int32_t x1, int32_t x0, uint32_t k0, uint32_t k1, int is_random
) {
    int32_t id[CHUNK], own0[CHUNK], own1[CHUNK];
    uint32_t now[CHUNK];
    n = n < CHUNK ? n : CHUNK;
    for (int k = 0; k < n; k++) {
        int32_t i = first + (int32_t)(word[k] & 0xFFFF);
        id[k] = i;
        own0[k] = y0[i];
        own1[k] = y1[i];
    }
    for (int k = 0; k < WHOLE(n); k++)
        now[k] = learned(word[k], x1, own0[k], own1[k], x0, is_random ? keyed(id[k], k0, k1) : ~0u);
    memcpy(word, now, n * sizeof *word);
}

/* Visit rows; `consecutive`: the targets of a row are consecutive neurons. Rounds down without `key`. */
int64_t learn(
    const visit_t *rows, int64_t n_rows, uint32_t *restrict packed, const uint8_t *restrict y0,
    const uint8_t *restrict y1, const uint32_t *key, int consecutive
) {
    int64_t n_visits = 0;
    for (int64_t r = 0; r < n_rows; r++) {
        if (r + AHEAD < n_rows) {
            const visit_t *next = rows + r + AHEAD;
            __builtin_prefetch(packed + next->start, 1);
            __builtin_prefetch(packed + next->start + next->length - 1, 1);
        }
        uint32_t *word = packed + rows[r].start;
        int32_t x1 = rows[r].x1, x0 = rows[r].fired, n = rows[r].length;
        uint32_t k0 = key ? keyed(rows[r].pre, key[0], key[1]) : 0, k1 = key ? keyed(rows[r].pre, key[2], key[3]) : 0;
        n_visits += n;
        if (consecutive) {
            int32_t first = rows[r].first + (int32_t)(word[0] & 0xFFFF);
            const uint8_t *own0 = y0 + first, *own1 = y1 + first;
            if (key)
                for (int k = 0; k < n; k++)
                    word[k] = learned(word[k], x1, own0[k], own1[k], x0, keyed(first + k, k0, k1));
            else
                for (int k = 0; k < n; k++) word[k] = learned(word[k], x1, own0[k], own1[k], x0, ~0u);
        } else
            for (int k = 0; k < n; k += CHUNK)
                visit(word + k, n - k, rows[r].first, y0, y1, x1, x0, k0, k1, key != 0);
    }
    return n_visits;
}
