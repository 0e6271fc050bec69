"""Every way to get a chip file wrong, with the whole message it earns."""

import pytest

from emulator.chip import load_chip
from emulator.errors import ChipError

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

TOP = "format, name, description, source, clock, mesh, core, microcode, synapses, learning, arithmetic, costs, barrier, static_power, host, management"
MESH = "width, height, cores_per_tile, topology, routing, flit_bits, header_bits, virtual_channels, buffer_flits, routing_delay_cycles, speculative, allocator, allocator_iterations, wait_for_tail_credit, credit_delay_cycles, link_latency_cycles, input_queue_packets, multicast, source"
CORE = "neurons, synapse_memory_bits, axons_in, axons_out, accumulator_entries, models, source"

MISTAKES = {
    "neurons: 16": {
        "neurons: eight": [
            "24:12: core.neurons: 'eight' is not a whole number; allowed: 1 to 65536"
        ],
        "neurons: 0": ["24:12: core.neurons: 0 is out of range; allowed: 1 to 65536"],
        "neurons: 16.0": ["24:12: core.neurons: 16.0 is not a whole number; allowed: 1 to 65536"],
        "neurons: 1e3": ["24:12: core.neurons: '1e3' is text to YAML; write 1000"],
        "neurons: 1.5e0": [
            "24:12: core.neurons: '1.5e0' is not a whole number; allowed: 1 to 65536"
        ],
        "neurons: true": ["24:12: core.neurons: true is not a whole number; allowed: 1 to 65536"],
        "neurons: null": ["24:12: core.neurons: null is not a whole number; allowed: 1 to 65536"],
        "neurons:": ["24:11: core.neurons: there is no value; allowed: 1 to 65536"],
        "neurons: [16]": ["24:12: core.neurons: a list is not a whole number; allowed: 1 to 65536"],
        "neurons: {a: 1}": [
            "24:12: core.neurons: a mapping is not a whole number; allowed: 1 to 65536"
        ],
        'neurons: "16"': ["24:12: core.neurons: '16' in quotes is text; take the quotes away"],
        "neurons: 0x10": [
            "24:12: core.neurons: '0x10' is not a decimal number to every reader of YAML; allowed: 1 to 65536"
        ],
        "neurons: 010": [
            "24:12: core.neurons: '010' is not a decimal number to every reader of YAML; allowed: 1 to 65536"
        ],
        "neurons: 1_6": [
            "24:12: core.neurons: '1_6' is a number to some readers of YAML and text to others; write 16"
        ],
        "neurons: 1:30": [
            "24:12: core.neurons: '1:30' is a number in base 60 to some readers of YAML and text to others; allowed: 1 to 65536"
        ],
        "neurons: " + "9" * 61: [
            "24:12: core.neurons: 999999999999999999999999999999999999999999999999999999999... has more than 40 digits; allowed: 1 to 65536"
        ],
        "neurons: 1000000000000000000000000000000": [
            "24:12: core.neurons: 1000000000000000000000000000000 is out of range; allowed: 1 to 65536"
        ],
        "neuron: 16": ["24:3: core.neuron: unknown key; did you mean 'neurons'?"],
        "neurons: 16\n  neurons: 17": [
            "25:3: core.neurons: repeated key; it is given in line 24 already"
        ],
        "cores: 16": [
            "23:1: core.neurons: missing key; allowed: 1 to 65536",
            "24:3: core.cores: unknown key; did you mean 'management.cores'?",
        ],
        "neurons: 17": [
            "36:15: synapses.index_bits: 4 bits tell 16 neurons apart, but core.neurons is 17; add a width of 5 or more"
        ],
    },
    "  neurons: 16\n": {
        "": ["23:1: core.neurons: missing key; allowed: 1 to 65536"],
    },
    "energy_pj: 1.0": {
        "energy_pj: 1e-12": [
            "44:28: costs.neuron_idle.energy_pj: '1e-12' is text to YAML; write 1.0e-12"
        ],
        "energy_pj: 1e6": [
            "44:28: costs.neuron_idle.energy_pj: '1e6' is text to YAML; write 1.0e+6"
        ],
        "energy_pj: -1.0": [
            "44:28: costs.neuron_idle.energy_pj: -1.0 is out of range; allowed: 0 to 1000000000"
        ],
        "energy_pj: .nan": [
            "44:28: costs.neuron_idle.energy_pj: .nan is not a finite number; allowed: 0 to 1000000000"
        ],
        "energy_pj: .inf": [
            "44:28: costs.neuron_idle.energy_pj: .inf is not a finite number; allowed: 0 to 1000000000"
        ],
        "energy_pj: nan": [
            "44:28: costs.neuron_idle.energy_pj: 'nan' is not a number; allowed: 0 to 1000000000"
        ],
        "energy_pj: 1.0e+999": [
            "44:28: costs.neuron_idle.energy_pj: 1.0e+999 is not a finite number; allowed: 0 to 1000000000"
        ],
        "energy_pj: 2 pJ": [
            "44:28: costs.neuron_idle.energy_pj: '2 pJ' is not a number; allowed: 0 to 1000000000"
        ],
        "energy_pj: true": [
            "44:28: costs.neuron_idle.energy_pj: true is not a number; allowed: 0 to 1000000000"
        ],
        "energy_pj: 1.0e+10": [
            "44:28: costs.neuron_idle.energy_pj: 1.0e+10 is out of range; allowed: 0 to 1000000000"
        ],
    },
    "speculative: true": {
        "speculative: on": [
            "15:16: mesh.speculative: 'on' is a boolean to some readers of YAML and text to others; write true"
        ],
        "speculative: No": [
            "15:16: mesh.speculative: 'No' is a boolean to some readers of YAML and text to others; write false"
        ],
        "speculative: 1": ["15:16: mesh.speculative: 1 is not true or false"],
        "speculative: 'true'": [
            "15:16: mesh.speculative: 'true' in quotes is text; take the quotes away"
        ],
        "speculative: 'yes'": ["15:16: mesh.speculative: 'yes' is not true or false"],
    },
    "width: 2": {
        "width: 0": ["7:10: mesh.width: 0 is out of range; allowed: 1 to 64"],
    },
    "width: 2\n  height: 2\n  cores_per_tile: 2": {
        "width: 64\n  height: 64\n  cores_per_tile: 64": [
            "7:10: mesh.width: 64 x 64 tiles of 64 cores are 262144 cores; allowed: 1 to 65535"
        ],
    },
    "width: 2\n  height: 2": {
        "width: 65536\n  height: 32768": [
            "7:10: mesh.width: 65536 is out of range; allowed: 1 to 64",
            "8:11: mesh.height: 32768 is out of range; allowed: 1 to 64",
        ],
    },
    "allocator: islip": {
        "allocator: islop": [
            "16:14: mesh.allocator: 'islop' is not one of the choices; allowed: islip, separable_input_first (did you mean 'islip'?)"
        ],
        "allocator: 3": [
            "16:14: mesh.allocator: 3 is not one of the choices; allowed: islip, separable_input_first"
        ],
        "allocator: no": [
            "16:14: mesh.allocator: 'no' is a boolean to some readers of YAML and text to others; allowed: islip, separable_input_first"
        ],
    },
    "ports: [0]": {
        "ports: [4]": ["66:15: host.ports: 4 is off the mesh; allowed: 0 to 3"],
        "ports: []": ["66:15: host.ports: the list is empty; allowed: one or more of: 0 to 4095"],
        "ports: [0, 0]": ["66:15: host.ports: 0 is given more than once; write each once"],
        "ports: [0, x, -1]": [
            "66:19: host.ports[1]: 'x' is not a whole number; allowed: 0 to 4095",
            "66:22: host.ports[2]: -1 is out of range; allowed: 0 to 4095",
        ],
        "ports: 0": ["66:15: host.ports: 0 is not a list; allowed: one or more of: 0 to 4095"],
    },
    "format: 1": {
        "format: 2": ["1:9: format: 2 is out of range; allowed: 1"],
        "format: true": ["1:9: format: true is not a whole number; allowed: 1"],
        "format: 1.0": ["1:9: format: 1.0 is not a whole number; allowed: 1"],
        "format: '1'": ["1:9: format: '1' in quotes is text; take the quotes away"],
        "---\nformat: 1\n---\na: 1": [
            "3:1: a second document begins here; a file describes one chip"
        ],
        "'format': 1\nformat: 2": ["2:1: format: repeated key; it is given in line 1 already"],
        "format: 1\na: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]": [
            "2:19: more than 16 levels of nesting"
        ],
        "format: 1\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: 1": [
            f"2:1: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...: unknown key; allowed: {TOP}"
        ],
    },
    "name: base": {
        "name: 12": ["2:7: name: 12 is not text; put it in quotes"],
        "name: on": [
            "2:7: name: 'on' is a boolean to some readers of YAML and text to others; put it in quotes"
        ],
        "name: 'a b'": [
            "2:7: name: 'a b' has other characters; allowed: 1 to 64 letters, digits, '_', '.' and '-'"
        ],
        'name: "a\\e[31m"': [
            "2:7: name: 'a\\x1b[31m' holds the character '\\x1b'; allowed: 1 to 64 letters, digits, '_', '.' and '-'"
        ],
        "name: [a]": [
            "2:7: name: a list is not text; allowed: 1 to 64 letters, digits, '_', '.' and '-'"
        ],
        "name: 1:30": [
            "2:7: name: '1:30' is a number in base 60 to some readers of YAML and text to others; put it in quotes"
        ],
    },
    'source: "assumed: for tests"\nclock': {
        "source: short\nclock": [
            "4:9: source: 'short' is too short; allowed: 8 characters or more"
        ],
        "source: assumed: for tests\nclock": [
            "4:16: this is not YAML: mapping values are not allowed in this context"
        ],
        "clock": ["1:1: source: missing key; allowed: 8 characters or more"],
    },
    "mesh:\n": {
        "mesh: 3\nmush:\n": [
            f"6:7: mesh: 3 is not a mapping of keys; allowed: {MESH}",
            "7:1: mush: unknown key; did you mean 'mesh'?",
        ],
    },
    "core:\n": {
        "mesh:\n": [
            f"1:1: core: missing section; allowed: {CORE}",
            "23:1: mesh: repeated key; it is given in line 6 already",
        ],
    },
    "  width: 2": {
        "\twidth: 2": ["7:1: a tab in the indent; use spaces"],
    },
    "models: [lif]": {
        "models: [lif": [
            "30:9: this is not YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 29)"
        ],
        "models: [lif, izhikevich]": [
            "29:17: core.models[1]: 'izhikevich' is not one of the choices; allowed: lif"
        ],
    },
    "max_delay_steps: 6": {
        "max_delay_steps: 127": [
            "38:20: synapses.max_delay_steps: 127 is out of range; allowed: 0 to 63"
        ],
    },
    "accumulator_entries: 128": {
        "accumulator_entries: 7": [
            "28:24: core.accumulator_entries: 7 is too few for a synapses.max_delay_steps of 6, with which a neuron takes 8 entries; allowed: 8 or more"
        ],
    },
    "all_tiles_ns: 40.0": {
        "all_tiles_ns: 4.0": [
            "64:44: barrier.all_tiles_ns: 4.0 is less than barrier.one_tile_ns; allowed: 10.0 or more"
        ],
    },
    "hop_ns: *same": {
        "hop_ns: *nobody": ["50:11: '*nobody' stands for nothing: there is no '&' with its name"],
        "<<: *same": [
            "43:1: costs.hop_ns: missing section; allowed: energy_pj, time_ns, source",
            "50:3: costs: merge keys are not allowed; write the keys out",
        ],
        "hop_ns: !!python/object:os.system 1": [
            "50:11: the tag 'tag:yaml.org,2002:python/object:os.system' is not allowed; write the value alone",
            "50:11: costs.hop_ns: 1 is not a mapping of keys; allowed: energy_pj, time_ns, source",
        ],
        "hop_ns: &loop {energy_pj: *loop}": ["50:29: '*loop' contains itself"],
        "hop_n: *same": ["50:3: costs.hop_n: unknown key; did you mean 'hop_ns'?"],
    },
    "neuron_active: &same {energy_pj: 2.0": {
        "neuron_active: &same {energy_pj: -2.0": [
            "45:36: costs.neuron_active.energy_pj: -2.0 is out of range; allowed: 0 to 1000000000"
        ],
    },
    "axons_out: null": {
        "axons_out:": [
            "27:13: core.axons_out: there is no value; allowed: 1 to 1099511627776, or null (unlimited)"
        ],
        "axons_out: unlimited": [
            "27:14: core.axons_out: 'unlimited' is not a whole number; allowed: 1 to 1099511627776, or null"
        ],
    },
    "management: {cores: 0": {
        "width: 3\n? [a]\n: 1\nmanagement: {cores: 0": ["68:3: a list cannot be a key"],
    },
}

NOT_EVEN_A_MAPPING = {
    b"": [f"1:1: the file is empty; allowed: {TOP}"],
    b"# only a remark\n": [f"1:1: the file is empty; allowed: {TOP}"],
    b"- 1\n": [f"1:1: a list is not a mapping of keys; allowed: {TOP}"],
    b"text": [f"1:1: 'text' is not a mapping of keys; allowed: {TOP}"],
    b"null": [f"1:1: null is not a mapping of keys; allowed: {TOP}"],
    b"a: \xff": ["1:4: byte 0xff is not UTF-8; save the file as UTF-8"],
    b"ab\ncd: \xc3\xa9\xe9": ["2:6: byte 0xe9 is not UTF-8; save the file as UTF-8"],
    b"\xef\xbb\xbfa: \xff": ["1:4: byte 0xff is not UTF-8; save the file as UTF-8"],
    b"a: \x00": ["1:4: the character '\\x00' is not allowed in YAML"],
    b"\xff\xfea\x00": ["1:1: byte 0xff is not UTF-8; save the file as UTF-8"],
    b"key: [unclosed\n": [
        "2:1: this is not YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 1)"
    ],
    b"a: b: c\n": ["1:5: this is not YAML: mapping values are not allowed in this context"],
    b"a: 'x\n": [
        "2:1: this is not YAML: found unexpected end of stream (while scanning a quoted scalar that begins in line 1)"
    ],
    b"%YAML 3.0\n---\na: 1": ["1:1: this is not YAML: found incompatible YAML document"],
    b"\t- a: 1": ["1:1: a tab in the indent; use spaces"],
    b"a: |\n  x\n y: 2": [
        "3:2: this is not YAML: did not find expected key (while parsing a block mapping that begins in line 1)"
    ],
    b"@a: 1": [
        "1:1: this is not YAML: found character that cannot start any token (while scanning for the next token that begins in line 1)"
    ],
    b"a: {\n\tb: 1\n": [
        "3:1: this is not YAML: did not find expected ',' or '}' (while parsing a flow mapping that begins in line 1)"
    ],
    b'"a\\e": 1': ["1:1: 'a\\x1b' cannot be a key"],
}

OVERRIDES = [
    (
        {"core.neurons": "eight"},
        ["--set core.neurons=eight: 'eight' is not a whole number; allowed: 1 to 65536"],
    ),
    ({"core.neurons": 0}, ["--set core.neurons=0: 0 is out of range; allowed: 1 to 65536"]),
    (
        {"core.neurons": 16.0},
        ["--set core.neurons=16.0: 16.0 is not a whole number; allowed: 1 to 65536"],
    ),
    (
        {"core.neurons": True},
        ["--set core.neurons=true: true is not a whole number; allowed: 1 to 65536"],
    ),
    ({"core.neurons": "1e1"}, ["--set core.neurons=1e1: '1e1' is text to YAML; write 10"]),
    (
        {"core.neurons": None},
        ["--set core.neurons=null: null is not a whole number; allowed: 1 to 65536"],
    ),
    (
        {"core.neurons": [1, 2]},
        ["--set core.neurons=[1, 2]: a list is not a whole number; allowed: 1 to 65536"],
    ),
    (
        {"core.neurons": "'16'"},
        ["--set core.neurons='16': '16' in quotes is text; take the quotes away"],
    ),
    (
        {"core.neurons": 10**5000},
        ["--set core.neurons=...: a number of more than 40 digits; allowed: 1 to 65536"],
    ),
    (
        {"core.neurons": "[1, 2"},
        [
            "--set core.neurons=[1, 2: this is not YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 1)"
        ],
    ),
    (
        {"core.neurons": "&a 16"},
        ["--set core.neurons=&a 16: '&a 16' is not a whole number; allowed: 1 to 65536"],
    ),
    (
        {"core.axons_in": ""},
        [
            "--set core.axons_in=: there is no value; allowed: 1 to 1099511627776, or null (unlimited)"
        ],
    ),
    ({"core.neuron": 1}, ["--set core.neuron=1: unknown key; did you mean 'core.neurons'?"]),
    ({"cores.neurons": 1}, ["--set cores.neurons=1: unknown key; did you mean 'core.neurons'?"]),
    ({"neurons": 3}, ["--set neurons=3: unknown key; did you mean 'core.neurons'?"]),
    ({"mesh.widht": 3}, ["--set mesh.widht=3: unknown key; did you mean 'mesh.width'?"]),
    (
        {"mesh.width.x": 3},
        ["--set mesh.width.x=3: 'mesh.width' holds a whole number, no keys; set it as a whole"],
    ),
    ({"": 3}, [f"--set =3: unknown key; allowed: {TOP}"]),
    ({3: 4}, [f"--set 3=4: unknown key; allowed: {TOP}"]),
    ({"a\n\x1b": 1}, [f"--set a\\n\\x1b=1: unknown key; allowed: {TOP}"]),
    ({"core": 3}, [f"--set core=3: 3 is not a mapping of keys; allowed: {CORE}"]),
    (
        {"mesh.link_latency_cycles": {"east_west": 1}},
        [
            "--set mesh.link_latency_cycles={'east_west': 1}: mesh.link_latency_cycles.north_south: missing key; allowed: 1 to 64"
        ],
    ),
    (
        {"mesh.link_latency_cycles": "{east_west: 1, north_suth: 2}"},
        [
            "--set mesh.link_latency_cycles={east_west: 1, north_suth: 2}: mesh.link_latency_cycles.north_suth: unknown key; did you mean 'north_south'?"
        ],
    ),
    ({"host.ports": "[9]"}, ["--set host.ports=[9]: 9 is off the mesh; allowed: 0 to 3"]),
    (
        {"host.ports": [1, 1]},
        ["--set host.ports=[1, 1]: 1 is given more than once; write each once"],
    ),
    (
        {"host.ports": [0, "a"]},
        ["--set host.ports=[0, 'a']: host.ports[1]: 'a' is not a whole number; allowed: 0 to 4095"],
    ),
    (
        {"host.ports": {1, 2}},
        [
            "--set host.ports={1, 2}: a Python set is no YAML value; allowed: one or more of: 0 to 4095"
        ],
    ),
    (
        {"costs.hop_ns.energy_pj": -3},
        ["--set costs.hop_ns.energy_pj=-3: -3 is out of range; allowed: 0 to 1000000000"],
    ),
    (
        {"costs.hop_ns.energy_pj": float("nan")},
        ["--set costs.hop_ns.energy_pj=nan: nan is not a finite number; allowed: 0 to 1000000000"],
    ),
    (
        {"name": "on"},
        [
            "--set name=on: 'on' is a boolean to some readers of YAML and text to others; put it in quotes"
        ],
    ),
    ({"name": "12"}, ["--set name=12: 12 is not text; put it in quotes"]),
    ({"source": "x: y"}, ["--set source=x: y: 'x: y' is too short; allowed: 8 characters or more"]),
    (
        {"mesh.width": 64, "mesh.height": 64, "mesh.cores_per_tile": 64},
        ["--set mesh.width=64: 64 x 64 tiles of 64 cores are 262144 cores; allowed: 1 to 65535"],
    ),
    (
        {"mesh.topology": "torus", "mesh.virtual_channels": 3},
        [
            "--set mesh.virtual_channels=3: 3 on a torus, where packets that cross an edge have half of them; allowed: 2, 4, 6, 8"
        ],
    ),
    (
        {"mesh.topology": "ring", "mesh.routing": "zigzag"},
        [
            "--set mesh.topology=ring: 'ring' is not one of the choices; allowed: mesh, torus",
            "--set mesh.routing=zigzag: 'zigzag' is not one of the choices; allowed: xy, yx",
        ],
    ),
    (
        {"mesh.width": 0, "mesh.height": "x"},
        [
            "--set mesh.width=0: 0 is out of range; allowed: 1 to 64",
            "--set mesh.height=x: 'x' is not a whole number; allowed: 1 to 64",
        ],
    ),
    (
        {"host.ports": [[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]},
        [
            "--set host.ports=[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]: host.ports[0]: a list is not a whole number; allowed: 0 to 4095"
        ],
    ),
]


def report(path, mistakes):
    """Return the message a list of mistakes in a file makes."""
    return "\n".join(f"{path}:{mistake}" for mistake in mistakes)


@pytest.fixture
def chip_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "chip.yaml"
    path.write_text(BASE)
    return path


def test_the_base_is_right(chip_file):
    assert load_chip(chip_file).name == "base"


@pytest.mark.parametrize(
    ("right", "wrong"), [(right, wrong) for right, group in MISTAKES.items() for wrong in group]
)
def test_a_wrong_value(chip_file, right, wrong):
    assert BASE.count(right) == 1 or right in ("width: 2", 'source: "assumed: for tests"\nclock')
    chip_file.write_text(BASE.replace(right, wrong, 1))
    with pytest.raises(ChipError) as error:
        load_chip("chip.yaml")
    assert str(error.value) == report("chip.yaml", MISTAKES[right][wrong])


@pytest.mark.parametrize("raw", NOT_EVEN_A_MAPPING)
def test_something_else(chip_file, raw):
    chip_file.write_bytes(raw)
    with pytest.raises(ChipError) as error:
        load_chip("chip.yaml")
    assert str(error.value) == report("chip.yaml", NOT_EVEN_A_MAPPING[raw])


@pytest.mark.parametrize(("values", "mistakes"), OVERRIDES)
def test_a_wrong_override(chip_file, values, mistakes):
    with pytest.raises(ChipError) as error:
        load_chip(chip_file, set=values)
    assert str(error.value) == "\n".join(mistakes)


def test_what_was_changed_beside_the_file_says_so():
    plain = load_chip("tiny")
    chip = load_chip(
        "tiny",
        {
            "costs.hop_ew.energy_pj": 9,
            "mesh.link_latency_cycles.east_west": 3,
            "core.axons_in": None,
        },
    )
    assert plain.label == "tiny"
    assert chip.label == "tiny (changed)"
    old = plain.costs.hop_ew.source
    assert chip.costs.hop_ew.source == f"changed: energy_pj = 9.0; the file's source: {old}"
    assert chip.mesh.source.startswith(
        "changed: link_latency_cycles.east_west = 3; the file's source: "
    )
    assert chip.core.source.startswith("changed: axons_in = None; ")
    assert chip.costs.hop_ns == plain.costs.hop_ns
    assert chip.arithmetic == plain.arithmetic
