"""Where workers meet, and a clock of what a thread worked: others on the machine do not count."""

from libc.stdint cimport int32_t, int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <sched.h>
    #include <time.h>
    static inline int64_t worked_ns(void) {
        struct timespec t;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return t.tv_sec * 1000000000LL + t.tv_nsec;
    }
    typedef struct { int32_t arrived; int32_t generation; } meeting_t;

    /* Spin briefly, then let others run: on a shared machine the other worker may have no core at all. */
    static inline void meet(meeting_t *m, int32_t n_workers) {
        if (n_workers == 1) return;
        int32_t generation = __atomic_load_n(&m->generation, __ATOMIC_ACQUIRE);
        if (__atomic_add_fetch(&m->arrived, 1, __ATOMIC_ACQ_REL) == n_workers) {
            __atomic_store_n(&m->arrived, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&m->generation, generation + 1, __ATOMIC_RELEASE);
            return;
        }
        for (int32_t spins = 0; __atomic_load_n(&m->generation, __ATOMIC_ACQUIRE) == generation; spins++)
            if (spins > 2000) sched_yield();
    }
    """
    ctypedef struct meeting_t:
        int32_t arrived
        int32_t generation
    void meet(meeting_t *meeting, int32_t n_workers) nogil
    int64_t worked_ns() nogil
