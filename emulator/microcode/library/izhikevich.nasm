; Izhikevich's simple model, which has most of the firing patterns of cortical neurons.
;
;   v' = k2 * v^2 + k1 * v + k0 - u + input         u' = a * (b * (v + u_offset) - u_leak * u)
;   v > peak (30 mV): a spike, v = c, u = u + d
;
; One Euler step of dt for v, then one for u with the new v, as in the author's own script.
;
; Source: Izhikevich 2003, IEEE TNN 14(6); the twenty patterns: Izhikevich 2004, IEEE TNN 15(5).
; Fixed point: 20 fraction bits, so that 1 mV is 1048576, and 30 in the factors a, k2 and dt, which decide about small
; differences; products are rounded toward zero. With the defaults k2 = 0.04, k1 = 5, k0 = 140, u_offset = 0 and u_leak = 1; class 1 and integrator neurons use
; k1 = 4.1, k0 = 108; accommodation u_offset = 65, u_leak = 0. Begin with v = the resting potential and u = b * v.

.state  v         s32 = -73400320
.state  u         s32 = -14680064
.param  a         s32 = 21474836
.param  b         s32 = 209715
.param  c         s32 = -68157440
.param  d         s32 = 8388608
.param  dt        0..1073741824 = 268435456
.param  k2        s32 = 42949673
.param  k1        s32 = 5242880
.param  k0        s32 = 146800640
.param  u_offset  s32 = 0
.param  u_leak    0..1048576 = 1048576
.param  peak      s32 = 31457280
.param  bias      s32 = 0

    RDC     r0, input
    ADD     r0, r0, bias
    ADD     r0, r0, k0
    RMW     v
    RMW     u
    NEG     r1, u
    ADD     r0, r0, r1
    MUL_SHR r2, v, k2, 30
    ADD     r2, r2, k1
    MUL_SHR r2, r2, v, 20
    ADD     r0, r0, r2
    MUL_SHR r0, r0, dt, 30
    ADD     v, v, r0
    ADD     r0, v, u_offset
    MUL_SHR r0, r0, b, 20
    MUL_SHR r1, r1, u_leak, 20
    ADD     r0, r0, r1
    MUL_SHR r0, r0, a, 30
    MUL_SHR r0, r0, dt, 30
    ADD     u, u, r0
    GE      peak, v
    JMP_C   end
    MOV     v, c
    ADD     u, u, d
    SPIKE
end:
