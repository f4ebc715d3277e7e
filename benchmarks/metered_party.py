"""A party as it is installed, that notes the CPU seconds of its steps in its state folder.

Started by ``protocol_cost.py``; nothing but the clock is added.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from secgen_dsl.backends.mpyc.messages import read_config
from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.backends.mpyc.process import Lifeline, leave, private_output, run_party
from secgen_dsl.runtime.noise import SystemNoise
from secgen_dsl.verifier import verify

STEPS = {
    "noise": ("noise", "polya_noise"),
    "sharing and summing": ("share", "share_and_add"),
    "opening": ("open",),
    "connecting and confirming": ("connect", "close"),
}
spent = dict.fromkeys(STEPS, 0.0)


def metered(step: str, honest: Callable[..., Any]) -> Callable[..., Any]:
    def now(*arguments: Any) -> Any:
        start = time.process_time()
        try:
            return honest(*arguments)
        finally:
            spent[step] += time.process_time() - start

    async def later(*arguments: Any) -> Any:
        start = time.process_time()
        try:
            return await honest(*arguments)
        finally:
            spent[step] += time.process_time() - start

    return now if step == "noise" else later


if __name__ == "__main__":
    channel = private_output()
    config = read_config(sys.stdin.buffer.readline())
    for step, names in STEPS.items():
        for name in names:
            setattr(Party, name, metered(step, getattr(Party, name)))
    code = run_party(
        config, noise=SystemNoise(), verify=verify, channel=channel, lifeline=Lifeline()
    )
    (Path(config.state) / "steps.json").write_text(json.dumps(spent))
    leave(code)
