"""Random words by number: Philox for keys, and a keyed hash for the many words of one key."""

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include <stdint.h>
    /* Philox4x32-10 (Salmon et al. 2011), all four words: the same as emulator/streams.py. */
    static inline void philox_words(uint32_t *out, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                                    const uint32_t *key) {
        uint32_t k0 = key[0], k1 = key[1];
        for (int round = 0; round < 10; round++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c1 = (uint32_t)p1; c3 = (uint32_t)p0; c0 = n0; c2 = n2;
            k0 += 0x9E3779B9u; k1 += 0xBB67AE85u;
        }
        out[0] = c0; out[1] = c1; out[2] = c2; out[3] = c3;
    }
    /* Three rounds of multiply and shift between two keys: the same as `keyed` in emulator/streams.py. */
    static inline uint32_t keyed_hash(uint32_t x, uint32_t k0, uint32_t k1) {
        x += k0;
        x ^= x >> 17; x *= 0xed5ad4bbu;
        x ^= x >> 11; x += k1; x *= 0xac4c1b51u;
        x ^= x >> 15; x *= 0x31848babu;
        return x ^ (x >> 14);
    }
    """
    void philox_words(uint32_t *out, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, const uint32_t *key) nogil
    uint32_t keyed_hash(uint32_t x, uint32_t k0, uint32_t k1) nogil
