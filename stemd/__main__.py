"""`python -m stemd` and the `stemd` command.

Spawned children import this module again as their main module, so it must import nothing by itself.
"""


def main() -> None:
    """Run the command line."""
    from stemd.cli import main as cli_main

    cli_main()


if __name__ == "__main__":
    main()
