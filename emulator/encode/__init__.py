"""Values in, spike trains out: one code per module, each a plain function."""
