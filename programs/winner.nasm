; Leaky integrate-and-fire for winner-take-all layers: inhibition ends at rest, and the threshold finds a firing rate.
;
;   v = max(0, v * v_retain / 4096 + input)
;   v > threshold / 256: a spike, v = 0, threshold = threshold + up
;   threshold = threshold - down in each step in which anything arrives
;
; In balance a spike every up / down of these steps. Source: Querlioz et al. 2013, section II (a neuron that fires resets
; the others; homeostasis moves thresholds towards an equal activity), with a v that never falls below its rest.
; Fixed point: v in units of the input; threshold, up and down have 8 fraction bits; the threshold stays positive.

.state  v          0..2147483647 clip
.state  threshold  256..2147483647 clip = 262144
.param  v_retain   0..4096 = 4096
.param  up         u24 = 25600
.param  down       u24 = 256

    RDC     r0, input
    RMW     v
    MUL_SHR r1, v, v_retain, 12
    ADD     v, r1, r0
    RMW     threshold
    EQ      r0, 0
    JMP_C   fire
    NEG     r1, down
    ADD     threshold, threshold, r1
fire:
    SHL     r1, threshold, -8
    GE      r1, v
    JMP_C   end
    MOV     v, 0
    ADD     threshold, threshold, up
    SPIKE
end:
