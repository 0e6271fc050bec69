; Sigma-delta unit: adds up the changes that arrive, and sends a change of its own value when it is large enough.
;
;   sigma = sigma * keep / 4096 + input;   value = max(sigma + bias, floor)
;   |value - sent| >= threshold: a graded spike with payload value - sent, and sent = sent + payload
;
; As an encoder of a signal that arrives as it is, keep = 0. In a network and as a decoder, keep = 4096: sigma is what
; the senders' values come to. floor = 0 makes it a rectified unit. What is not sent stays within the threshold and is
; not lost: sent follows value.
;
; Source: O'Connor & Welling 2016, "Sigma delta quantized networks"; as a Loihi 2 unit: Shrestha et al. 2023.
; Fixed point: all words in units of the input; a payload of 16 bits, larger changes take several steps.

.state  sigma      s32
.state  sent       s32
.state  change     s16 clip
.param  keep       0..4096 = 4096
.param  threshold  1..1073741823 = 1
.param  bias       s24 = 0
.param  floor      s32 = -2147483648
.payload s16

    RDC     r0, input
    RMW     sigma
    MUL_SHR r1, sigma, keep, 12
    ADD     sigma, r1, r0
    ADD     r0, sigma, bias
    LT      r0, floor
    SEL     r0, floor, r0
    RMW     sent
    NEG     r1, sent
    RMW     change
    ADD     change, r0, r1
    NEG     r1, change
    MIN     r0, change, r1
    NEG     r0, r0
    LT      r0, threshold
    JMP_C   end
    ADD     sent, sent, change
    SPIKE   change
end:
