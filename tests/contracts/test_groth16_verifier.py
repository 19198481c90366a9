"""The verifier contract against a real gnark key and real proofs (native/internal/groth16fixture makes the fixture)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from straddle.l1.contracts import contracts_directory, load, load_path

HERE = Path(__file__).parent
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
P = 21888242871839275222246405745257275088696311157297823662689037894645226208583
FIXTURE = json.loads((HERE / "fixtures" / "groth16.json").read_text())
KEY_FIELDS = ("alpha", "beta", "gamma", "delta", "k", "pedersen_g", "pedersen_g_sigma_neg")


def numbers(value: Any) -> Any:
    return [numbers(item) for item in value] if isinstance(value, list) else int(value, 16)


KEY = {name: numbers(FIXTURE["verifying_key"][name]) for name in KEY_FIELDS}


def proof_words(index: int) -> list[int]:
    proof = FIXTURE["proofs"][index]
    return [int(word, 16) for part in ("a", "b", "c", "commitment", "pok") for word in proof[part]]


def public_inputs(index: int) -> list[int]:
    return [int(word, 16) for word in FIXTURE["proofs"][index]["public"]]


PROOF, PUBLIC = proof_words(0), public_inputs(0)


def constructor_args(**changes: Any) -> list[Any]:
    return [(KEY | changes)[name] for name in KEY_FIELDS]


def negative(point: list[int]) -> list[int]:
    """Of a G2 point."""
    return [point[0], point[1], (P - point[2]) % P, (P - point[3]) % P]


@pytest.fixture
def verifier(chain):
    return chain.deploy(load("Groth16Verifier"), *constructor_args())


def accepts(chain, verifier, proof: list[int], public: list[int]) -> bool:
    """Whether the contract says True; a revert is a refusal too."""
    try:
        return chain.call(verifier, "verify", proof, public)
    except Exception as error:
        assert type(error).__name__ == "Reverted"
        return False


@pytest.mark.parametrize("index", [0, 1])
def test_accepts_real_proofs(chain, verifier, index):
    assert chain.call(verifier, "verify", proof_words(index), public_inputs(index)) is True


def test_vk_id_is_the_hash_of_the_keys_words(chain, verifier):
    words = [word for name in KEY_FIELDS for word in ([word for point in KEY[name] for word in point] if name == "k" else KEY[name])]
    assert len(words) == 36
    assert chain.call(verifier, "vk_id") == keccak(b"".join(word.to_bytes(32, "big") for word in words))


@pytest.mark.parametrize("word", range(12))
@pytest.mark.parametrize("change", ["add one", "zero", "add the modulus", "negate"])
def test_refuses_a_changed_proof(chain, verifier, word, change):
    proof = list(PROOF)
    proof[word] = {"add one": proof[word] + 1, "zero": 0, "add the modulus": proof[word] + P, "negate": P - proof[word]}[change]
    assert proof != PROOF
    assert not accepts(chain, verifier, proof, PUBLIC)


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("change", ["add one", "zero", "add r", "add 2 r", "negate"])
def test_refuses_changed_public_inputs(chain, verifier, index, change):
    public = list(PUBLIC)
    public[index] = {"add one": public[index] + 1, "zero": 0, "add r": public[index] + R, "add 2 r": public[index] + 2 * R, "negate": R - public[index]}[change]
    assert not accepts(chain, verifier, PROOF, public)


@pytest.mark.parametrize("index", range(5))
def test_attack_04_answers_false_for_an_input_at_or_above_r(chain, verifier, index):
    """The same statement modulo r, so that only the range check stands between this and a replay."""
    public = list(PUBLIC)
    public[index] += R
    assert chain.call(verifier, "verify", PROOF, public) is False


@pytest.mark.parametrize("index", range(5))
def test_the_smallest_refused_input_is_r(chain, verifier, index):
    public = list(PUBLIC)
    public[index] = R
    # With so little gas nothing after the range check can finish: False means that it is the range check that answered.
    calldata = verifier.contract.encode_call("verify", PROOF, public)
    data, _, _ = chain.send_raw(chain.fund("0x" + "77" * 20), verifier.address, calldata, gas=60_000)
    assert int.from_bytes(data, "big") == 0
    public[index] = R - 1
    with pytest.raises(Exception, match=r"OutOfGas|^$"):
        chain.send_raw("0x" + "77" * 20, verifier.address, verifier.contract.encode_call("verify", PROOF, public), gas=60_000)


@pytest.mark.parametrize("at", [8, 10])
@pytest.mark.parametrize("point", [(1, 3), (1 + P, 2), (1, 2 + P), (0, 0)])
def test_answers_false_for_a_commitment_or_its_proof_off_the_curve(chain, verifier, at, point):
    assert chain.call(verifier, "verify", [*PROOF[:at], *point, *PROOF[at + 2 :]], PUBLIC) is False


def test_answers_false_for_an_aliased_a(chain, verifier):
    assert chain.call(verifier, "verify", [PROOF[0], PROOF[1] + P, *PROOF[2:]], PUBLIC) is False


def test_refuses_other_proofs(chain, verifier):
    other = proof_words(1)
    assert not accepts(chain, verifier, other, PUBLIC)
    assert not accepts(chain, verifier, [0] * 12, PUBLIC)
    assert not accepts(chain, verifier, [0] * 12, [0] * 5)
    assert not accepts(chain, verifier, PROOF[:8] + PROOF[10:] + PROOF[8:10], PUBLIC)  # commitment and its proof of knowledge swapped
    assert not accepts(chain, verifier, PROOF[:8] + [0] * 4, PUBLIC)
    assert not accepts(chain, verifier, [*PROOF[:10], 0, 0], PUBLIC)
    assert not accepts(chain, verifier, PROOF[:10] + other[10:], PUBLIC)
    assert not accepts(chain, verifier, PROOF[:8] + other[8:], PUBLIC)
    # A on the curve but B's coordinates in the wrong order.
    assert not accepts(chain, verifier, [*PROOF[:2], PROOF[3], PROOF[2], PROOF[5], PROOF[4], *PROOF[6:]], PUBLIC)


def test_the_two_folded_equations_cannot_pay_for_each_other(chain, verifier):
    """Adding d to C and -d elsewhere, or moving weight from the commitment to its proof of knowledge, must fail whatever the sign."""
    commitment, pok = tuple(PROOF[8:10]), tuple(PROOF[10:12])
    for wrong_pok in (g1_add(pok, commitment), g1_add(pok, pok), g1_negative(pok), commitment, (1, 2)):
        assert not accepts(chain, verifier, PROOF[:10] + list(wrong_pok), PUBLIC)
    for extra in (commitment, pok, (1, 2)):
        moved = g1_add(tuple(PROOF[6:8]), extra)
        assert not accepts(chain, verifier, PROOF[:6] + list(moved) + list(g1_add(commitment, g1_negative(extra))) + PROOF[10:], PUBLIC)


def test_attack_07_too_little_gas_never_passes(chain, verifier):
    """At every gas limit below what a verification takes: a revert or False. At every limit: a wrong proof is not accepted."""
    good = verifier.contract.encode_call("verify", PROOF, PUBLIC)
    bad = verifier.contract.encode_call("verify", [*PROOF[:6], 1, 2, *PROOF[8:]], PUBLIC)
    chain.send_raw(chain.fund("0x" + "77" * 20), verifier.address, good)
    needed = chain.evm.result.gas_used
    accepted_at = []
    for gas in [*range(30_000, needed + 8_000, 7_001), *range(needed - 600, needed + 600, 97)]:
        for calldata, acceptable in ((good, True), (bad, False)):
            try:
                data, _, _ = chain.send_raw("0x" + "77" * 20, verifier.address, calldata, gas=gas)
            except Exception as error:
                assert type(error).__name__ == "Reverted"
                continue
            if int.from_bytes(data, "big"):
                assert acceptable
                accepted_at.append(gas)
    assert accepted_at, "the range must reach limits at which the good proof passes"
    assert min(accepted_at) > needed - 4_000  # refunds aside, a verification cannot pass on much less than it uses


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(("field", "target"), [("delta", "gamma"), ("gamma", "beta"), ("delta", "beta"), ("pedersen_g_sigma_neg", "pedersen_g")])
@pytest.mark.parametrize("sign", [1, -1])
def test_attack_03_deployment_refuses_related_points(chain, field, target, sign):
    reason = {
        ("delta", "gamma"): "Groth16Verifier: gamma equals delta up to sign",
        ("gamma", "beta"): "Groth16Verifier: beta equals gamma up to sign",
        ("delta", "beta"): "Groth16Verifier: beta equals delta up to sign",
        ("pedersen_g_sigma_neg", "pedersen_g"): "Groth16Verifier: sigma is 1 up to sign",
    }[field, target]
    point = KEY[target] if sign == 1 else negative(KEY[target])
    with pytest.raises(Exception, match=reason.replace("+", r"\+")):
        chain.deploy(load("Groth16Verifier"), *constructor_args(**{field: point}))


OFF_CURVE_G1 = [1, 3]
ALIASED_G1 = [1 + P, 2]
INFINITY_G1 = [0, 0]


@pytest.mark.parametrize("point", [OFF_CURVE_G1, ALIASED_G1, INFINITY_G1])
def test_deployment_refuses_bad_g1_points(chain, point):
    with pytest.raises(Exception, match="Groth16Verifier: alpha is not a point of G1"):
        chain.deploy(load("Groth16Verifier"), *constructor_args(alpha=point))
    for index in range(7):
        k = [list(item) for item in KEY["k"]]
        k[index] = point
        with pytest.raises(Exception, match="Groth16Verifier: a K point is not a point of G1"):
            chain.deploy(load("Groth16Verifier"), *constructor_args(k=k))


@pytest.mark.parametrize("field", ["beta", "gamma", "delta", "pedersen_g", "pedersen_g_sigma_neg"])
@pytest.mark.parametrize("kind", ["infinity", "off the twist", "outside the subgroup", "aliased"])
def test_deployment_refuses_bad_g2_points(chain, field, kind):
    point = {
        "infinity": [0, 0, 0, 0],
        "off the twist": [KEY[field][0], KEY[field][1], KEY[field][2], (KEY[field][3] + 1) % P],
        "outside the subgroup": twist_point_outside_subgroup(),
        "aliased": [KEY[field][0] + P, *KEY[field][1:]],
    }[kind]
    with pytest.raises(Exception, match="Groth16Verifier: a point is not a point of G2"):
        chain.deploy(load("Groth16Verifier"), *constructor_args(**{field: point}))


def test_attack_03_a_key_with_gamma_equal_to_delta_would_be_forgeable(chain, tmp_path):
    """Why the checks are there: without them, each degenerate key accepts a forgery made from the key and one old commitment."""
    careless = careless_verifier(chain, tmp_path)
    lie = [7, 8, 9, 10, 11]
    x = public_point(lie)
    alpha, beta, gamma = tuple(KEY["alpha"]), KEY["beta"], KEY["gamma"]
    tail = PROOF[8:]
    forgeries = [
        ({"delta": gamma}, [*alpha, *beta, *g1_negative(x)]),
        ({"delta": negative(gamma)}, [*alpha, *beta, *x]),
        ({"gamma": beta}, [*g1_add(alpha, x), *beta, 0, 0]),
        ({"delta": beta}, [*x, *gamma, *g1_negative(alpha)]),
    ]
    for changes, head in forgeries:
        assert accepts(chain, careless(**changes), head + tail, lie)
    sound = careless()
    assert not any(accepts(chain, sound, head + tail, lie) for _, head in forgeries)
    assert accepts(chain, sound, PROOF, PUBLIC)


def careless_verifier(chain, directory: Path):
    """Deploys the verifier without its refusals of degenerate keys."""
    source = (contracts_directory() / "Groth16Verifier.vy").read_text()
    lines = source.splitlines()
    kept = [line for line in lines if "assert not self._same_x" not in line]
    assert len(lines) - len(kept) == 4
    path = directory / "Careless.vy"
    path.write_text("\n".join(kept) + "\n")
    contract = load_path(path, directory / "cache")
    return lambda **changes: chain.deploy(contract, *constructor_args(**changes))


# ---------------------------------------------------------------- BN254, just enough of it


def g1_add(p: tuple[int, int], q: tuple[int, int]) -> tuple[int, int]:
    if p == (0, 0):
        return q
    if q == (0, 0):
        return p
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return (0, 0)
    slope = 3 * p[0] * p[0] * pow(2 * p[1], -1, P) if p == q else (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def g1_negative(p: tuple[int, int]) -> tuple[int, int]:
    return p[0], (P - p[1]) % P


def g1_multiply(p: tuple[int, int], k: int) -> tuple[int, int]:
    result = (0, 0)
    while k:
        if k & 1:
            result = g1_add(result, p)
        p, k = g1_add(p, p), k >> 1
    return result


def public_point(public: list[int]) -> tuple[int, int]:
    """The verifier's X for these inputs and the fixture's commitment."""
    commitment = (PROOF[8], PROOF[9])
    h = int.from_bytes(keccak(b"".join(word.to_bytes(32, "big") for word in commitment)), "big") % R
    x = g1_add(tuple(KEY["k"][0]), commitment)
    for point, scalar in zip(KEY["k"][1:], [*public, h], strict=True):
        x = g1_add(x, g1_multiply(tuple(point), scalar))
    return x


def fp2_multiply(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def fp2_inverse(a: tuple[int, int]) -> tuple[int, int]:
    scale = pow(a[0] * a[0] + a[1] * a[1], -1, P)
    return a[0] * scale % P, -a[1] * scale % P


def fp2_root(a: tuple[int, int]) -> tuple[int, int] | None:
    """A square root (P = 3 mod 4: by the norm), or None."""
    norm = (a[0] * a[0] + a[1] * a[1]) % P
    root = pow(norm, (P + 1) // 4, P)
    if root * root % P != norm:
        return None
    for sign in (root, -root):
        half = (a[0] + sign) * pow(2, -1, P) % P
        real = pow(half, (P + 1) // 4, P)
        if real and real * real % P == half:
            candidate = (real, a[1] * pow(2 * real, -1, P) % P)
            if fp2_multiply(candidate, candidate) == a:
                return candidate
    return None


def twist_point_outside_subgroup() -> list[int]:
    """The twist has r * (2 p - r) points: the first one found is in the subgroup with probability 2^-254."""
    b = fp2_multiply((3, 0), fp2_inverse((9, 1)))
    for i in range(1, 100):
        x = (i, 1)
        cube = fp2_multiply(fp2_multiply(x, x), x)
        y = fp2_root(((cube[0] + b[0]) % P, (cube[1] + b[1]) % P))
        if y is not None:
            assert fp2_multiply(y, y) == ((cube[0] + b[0]) % P, (cube[1] + b[1]) % P)
            return [x[1], x[0], y[1], y[0]]
    raise AssertionError("no point found")
