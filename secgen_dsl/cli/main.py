"""The command `secgen`.  Commands are imported when they are called: start-up stays quick."""

import importlib
import sys

import click

from secgen_dsl import __version__

_COMMANDS = {
    "init": ("init", "init", "Ask a few questions and write a commented spec."),
    "check": ("check", "check", "Check a spec: language, plan and privacy budget."),
    "plan": ("plan", "plan", "Show how the budget is spent and the errors to expect."),
    "check-data": ("check_data", "check_data", "Show how a site's files map to a spec."),
    "compile": ("compile", "compile_", "Write the bundle that sites read and sign."),
    "keygen": ("keygen", "keygen", "Make the keys of a party, once, at its site."),
    "consortium": ("consortium", "consortium", "Put the parties' keys and addresses together."),
    "approve": ("approve", "approve", "Check a bundle and sign it for a party."),
    "approvals": ("approvals", "approvals", "Show who has approved a bundle."),
    "run": ("run", "run", "Run all parties on this machine and make synthetic data."),
    "synthesize": ("synthesize", "synthesize", "Draw more synthetic rows from a finished run."),
    "evaluate": ("evaluate", "evaluate", "Compare synthetic rows with the real ones."),
    "doctor": ("doctor", "doctor", "Check keys, clocks, ports and plans of all sites."),
    "party": ("party", "party", "Run one party of a study between sites."),
    "relay": ("relay", "relay", "Let parties meet that cannot be dialled."),
    "audit": ("audit", "audit", "Check what runs left behind: was what ran what was approved?"),
    "ledger": ("ledger", "ledger", "Show what was spent, and what a study would add."),
    "erase": ("erase", "erase", "Erase what a site contributed to a plan, for good."),
    "describe": ("describe", "describe", "Write the protocol description for an ethics board."),
    "fmt": ("fmt", "fmt", "Write specs in the canonical layout; comments stay."),
    "explain": ("explain", "explain", "Explain the code of a diagnostic."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[name]
        loaded = importlib.import_module(f"secgen_dsl.cli.{module}")
        found: click.Command = getattr(loaded, attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from secgen_dsl.diagnostics.diagnostic import nearest

            hint = nearest(args[0], _COMMANDS)
            hint = f"D{hint[1:]}" if hint else "The commands are " + ", ".join(_COMMANDS) + "."
            raise click.UsageError(f"{error.message} {hint}", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="secgen")
def group() -> None:
    """Synthetic expression data from hospitals that may not pool their patients."""


def main() -> None:
    """Run the command line: exit 0, 1 after errors in what was given, 2 after wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    group(prog_name="secgen")


if __name__ == "__main__":
    main()
