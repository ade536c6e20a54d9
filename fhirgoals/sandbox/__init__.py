"""An embedded EHR on the REST core, with knobs for the faults that real servers show, and the cut proxy."""
