; Perfect integrate-and-fire, which subtracts its threshold: a first-order sigma-delta encoder.
;
;   v = v + input + bias;  v > threshold: a spike, v = v - threshold
;
; After any number of steps, sum of input and bias = spikes * threshold + v: nothing is lost, and v stays within one
; threshold while the input stays between 0 and the threshold. So the density of spikes is the input within one quantum.
;
; Source: Lapicque 1907; as an encoder: Yoon 2017, IEEE TNNLS 28(5). Fixed point: all words in units of the input.

.state  v          s32
.param  threshold  u30
.param  bias       s24 = 0

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     v
    ADD     v, v, r0
    GE      threshold, v
    JMP_C   end
    NEG     r0, threshold
    ADD     v, v, r0
    SPIKE
end:
