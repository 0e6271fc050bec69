"""The state of a mesh of routers, and the smallest operations on it. Specification: DESIGN.md, "The router".

Input VC `port * n_vcs + vc` of a router is fed by its neighbour in direction `port`, output VC `port * n_vcs + vc`
leads there: 0 is +x, 1 is -x, 2 is +y, 3 is -y, 4 the terminal of the tile. Masks have a bit per VC of the router.

A flit is written straight into the buffer of the next router when it wins the switch: credits guarantee the room and
the latency is fixed, so all that is posted is when it becomes visible. Routers therefore never wait for one another
within a cycle, and their order does not matter.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from emulator.kernels.routes cimport LOCAL, N_PORTS, Routes, crosses

cdef enum:
    NONE = 255
    SWITCH_TO_TERMINAL = 3         # cycles from winning the switch to the terminal: traversal, channel of 1, reading
    # A flit: packet (32 bits), the way left (dx + 128, dy + 128) and head, or the branch of a tree (24 bits), tail,
    # output port at the router where it is (3 bits), and of a tree the ports 1 to 4 that copies must still leave by.
    DX_SHIFT = 32
    DY_SHIFT = 40
    HEAD_SHIFT = 55                # without trees; packets that follow trees have one flit
    BRANCH_SHIFT = 32
    TAIL_SHIFT = 56
    PORT_SHIFT = 57
    REST_SHIFT = 60
    CROSSING_SHIFT = 8             # of the ports of a branch
    ALL_PORTS = (1 << N_PORTS) - 1

# 16 bits where 8 would do: a store through uint8_t may alias everything, and every field would be read again.
cdef struct InVC:
    uint16_t head                  # place in the ring of the flit at the front
    uint16_t tail                  # place at which the next flit will be written
    uint16_t visible               # flits that have arrived
    uint16_t out                   # output VC of the packet at the front, NONE while it has none
    uint16_t busy                  # whether the packet at the front has begun (routed, allocated or sending)
    uint16_t turn                  # round robin over output VCs
    uint32_t left_at               # cycle, modulo 2**32, in which the last tail left

cdef struct OutVC:
    uint16_t owner                 # input VC that holds it
    uint16_t used                  # credits in use
    uint16_t turn                  # round robin over input VCs
    uint16_t tail_sent             # with wait_for_tail_credit: free when all credits are back

cdef struct Pair:                  # input and output VC of one number: together, so that few cache lines are touched
    InVC ins
    OutVC out

cdef struct Router:
    uint64_t free                  # output VCs without an owner
    uint64_t roomy                 # output VCs with a credit left
    uint64_t ready                 # output VCs whose owner has a flit at the front
    uint64_t wanted                # all output VCs of ports that input VCs wait for
    uint64_t waiting[N_PORTS]      # input VCs that wait for an output VC of each port
    uint64_t lower                 # on rings: which of them wait for one of the lower half
    uint16_t out_turn[N_PORTS]     # switch: round robin of each output over inputs
    uint16_t in_turn[N_PORTS]      # switch: round robin of each input over outputs
    uint16_t vc_turn[N_PORTS]      # switch: round robin of each input over its VCs
    Pair vcs[40]

cdef struct Source:                # where packets of a tile enter
    int64_t next                   # the packet at the front of the queue, an index into `queue`
    int64_t due                    # one past the last packet that is due
    int32_t left                   # flits left of the packet being sent
    uint8_t vc                     # that it is sent on, or the last one was
    uint8_t in_use                 # mask over VCs
    uint8_t full                   # mask over VCs
    uint8_t tail_sent              # mask over VCs
    uint8_t used[8]

cdef struct Slot:                  # what becomes visible in one cycle
    uint32_t n_credits
    uint32_t n_arrivals
    uint32_t n_routed
    uint32_t n_source_credits
    uint32_t *credits              # router << 6 | output VC
    uint32_t *arrivals             # router << 9 | port << 6 | input VC
    uint32_t *routed               # the same
    uint32_t *source_credits       # tile << 3 | vc

cdef struct Late:                  # an event beyond the wheel
    int64_t cycle
    uint32_t credit

cdef struct Branch:                # a node of a multicast tree
    # Mask of the ports that copies leave by, 0 at a terminal; from CROSSING_SHIFT on, of those through which they have
    # still to cross the edge of a ring.
    uint32_t ports
    uint32_t first                 # branch of the copy to the lowest port, others follow; at a terminal: the delivery

# Says when the terminal takes a flit that is there in `cycle`; never earlier than that.
ctypedef int64_t (*take_t)(
    void *context, uint32_t delivery, uint32_t tile, int vc, bint tail, int64_t cycle
) noexcept nogil

cdef struct Mesh:
    # settings
    Routes routes
    int32_t n_tiles
    int32_t n_vcs
    int32_t n_in                   # 5 * n_vcs
    int32_t depth                  # flits of a buffer
    int32_t ring                   # its size in memory: a power of two
    int32_t routing_delay
    int32_t speculative
    int32_t input_first
    int32_t iterations
    int32_t wait_for_tail_credit
    int32_t credit_delay
    int32_t latency[N_PORTS]       # of the link of each port
    int32_t step[N_PORTS]          # from a tile to its neighbour, where there are no rings
    uint8_t port_by_signs[16]      # of the way that is left; `Routes.first_port`
    uint64_t vc_mask
    uint64_t lower_mask            # the VCs of packets that have still to cross the edge of a ring
    uint8_t port_of[40]
    uint8_t vc_of[40]
    uint64_t way[N_PORTS]          # what a flit's word gains when it leaves by each port
    take_t take                    # NULL: terminals take every flit at once
    void *context
    int32_t blocked_tile           # its terminal never takes anything (fault injection), or -1
    # state
    int64_t now
    int64_t n_posted               # events in the wheel
    int64_t last_move              # cycle in which a flit last won a switch
    int64_t n_moves                # flits that won a switch, and were sent by a source
    uint32_t wheel_mask
    Slot *wheel
    Late *late                     # a heap
    int64_t n_late
    int64_t late_room
    Router *routers
    uint64_t *flits                # (tile, input VC, place in the ring)
    Source *sources
    uint64_t *active               # bit map of routers that have something to do
    uint64_t *sending              # bit map of sources, likewise
    uint64_t *touched              # bit map of routers where flits have been since the last reset
    uint64_t some_active           # which words of `active` may not be 0; 4096 tiles are 64 words
    uint64_t some_sending
    int32_t n_words                # of a bit map
    uint64_t *link_flits           # (tile, port), never cleared
    # packets by number, in the order in which they are due
    const int64_t *cycle
    const int32_t *source
    const int32_t *target
    const int32_t *size            # flits; NULL: all have packet_flits
    int32_t packet_flits
    const uint32_t *root           # of trees: the branch at the source's router; NULL without trees
    const Branch *branches
    const uint32_t *first_delivery  # of each packet; NULL: its own number
    const uint32_t *queue          # packets by source
    int64_t n_packets
    int64_t n_due                  # packets handed to their sources
    int64_t n_left                 # deliveries that have not reached a terminal
    int64_t *inject                # (n_packets,) cycle in which the head was sent
    int64_t *arrive                # (n_deliveries,) cycle in which the tail was at its terminal


cdef extern from *:
    """
    #include <stdint.h>
    #define LOWEST(mask) ((uint32_t)__builtin_ctzll(mask))
    #define ALWAYS_INLINE_void __attribute__((always_inline)) void
    #define ALWAYS_INLINE_int __attribute__((always_inline)) int
    #define NEVER_INLINE_void __attribute__((noinline)) void
    #define NEVER_INLINE_int __attribute__((noinline)) int
    #define COUNT(mask) ((uint32_t)__builtin_popcount(mask))
    /* Round robin: the first set bit at or after `turn`, or the first of all. */
    static inline uint32_t next_in_turn(uint64_t mask, uint32_t turn) {
        uint64_t later = mask & (~0ULL << turn);
        return LOWEST(later ? later : mask);
    }
    """
    ctypedef void ALWAYS_INLINE_void
    ctypedef int ALWAYS_INLINE_int
    ctypedef void NEVER_INLINE_void
    ctypedef int NEVER_INLINE_int
    uint32_t LOWEST(uint64_t mask) nogil
    uint32_t COUNT(uint32_t mask) nogil
    uint32_t next_in_turn(uint64_t mask, uint32_t turn) nogil


cdef inline uint64_t bit(uint32_t n) noexcept nogil:
    return <uint64_t> 1 << n


cdef inline uint32_t after(uint32_t n, uint32_t size) noexcept nogil:
    """Return the turn after n was served."""
    return 0 if n + 1 == size else n + 1


cdef inline Slot *slot_at(Mesh *m, int64_t cycle) noexcept nogil:
    return &m.wheel[cycle & m.wheel_mask]


cdef inline void post_credit(Mesh *m, int64_t cycle, uint32_t router, uint32_t out) noexcept nogil:
    """Give output VC `out` of a router a credit that it can use from `cycle`."""
    cdef Slot *slot = slot_at(m, cycle)
    slot.credits[slot.n_credits] = router << 6 | out
    slot.n_credits += 1
    m.n_posted += 1


cdef inline int32_t dx_of(uint64_t flit) noexcept nogil:
    """Return the signed links along x that a unicast flit has still to go."""
    return <int32_t> ((flit >> DX_SHIFT) & 255) - 128


cdef inline int32_t dy_of(uint64_t flit) noexcept nogil:
    return <int32_t> ((flit >> DY_SHIFT) & 255) - 128


cdef inline uint32_t way_port(const Mesh *m, uint64_t flit) noexcept nogil:
    """Return the port by which a unicast flit leaves a router."""
    cdef uint32_t dx = (flit >> DX_SHIFT) & 255, dy = (flit >> DY_SHIFT) & 255
    return m.port_by_signs[(dx > 128) | (dx < 128) << 1 | (dy > 128) << 2 | (dy < 128) << 3]


cdef inline uint32_t next_tile(const Mesh *m, uint32_t router, uint32_t port, bint wraps) noexcept nogil:
    """Return the tile behind a port."""
    if wraps:
        return m.routes.neighbour[router * (N_PORTS - 1) + port]
    return router + m.step[port]


cdef inline bint will_cross(const Mesh *m, uint32_t router, uint64_t flit, uint32_t port) noexcept nogil:
    """Return whether a flit that leaves by a port has still to cross the edge of the ring that this port is on."""
    if m.branches != NULL:
        return m.branches[(flit >> BRANCH_SHIFT) & 0xFFFFFF].ports >> CROSSING_SHIFT + port & 1
    if port < 2:
        return crosses(m.routes.column[router], dx_of(flit), m.routes.width)
    return crosses(m.routes.row[router], dy_of(flit), m.routes.height)


cdef inline uint64_t with_ports(uint64_t flit, uint32_t ports) noexcept nogil:
    """Return a flit of a tree that must leave by `ports`, the lowest first."""
    cdef uint64_t fields = ~(<uint64_t> 0) >> (64 - PORT_SHIFT)
    flit = flit & fields | <uint64_t> LOWEST(ports) << PORT_SHIFT
    return flit | <uint64_t> ((ports & (ports - 1)) >> 1) << REST_SHIFT


cdef inline uint32_t routing_cycles(const Mesh *m, uint64_t flit) noexcept nogil:
    """Return the cycles that a flit's arrival is posted later: a head is of no use before it is routed."""
    return m.routing_delay and (m.branches != NULL or flit >> HEAD_SHIFT & 1)


cdef inline uint32_t next_branch(const Mesh *m, uint64_t flit, uint32_t port) noexcept nogil:
    """Return the branch to which the copy that leaves by a port leads."""
    cdef const Branch *branch = &m.branches[(flit >> BRANCH_SHIFT) & 0xFFFFFF]
    return branch.first + COUNT(branch.ports & ((1 << port) - 1))


cdef inline uint64_t onward(const Mesh *m, uint64_t flit, uint32_t port) noexcept nogil:
    """Return the flit as it is at the next router, its output port there included."""
    cdef uint64_t keep = ~((<uint64_t> 7) << PORT_SHIFT)
    cdef uint32_t branch
    if m.branches == NULL:
        flit = (flit & keep) + m.way[port]
        return flit | <uint64_t> way_port(m, flit) << PORT_SHIFT
    branch = next_branch(m, flit, port)
    flit = flit & ~(<uint64_t> 0xFFFFFF << BRANCH_SHIFT) | <uint64_t> branch << BRANCH_SHIFT
    return with_ports(flit, m.branches[branch].ports & ALL_PORTS)
