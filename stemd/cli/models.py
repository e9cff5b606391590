"""`stemd models`: what is released, whether it is whole, and what it costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stemd.spec import PROFILES, STEMS, StreamSpec

from .options import Feeds, Json, Provider, Samplerate, choice

LATENCY_HZ = 48_000  # milliseconds in the list are at this rate


class ListUnlessTold(TyperGroup):
    """`stemd models` alone, or with paths, is `stemd models list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {*self.commands, *ctx.help_option_names}
        if not ctx.resilient_parsing and (not args or args[0] not in known):
            args = ["list", *args]
        return super().parse_args(ctx, args)


models = typer.Typer(
    cls=ListUnlessTold,
    help="List, verify, time and describe models; alone, it lists the released ones.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Which = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME|PATH]...",
        help="Names, families, .onnx files or folders of them; without any, what is released.",
        show_default=False,
    ),
]


@models.command("list")
def list_models(which: Which = None, as_json: Json = False) -> None:
    """List models: what for, how late, how large, how good, made when, under which licence."""
    from stemd.processors.catalogue import find_models

    from .printing import console, print_json, table

    found = [summary(path) for path in find_models(which or [])]
    if as_json:
        print_json(found)
        return
    rows = table(
        *("name", "profile", ">ms", ">MB", "masks", ">weights", ">uSDR", "trained", "licence")
    )
    for column in rows.columns:
        column.no_wrap = True
    for model in found:
        if "problem" in model:
            rows.add_row(model["name"], "?", "", f"{model['size_mb']:.1f}", *[""] * 5)
            continue
        rows.add_row(
            model["name"] + ("*" if model["default"] else ""),
            model["profile"],
            f"{model['latency_ms']:.1f}",
            f"{model['size_mb']:.1f}",
            model["masks"],
            thousands(model["parameters"]),
            next((f"{db:.1f}" for db in model["usdr"].values()), ""),
            str(model["date"]),
            model["license"],
        )
    console().print(rows)
    for model in found:
        if "problem" in model:
            console(err=True).print(model["problem"], markup=False, soft_wrap=True)
    if any(model.get("default") for model in found):
        console().print("* what the name `default` means for its profile", style="dim")
    if scored := {next(iter(model["usdr"])) for model in found if model.get("usdr")}:
        console().print(f"uSDR: mean of the stems in dB ({', '.join(sorted(scored))})", style="dim")


def summary(path: Path) -> dict[str, Any]:
    """What the list says of a model; `problem` instead of most of it where its card is refused."""
    from stemd.errors import ModelError
    from stemd.processors.catalogue import DEFAULT_MODELS
    from stemd.processors.modelcard import load_card, profile_of

    facts: dict[str, Any] = {"name": path.stem, "path": str(path)}
    facts["size_mb"] = path.stat().st_size / 1e6
    try:
        card = load_card(path)
        profile = profile_of(path, card)
    except ModelError as error:
        return {**facts, "problem": str(error)}
    return {
        **facts,
        "profile": profile,
        "default": DEFAULT_MODELS[profile] == path.stem,
        "latency_ms": 1e3 * StreamSpec.of(profile, LATENCY_HZ).latency / LATENCY_HZ,
        "masks": card["masks"],
        "parameters": card.get("parameters"),
        "usdr": mean_usdr(card["scores"]),
        "date": card["training"]["date"],
        "license": card["license"],
    }


def thousands(count: Any) -> str:
    """504 k, 1.3 M; nothing where a card does not say."""
    if not isinstance(count, int):
        return ""
    return f"{count / 1e3:.0f} k" if count < 999_500 else f"{count / 1e6:.1f} M"


def mean_usdr(scores: Any, at: tuple[str, ...] = ()) -> dict[str, float]:
    """Every mean uSDR of the model in a card's scores, by the name of what it was scored on.

    Cards are nested as their makers liked: a table of `usdr` may hold a mean, or stems only, or be
    a number.  Where baselines stand beside the `model`, they are passed over.
    """
    if not isinstance(scores, dict):
        return {}
    found: dict[str, float] = {}
    if "model" in scores:
        scores = {"model": scores["model"]}
    for key, value in scores.items():
        if key.lower() in ("usdr", "mean_usdr", "usdr_mean"):
            if (mean := _mean(value)) is not None:
                found[" ".join(at) or "mean"] = mean
        else:
            found |= mean_usdr(value, at if key == "model" else (*at, key))
    return found


def _mean(value: Any) -> float | None:
    if isinstance(value, dict):
        stems = [value.get(stem) for stem in STEMS]
        numbers = [float(x) for x in stems if isinstance(x, int | float)]
        value = value.get("mean", sum(numbers) / len(numbers) if numbers else None)
    return float(value) if isinstance(value, int | float) else None


@models.command()
def verify(which: Which = None, provider: Provider = "auto", as_json: Json = False) -> None:
    """Examine models as the daemon would, and then some.

    Card, checksum, graph, self-test on the provider; then with noise on two feeds: finite masks,
    no future in the past, a reset that forgets, feeds that do not hear each other.

    Exit code 104 when one is refused.
    """
    from rich.text import Text

    from stemd.errors import EXIT_MODEL, EXIT_OK
    from stemd.processors.catalogue import find_models
    from stemd.processors.inspection import inspect

    from .printing import console, print_json, table

    results = []
    rows = table("", "", "", "")
    rows.show_header = False
    for path in find_models(which or []):
        checks = list(inspect(path, provider))
        ok = all(check.ok for check in checks)
        results.append(
            {
                "name": path.stem,
                "path": str(path),
                "ok": ok,
                "checks": [{"name": c.name, "ok": c.ok, "found": c.found} for c in checks],
            }
        )
        for number, check in enumerate(checks):
            mark = Text("ok", "green") if check.ok else Text("refused", "bold red")
            rows.add_row("" if number else path.stem, check.name, mark, Text(check.found))
    if as_json:
        print_json(results)
    else:
        console().print(rows)
    raise typer.Exit(EXIT_OK if all(result["ok"] for result in results) else EXIT_MODEL)


@models.command()
def speed(
    which: Which = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.5, help="Length of audio for each model.")
    ] = 10.0,
    samplerate: Samplerate = 48_000,
    feeds: Feeds = 1,
    provider: Provider = "auto",
    as_json: Json = False,
) -> None:
    """Time models on this machine: one step of the network, and the whole hop around it.

    As `stemd bench`, for models by name instead of by profile.
    """
    from stemd.processors.catalogue import find_models
    from stemd.processors.masknet import MaskNet
    from stemd.processors.modelcard import load_card, profile_of

    from .bench import measure
    from .printing import console, print_json, table

    results = []
    for path in find_models(which or []):
        profile = profile_of(path, load_card(path))
        spec = StreamSpec.of(profile, samplerate, feeds)
        net = MaskNet(path, spec, provider)
        results.append({"name": path.stem, "profile": profile, **measure(spec, net, seconds)})
    if as_json:
        print_json(results)
        return
    rows = table("name", "", ">µs p50", ">p99", ">p99.9", ">load p50", ">p99.9", "")
    for result in results:
        for stage, what in (("model", "step"), ("hop", f"hop of {result['hop_us']:.0f}")):
            whole = stage == "hop"
            rows.add_row(
                "" if whole else result["name"],
                what,
                *(f"{result['us'][stage][q]:.0f}" for q in ("p50", "p99", "p99.9")),
                *(f"{result['load'][q]:.0%}" if whole else "" for q in ("p50", "p99.9")),
                result["verdict"] if whole else "",
            )
    console().print(rows)
    console().print(f"a step is the network alone; feeds: {feeds}, at {samplerate} Hz", style="dim")


@models.command()
def describe(
    file: Annotated[Path, typer.Argument(help="An .onnx file.", show_default=False)],
    profile: Annotated[
        str | None, choice("--profile", PROFILES, "What it was made for, if that cannot be told")
    ] = None,
    license_: Annotated[
        str | None, typer.Option("--license", metavar="TEXT", help="Of the weights.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="TEXT", help="What it was trained on.")
    ] = None,
) -> None:
    """Write the .json that belongs to an .onnx file, or bring it up to date.

    States, masks, checksum and self-test are looked up in the file; what you wrote into the .json
    yourself (training, scores, licence, more) stays.
    """
    from stemd.processors.catalogue import find_model
    from stemd.processors.describe import describe as card_of

    if file.suffix != ".onnx":
        raise typer.BadParameter(f"got {file}, expected an .onnx file")
    card = card_of(find_model(file, ""), profile)
    if license_:
        card["license"] = license_
    if data:
        card["training"]["data"] = data
    path = file.with_suffix(".json")
    path.write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    states = ", ".join(f"{state['name']} {state['shape']}" for state in card["states"]) or "none"
    typer.echo(f"{path}: {card['masks']} masks, states: {states}")
    typer.echo(f"next: stemd models verify {file}")
