; Stochastic binary unit: fires with the probability of a Boltzmann machine at a temperature that can be lowered.
;
;   P(spike) = 1 / (1 + exp(-h / T)),  h = input + bias of this step;   T = max(T * cooling / 4096, coldest)
;
; No exponential and no division: it fires when h > T * L, where L = ln((1 + x) / (1 - x)), x uniform in -1..1, has the
; logistic distribution. 1 - |x| has 24 random bits; its logarithm is the place of its highest bit and
; log2(1 + m) = m + m (1 - m) (0.4229 - 0.1592 m), whose error is below 0.0009, so that P is right within 0.0005.
;
; Source: Ackley, Hinton & Sejnowski 1985; as a sampler of Ising models: Buesing et al. 2011. Fixed point: h and T in
; units of the input, the temperature with 8 fraction bits; cooling = 4096 keeps it, and a schedule may write it.

.state  temperature  u31 clip = 262144
.param  cooling      0..4096 = 4096
.param  coldest      u31 = 0
.param  bias         s30 = 0
.const  ONE = 65536
.const  LN2 = 45426
.const  G0  = 27713
.const  G1  = -10435

    RDC     r0, input
    ADD     r0, r0, bias
    RDC     r1, random
    AND     r2, r1, 0xFFFFFF
    ADD     r2, r2, 1               ; w = (1 - |x|) * 2**24, from 1 to 2**24
    NEG     r3, r2
    ADD     r3, r3, 0x2000000       ; (1 + |x|) * 2**24, from 2**24 to 2**25
    MOV     r4, 0                   ; places that w is shifted up, until its highest bit is the 25th
    SHL     r5, r2, 16
    ADD     r6, r4, 16
    LT      r2, 512
    SEL     r2, r5, r2
    SEL     r4, r6, r4
    SHL     r5, r2, 8
    ADD     r6, r4, 8
    LT      r2, 131072
    SEL     r2, r5, r2
    SEL     r4, r6, r4
    SHL     r5, r2, 4
    ADD     r6, r4, 4
    LT      r2, 2097152
    SEL     r2, r5, r2
    SEL     r4, r6, r4
    SHL     r5, r2, 2
    ADD     r6, r4, 2
    LT      r2, 8388608
    SEL     r2, r5, r2
    SEL     r4, r6, r4
    SHL     r5, r2, 1
    ADD     r6, r4, 1
    LT      r2, 16777216
    SEL     r2, r5, r2
    SEL     r4, r6, r4
    ADD     r2, r2, -0x1000000
    SHL     r2, r2, -8              ; m, with 16 fraction bits
    NEG     r5, r2
    ADD     r5, r5, ONE
    MUL_SHR r5, r5, r2, 16
    MUL_SHR r6, r2, G1, 16
    ADD     r6, r6, G0
    MUL_SHR r5, r5, r6, 16
    ADD     r2, r2, r5              ; log2(1 + m)
    ADD     r3, r3, -0x1000000
    SHL     r3, r3, -8              ; m, with 16 fraction bits
    NEG     r5, r3
    ADD     r5, r5, ONE
    MUL_SHR r5, r5, r3, 16
    MUL_SHR r6, r3, G1, 16
    ADD     r6, r6, G0
    MUL_SHR r5, r5, r6, 16
    ADD     r3, r3, r5              ; log2(1 + m)
    NEG     r2, r2
    ADD     r2, r2, r3
    SHL     r4, r4, 16
    ADD     r2, r2, r4
    MUL_SHR r2, r2, LN2, 16         ; |L|
    NEG     r3, r2
    LT      r1, 0
    SEL     r2, r3, r2
    RMW     temperature
    MUL_SHR r2, r2, temperature, 24
    MUL_SHR r3, temperature, cooling, 12
    LT      r3, coldest
    SEL     temperature, coldest, r3
    GE      r2, r0
    JMP_C   end
    SPIKE
end:
