; Leaky integrate-and-fire whose threshold finds a firing rate: homeostatic intrinsic plasticity.
;
;   v = v * v_retain / 4096 + input + bias
;   v > threshold / 256: a spike, v = 0, threshold = threshold + up
;   threshold = threshold - down in each step
;
; In balance a spike every up / down steps: the target rate is down / up spikes a step.
;
; Source: the rule of Zhang & Linden 2003 (intrinsic plasticity) in the form of Diehl & Cook 2015 (adaptive threshold).
; Fixed point: v in units of the input; threshold, up and down have 8 fraction bits; the threshold stays positive.

.state  v          s32
.state  threshold  0..2147483647 clip = 262144
.param  v_retain   0..4096 = 4096
.param  bias       s24 = 0
.param  up         u24 = 25600
.param  down       u24 = 256

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     v
    MUL_SHR r1, v, v_retain, 12
    ADD     v, r1, r0
    RMW     threshold
    NEG     r1, down
    ADD     threshold, threshold, r1
    SHL     r1, threshold, -8
    GE      r1, v
    JMP_C   end
    MOV     v, 0
    ADD     threshold, threshold, up
    SPIKE
end:
