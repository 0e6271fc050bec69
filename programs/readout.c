/* The neuron that fired most so far: counted by a management core, told to the host, its threshold raised.
 *
 * programs/readout.py has the network, and the same program in Python.
 */
#include "management.h"

static int32_t counts[N_cells_spikes];

void run(void)
{
    uint32_t best = 0;
    for (uint32_t k = 0; k < N_cells_spikes; k++) {
        counts[k] += cells_spikes[k];
        if (counts[k] > counts[best])
            best = k;
    }
    cells_threshold[best] = 64 * (90 + counts[best] % 16);
    const int32_t answer[WORDS_best] = {(int32_t)best, counts[best]};
    channel_send_best(answer);
}
