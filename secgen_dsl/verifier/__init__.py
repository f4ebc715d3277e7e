"""Re-derives every claim of a plan from the plan alone."""

from secgen_dsl.verifier.verify import Verified, verify

__all__ = ["Verified", "verify"]
