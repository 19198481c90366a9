"""What this version fixes, and whether a deployment was made with it: the sizes of its presets, the parameters of margin and risk."""

from __future__ import annotations

from straddle.commitments.params import params_hash
from straddle.commitments.preset import Preset
from straddle.core.params import Params
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.proving.presets import all_presets
from straddle.risk.parameters import DEFAULT_PARAMETERS, RiskParameters, risk_digest

K_IM_BPS = 10_000
K_MM_BPS = 8_000


def exchange_params(preset: Preset, parameters: RiskParameters) -> Params:
    """The parameters that the rollup is deployed with."""
    return Params(preset.account_depth, preset.slot_depth, K_IM_BPS, K_MM_BPS, risk_digest(parameters))


def preset_of(deployment: Deployment) -> Preset:
    """The preset whose sizes the contract was deployed with. DeploymentError when there is none."""
    config = deployment.config
    found = (config.account_depth, config.queue_rows, config.withdrawal_rows, config.body_cells)
    for preset in all_presets().values():
        if (preset.account_depth, preset.queue, preset.withdrawals, preset.body_words) == found:
            return preset
    raise DeploymentError(f"account_depth, queue_rows, withdrawal_rows, body_cells: {found}, expected those of one of {', '.join(all_presets())}")


def terms_of(deployment: Deployment, parameters: RiskParameters = DEFAULT_PARAMETERS) -> tuple[Preset, Params]:
    """Preset and parameters of a deployment. DeploymentError: it was made with others than this version's."""
    preset = preset_of(deployment)
    params = exchange_params(preset, parameters)
    if params_hash(params) != deployment.config.params_hash:
        raise DeploymentError(f"params_hash: {deployment.config.params_hash:#x}, expected {params_hash(params):#x}: other parameters than this version's")
    return preset, params
