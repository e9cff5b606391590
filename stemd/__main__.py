"""`python -m stemd` and the `stemd` command.

Spawned children import this module again as their main module, so it must import nothing by itself.
"""


def main() -> None:
    """Run the command line."""
    import sys

    if sys.argv[1:2] == ["send"]:  # a node has neither typer nor what the other verbs need
        from stemd.send.command import main as send_main

        sys.exit(send_main(sys.argv[2:]))
    from stemd.cli import main as cli_main

    try:
        cli_main()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("stemd"):
            raise  # a mistake of ours
        sys.stderr.write(
            f"stemd: got no {error.name} here, expected it: pip install 'stemd[daemon]'\n"
        )
        sys.exit(102)


if __name__ == "__main__":
    main()
