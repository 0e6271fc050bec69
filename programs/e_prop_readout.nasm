; Leaky readout that learns: it compares itself with a target and broadcasts its error in each step.
;
;   input = current + 65536 * target     spikes make the low 16 bits, signed; the target comes as a payload above them
;   y = y * keep / 4096 + current
;   error = y - target, of 11 bits;      a graded spike with payload 8 * error
;   plus - minus = error * gain / 65536, in its positive and its negative part
;
; Source: Bellec et al. 2020, Nature Communications 11:3625, Methods: readout, learning signal. Fixed point: y in units of
; a weight. A payload times an even weight w at exponent 7 is error * w / 2 * 2**17: it ends above the low 16 bits.

.state  y          s32
.state  error      -1023..1023 clip
.state  plus       u7   clip
.state  minus      u7   clip
.param  keep       0..4096 = 3968
.param  gain       u16 = 0
.payload -8184..8184

    RDC     r0, input
    SHL     r1, r0, 16
    SHL     r1, r1, -16         ; current
    NEG     r2, r1
    ADD     r2, r0, r2
    SHL     r2, r2, -16
    NEG     r2, r2              ; minus the target
    RMW     y
    MUL_SHR y, y, keep, 12
    ADD     y, y, r1
    RMW     error
    ADD     error, y, r2
    MUL_SHR r3, error, gain, 16
    RMW     plus
    MOV     plus, r3
    RMW     minus
    NEG     minus, r3
    SHL     r3, error, 3
    SPIKE   r3
