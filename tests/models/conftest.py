import pytest

from tests.models import tinypack


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The tiny pack's folder."""
    return tinypack.make(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="session")
def libraries(tiny, tmp_path_factory):
    """{part: Library} of the tiny pack."""
    from models.library import PARTS, Library

    cache = tmp_path_factory.mktemp("cache")
    return {part: Library(tiny, cache, part, split=tinypack.SPLIT) for part in PARTS}


@pytest.fixture(scope="session")
def renderer(libraries):
    """Of the tiny pack's training part."""
    from models.render import Renderer

    return Renderer(libraries["train"])
