; Resonate-and-fire: a damped oscillation that answers to input at its own frequency.
;
;   z' = (-1 / tau + i * 2 pi f) z + input, z = x + i y;   y > threshold: a spike, x = 0, y = threshold
;
; In a step of dt: x = (x * co - y * si) / 32768 + input, y = (x * si + y * co) / 32768 with the old x.
;
; Source: Izhikevich 2001, Neural Networks 14. Fixed point: x, y and the threshold in units of the input;
; co = 32768 * exp(-dt / tau) * cos(2 pi f dt), si likewise with the sine; products are rounded toward zero.

.state  x          s32
.state  y          s32
.param  co         s17 = 32440
.param  si         s17 = 3251
.param  threshold  u30
.param  bias       s24 = 0

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     x
    RMW     y
    MUL_SHR r1, x, si, 15
    MUL_SHR r2, y, co, 15
    MUL_SHR r3, x, co, 15
    MUL_SHR r4, y, si, 15
    NEG     r4, r4
    ADD     r3, r3, r4
    ADD     x, r3, r0
    ADD     y, r1, r2
    GE      threshold, y
    JMP_C   end
    MOV     x, 0
    MOV     y, threshold
    SPIKE
end:
