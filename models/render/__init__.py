"""Endless, perfectly aligned stereo multitrack music out of loose recordings."""

from models.render.renderer import Renderer

__all__ = ["Renderer"]
