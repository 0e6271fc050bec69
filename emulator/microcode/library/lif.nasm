; Current-based leaky integrate-and-fire: the same as the native model "lif", bit for bit.
;
;   u = u * u_retain / 4096 + input          toward zero, in the chip's width of u
;   v = v * v_retain / 4096 + u + bias       toward zero, clipped to the chip's limits of v
;   v = 0 while refractory;  v > threshold: a spike, v = 0, refractory - 1 steps of rest
;
; Source: Davies et al. 2018 (Loihi). As "microcode:lif" it takes the parameters of "lif" (du, dv, vth_mant, ...).

.state  u          chip.u
.state  v          chip.v
.state  left       u8 clip
.param  u_retain   0..4096 = 0
.param  v_retain   0..4096 = 4096
.param  bias       s32 = 0
.param  threshold  u31
.param  refractory u8 = 1

    RDC     r0, input
    RMW     u
    MUL_SHR r1, u, u_retain, 12
    ADD     u, r1, r0
    RMW     v
    MUL_SHR r1, v, v_retain, 12
    ADD     r1, r1, bias
    ADD     v, r1, u
    RMW     left
    EQ      left, 0
    SEL     v, v, 0
    ADD     left, left, -1
    GE      threshold, v
    JMP_C   end
    MOV     v, 0
    ADD     left, refractory, -1
    SPIKE
end:
