"""Turn the knobs of a running daemon, over ZeroMQ and over OSC.

The cells begin with `# %%`: run them one after the other in VS Code, Spyder or Jupyter (jupytext),
or all at once: `python bridge/python/control.py`. A daemon must be running: `stemd run`.
"""

# %% Where the daemon is
HOST, CONTROL_PORT, OSC_PORT = "127.0.0.1", 5572, 9700

# %% ZeroMQ: requests and replies, checked, nothing is lost
import stemd.client

client = stemd.client.connect(HOST, control_port=CONTROL_PORT)
before = client.control("get")
print("before:", before["feeds"][client.feed]["stems"]["vocals"])

# All of a request is taken, or nothing and the reply says why.
after = client.control("set", stem="vocals", gain_db=-12.0)
print("after: ", after["feeds"][client.feed]["stems"]["vocals"])

# %% A refusal is a sentence
from stemd.errors import StemdError

try:
    client.control("set", stem="vocals", gain=99)
except StemdError as error:
    print("refused:", error)

# %% OSC: for everything else. Without a value an address asks; the answer comes to our own port.
from pythonosc.udp_client import SimpleUDPClient

with SimpleUDPClient(HOST, OSC_PORT) as osc:
    osc.send_message("/stemd/vocals/gain", None)
    answer = next(osc.get_messages(timeout=2.0))
    print("OSC says:", answer.address, answer.params)

    osc.send_message("/stemd/drums/mute", 1)  # with a value it sets
    osc.send_message("/stemd/drums/mute", None)
    answer = next(osc.get_messages(timeout=2.0))
    print("OSC says:", answer.address, answer.params)

    osc.send_message("/stemd/*/mute", 0)  # patterns reach every match
    osc.send_message("/stemd/vocals/gain_db", 0.0)

    osc.send_message("/stemd/ping", 7)  # when this is answered, all before it is done
    print("OSC says:", next(osc.get_messages(timeout=2.0)).params)

# %% As we found it
settled = client.control("get")["feeds"][client.feed]["stems"]
print("now:   ", settled["vocals"], settled["drums"])
client.close()
