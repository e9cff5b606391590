"""Renders through the VST3 in DawDreamer or pedalboard as one JSON argument says; prints what it
saw as JSON.

A program of its own: both are GPL, are needed for tests only, and may live in another environment.
"""

import json
import os
import sys

import numpy as np


def in_dawdreamer(order: dict) -> dict:
    import dawdreamer

    engine = dawdreamer.RenderEngine(order["rate"], order["block"])
    graph, plugins, seconds = [], [], order.get("seconds")
    for n in range(order["instances"]):
        plugin = engine.make_plugin_processor(f"plugin{n}", order["plugin"])
        plugin.record = True
        feeding = []
        if order["input"]:
            given = np.fromfile(order["input"], np.float32).reshape(-1, 2)
            seconds = len(given) / order["rate"]
            graph.append((engine.make_playback_processor(f"track{n}", given.T), []))
            feeding = [f"track{n}"]
        graph.append((plugin, feeding))
        plugins.append(plugin)
    engine.load_graph(graph)
    engine.render(seconds)
    channels = []
    for n, plugin in enumerate(plugins):
        audio = np.asarray(plugin.get_audio(), np.float32)
        audio.T.tofile(f"{order['output']}.{n}")
        channels.append([plugin.get_num_input_channels(), audio.shape[0]])
    return {
        "channels": channels,
        "latency": [plugin.get_latency_samples() for plugin in plugins],
        "threads": len(os.listdir("/proc/self/task")),
        "parameters": {p["name"]: p["text"] for p in plugins[0].get_parameters_description()},
    }


def in_pedalboard(order: dict) -> dict:
    import pedalboard

    plugin = pedalboard.load_plugin(order["plugin"])
    given = np.fromfile(order["input"], np.float32).reshape(-1, 2)
    out = plugin.process(given, order["rate"], buffer_size=order["block"])
    out.astype(np.float32).tofile(f"{order['output']}.0")
    return {
        "channels": [[given.shape[1], out.shape[1]]],
        "latency": [plugin.reported_latency_samples],
    }


def main() -> None:
    order = json.loads(sys.argv[1])
    host = {"dawdreamer": in_dawdreamer, "pedalboard": in_pedalboard}[order["package"]]
    print(json.dumps(host(order)))


if __name__ == "__main__":
    main()
