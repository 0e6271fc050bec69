"""What the cycles of a step are worked out from: cores as servers, and the packets and deliveries of one step."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from emulator.kernels.mesh_state cimport Mesh

cdef struct Entry:                 # what a source sends to one core
    int32_t core
    int32_t service                # cycles of look-up, words and events there

cdef enum:
    AHEAD = 8                      # spikes between fetching where entries begin, fetching them, and their use
    ENTRIES_OF_LINE = 8

cdef extern from *:
    """
    #define prefetch(place) __builtin_prefetch(place)
    """
    void prefetch(const void *place) nogil


cdef inline void fetch_ahead(const int64_t *entry_start, const Entry *entries, const uint32_t *spike) noexcept nogil:
    """Bring where the entries of a later spike begin into the cache, and the entries of a nearer one."""
    cdef const Entry *near = entries + entry_start[spike[AHEAD]]
    prefetch(entry_start + spike[2 * AHEAD])
    prefetch(near)
    prefetch(near + ENTRIES_OF_LINE - 1)


cdef struct Costs:                 # cycles, but for the last
    int64_t spike
    int64_t axon_out
    int64_t host                   # of a packet at its port
    int64_t within_tile            # from the router to the core
    int64_t barrier
    int64_t queue                  # packets that wait at a core or are being served

cdef struct Packet:
    int64_t made                   # cycle in which its compartment was done
    int64_t ready                  # cycle in which it can enter the mesh
    int32_t core                   # that made it, -1 for the host
    int32_t tile                   # where it enters
    int32_t target                 # tile, without trees
    uint32_t root                  # branch, with trees
    uint32_t delivery              # its first
    int32_t flits                  # 0: as many as every packet has

cdef struct Delivery:
    uint32_t packet
    int64_t entry                  # the first of the cores that take it
    int64_t stop_entry

cdef struct Core:                  # of one step
    int64_t loop_end               # of its neuron loop
    int64_t axon_free              # when its axon server is
    int64_t receive_free           # when its receive path is
    int64_t n_received
    int64_t last_sent              # cycle in which its last packet entered the mesh
    int64_t last_taken
    uint32_t chain                 # delivery that began the receive path's current work

cdef struct Pipe:
    Costs costs
    Mesh *mesh
    int32_t n_cores
    int32_t cores_per_tile
    const Entry *entries
    Core *cores
    int64_t *finished              # (core, queue place): when a packet left the queue
    int64_t *vc_taken              # (tile, 8)
    int64_t *port_free             # (tile,): when a host port is
    int32_t flits                  # of the packets that are being made
    int64_t n_packets
    int64_t n_deliveries
    int64_t room_packets
    int64_t room_deliveries
    Packet *packets
    Delivery *deliveries
    int64_t *taken                 # by delivery
    int64_t *arrive                # by delivery
    uint32_t *order                # by rank in time; behind it the same again, for every other pass of the sort
    uint32_t *rank                 # of each packet
    int64_t *cycle                 # by rank from here on
    int32_t *source
    int32_t *target
    uint32_t *root
    uint32_t *first_delivery
    uint32_t *queue
    int32_t *size                  # flits; NULL while all packets have the same
    int64_t *inject
    int64_t *busy                  # (3, core): neuron loop, axon out, receive
    int64_t *waited                # (2, core): with a packet that could not enter, with one that was not taken
    int64_t *latency               # histogram
    int64_t n_blocked              # deliveries of this step that were not taken at once
