; Unit whose spike rate is a hard sigmoid of its current: the activation of equilibrium propagation, in spikes.
;
;   u = u * keep / 4096 + input;   i = u between 0 and top
;   v = v + i;  v >= threshold: a spike, v = v - threshold
;
; So the rate is u / threshold, from 0 to top / threshold, which is at most 1 spike a step.
;
; Source: Scellier & Bengio 2017, section 2 (hard sigmoid); sigma-delta coding as in the model "if".
; Fixed point: u, v, top and the threshold in units of the input; keep = 4096 * (1 - 1 / tau); rounded toward zero.

.state  u          s32
.state  v          s32
.param  keep       0..4096 = 3840
.param  top        u30
.param  threshold  u30

    RDC     r0, input
    RMW     u
    MUL_SHR r1, u, keep, 12
    ADD     u, r1, r0
    MIN     r0, u, top
    LT      r0, 0
    SEL     r0, 0, r0
    RMW     v
    ADD     v, v, r0
    LT      v, threshold
    JMP_C   end
    NEG     r0, threshold
    ADD     v, v, r0
    SPIKE
end:
