; Leaky integrate-and-fire with an adaptive threshold: it rises with each spike and decays.
;
;   v = v * v_retain / 4096 + input + bias
;   a = a * a_retain / 4096
;   v > threshold + a: a spike, v = v - threshold, a = a + a_step
;
; Source: Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of spiking neurons" (LSNN).
; Fixed point: v, a and the threshold in units of the input; v_retain = 4096 * exp(-dt / tau_m),
; a_retain = 4096 * exp(-dt / tau_a), a_step = beta * threshold. Products are rounded toward zero.

.state  v          s32
.state  a          s32
.param  v_retain   0..4096 = 4096
.param  a_retain   0..4096 = 4096
.param  a_step     s30 = 0
.param  threshold  u30
.param  bias       s24 = 0

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     v
    MUL_SHR r1, v, v_retain, 12
    ADD     v, r1, r0
    RMW     a
    MUL_SHR a, a, a_retain, 12
    ADD     r2, a, threshold
    GE      r2, v
    JMP_C   end
    NEG     r0, threshold
    ADD     v, v, r0
    ADD     a, a, a_step
    SPIKE
end:
