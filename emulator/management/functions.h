
/* Send a spike of an input neuron, INPUT_name + number, that acts in `step`. */
MANAGEMENT_INLINE void send_spike(uint32_t source, uint32_t step, int32_t payload)
{
    SPIKE_STEP = step;
    SPIKE_PAYLOAD = (uint32_t)payload;
    SPIKE_SEND = source;
}

/* Add to the rewards r0 and r1 of this step, -128 to 127 at a time. */
MANAGEMENT_INLINE void add_reward0(int32_t value) { REWARD0 = (uint32_t)value; }
MANAGEMENT_INLINE void add_reward1(int32_t value) { REWARD1 = (uint32_t)value; }

/* Restore the state with which a population, POPULATION_name, or everything was loaded. */
MANAGEMENT_INLINE void reset(uint32_t population) { RESET = population; }
MANAGEMENT_INLINE void reset_all(void) { RESET = MANAGEMENT_EVERYTHING; }

/* Sleep until a channel has a message (sending 0) or room (sending 1). */
MANAGEMENT_INLINE void management_wait(uint32_t channel, uint32_t sending)
{
    WAIT = 2 * channel + sending;
    __asm__ volatile("int $" MANAGEMENT_INTERRUPT ::: "memory");
}

MANAGEMENT_INLINE void management_receive(uint32_t channel, uint32_t *words, uint32_t n)
{
    while (!MANAGEMENT_CHANNEL(channel, MANAGEMENT_WAITING))
        management_wait(channel, 0);
    for (uint32_t k = 0; k < n; k++)
        words[k] = MANAGEMENT_CHANNEL(channel, MANAGEMENT_DATA + 4 * k);
    MANAGEMENT_CHANNEL(channel, MANAGEMENT_COMMIT) = 0;
}

MANAGEMENT_INLINE void management_send(uint32_t channel, const uint32_t *words, uint32_t n)
{
    while (!MANAGEMENT_CHANNEL(channel, MANAGEMENT_ROOM))
        management_wait(channel, 1);
    for (uint32_t k = 0; k < n; k++)
        MANAGEMENT_CHANNEL(channel, MANAGEMENT_DATA + 4 * k) = words[k];
    MANAGEMENT_CHANNEL(channel, MANAGEMENT_COMMIT) = 1;
}
