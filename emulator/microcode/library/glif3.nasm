; GLIF3, with after-spike currents, of the generalized leaky integrate-and-fire neurons of the Allen Institute.
;
;   v = v * v_retain / 4096 + input + bias + i1 + i2
;   i1 = i1 * i1_retain / 4096,  i2 likewise
;   v > threshold: a spike,
;       v = v_reset,
;       i1 = i1 * i1_fraction / 4096 + i1_step (i2 likewise)
;
; Source: Teeter et al. 2018, Nature Communications 9:709, level 3. v counts from the resting potential.
; Fixed point: all in units of the input (weights contain dt / C), factors 4096 * exp(-dt * rate); products are rounded
; toward zero. While refractory, v is held, thresholds and currents go on. Spikes reset in the step in which they are emitted,
; and v rests for `refractory` steps after it.

.state  v           s32
.state  left        u8 clip
.state  i1          s32
.state  i2          s32
.param  v_retain    0..4096 = 4096
.param  bias        s24 = 0
.param  threshold   s30
.param  refractory  u8 = 0
.param  v_reset     s30 = 0
.param  i1_retain   0..4096 = 0
.param  i2_retain   0..4096 = 0
.param  i1_fraction 0..4096 = 4096
.param  i2_fraction 0..4096 = 4096
.param  i1_step     s30 = 0
.param  i2_step     s30 = 0

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     i1
    RMW     i2
    ADD     r0, r0, i1
    ADD     r0, r0, i2
    MUL_SHR i1, i1, i1_retain, 12
    MUL_SHR i2, i2, i2_retain, 12
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
    MUL_SHR r1, i1, i1_fraction, 12
    ADD     i1, r1, i1_step
    MUL_SHR r1, i2, i2_fraction, 12
    ADD     i2, r1, i2_step
    MOV     left, refractory
    SPIKE
end:
