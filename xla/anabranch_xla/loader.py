"""StableHLO text to a jax function: all that depends on jax's insides."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import export
from jaxlib.mlir.dialects import stablehlo


def load(text, arguments, results):
    """The function of a module. `arguments` and `results` are pairs of a shape and a dtype."""
    given = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in arguments]
    artefact = stablehlo.serialize_portable_artifact_str(text, stablehlo.get_current_version())
    # An exported function of the same signature, with the module put in the place of its own.
    template = export.export(
        jax.jit(lambda *_: tuple(jnp.zeros(shape, dtype) for shape, dtype in results), keep_unused=True),
        disabled_checks=[export.DisabledSafetyCheck.platform()],
    )(*given)
    exported = dataclasses.replace(
        template,
        fun_name="anabranch",
        mlir_module_serialized=artefact,
        module_kept_var_idx=tuple(range(len(given))),
    )
    return jax.jit(exported.call)
