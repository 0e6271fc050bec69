; Leaky integrate-and-fire that hands a reward to the synapses which end on it: the third factor of their rule.
;
;   current = input mod 2^20;  reward = input / 2^20
;   v = v * v_retain / 4096 + current;  v > threshold: a spike, v = 0
;
; The reward comes as a spike of weight 2^20, beside currents which are positive and below 2^20 together; a rule reads
; the word: Rule(..., y2="reward"). It lasts for the step in which it comes.
;
; Source: three-factor rules on Loihi 2, whose programs may write y1 to y3 (Intel's Lava, learning neurons).
; Fixed point: v and the threshold in units of the input.

.state  v          s32
.state  reward     u7 = 0
.param  v_retain   0..4096 = 3706
.param  threshold  u30

    RDC     r0, input
    RMW     reward
    SHL     reward, r0, -20
    AND     r0, r0, 1048575
    RMW     v
    MUL_SHR r1, v, v_retain, 12
    ADD     v, r1, r0
    GE      threshold, v
    JMP_C   end
    MOV     v, 0
    SPIKE
end:
