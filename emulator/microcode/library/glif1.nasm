; GLIF1, leaky integrate-and-fire, of the generalized leaky integrate-and-fire neurons of the Allen Institute.
;
;   v = v * v_retain / 4096 + input + bias
;   v > threshold: a spike,
;       v = v_reset
;
; Source: Teeter et al. 2018, Nature Communications 9:709, level 1. v counts from the resting potential.
; Fixed point: all in units of the input (weights contain dt / C), factors 4096 * exp(-dt * rate); products are rounded
; toward zero. While refractory, v is held. Spikes reset in the step in which they are emitted,
; and v rests for `refractory` steps after it.

.state  v           s32
.state  left        u8 clip
.param  v_retain    0..4096 = 4096
.param  bias        s24 = 0
.param  threshold   s30
.param  refractory  u8 = 0
.param  v_reset     s30 = 0

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     v
    RMW     left
    MUL_SHR r1, v, v_retain, 12
    ADD     r1, r1, r0
    EQ      left, 0
    SEL     v, r1, v
    SEL     r1, v, threshold
    ADD     left, left, -1
    GE      threshold, r1
    JMP_C   end
    MOV     v, v_reset
    MOV     left, refractory
    SPIKE
end:
