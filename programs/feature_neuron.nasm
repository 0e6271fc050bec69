; Leaky integrate-and-fire for winner-take-all layers: its threshold finds a firing rate, and silence brings it to rest.
;
;   v = v * v_retain / 4096 + input;  0 where there is no input, or v is below 0
;   v > threshold / 256: a spike, v = 0, threshold = threshold + up
;   threshold = threshold - down in each step with input
;
; A neuron of the population that fires inhibits the others: their race begins again at 0. In balance each neuron
; fires every up / down steps of input. With up = down = 0 the thresholds are frozen.
;
; Source: the excitatory neurons of Diehl & Cook 2015, Frontiers in Computational Neuroscience 9:99, section 2.
; Fixed point: v in units of the input; threshold, up and down have 8 fraction bits.

.state  v          0..16777215 clip = 0
.state  threshold  256..2147483647 clip = 262144
.param  v_retain   0..4096 = 4096
.param  up         u24 = 0
.param  down       u24 = 0

    RDC     r0, input
    RMW     v
    RMW     threshold
    EQ      r0, 0
    SKP_C   3
    NEG     r1, down
    ADD     threshold, threshold, r1
    MUL_SHR v, v, v_retain, 12
    ADD     r1, v, r0
    SEL     v, 0, r1
    SHL     r1, threshold, -8
    GE      r1, v
    JMP_C   end
    MOV     v, 0
    ADD     threshold, threshold, up
    SPIKE
end:
