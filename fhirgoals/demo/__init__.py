"""The main job end to end on embedded defaults: plays `examples/demo.yaml`; an oracle measures what came of it."""
