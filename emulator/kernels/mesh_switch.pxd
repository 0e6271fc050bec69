"""One cycle of one router: output VCs are allocated, then the switch, on the state at its start; then flits move.

Oracle: tests/oracle/router.py. Everything is evaluated before anything changes, as in a router whose stages work side
by side: an output VC that is freed, or a packet that comes to the front, counts from the next cycle.

`wraps` says whether rows and columns are rings. It is a number where these functions are used, and what only rings need
is apart, so that meshes without them have none of its branches.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from emulator.kernels.mesh_state cimport (
    ALWAYS_INLINE_int, ALWAYS_INLINE_void, NEVER_INLINE_int, NEVER_INLINE_void,
    LOWEST, NONE, PORT_SHIFT, REST_SHIFT, SWITCH_TO_TERMINAL, TAIL_SHIFT,
    InVC, Late, Mesh, OutVC, Router, Slot,
    after, bit, next_branch, next_in_turn, next_tile, onward, post_credit, routing_cycles, slot_at, will_cross,
    with_ports,
)
from emulator.kernels.routes cimport LOCAL, N_PORTS

cdef struct Changes:               # what counts from the next cycle
    uint64_t freed                 # output VCs
    uint64_t begun                 # input VCs where a packet came to the front


cdef inline void mark(Mesh *m, uint32_t router) noexcept nogil:
    m.active[router >> 6] |= bit(router & 63)
    m.some_active |= bit(router >> 6)


cdef inline NEVER_INLINE_void want_half(
    const Mesh *m, Router *R, uint32_t router, uint32_t port, uint32_t i
) noexcept nogil:
    """Let input VC i wait for an output VC of a port on a ring: of one half of them."""
    cdef uint64_t mask = m.lower_mask
    if will_cross(m, router, m.flits[(router * m.n_in + i) * m.ring + R.vcs[i].ins.head], port):
        R.lower |= bit(i)
    else:
        mask ^= m.vc_mask
        R.lower &= ~bit(i)
    R.wanted |= mask << port * m.n_vcs


cdef inline ALWAYS_INLINE_void want(
    const Mesh *m, Router *R, uint32_t router, uint32_t port, uint32_t i, bint wraps
) noexcept nogil:
    """Let input VC i wait for an output VC of a port."""
    R.waiting[port] |= bit(i)
    if wraps and port != LOCAL:
        want_half(m, R, router, port, i)
    else:
        R.wanted |= m.vc_mask << port * m.n_vcs


cdef inline ALWAYS_INLINE_void want_no_more(
    const Mesh *m, Router *R, uint32_t port, uint32_t i, bint wraps
) noexcept nogil:
    """Let input VC i, which has an output VC now, wait no longer."""
    cdef uint64_t left = R.waiting[port] & ~bit(i)
    R.waiting[port] = left
    if left == 0:
        R.wanted &= ~(m.vc_mask << port * m.n_vcs)
    elif wraps and port != LOCAL:
        if left & R.lower == 0:
            R.wanted &= ~(m.lower_mask << port * m.n_vcs)
        if left & ~R.lower == 0:
            R.wanted &= ~((m.vc_mask ^ m.lower_mask) << port * m.n_vcs)


cdef inline ALWAYS_INLINE_void begin(
    Mesh *m, Router *R, uint32_t router, uint32_t i, int64_t cycle, bint wraps
) noexcept nogil:
    """Start the packet at the front of input VC i in `cycle`, after its route where that takes a cycle."""
    cdef uint64_t flit = m.flits[(router * m.n_in + i) * m.ring + R.vcs[i].ins.head]
    cdef uint32_t port = (flit >> PORT_SHIFT) & 7
    cdef Slot *slot
    R.vcs[i].ins.busy = 1
    if m.routing_delay == 0:
        want(m, R, router, port, i, wraps)
        return
    slot = slot_at(m, cycle + 1)
    slot.routed[slot.n_routed] = router << 9 | port << 6 | i
    slot.n_routed += 1
    m.n_posted += 1


cdef inline void hand_over(Mesh *m, uint32_t router, uint32_t out, uint64_t flit) noexcept nogil:
    """Give a flit to the terminal of the tile, which returns the credit when it takes the flit."""
    cdef int64_t there = m.now + SWITCH_TO_TERMINAL, taken = there, usable
    cdef uint32_t delivery = <uint32_t> flit
    cdef bint tail = (flit >> TAIL_SHIFT) & 1
    if m.first_delivery != NULL:
        delivery = m.first_delivery[delivery]
    if m.branches != NULL:
        delivery += m.branches[next_branch(m, flit, LOCAL)].first
    if tail:
        m.arrive[delivery] = there
        m.n_left -= 1
    if <int64_t> router == m.blocked_tile:
        return
    if m.take != NULL:
        taken = m.take(m.context, delivery, router, m.vc_of[out], tail, there)
    usable = taken + 2 + m.credit_delay
    if usable - m.now <= m.wheel_mask:
        post_credit(m, usable, router, out)
    else:
        post_late(m, usable, router << 6 | out)


cdef inline void post_late(Mesh *m, int64_t cycle, uint32_t credit) noexcept nogil:
    """Put a credit beyond the wheel into the heap. It has room for all: there are only so many credits."""
    cdef int64_t i = m.n_late, above
    m.n_late += 1
    while i:
        above = (i - 1) >> 1
        if m.late[above].cycle <= cycle:
            break
        m.late[i] = m.late[above]
        i = above
    m.late[i] = Late(cycle, credit)


cdef inline ALWAYS_INLINE_void move(
    Mesh *m, Router *R, uint32_t n_vcs, uint32_t router, uint32_t i, uint32_t in_port, uint32_t in_vc,
    uint32_t out, uint32_t out_port, uint32_t out_vc, Changes *changes, bint wraps,
) noexcept nogil:
    """Send the flit at the front of input VC i, which won the switch, through output VC out."""
    cdef InVC *vc = &R.vcs[i].ins
    cdef OutVC *way = &R.vcs[out].out
    cdef uint64_t *place = &m.flits[(router * N_PORTS * n_vcs + i) * m.ring + vc.head]
    cdef uint64_t flit = place[0]
    cdef uint32_t next_router, next_in
    cdef bint tail = (flit >> TAIL_SHIFT) & 1
    cdef uint64_t rest = 0
    cdef Slot *slot
    cdef InVC *there
    m.last_move = m.now
    m.n_moves += 1
    m.link_flits[router * N_PORTS + out_port] += 1
    way.used += 1
    if way.used == m.depth:
        R.roomy &= ~bit(out)
    if out_port == LOCAL:
        hand_over(m, router, out, flit)
    else:
        next_router = next_tile(m, router, out_port, wraps)
        next_in = (out_port ^ 1) * n_vcs + out_vc
        there = &m.routers[next_router].vcs[next_in].ins
        m.flits[(next_router * N_PORTS * n_vcs + next_in) * m.ring + there.tail] = flit = onward(m, flit, out_port)
        there.tail = (there.tail + 1) & (m.ring - 1)
        slot = slot_at(m, m.now + 2 + m.latency[out_port] + routing_cycles(m, flit))
        slot.arrivals[slot.n_arrivals] = next_router << 9 | <uint32_t> ((flit >> PORT_SHIFT) & 7) << 6 | next_in
        slot.n_arrivals += 1
        m.n_posted += 1
    if m.branches != NULL:
        rest = place[0] >> REST_SHIFT << 1
    if rest:                       # copies must still leave by other ports: the flit stays
        place[0] = with_ports(place[0], rest)
    else:
        vc.head = (vc.head + 1) & (m.ring - 1)
        vc.visible -= 1
        if in_port == LOCAL:
            slot = slot_at(m, m.now + 2)
            slot.source_credits[slot.n_source_credits] = router << 3 | in_vc
            slot.n_source_credits += 1
            m.n_posted += 1
        else:
            post_credit(
                m, m.now + 1 + m.latency[in_port] + m.credit_delay,
                next_tile(m, router, in_port, wraps), (in_port ^ 1) * n_vcs + in_vc,
            )
    if tail:
        R.ready &= ~bit(out)
        vc.out = NONE
        vc.busy = 0
        vc.left_at = <uint32_t> m.now
        if m.wait_for_tail_credit:
            way.tail_sent = 1
        else:
            changes.freed |= bit(out)
        if vc.visible:
            changes.begun |= bit(i)
    elif vc.visible == 0:
        R.ready &= ~bit(out)


cdef inline ALWAYS_INLINE_void own(
    Mesh *m, Router *R, uint32_t i, uint32_t out, uint32_t out_port, bint wraps
) noexcept nogil:
    """Give output VC out to input VC i, whose head is at the front."""
    R.vcs[out].out.owner = i
    R.vcs[i].ins.out = out
    R.free &= ~bit(out)
    R.ready |= bit(out)
    want_no_more(m, R, out_port, i, wraps)


cdef inline ALWAYS_INLINE_int finish(
    Mesh *m, Router *R, uint32_t router, Changes *changes, bint wraps
) noexcept nogil:
    """Apply what counts from the next cycle; return whether the router has something to do in it."""
    cdef uint64_t begun = changes.begun
    R.free |= changes.freed
    while begun:
        begin(m, R, router, LOWEST(begun), m.now + 1, wraps)
        begun &= begun - 1
    return (R.ready & R.roomy | R.wanted & R.free) != 0


cdef inline ALWAYS_INLINE_int step_single(Mesh *m, uint32_t router) noexcept nogil:
    """One cycle of a router with one VC: an input asks for one output only, so an output decides alone."""
    cdef Router *R = &m.routers[router]
    cdef uint64_t owned = R.ready & R.roomy
    cdef uint64_t open = R.wanted & R.free
    cdef uint64_t busy = owned | open
    cdef uint64_t waiting
    cdef Changes changes
    cdef uint32_t port, i, winner
    changes.freed = 0
    changes.begun = 0
    while busy:
        port = LOWEST(busy)
        busy &= busy - 1
        if owned & bit(port):
            i = R.vcs[port].out.owner
            R.out_turn[port] = after(i, N_PORTS)
            move(m, R, 1, router, i, i, 0, port, port, 0, &changes, False)
            continue
        waiting = R.waiting[port]
        i = next_in_turn(waiting, R.vcs[port].out.turn)
        R.vcs[port].out.turn = after(i, N_PORTS)
        own(m, R, i, port, port, False)
        if m.speculative and R.roomy & bit(port):
            winner = next_in_turn(waiting, R.out_turn[port])
            R.out_turn[port] = after(winner, N_PORTS)
            if winner == i:
                move(m, R, 1, router, i, i, 0, port, port, 0, &changes, False)
    return finish(m, R, router, &changes, False)


cdef inline uint64_t allocate_islip(
    Mesh *m, Router *R, uint32_t port, uint64_t waiting, uint64_t open, uint8_t *granted
) noexcept nogil:
    """Match input VCs that wait with free output VCs: outputs offer, inputs accept. Return the inputs."""
    cdef uint32_t base = port * m.n_vcs, i, out, k
    cdef uint64_t left, offered, matched = 0
    cdef uint8_t offers[40]
    for k in range(m.iterations):
        if waiting == 0 or open == 0:
            break
        offered = 0
        left = open
        while left:
            out = LOWEST(left)
            left &= left - 1
            i = next_in_turn(waiting, R.vcs[out].out.turn)
            if not offered & bit(i):
                offered |= bit(i)
                offers[i] = 0
            offers[i] |= 1 << (out - base)
        while offered:
            i = LOWEST(offered)
            offered &= offered - 1
            out = next_in_turn(<uint64_t> offers[i] << base, R.vcs[i].ins.turn)
            granted[i] = out
            matched |= bit(i)
            waiting &= ~bit(i)
            open &= ~bit(out)
            if k == 0:
                R.vcs[out].out.turn = after(i, m.n_in)
                R.vcs[i].ins.turn = after(out, m.n_in)
    return matched


cdef inline uint64_t allocate_input_first(
    Mesh *m, Router *R, uint64_t waiting, uint64_t open, uint8_t *granted
) noexcept nogil:
    """Match input VCs that wait with free output VCs: inputs choose, outputs choose among them. Return the inputs."""
    cdef uint32_t i, out, k
    cdef uint64_t left, chosen, matched = 0
    cdef uint64_t choosers[40]
    for k in range(m.iterations):
        if waiting == 0 or open == 0:
            break
        chosen = 0
        left = waiting
        while left:
            i = LOWEST(left)
            left &= left - 1
            out = next_in_turn(open, R.vcs[i].ins.turn)
            if not chosen & bit(out):
                chosen |= bit(out)
                choosers[out] = 0
            choosers[out] |= bit(i)
        while chosen:
            out = LOWEST(chosen)
            chosen &= chosen - 1
            i = next_in_turn(choosers[out], R.vcs[out].out.turn)
            granted[i] = out
            matched |= bit(i)
            waiting &= ~bit(i)
            open &= ~bit(out)
            if k == 0:
                R.vcs[out].out.turn = after(i, m.n_in)
                R.vcs[i].ins.turn = after(out, m.n_in)
    return matched


cdef struct Requests:              # of the inputs for the switch, by input port
    uint32_t firm[N_PORTS]         # outputs that a VC with an output VC asks for
    uint32_t any[N_PORTS]          # those, and the ones that are only hoped for
    uint8_t vcs[N_PORTS][N_PORTS]  # which VCs ask: the firm ones if there are any


cdef inline void ask(const Mesh *m, Requests *requests, uint32_t i, uint32_t port) noexcept nogil:
    """Note a firm request. All of them are noted before the speculative ones."""
    cdef uint32_t p = m.port_of[i]
    if not requests.firm[p] & (1 << port):
        requests.firm[p] |= 1 << port
        requests.any[p] |= 1 << port
        requests.vcs[p][port] = 0
    requests.vcs[p][port] |= 1 << m.vc_of[i]


cdef inline void hope(const Mesh *m, Requests *requests, uint64_t waiting, uint32_t port) noexcept nogil:
    """Note the requests of input VCs that may get an output VC in this cycle."""
    cdef uint32_t i, p
    while waiting:
        i = LOWEST(waiting)
        waiting &= waiting - 1
        p = m.port_of[i]
        if requests.firm[p] & (1 << port):
            continue               # a firm request of this input for this output goes first
        if not requests.any[p] & (1 << port):
            requests.any[p] |= 1 << port
            requests.vcs[p][port] = 0
        requests.vcs[p][port] |= 1 << m.vc_of[i]


cdef inline void switch_islip(Mesh *m, Router *R, const Requests *requests, uint8_t *output) noexcept nogil:
    """Match inputs with outputs, whatever the priority: outputs offer, inputs accept."""
    cdef uint32_t p, port, k, offered, unmatched = (1 << N_PORTS) - 1, unused = (1 << N_PORTS) - 1, asking
    cdef uint32_t offers[N_PORTS]
    for k in range(m.iterations):
        offered = 0
        for port in range(N_PORTS):
            if not unused & (1 << port):
                continue
            asking = 0
            for p in range(N_PORTS):
                asking |= (requests.any[p] >> port & 1) << p
            asking &= unmatched
            if asking == 0:
                continue
            p = next_in_turn(asking, R.out_turn[port])
            if not offered & (1 << p):
                offered |= 1 << p
                offers[p] = 0
            offers[p] |= 1 << port
        if offered == 0:
            return
        while offered:
            p = LOWEST(offered)
            offered &= offered - 1
            port = next_in_turn(offers[p], R.in_turn[p])
            output[p] = port
            unmatched &= ~(1 << p)
            unused &= ~(1 << port)
            if k == 0:
                R.out_turn[port] = after(p, N_PORTS)
                R.in_turn[p] = after(port, N_PORTS)


cdef inline void switch_input_first(Mesh *m, Router *R, const Requests *requests, uint8_t *output) noexcept nogil:
    """Match inputs with outputs, firm requests first: inputs choose, outputs choose among them."""
    cdef uint32_t p, port, k, asked, wishes, chosen, unmatched = (1 << N_PORTS) - 1, unused = (1 << N_PORTS) - 1
    cdef uint32_t firm[N_PORTS]
    cdef uint32_t any[N_PORTS]
    for k in range(m.iterations):
        chosen = 0
        for p in range(N_PORTS):
            asked = requests.any[p] & unused
            if asked == 0 or not unmatched & (1 << p):
                continue
            wishes = requests.firm[p] & unused
            port = next_in_turn(wishes if wishes else asked, R.in_turn[p])
            if not chosen & (1 << port):
                chosen |= 1 << port
                firm[port] = 0
                any[port] = 0
            any[port] |= 1 << p
            if wishes:
                firm[port] |= 1 << p
        if chosen == 0:
            return
        while chosen:
            port = LOWEST(chosen)
            chosen &= chosen - 1
            p = next_in_turn(firm[port] if firm[port] else any[port], R.out_turn[port])
            output[p] = port
            unmatched &= ~(1 << p)
            unused &= ~(1 << port)
            if k == 0:
                R.out_turn[port] = after(p, N_PORTS)
                R.in_turn[p] = after(port, N_PORTS)


cdef inline void win(Router *R, uint32_t n_vcs, uint32_t p, uint32_t port, uint32_t vc) noexcept nogil:
    """Move the turns of the switch when a VC of an input wins an output without a rival."""
    R.out_turn[port] = after(p, N_PORTS)
    R.in_turn[p] = after(port, N_PORTS)
    R.vc_turn[p] = after(vc, n_vcs)


cdef inline ALWAYS_INLINE_int step_alone(
    Mesh *m, Router *R, uint32_t router, uint64_t owned, uint64_t open, bint wraps
) noexcept nogil:
    """One cycle of a router with one candidate: the owner of one output VC, or one input VC that waits for one."""
    cdef uint32_t out = LOWEST(owned if owned else open), port = m.port_of[out], i, p
    cdef Changes changes
    changes.freed = 0
    changes.begun = 0
    if owned:
        i = R.vcs[out].out.owner
    else:
        i = LOWEST(R.waiting[port])
        out = next_in_turn(open, R.vcs[i].ins.turn)
        R.vcs[out].out.turn = after(i, m.n_in)
        R.vcs[i].ins.turn = after(out, m.n_in)
        own(m, R, i, out, port, wraps)
    p = m.port_of[i]
    if owned or m.speculative and open & R.roomy:
        win(R, m.n_vcs, p, port, i - p * m.n_vcs)
        if R.roomy & bit(out):
            move(m, R, m.n_vcs, router, i, p, i - p * m.n_vcs, out, port, out - port * m.n_vcs, &changes, wraps)
    return finish(m, R, router, &changes, wraps)


cdef inline uint64_t allocate(
    Mesh *m, Router *R, Requests *requests, uint32_t port, uint64_t waiting, uint64_t free, uint8_t *granted
) noexcept nogil:
    """Match input VCs that wait for a port with free output VCs of it; note what they hope for. Return the inputs."""
    if m.speculative and free & R.roomy:
        hope(m, requests, waiting, port)
    if m.input_first:
        return allocate_input_first(m, R, waiting, free, granted)
    return allocate_islip(m, R, port, waiting, free, granted)


cdef inline ALWAYS_INLINE_int step_general(Mesh *m, uint32_t router, bint wraps) noexcept nogil:
    """One cycle of a router with several VCs."""
    cdef Router *R = &m.routers[router]
    cdef uint64_t left = R.ready & R.roomy, open = R.wanted & R.free, free, lower, allocated = 0
    cdef uint32_t port, p, i, out, vc
    cdef uint8_t granted[40]
    cdef uint8_t output[N_PORTS]
    cdef Requests requests
    cdef Changes changes
    if open == 0:
        if left & (left - 1) == 0 and left:
            return step_alone(m, R, router, left, 0, wraps)
    elif left == 0:
        port = m.port_of[LOWEST(open)]
        if open & ~(m.vc_mask << port * m.n_vcs) == 0 and R.waiting[port] & (R.waiting[port] - 1) == 0:
            return step_alone(m, R, router, 0, open, wraps)
    changes.freed = 0
    changes.begun = 0
    for p in range(N_PORTS):
        requests.firm[p] = 0
        requests.any[p] = 0
        output[p] = NONE
    while left:
        out = LOWEST(left)
        left &= left - 1
        ask(m, &requests, R.vcs[out].out.owner, m.port_of[out])
    while open:
        port = m.port_of[LOWEST(open)]
        free = open & (m.vc_mask << port * m.n_vcs)
        open &= ~free
        if wraps and port != LOCAL:  # two classes that do not know each other
            lower = free & m.lower_mask << port * m.n_vcs
            allocated |= allocate(m, R, &requests, port, R.waiting[port] & R.lower, lower, granted)
            allocated |= allocate(m, R, &requests, port, R.waiting[port] & ~R.lower, free ^ lower, granted)
        else:
            allocated |= allocate(m, R, &requests, port, R.waiting[port], free, granted)
    if m.input_first:
        switch_input_first(m, R, &requests, output)
    else:
        switch_islip(m, R, &requests, output)
    left = allocated
    while left:
        i = LOWEST(left)
        left &= left - 1
        own(m, R, i, granted[i], m.port_of[granted[i]], wraps)
    for p in range(N_PORTS):
        port = output[p]
        if port == NONE:
            continue
        vc = next_in_turn(requests.vcs[p][port], R.vc_turn[p])
        R.vc_turn[p] = after(vc, m.n_vcs)
        i = p * m.n_vcs + vc
        if not requests.firm[p] & (1 << port):
            if not (allocated & bit(i) and R.roomy & bit(granted[i])):
                continue           # the switch was won, an output VC with a credit was not
        out = R.vcs[i].ins.out
        move(m, R, m.n_vcs, router, i, p, vc, out, port, out - port * m.n_vcs, &changes, wraps)
    return finish(m, R, router, &changes, wraps)


cdef inline NEVER_INLINE_int step_ring(Mesh *m, uint32_t router) noexcept nogil:
    """One cycle of a router whose rows and columns are rings."""
    return step_general(m, router, True)
