; GLIF2, with reset rules, of the generalized leaky integrate-and-fire neurons of the Allen Institute.
;
;   v = v * v_retain / 4096 + input + bias
;   ts = ts * ts_retain / 4096
;   v > threshold + ts: a spike,
;       v = v * v_fraction / 4096 - v_drop,
;       ts = ts + ts_step
;
; Source: Teeter et al. 2018, Nature Communications 9:709, level 2. v counts from the resting potential.
; Fixed point: all in units of the input (weights contain dt / C), factors 4096 * exp(-dt * rate); products are rounded
; toward zero. While refractory, v is held, thresholds and currents go on. Spikes reset in the step in which they are emitted,
; and v rests for `refractory` steps after it.

.state  v           s32
.state  left        u8 clip
.state  ts          s32
.param  v_retain    0..4096 = 4096
.param  bias        s24 = 0
.param  threshold   s30
.param  refractory  u8 = 0
.param  v_fraction  0..4096 = 0
.param  v_drop      s30 = 0
.param  ts_retain   0..4096 = 4096
.param  ts_step     s30 = 0

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     v
    RMW     left
    MUL_SHR r1, v, v_retain, 12
    ADD     r1, r1, r0
    EQ      left, 0
    SEL     v, r1, v
    RMW     ts
    MUL_SHR ts, ts, ts_retain, 12
    ADD     r2, threshold, ts
    SEL     r1, v, r2
    ADD     left, left, -1
    GE      r2, r1
    JMP_C   end
    MUL_SHR r1, v, v_fraction, 12
    NEG     r2, v_drop
    ADD     v, r1, r2
    ADD     ts, ts, ts_step
    MOV     left, refractory
    SPIKE
end:
