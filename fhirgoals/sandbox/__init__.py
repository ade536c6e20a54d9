"""An embedded EHR on the REST core, with knobs for the faults that real servers show, and the cut proxy.

`ehr.Sandbox` is the server (`app`, `storage`, `knobs`), `serve.serve` puts several on 127.0.0.1; `cut_proxy` stands in
front of a real server. What was shown on the sandbox alone is called "simulated".
"""
