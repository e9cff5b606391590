"""Renders through the VST3 in DawDreamer as one JSON argument says; prints what it saw as JSON.

A program of its own: DawDreamer is GPL, is needed for tests only, and may live in another
environment.
"""

import json
import os
import sys

import dawdreamer
import numpy as np


def main() -> None:
    order = json.loads(sys.argv[1])
    given = np.fromfile(order["input"], np.float32).reshape(-1, 2)
    engine = dawdreamer.RenderEngine(order["rate"], order["block"])
    graph, plugins = [], []
    for n in range(order["instances"]):
        track = engine.make_playback_processor(f"track{n}", given.T)
        insert = engine.make_plugin_processor(f"insert{n}", order["plugin"])
        graph += [(track, []), (insert, [f"track{n}"])]
        plugins.append(insert)
        insert.record = True
    engine.load_graph(graph)
    engine.render(len(given) / order["rate"])
    report = {"latency": [], "channels": [], "threads": len(os.listdir("/proc/self/task"))}
    for n, insert in enumerate(plugins):
        audio = np.asarray(insert.get_audio(), np.float32)
        report["channels"].append([insert.get_num_input_channels(), audio.shape[0]])
        report["latency"].append(insert.get_latency_samples())
        audio.T.tofile(f"{order['output']}.{n}")
    report["parameters"] = {
        one["name"]: one["text"] for one in plugins[0].get_parameters_description()
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
