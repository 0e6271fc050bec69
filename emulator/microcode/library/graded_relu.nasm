; Graded rectified linear unit: sends what arrived in this step, scaled, while it is positive.
;
;   payload = max(0, input + bias) * gain / 4096;   a graded spike when it is not 0
;
; Source: the unit of artificial networks (Fukushima 1969); graded spikes: Loihi 2 brief, Intel 2021.
; Fixed point: gain has 12 fraction bits; a payload has 16 bits and is clipped to them.

.state  out      u16 clip
.param  gain     0..4096 = 4096
.param  bias     s30 = 0
.payload u16

    RDC     r0, input
    ADD     r0, r0, bias
    RMW     out
    MUL_SHR out, r0, gain, 12
    EQ      out, 0
    JMP_C   end
    SPIKE   out
end:
