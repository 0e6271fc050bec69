"""The text of a small valid chip file, which tests of bad ones change in one place."""

BASE = """\
format: 1
name: base
description: a chip for tests
source: "assumed: for tests"
clock: {mhz: 1000.0, source: "assumed: for tests"}
mesh:
  width: 2
  height: 2
  cores_per_tile: 2
  flit_bits: 32
  header_bits: 32
  virtual_channels: 1
  buffer_flits: 4
  routing_delay_cycles: 0
  speculative: true
  allocator: islip
  wait_for_tail_credit: false
  credit_delay_cycles: 0
  link_latency_cycles:
    east_west: 1
    north_south: 2
  source: "assumed: for tests"
core:
  neurons: 16
  synapse_memory_bits: 4096
  axons_in: 32
  axons_out: null
  accumulator_entries: 128
  models: [lif]
  source: "assumed: for tests"
synapses:
  word_bits: 32
  block_synapses: 8
  block_header_bits: 10
  weight_bits: [4, 8]
  index_bits: [4]
  formats: [sparse]
  max_delay_steps: 6
  source: "assumed: for tests"
arithmetic:
  v_limits: {minimum: -100, maximum: 100}
  source: "assumed: for tests"
costs:
  neuron_idle: {energy_pj: 1.0, time_ns: 1.0, source: "assumed: for tests"}
  neuron_active: &same {energy_pj: 2.0, time_ns: 2.0, source: "assumed: for tests"}
  neuron_spike: *same
  axon_out: *same
  packet: *same
  hop_ew: *same
  hop_ns: *same
  host: *same
  axon_in: *same
  synapse_word: *same
  synaptic_event: *same
  barrier: *same
  instruction: *same
  dendrite_join: *same
  learning_instruction: *same
  management_call: *same
  management_instruction: *same
  management_word: *same
  message: *same
  host_message: *same
barrier: {one_tile_ns: 10.0, all_tiles_ns: 40.0, tiles: 4, source: "assumed: for tests"}
static_power: {mw: 1.0, source: "assumed: for tests"}
host: {ports: [0], source: "assumed: for tests"}
management: {cores: 0, source: "assumed: for tests"}
microcode: {instructions: 64, state_bytes: 256, payload_bits: 32, source: "assumed: for tests"}
learning: {instructions: 32, post_factors: true, accumulator_limits: {minimum: -32769, maximum: 32767}, mixed_weight_limits: {minimum: -256, maximum: 255}, tag_limits: {minimum: -257, maximum: 255}, source: "assumed: for tests"}
"""
