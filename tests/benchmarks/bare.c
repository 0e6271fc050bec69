/* The least work that visits the same memory: what the kernels are measured against. Nothing is sorted, counted,
 * recorded or checked here; rows come in the order in which they are visited. */
#include <stdint.h>

typedef struct { uint32_t start; uint16_t length, block; } row_t;
typedef struct { int32_t core, first_compartment, scale; } block_t;
enum { AHEAD = 12, LINE = 16 };

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
