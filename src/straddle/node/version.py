"""Whether a deployment's record is of its rollup: the sizes of a preset, and the market's parameters by their hash."""

from __future__ import annotations

from straddle.commitments.params import params_hash
from straddle.commitments.preset import Preset
from straddle.core.params import Params
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.proving.presets import all_presets
from straddle.risk.market_parameters import MarketParameters


def exchange_params(preset: Preset, parameters: MarketParameters) -> Params:
    """What the rollup's params_hash is of: the market's parameters, all of them in the digest, and the preset's depths."""
    margin, auction = parameters.margin, parameters.auction
    rates = (margin.k_im_bps, margin.k_mm_bps, parameters.digest, auction.discount_bps, auction.auction_ms)
    return Params(preset.account_depth, preset.slot_depth, *rates)


def preset_of(deployment: Deployment) -> Preset:
    """The preset whose sizes the contract was deployed with. DeploymentError when there is none."""
    config = deployment.config
    found = (config.account_depth, config.queue_rows, config.withdrawal_rows, config.body_cells)
    for preset in all_presets().values():
        if (preset.account_depth, preset.queue, preset.withdrawals, preset.body_words) == found:
            return preset
    raise DeploymentError(f"account_depth, queue_rows, withdrawal_rows, body_cells: {found}, expected those of one of {', '.join(all_presets())}")


def terms_of(deployment: Deployment) -> tuple[Preset, Params]:
    """Preset and parameters of a deployment. DeploymentError: the market's parameters in its record are not what the rollup's hash is of."""
    preset = preset_of(deployment)
    params = exchange_params(preset, deployment.parameters)
    if params_hash(params) != deployment.config.params_hash:
        raise DeploymentError(
            f"parameters: their params_hash is {params_hash(params):#x}, but layer 1 has {deployment.config.params_hash:#x}: expected --deployment with the "
            'record that the rollup was deployed with, and in it under "parameters" every number as it was then (without a record: the defaults)'
        )
    return preset, params
