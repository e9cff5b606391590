"""Build the stemd network in TouchDesigner.

In the textport (Alt+T), with the path of this folder:

    folder = '/path/to/bridge/touchdesigner'
    exec(open(folder + '/build.py').read()); build(folder)

It makes a component `stemd` in /project1; running it again makes it anew.
"""
# ruff: noqa: F821  (op and the kinds of operators are TouchDesigner's own globals)

FEATURES_PORT = 9701  # osc.targets of stemd
CONTROL_PORT = 9700  # osc.listen of stemd
HITS = ("kick", "snare", "hihat")

# Name, channels of the OSC In CHOP. Names are addresses without the first slash.
GROUPS = (
    ("levels", "stemd/*/level"),
    ("onsets", "stemd/*/onset stemd/*/onset/env"),
    ("hits", "stemd/drums/kick* stemd/drums/snare* stemd/drums/hihat*"),
    ("notes", "stemd/*/note stemd/*/pitch"),
    ("tempo", "stemd/tempo* stemd/beat*"),
    ("health", "stemd/state stemd/load stemd/late stemd/latency_ms stemd/alive"),
)

ON_COUNT = """# Called when hits were counted: also for two in one frame, or after a lost packet.
def onValueChange(channel, sampleIndex, val, prev):
    drum = channel.name.split('/')[2]
    hits = int(val - prev)  # since the last frame
    if 0 < hits < 100:  # not when the daemon was started anew
        parent().op('last_hit').par.text = drum
    return
"""

HOW_TO = """Everything stemd sends to osc.targets is a channel of osc_in.
levels onsets hits notes tempo health are parts of it, each ends in a Null CHOP to reference.

Turn a knob:      op('stemd/control').sendOSC('/stemd/vocals/gain', [0.5])
Ask for status:   op('stemd/control').sendOSC('/stemd/status', [])

zeromq reads every feature of every hop without OSC. It is off until its Active is turned on, and
needs pyzmq in TouchDesigner's Python; see its callbacks and the README.
"""


def build(folder, where="/project1"):
    """Make the component; returns it."""
    home = op(where)
    old = home.op("stemd")
    if old:
        old.destroy()
    base = home.create(baseCOMP, "stemd")

    osc_in = place(base.create(oscinCHOP, "osc_in"), 0, 0)
    setting(osc_in, "port", FEATURES_PORT)
    for row, (name, channels) in enumerate(GROUPS):
        select = place(base.create(selectCHOP, f"select_{name}"), 250, 250 - 110 * row)
        setting(select, "channames", channels)
        osc_in.outputConnectors[0].connect(select)
        null = place(base.create(nullCHOP, name), 450, 250 - 110 * row)
        select.outputConnectors[0].connect(null)

    control = place(base.create(oscoutDAT, "control"), 0, -150)
    setting(control, "netaddress", "127.0.0.1")
    setting(control, "port", CONTROL_PORT)

    counted = place(base.create(chopexecuteDAT, "on_hit"), 650, 30)
    counted.text = ON_COUNT
    setting(counted, "chop", "hits")
    setting(counted, "channel", " ".join(f"stemd/drums/{drum}/count" for drum in HITS))
    setting(counted, "valuechange", True)
    shown = place(base.create(textTOP, "last_hit"), 850, 30)
    setting(shown, "text", "-")

    callbacks = place(base.create(textDAT, "zeromq_callbacks"), 250, -450)
    with open(f"{folder}/zeromq_chop.py", encoding="utf-8") as file:
        callbacks.text = file.read()
    zeromq = place(base.create(scriptCHOP, "zeromq"), 0, -450)
    setting(zeromq, "callbacks", callbacks.name)
    setting(zeromq, "setuppars", "pulse")

    words = place(base.create(textDAT, "how_to"), 0, 250)
    words.text = HOW_TO
    print(f"stemd: built {base.path}; features on port {FEATURES_PORT}")
    return base


def place(node, x, y):
    """Put a node somewhere."""
    node.nodeX, node.nodeY = x, y
    return node


def setting(node, name, value):
    """Set a parameter; another version of TouchDesigner may call it by another name."""
    parameter = getattr(node.par, name, None)
    if parameter is None:
        print(f"stemd: {node.name} has no parameter {name}; set it to {value!r} by hand")
    elif value == "pulse":
        parameter.pulse()
    else:
        setattr(node.par, name, value)
