; Leaky integrate-and-fire of a network that learns by e-prop: it supplies what the rules of its synapses read.
;
;   input = current + 65536 * signal     spikes make the low 16 bits, signed; the readout broadcasts into those above
;   v = v * keep / 4096 + current
;   psi = max(0, threshold - |v - threshold|) / 4                       pseudo-derivative
;   plus - minus = signal * gain / 65536 + (rate - rate_goal) * hold / 65536, in its positive and its negative part
;   v > threshold: a spike, v = v - threshold
;   rate = rate * rate_keep / 4096, and 4096 more for a spike           its own firing rate, which it holds
;
; Source: Bellec et al. 2020, Nature Communications 11:3625, Methods: LIF, pseudo-derivative, learning signal, firing rate
; regularisation. Fixed point: v and threshold in units of a weight; at a threshold of 508 psi fills its 7 bits.

.state  v          s32
.state  rate       u24  clip = 31457
.state  psi        u7   clip
.state  plus       u7   clip
.state  minus      u7   clip
.param  keep       0..4096 = 3904
.param  threshold  u24 = 508
.param  gain       u16 = 0
.param  rate_keep  0..4096 = 4088
.param  rate_goal  u24 = 31457
.param  hold       u16 = 0

    RDC     r0, input
    SHL     r1, r0, 16
    SHL     r1, r1, -16         ; current
    NEG     r2, r1
    ADD     r2, r0, r2
    SHL     r2, r2, -16         ; signal
    RMW     v
    MUL_SHR v, v, keep, 12
    ADD     v, v, r1
    NEG     r3, threshold
    ADD     r3, v, r3           ; v - threshold
    NEG     r4, r3
    MIN     r4, r3, r4
    ADD     r4, r4, threshold
    RMW     psi
    SHL     psi, r4, -2
    RMW     rate
    MUL_SHR rate, rate, rate_keep, 12
    NEG     r5, rate_goal
    ADD     r5, rate, r5
    MUL_SHR r5, r5, hold, 16
    MUL_SHR r2, r2, gain, 16
    ADD     r2, r2, r5
    RMW     plus
    MOV     plus, r2
    RMW     minus
    NEG     minus, r2
    GE      threshold, v
    JMP_C   end
    MOV     v, r3
    ADD     rate, rate, 4096
    SPIKE
end:
