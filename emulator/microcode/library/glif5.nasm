; GLIF5, with reset rules, after-spike currents and a voltage-dependent threshold, of the generalized leaky integrate-and-fire neurons of the Allen Institute.
;
;   v = v * v_retain / 4096 + input + bias + i1 + i2
;   i1 = i1 * i1_retain / 4096,  i2 likewise
;   ts = ts * ts_retain / 4096
;   tv = tv * tv_retain / 4096 + v * tv_gain / 4096
;   v > threshold + ts + tv: a spike,
;       v = v * v_fraction / 4096 - v_drop,
;       ts = ts + ts_step,
;       i1 = i1 * i1_fraction / 4096 + i1_step (i2 likewise)
;
; Source: Teeter et al. 2018, Nature Communications 9:709, level 5. v counts from the resting potential.
; Fixed point: all in units of the input (weights contain dt / C), factors 4096 * exp(-dt * rate); products are rounded
; toward zero. While refractory, v is held, thresholds and currents go on. Spikes reset in the step in which they are emitted,
; and v rests for `refractory` steps after it.

.state  v           s32
.state  left        u8 clip
.state  i1          s32
.state  i2          s32
.state  ts          s32
.state  tv          s32
.param  v_retain    0..4096 = 4096
.param  bias        s24 = 0
.param  threshold   s30
.param  refractory  u8 = 0
.param  v_fraction  0..4096 = 0
.param  v_drop      s30 = 0
.param  ts_retain   0..4096 = 4096
.param  ts_step     s30 = 0
.param  i1_retain   0..4096 = 0
.param  i2_retain   0..4096 = 0
.param  i1_fraction 0..4096 = 4096
.param  i2_fraction 0..4096 = 4096
.param  i1_step     s30 = 0
.param  i2_step     s30 = 0
.param  tv_retain   0..4096 = 4096
.param  tv_gain     s16 = 0

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
    RMW     ts
    MUL_SHR ts, ts, ts_retain, 12
    ADD     r2, threshold, ts
    RMW     tv
    MUL_SHR r1, tv, tv_retain, 12
    MUL_SHR r3, v, tv_gain, 12
    ADD     tv, r1, r3
    ADD     r2, r2, tv
    SEL     r1, v, r2
    ADD     left, left, -1
    GE      r2, r1
    JMP_C   end
    MUL_SHR r1, v, v_fraction, 12
    NEG     r2, v_drop
    ADD     v, r1, r2
    ADD     ts, ts, ts_step
    MUL_SHR r1, i1, i1_fraction, 12
    ADD     i1, r1, i1_step
    MUL_SHR r1, i2, i2_fraction, 12
    ADD     i2, r1, i2_step
    MOV     left, refractory
    SPIKE
end:
