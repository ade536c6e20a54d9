"""The main job end to end on embedded defaults: plays `examples/demo.yaml`, and an oracle of its own measures what came of it."""
