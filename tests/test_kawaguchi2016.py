"""Critical points of deep linear networks: closed forms against autograd and differences, judges both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.networks import deep_linear_hessian as net
from zeroloss.randomness import numpy_generator
from zeroloss.studies.kawaguchi2016 import STUDY, claims, claims_escape, dynamics, family
from zeroloss.theory import kawaguchi2016 as theory
from zeroloss.training.saddle_escape import Starts, escape_steps, loss_curves

SETTINGS = load_config("laptop").study("kawaguchi2016")
DATA = {"samples": 20, "inputs": 4, "outputs": 3, "noise": 0.3}
DEPTHS, WIDTHS = (1, 2, 3, 4), (1, 2, 3, 4)


@pytest.fixture(scope="module")
def one():
    return family.data_set(DATA, 0)


def tensors(one):
    return torch.from_numpy(one.gram), torch.from_numpy(one.solution)


def definition(one, shapes):
    def loss(theta):
        signal = torch.from_numpy(one.x)
        for layer in shapes.split(theta):
            signal = layer @ signal
        return 0.5 * ((signal - torch.from_numpy(one.y)) ** 2).sum()

    return loss


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("width", [2, 4])
def test_loss_gradient_and_hessian_are_those_of_automatic_differentiation(one, depth, width):
    shapes = net.shapes(4, width, depth, 3)
    theta = torch.from_numpy(numpy_generator(depth, "test", width).standard_normal((3, shapes.count)))
    layers = shapes.split(theta)
    assert torch.equal(shapes.join(layers), theta)
    excess, gradient = net.excess_and_gradient(layers, *tensors(one))
    loss = definition(one, shapes)
    floor = 0.5 * ((one.solution @ one.x - one.y) ** 2).sum()
    hessian = net.hessian(layers, *tensors(one))
    for k in range(3):
        assert float(excess[k]) == pytest.approx(float(loss(theta[k])) - floor, rel=1e-11)
        size = float(theta[k].norm()) ** (2 * depth)
        assert torch.allclose(shapes.join(gradient)[k], torch.func.grad(loss)(theta[k]), rtol=1e-11, atol=1e-14 * size)
        assert torch.allclose(hessian[k], torch.func.hessian(loss)(theta[k]), rtol=1e-11, atol=1e-14 * size)
    h = 1e-5
    v = torch.from_numpy(numpy_generator(0, "v").standard_normal(shapes.count))
    v /= v.norm()

    def slope(at):
        return shapes.join(net.excess_and_gradient(shapes.split(at[None]), *tensors(one))[1])[0]

    differences = (slope(theta[0] + h * v) - slope(theta[0] - h * v)) / (2 * h)
    assert torch.allclose(differences, hessian[0] @ v, atol=1e-7 * float(hessian[0].norm()))


def test_sigma_is_that_of_the_paper(one):
    solution = one.y @ one.x.T @ np.linalg.inv(one.x @ one.x.T)
    sigma = solution @ one.x @ one.y.T
    assert np.allclose(one.eigenvectors @ np.diag(one.eigenvalues) @ one.eigenvectors.T, sigma)
    assert (np.diff(one.eigenvalues) < 0).all()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_family_is_critical_with_the_losses_and_indices_of_the_theory(seed, width):
    one = family.data_set(DATA, seed)
    for depth in DEPTHS:
        which = family.points(one, depth, width)
        layers = family.stacked(one, depth, width, which)
        gradient = net.excess_and_gradient(layers, *tensors(one))[1]
        assert max(float(part.abs().max()) for part in gradient) < 1e-13
        spectra = torch.linalg.eigvalsh(net.hessian(layers, *tensors(one)))
        least = min(theory.loss(theory.critical_point(one, depth, width, *point), one) for point in which)
        for (subset, rank), spectrum in zip(which, spectra, strict=True):
            loss = theory.loss(theory.critical_point(one, depth, width, subset, rank), one)
            assert loss - least == pytest.approx(one.excess(subset, width), abs=1e-12)
            negative = int((spectrum < -1e-10 * one.scale).sum())
            assert negative == theory.negative_eigenvalues(subset, rank, 3)
            assert theory.is_global(subset, 3, width) == (abs(one.excess(subset, width)) < 1e-12)


def test_inertia_does_not_depend_on_the_basis_of_hidden_layers(one):
    """W_k -> C_k W_k C_{k-1}^{-1} moves along critical points: the Hessian changes by congruence (Sylvester)."""
    depth = width = 3
    which = family.points(one, depth, width)
    layers = family.stacked(one, depth, width, which)
    for hidden in range(depth):
        change = torch.from_numpy(
            np.eye(width) + 0.3 * numpy_generator(hidden, "basis").standard_normal((width, width))
        )
        layers[hidden] = change @ layers[hidden]
        layers[hidden + 1] = layers[hidden + 1] @ torch.linalg.inv(change)
    spectra = torch.linalg.eigvalsh(net.hessian(layers, *tensors(one)))
    found = (spectra < -1e-10 * one.scale).sum(dim=1).tolist()
    assert found == [theory.negative_eigenvalues(subset, rank, 3) for subset, rank in which]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_ways_lead_down_by_their_order_and_up(one, depth, width):
    for subset, rank in family.points(one, depth, width):
        if theory.is_global(subset, 3, width):
            continue
        start = theory.loss(theory.critical_point(one, depth, width, subset, rank), one)
        falls = []
        for t in (0.05, 0.025):
            down, order = theory.way_down(one, depth, width, subset, rank, t)
            falls.append(start - theory.loss(down, one))
            assert theory.loss(theory.way_up(one, depth, width, subset, rank, t), one) > start
        assert min(falls) > 0
        assert np.log2(falls[0] / falls[1]) == pytest.approx(order, abs=0.1)


def test_hessian_at_zero_is_exactly_zero_from_two_hidden_layers(one):
    for depth in (2, 3):
        layers = family.stacked(one, depth, 3, [((), 0)])
        assert float(net.hessian(layers, *tensors(one)).abs().max()) == 0.0
    shallow = torch.linalg.eigvalsh(net.hessian(family.stacked(one, 1, 3, [((), 3)]), *tensors(one)))[0]
    assert float(shallow[0]) == pytest.approx(-np.linalg.norm(one.y @ one.x.T, 2), rel=1e-12)


def test_assumptions_that_fail_get_a_sentence():
    generator = numpy_generator(0, "wrong")
    x, y = generator.standard_normal((4, 20)), generator.standard_normal((3, 20))
    with pytest.raises(UserError, match=r"d_y = 4 is larger than d_x = 3"):
        theory.problem(x[:3], np.vstack([y, y[:1]]), "this")
    with pytest.raises(UserError, match=r"this is outside Theorem 2.3 .* X X\^T has rank 3, and the theorem needs 4"):
        theory.problem(np.vstack([x[:3], x[:1]]), y, "this")
    with pytest.raises(UserError, match=r"X Y\^T has rank 2, and the theorem needs 3"):
        theory.problem(x, np.vstack([y[:2], y[:1]]), "this")
    orthogonal = np.linalg.qr(x.T)[0].T
    with pytest.raises(UserError, match=r"eigenvalues . and . of Sigma are equal \(1\)"):
        theory.problem(orthogonal, orthogonal[:3], "this")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"depths": [0, 1]}, "depths is .*number of hidden layers, at least 1"),
        ({"outputs": 5}, "the theorem needs d_y <= d_x"),
        ({"samples": 3}, r"X X\^T has not full rank"),
        ({"widths": [0]}, r"widths\[0\] is 0"),
        ({"shown_width": 7}, "not among widths"),
        ({"way_lengths": [0.1, 0.1]}, "every entry must be different"),
    ],
)
def test_settings_outside_the_theorem_get_a_sentence(change, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        load_config(None, {"studies": {"kawaguchi2016": change}})
    assert "\n" not in str(caught.value)


def test_escapes_and_curves_follow_gradient_descent(one):
    shapes = net.shapes(4, 3, 2, 3)
    start = shapes.join(family.stacked(one, 2, 3, [((), 3), ((0,), 2)]))
    start = start + 0.05 * torch.from_numpy(numpy_generator(0, "kick").standard_normal(start.shape))
    gram, solution = (each.expand(2, -1, -1) for each in tensors(one))
    batch = Starts(start, gram, solution, torch.tensor([0.02, 0.03], dtype=torch.float64))
    curves = loss_curves(batch, shapes, list(range(200)))
    theta, loss = start[1], definition(one, shapes)
    for step in range(60):
        excess = float(loss(theta)) - 0.5 * ((one.solution @ one.x - one.y) ** 2).sum()
        assert float(curves[1, step]) == pytest.approx(excess, rel=1e-9)
        theta = theta - 0.03 * torch.func.grad(loss)(theta)
    level = curves[:, 0] / 2
    taken, diverged = escape_steps(batch, shapes, level, 199, patience=7)
    for k in range(2):
        assert int(taken[k]) == int((curves[k] <= level[k]).nonzero()[0])
    assert (diverged == -1).all()
    assert escape_steps(batch, shapes, level, 2)[0].isnan().all()
    wild = Starts(start, gram, solution, torch.tensor([50.0, 0.03], dtype=torch.float64))
    taken, diverged = escape_steps(wild, shapes, 0 * level, 100)
    assert diverged[0] > 0
    assert diverged[1] == -1
    assert taken.isnan().all()


def test_linear_theory_of_the_escape(one):
    """Along the least eigenvector the distance grows by exactly 1 + eta |lambda| while it is small."""
    shapes = net.shapes(4, 3, 2, 3)
    saddle = shapes.join(family.stacked(one, 2, 3, [((0,), 3)]))
    values, vectors = torch.linalg.eigh(net.hessian(shapes.split(saddle), *tensors(one))[0])
    start = saddle + torch.tensor([[1e-5], [1e-7]]) * vectors[:, 0]
    gram, solution = (each.expand(2, -1, -1) for each in tensors(one))
    batch = Starts(start, gram, solution, torch.full((2,), 0.01, dtype=torch.float64))
    level = torch.full((2,), 0.9 * one.excess((0,), 3), dtype=torch.float64)
    taken, _ = escape_steps(batch, shapes, level, 20000)
    assert float(taken[1] - taken[0]) == pytest.approx(np.log(100) / np.log1p(0.01 * -float(values[0])), abs=2)


def test_a_search_from_zero_finds_the_degenerate_saddle_and_lower_losses_nearby():
    search = {**STUDY.cells(SETTINGS)[1].parameters, "seeds": [0], "depths": [2], "starts": 2}
    search |= {"scales": [1e-8], "descents": [0], "steps": 5, "nearby": 4, "nearby_steps": 600}
    found = dynamics._found(search, family.data_set(search, 0), 2, 0)
    assert set(found["kind"]) == {"no negative eigenvalue"}
    assert (found["lowest_nearby"] < 0).all()
    assert not found["full_rank"].any()


def test_kinds():
    ends = ((1.0, 1, -1), (np.nan, 1, -1), (0, 0, 0), (0, 1, -1), (0, 1, 0))
    assert [dynamics.kind_of(*end) for end in ends] == [
        "not critical", "not critical", "global minimum", "strict saddle", "no negative eigenvalue",
    ]  # fmt: skip


# Judges, both ways, on made-up rows -------------------------------------------------------------------------------------


def family_row(depth=2, **changes):
    row = {
        "part": "family", "seed": 0, "depth": depth, "width": 3, "rank": 3, "kept": 1, "is_global": False, "scale": 1.0,
        "total": 1.0, "excess": 0.5, "expected_excess": 0.5, "gradient": 0.0, "least": -0.1, "negative": 1,
        "expected_negative": 1, "product_error": 0.0, "difference_error": 0.0, "largest_entry": 1.0,
        "top_singular_value": 0.1, "subset": "1",
    }  # fmt: skip
    return {**row, **changes}


def found_row(**changes):
    row = {"part": "search", "seed": 0, "depth": 2, "kind": "strict saddle", "full_rank": True, "lowest_nearby": np.nan,
           "scale": 1.0, "total": 1.0, "off_value": 0.0}  # fmt: skip
    return {**row, **changes}


def way_row(**changes):
    row = {
        "part": "way",
        "seed": 0,
        "depth": 2,
        "width": 3,
        "t": 0.1,
        "negative": 1,
        "down": -1.0,
        "up": 1.0,
        "scale": 1.0,
    }
    return {**row, **changes}


def segment(**changes):
    row = {"part": "segment", "seed": 0, "depth": 2, "width": 3, "ends": 0.0, "middle": 1.0, "expected_excess": 1.0,
           "concave_ends": 1.0, "concave_middle": 0.0}  # fmt: skip
    return {**row, **changes}


DEGENERATE = {"negative": 0, "least": 0.0, "rank": 1}
FLAT = found_row(kind="no negative eigenvalue")


@pytest.mark.parametrize(
    ("judge", "rows", "expected"),
    [
        (claims.judge_critical, [family_row()], "reproduced"),
        (claims.judge_critical, [family_row(gradient=1e-6)], "differs"),
        (claims.judge_critical, [family_row(product_error=1e-6)], "differs"),
        (claims.judge_critical, [found_row()], "undecided"),
        (claims.judge_excess, [family_row()], "reproduced"),
        (claims.judge_excess, [family_row(excess=0.51)], "differs"),
        (claims.judge_excess, [found_row()], "undecided"),
        (claims.judge_not_convex, [segment()], "reproduced"),
        (claims.judge_not_convex, [segment(middle=-1.0)], "differs"),
        (claims.judge_not_convex, [segment(concave_ends=-1.0)], "differs"),
        (claims.judge_not_convex, [family_row()], "undecided"),
        (claims.judge_minima_global, [way_row(), found_row()], "reproduced"),
        (claims.judge_minima_global, [way_row(negative=0), found_row()], "reproduced"),
        (claims.judge_minima_global, [way_row(negative=0, down=0.0), found_row()], "differs"),
        (claims.judge_minima_global, [way_row(), FLAT], "differs"),
        (claims.judge_minima_global, [way_row(), {**FLAT, "lowest_nearby": -1e-6}], "reproduced"),
        (claims.judge_minima_global, [way_row(), found_row(kind="global minimum")], "undecided"),
        (claims.judge_others_saddles, [way_row()], "reproduced"),
        (claims.judge_others_saddles, [way_row(up=-1.0)], "differs"),
        (claims.judge_others_saddles, [family_row()], "undecided"),
        (claims.judge_full_rank, [family_row(), found_row()], "reproduced"),
        (claims.judge_full_rank, [family_row(negative=0, least=0.0), found_row()], "differs"),
        (claims.judge_full_rank, [family_row(), FLAT], "differs"),
        (claims.judge_full_rank, [family_row(), {**FLAT, "full_rank": False}], "reproduced"),
        (claims.judge_full_rank, [family_row(rank=1), found_row()], "undecided"),
        (claims.judge_converse, [family_row(rank=1), family_row(**DEGENERATE)], "reproduced"),
        (claims.judge_converse, [family_row(**DEGENERATE)], "differs"),
        (claims.judge_converse, [family_row()], "undecided"),
        (claims.judge_shallow, [family_row(1), family_row(**DEGENERATE), found_row()], "reproduced"),
        (claims.judge_shallow, [family_row(1), family_row(), found_row()], "differs"),
        (claims.judge_shallow, [family_row(1, negative=0), family_row(**DEGENERATE), found_row()], "differs"),
        (claims.judge_shallow, [family_row(**DEGENERATE), found_row()], "undecided"),
        (claims.judge_index, [family_row()], "reproduced"),
        (claims.judge_index, [family_row(negative=2)], "differs"),
        (claims.judge_index, [found_row()], "undecided"),
        (claims.judge_zero, [family_row(1, kept=0), family_row(kept=0, rank=0, largest_entry=0.0)], "reproduced"),
        (claims.judge_zero, [family_row(kept=0, rank=0, largest_entry=1e-9)], "differs"),
        (
            claims.judge_zero,
            [family_row(1, kept=0, least=-1.0), family_row(kept=0, rank=0, largest_entry=0)],
            "differs",
        ),
        (claims.judge_zero, [family_row(1, kept=0)], "undecided"),
        (claims.judge_values, [found_row()] * 20, "reproduced"),
        (claims.judge_values, [found_row(off_value=1e-3)] * 20, "differs"),
        (claims.judge_values, [found_row()], "undecided"),
    ],
)
def test_judges_of_the_theorem(judge, rows, expected):
    assert judge(pd.DataFrame(rows), SETTINGS).verdict == expected


def escapes(steps, strict=True, depths=(1, 2, 3), step_size=0.01, **changes):
    """steps(delta, depth): one saddle, two data sets, one direction."""
    deltas = SETTINGS.escape.perturbations if strict else SETTINGS.escape.degenerate_perturbations
    rows = [
        {"part": "escape", "seed": seed, "depth": depth, "subset": "none", "kept": 0, "rank": 3, "direction": 0,
         "perturbation": delta, "least": -1.0 if strict else 0.0, "strict": strict, "step_size": step_size,
         "diverged_at": -1, "steps": steps(delta, depth), **changes}
        for seed in (0, 1) for depth in depths for delta in deltas
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (escapes(lambda delta, depth: 10.0), "reproduced"),
        (escapes(lambda delta, depth: np.nan), "differs"),
        (escapes(lambda delta, depth: np.nan, least=-1e-3), "undecided"),
        (escapes(lambda delta, depth: np.nan, diverged_at=3, least=-1e-3), "differs"),
        (escapes(lambda delta, depth: 1.0, strict=False), "undecided"),
    ],
)
def test_strict_escape(table, expected):
    assert claims_escape.judge_strict_escape(table, SETTINGS).verdict == expected


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "reproduced"), (1.2, "differs"), (np.nan, "undecided")])
def test_logarithm(factor, expected):
    table = escapes(lambda delta, depth: factor * np.log(1 / delta) / np.log1p(0.01) + 5)
    assert claims_escape.judge_logarithm(table, SETTINGS).verdict == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (lambda delta, depth: 100 * delta ** (1 - depth), "reproduced"),
        (lambda delta, depth: 100 * delta**-4, "differs"),
        (lambda delta, depth: np.nan if depth == 3 else 1 / delta, "undecided"),
    ],
)
def test_degenerate(steps, expected):
    table = escapes(steps, strict=False, depths=(2, 3))
    assert claims_escape.judge_degenerate(table, SETTINGS).verdict == expected


def test_cells_run_and_repeat_and_draw():
    tiny = load_config("tiny", {"studies": {"kawaguchi2016": {"slice_points": 6}}}).study("kawaguchi2016")
    small = {"starts": 2, "scales": [0.5], "descents": [0, 5], "steps": 30, "seeds": [0]}
    small |= {"most_steps": 40, "curve_steps": 20, "curve_points": 5, "widths": [3], "directions": 1}
    tables = []
    for cell in STUDY.cells(tiny):
        parameters = {**cell.parameters, **{key: value for key, value in small.items() if key in cell.parameters}}
        tables.append(STUDY.run(parameters, [], device="cpu", quiet=True))
        again = STUDY.run(parameters, [], device="cpu", quiet=True)
        assert tables[-1].equals(again)
    metrics = pd.concat(tables, ignore_index=True)
    for claim in STUDY.claims(tiny):
        assert claim.judge(metrics, tiny).verdict in ("reproduced", "differs", "undecided")
    for table in STUDY.tables(tiny):
        assert len(table.make(metrics, tiny))
    from zeroloss.plotting.style import house_style

    with house_style():
        for figure in STUDY.figures(tiny):
            figure.draw(metrics, tiny)
