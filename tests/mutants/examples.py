"""How hypothesis looks for examples where only the first that fails matters: `-p tests.mutants.examples`."""

from typing import Final

from hypothesis import HealthCheck, Phase, settings

PROFILE: Final = "mutants"

settings.register_profile(
    PROFILE,
    derandomize=True,
    database=None,
    deadline=None,  # the machine may be busy
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
