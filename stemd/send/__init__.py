"""The capture node: a small program beside a microphone or a desk that sends to a box.

It needs PyAudio, pyzmq, cryptography and numpy, and none of what separates.
"""
