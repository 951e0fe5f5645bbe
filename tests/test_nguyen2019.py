"""Nguyen, Mukkamala, Hein 2019: engines against independent computations, lemmas, judges both ways."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.config import load_config
from zeroloss.errors import UserError
from zeroloss.networks import skip_dense
from zeroloss.networks.skip_cnn import SkipCnn, hidden_neurons
from zeroloss.studies.nguyen2019 import STUDY, claims, compute, run_claims, tables
from zeroloss.theory import nguyen2019 as theory
from zeroloss.theory.valleys import bad_valleys, basins
from zeroloss.training import skip_descent
from zeroloss.training.surface import SCALINGS, directions, loss_surface, one_of

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])


@pytest.fixture(scope="module")
def chosen():
    return load_config("tiny").study("nguyen2019")


def networks(activation, double=True, skip=5):
    wired = torch.stack([skip_dense.choose_wired([4, 3], None, 0), skip_dense.choose_wired([4, 3], skip, 0)])
    made = skip_dense.draw_networks(6, [4, 3], 3, wired, activation, [0, 1], bias=0.3)
    if not double:
        return made
    return skip_dense.DenseNetworks(
        [w.double() for w in made.weights],
        [b.double() for b in made.biases],
        made.readout.double(),
        wired[:, :, None].double(),
    )


def inputs(double=True):
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    return x.double() if double else x


@pytest.mark.parametrize("activation", skip_dense.ACTIVATIONS)
def test_gradient_is_that_of_automatic_differentiation(activation):
    nets, x = networks(activation), inputs()
    found = skip_descent.gradients(nets, x, LABELS, activation)
    for tensor in nets.tensors():
        tensor.requires_grad_()
    logits = skip_dense.outputs(nets, x, activation)
    sum(torch.nn.functional.cross_entropy(one, LABELS) for one in logits).backward()
    for mine, tensor in zip([*found[0], *found[1], found[2]], nets.tensors(), strict=True):
        true = tensor.grad * nets.wired if tensor is nets.readout else tensor.grad
        torch.testing.assert_close(mine, true)


def test_training_is_that_of_torch_sgd():
    """One plain network, full batches, Nesterov momentum: the same parameters as torch's optimiser."""
    nets, x = one_of(networks("sigmoid", double=False), 0), inputs(double=False)
    weights = [t[0].clone().requires_grad_() for t in nets.tensors()]
    optimiser = torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(5):
        optimiser.zero_grad()
        hidden = torch.sigmoid(torch.sigmoid(x @ weights[0] + weights[2]) @ weights[1] + weights[3])
        torch.nn.functional.cross_entropy(hidden @ weights[4][4:], LABELS).backward()
        optimiser.step()
    trained, course = skip_descent.train(
        nets, x, LABELS, "sigmoid", torch.tensor([0.1]), momentum=0.9, epochs=5, batch=7, record_every=1, order_seed=0
    )
    for mine, theirs in zip(trained.tensors(), weights, strict=True):
        torch.testing.assert_close(mine[0], theirs.detach(), atol=1e-5, rtol=1e-4)
    assert len(course.epochs) == 6 and course.diverged_at[0] == -1


def test_a_diverged_run_is_recorded_and_leaves_the_others_alone():
    nets, x = networks("softplus", double=False), 100 * inputs(double=False)
    train = skip_descent.train
    both = {"momentum": 0.9, "epochs": 6, "batch": 7, "record_every": 1, "order_seed": 0}
    _, wild = train(nets, x, LABELS, "softplus", torch.tensor([1e-6, 1e6]), **both)
    _, calm = train(nets, x, LABELS, "softplus", torch.tensor([1e-6, 1e-6]), **both)
    assert wild.diverged_at[1] > 0 and np.isnan(wild.loss[-1, 1]) and wild.errors[-1, 1] == 7
    np.testing.assert_allclose(wild.loss[:, 0], calm.loss[:, 0], rtol=1e-6)


def test_surface_is_the_loss_at_displaced_parameters():
    nets, x = networks("softplus", double=False), inputs(double=False)
    first, second = directions(nets, [3, 4], "layer")
    assert float(first.weights[1][0].norm()) == pytest.approx(float(nets.weights[1][0].norm()), rel=1e-5)
    alphas = np.array([-2.0, 0.0, 1.5])
    mine, one, two = one_of(nets, 1), one_of(first, 1), one_of(second, 1)
    loss, errors = loss_surface(mine, one, two, x, LABELS, "softplus", alphas)
    moved = [a - 2.0 * b + 1.5 * c for a, b, c in zip(mine.tensors(), one.tensors(), two.tensors(), strict=True)]
    there = skip_dense.DenseNetworks(moved[:2], moved[2:4], moved[4], mine.wired)
    expected, wrong = skip_dense.losses(skip_dense.outputs(there, x, "softplus"), LABELS)
    assert loss[0, 2] == pytest.approx(float(expected), rel=1e-5) and errors[0, 2] == int(wrong)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_directions_are_as_long_as_their_scaling_says(scaling):
    """Each reading of the length, and that readings differ in length alone."""
    nets = networks("sigmoid")
    first, second = directions(nets, [3, 4], scaling)
    plain = directions(nets, [3, 4], "entries")[0]
    own = torch.stack([t.flatten(1).norm(dim=1) for t in nets.tensors()])
    for made in (first, second):
        found = torch.stack([t.flatten(1).norm(dim=1) for t in made.tensors()])
        if scaling == "layer":
            torch.testing.assert_close(found, own)
        elif scaling == "network":
            torch.testing.assert_close(found.norm(dim=0), own.norm(dim=0))
        elif scaling == "unit":
            torch.testing.assert_close(found.norm(dim=0), torch.ones(2, dtype=found.dtype))
        elif scaling == "unit_layer":
            torch.testing.assert_close(found, torch.ones_like(found))
        assert not (made.readout * (1 - nets.wired)).any()
    for mine, drawn in zip(first.tensors(), plain.tensors(), strict=True):
        cosine = torch.nn.functional.cosine_similarity(mine.flatten(1), drawn.flatten(1))
        torch.testing.assert_close(cosine, torch.ones_like(cosine))
    with pytest.raises(ValueError, match="unit_layer"):
        directions(nets, [3, 4], "filter")


def test_sizes_are_those_of_the_first_data_set_at_hand(tmp_path):
    one = load_config("laptop").study("nguyen2019")
    assert one.surfaces.taken.source == one.deep.taken.source == "digits"
    np.savez(
        tmp_path / "mine.npz",
        x_train=np.zeros((9, 4, 4), np.uint8), y_train=np.arange(9), x_test=np.zeros((1, 4, 4), np.uint8), y_test=[0],
    )  # fmt: skip
    block = one.surfaces.taken.model_dump() | {"samples": 8}
    mine = {"images": [block | {"source": ["mnist", "mine"]}, block | {"source": "digits"}]}
    both = {"data": {"root": str(tmp_path)}, "studies": {"nguyen2019": {"surfaces": mine}}}
    assert load_config("laptop", both).study("nguyen2019").surfaces.taken.source == "mine"
    mine["images"][0]["source"] = "elsewhere"
    with pytest.raises(UserError, match="elsewhere is not a known data set"):
        load_config("laptop", both)


def test_a_finer_grid_finds_as_many_valleys(chosen):
    """The documented check with 61 x 61 points, at a small size: a third of the spacing, the same numbers of valleys."""
    cell = next(cell for cell in STUDY.cells(chosen) if cell.name == "surface_sigmoid")
    recipe = next(recipe for recipe in STUDY.recipes(chosen) if recipe.name == cell.datasets[0])
    data, found = [recipe.build(None)], []
    for points in (13, 37):
        few = {**cell.parameters, "seeds": [0], "compared_seeds": 0, "points": points}
        found.append(tables.all_slices(STUDY.run(few, data, device="cpu", quiet=True), chosen))
    coarse, fine = (one.set_index("skip") for one in found)
    pd.testing.assert_series_equal(coarse["bad"], fine["bad"])
    np.testing.assert_allclose(coarse["top"], fine["top"], atol=0.1)  # both grids have the corners


def test_reading_nearest_to_the_printed_axes_has_the_least_distance(chosen):
    """Made-up planes whose top is 1 and 3 above the printed one."""
    rows = [
        {"part": "surface", "scaling": scaling, "activation": activation, "skip": skip, "seed": 0, "errors": 0,
         "alpha_1": a, "alpha_2": b, "loss": np.exp(top + gap - 3 * (a == b == 0))}
        for (activation, skip), top in tables.printed_tops().items()
        for scaling, gap in (("unit", 1), ("network", -3)) for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0)
    ]  # fmt: skip
    metrics = pd.DataFrame(rows)
    distances = tables.reading_distances(tables.all_slices(metrics, chosen))
    assert distances.to_dict() == pytest.approx({"unit": 1, "network": 3})
    table = tables.reading_table(metrics, chosen)
    assert list(table["directions"]) == ["unit"] * 4 + ["network (drawn)"] * 4 and len(tables.printed_tops()) == 4


@given(
    st.integers(2, 6), st.integers(1, 8), st.floats(0, 30), st.integers(0, 2**31)
)  # classes, N, how far the right output is raised
@settings(max_examples=200, deadline=None)
def test_lemma_2_1_a_loss_below_log2_over_n_leaves_no_error(classes, samples, raised, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(1, samples, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (samples,), generator=generator)
    logits[0, torch.arange(samples), labels] += raised
    loss, errors = skip_dense.losses(logits, labels)
    if float(loss) < theory.zero_error_loss(samples):
        assert int(errors) == 0


def test_lemma_2_1_is_sharp():
    """One tie, everything else certain: the loss is log(2) / N and there is an error."""
    logits = torch.full((1, 4, 3), -200.0, dtype=torch.float64)
    logits[0, :, 0] = 0
    logits[0, 0, 1] = 0
    loss, errors = skip_dense.losses(logits, torch.zeros(4, dtype=torch.int64))
    assert float(loss) == pytest.approx(theory.zero_error_loss(4)) and int(errors) == 1


def test_numerical_and_exact_rank_agree():
    network = compute.random_network(8, 5, np.random.default_rng(0))
    for activation in ("sigmoid", "softplus"):
        exact = compute.exact_feature_matrix(activation, network, 60)
        np.testing.assert_allclose(np.array(exact, float), compute.feature_matrix(activation, network), rtol=1e-11)
        assert theory.exact_least_pivot(exact, 60) > Decimal("1e-30")
        with localcontext() as context:
            context.prec = 60
            exact[3] = [2 * a + b for a, b in zip(exact[0], exact[1], strict=True)]
        assert theory.exact_least_pivot(exact, 60) < Decimal("1e-50")
    assert theory.numerical_rank(compute.feature_matrix("sigmoid", network)).rank == 8
    assert theory.numerical_rank(np.ones((4, 4))).rank == 1
    assert theory.numerical_rank(np.zeros((4, 4))).rank == 0


def test_dead_units_are_as_frequent_as_computed():
    generator = np.random.default_rng(0)
    dead = [(generator.standard_normal(5) + generator.standard_normal() <= 0).all() for _ in range(20000)]
    assert np.mean(dead) == pytest.approx(theory.dead_unit_probability(5), abs=5 * (1 / 6 * 5 / 6 / 20000) ** 0.5)
    assert theory.some_unit_dead(5, 1) == pytest.approx(1 / 6)


def test_basins_of_a_known_landscape():
    x = np.linspace(-2, 2, 41)
    one, two = np.meshgrid(x, x, indexing="ij")
    double_well = (one**2 - 1) ** 2 + two**2 + 0.1 * one
    found = basins(double_well)
    assert [(round(x[b.row], 1), round(x[b.column], 1)) for b in found] == [(-1.0, 0.0), (1.0, 0.0)]
    assert found[1].rim == pytest.approx(1.0, abs=0.01) and found[0].rim == np.inf
    assert len(bad_valleys(double_well, found[0].floor, 0.1, 0.5)) == 1
    assert bad_valleys(double_well, found[0].floor, 0.3, 0.5) == [] == bad_valleys(double_well, found[0].floor, 0.1, 2)
    assert bad_valleys(one + 0 * two, -5.0, 0.1, 0.0) == []  # a slope: its only floor is on the border
    assert len(basins(np.zeros((3, 3)))) == 1


def test_network_of_table_3_has_the_printed_number_of_neurons():
    """With one 3x3 128 less than in the extracted Table 3; VGG11's are above the 50,000 samples."""
    paper = load_config("paper", {"studies": {"nguyen2019": {}}}).study("nguyen2019").cnn.architectures
    assert hidden_neurons(paper[0].layers, (28, 28, 1)) == 179840
    assert hidden_neurons(paper[1].layers, (32, 32, 3)) == 151808


def test_features_of_a_convolutional_network_are_its_hidden_neurons():
    texts = ["3x3 4", "3x3 4 /2", "pool", "full 6"]
    total = hidden_neurons(texts, (8, 8, 1))
    assert total == 4 * 64 + 4 * 16 + 6
    x = torch.rand(5, 1, 8, 8)
    everything = SkipCnn(texts, (8, 8, 1), 10, "sigmoid", total, 0, 2.0)
    plain = SkipCnn(texts, (8, 8, 1), 10, "sigmoid", None, 0, 2.0)
    assert everything.features(x).shape == (5, total) and plain.features(x).shape == (5, 6)
    torch.testing.assert_close(everything.features(x)[:, -6:], plain.features(x))
    first = torch.sigmoid(plain.hidden[0](x)).flatten(1)
    torch.testing.assert_close(everything.features(x)[:, :256], first)
    few = SkipCnn(texts, (8, 8, 1), 10, "sigmoid", 20, 0, 2.0)
    torch.testing.assert_close(few.features(x), everything.features(x)[:, few.chosen])


def test_too_few_neurons_and_unknown_layers_are_refused():
    with pytest.raises(UserError, match="at least N = 20 hidden neurons"):
        skip_dense.choose_wired([5, 5], 20, 0)
    with pytest.raises(UserError, match="at least N = 300"):
        SkipCnn(["3x3 1"], (8, 8, 1), 10, "sigmoid", 300, 0, 2.0)
    with pytest.raises(UserError, match="'3x3 64 /2'"):
        hidden_neurons(["5x3 2"], (8, 8, 1))
    with pytest.raises(UserError, match="cannot be pooled"):
        hidden_neurons(["pool"] * 4, (8, 8, 1))
    with pytest.raises(UserError, match="at least N = 200 hidden neurons"):
        load_config("laptop", {"studies": {"nguyen2019": {"deep": {"depth": 19}}}})


def test_figure_2_is_a_directed_acyclic_graph():
    import networkx as nx

    from zeroloss.plotting.skip_graph import Wire, network_graph

    graph = network_graph((["a"], ["b"], ["f"]), [Wire("a", "b", 0), Wire("b", "f"), Wire("a", "f", skip=True)])
    assert nx.is_directed_acyclic_graph(graph) and graph.edges["a", "f"]["skip"]
    with pytest.raises(ValueError, match="forward"):
        network_graph((["a"], ["b"]), [Wire("b", "a")])


# judges, on made-up metrics


def ranks(activation, rank, pivot=np.nan, samples=4, dimension=20):
    return pd.DataFrame(
        [{"part": "rank", "activation": activation, "samples": samples, "dimension": dimension, "draw": 0, "rank": rank,
          "relative_least": 0.1, "threshold": 1e-15, "log10_pivot": pivot}] * 10
    )  # fmt: skip


def test_rank_judges_come_out_each_way(chosen):
    judge = claims.judge_rank_sigmoid
    assert judge(ranks("sigmoid", 4), chosen).verdict == "reproduced"
    assert judge(ranks("sigmoid", 3, -20), chosen).verdict == "reproduced"
    assert judge(ranks("sigmoid", 3, -190), chosen).verdict == "differs"
    assert judge(ranks("sigmoid", 3), chosen).verdict == "undecided"
    assert claims.judge_rank_relu(ranks("relu", 3), chosen).verdict == "reproduced"
    assert claims.judge_rank_relu(ranks("relu", 4), chosen).verdict == "undecided"
    assert claims.judge_rank_relu(pd.concat([ranks("relu", 4)] * 3), chosen).verdict == "differs"
    linear = ranks("linear", 21, samples=64)
    assert claims.judge_rank_linear(linear, chosen).verdict == "reproduced"
    assert claims.judge_rank_linear(linear.assign(rank=22), chosen).verdict == "differs"
    assert claims.judge_rank_linear(ranks("linear", 3), chosen).verdict == "undecided"


def test_lemma_judge_comes_out_each_way(chosen):
    table = pd.DataFrame({"loss": [0.01, 1.0], "samples": [10, 10], "errors": [0, 3]})
    assert claims.judge_lemma(table, chosen).verdict == "reproduced"
    assert claims.judge_lemma(table.assign(errors=[1, 3]), chosen).verdict == "differs"
    assert claims.judge_lemma(table.assign(loss=[0.5, 1.0]), chosen).verdict == "undecided"


def planes(skip, bad, solved=True):
    """Planes of two seeds; ``bad`` of them have a second, higher valley."""
    x = np.linspace(-2, 2, 21)
    one, two = np.meshgrid(x, x, indexing="ij")
    tables = []
    for seed in (0, 1):
        log = one**2 + two**2
        if seed < bad:
            log = np.minimum(log, 1.0 + 8 * ((one - 1.4) ** 2 + two**2))
        part = {"alpha_1": np.round(one.ravel(), 9), "alpha_2": np.round(two.ravel(), 9), "loss": np.exp(log).ravel()}
        about = {
            "part": "surface",
            "scaling": "network",
            "activation": "sigmoid",
            "skip": skip,
            "seed": seed,
            "errors": 0 if solved else 1,
        }
        tables.append(pd.DataFrame({**about, **part}))
    return pd.concat(tables)


def test_valley_judges_come_out_each_way(chosen):
    plain, skip = claims.judge_valleys_sigmoid_plain, claims.judge_valleys_sigmoid_skip
    assert plain(planes(False, 2), chosen).verdict == plain(planes(False, 1), chosen).verdict == "reproduced"
    assert plain(planes(False, 0), chosen).verdict == "differs"
    assert skip(planes(True, 0), chosen).verdict == "reproduced"
    assert skip(planes(True, 2), chosen).verdict == "differs"
    third = planes(True, 0).assign(seed=lambda t: t["seed"] + 2)
    assert skip(pd.concat([planes(True, 1), third]), chosen).verdict == "undecided"
    assert plain(planes(False, 2, solved=False), chosen).verdict == "undecided"


def deep(skip, errors, diverged=False):
    rows = [
        {"part": "deep", "skip": skip, "rate": rate, "seed": seed, "samples": 100, "epoch": epoch, "errors": wrong,
         "loss": np.nan if diverged and rate == 0.1 else wrong + rate, "diverged": diverged and rate == 0.1}
        for seed in (0, 1) for rate in (0.1, 0.01) for epoch, wrong in ((0, 90), (1, errors))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_depth_judges_come_out_each_way(chosen):
    more = chosen.deep.taken.model_copy(update={"epochs": 200})
    long = chosen.model_copy(update={"deep": chosen.deep.model_copy(update={"images": [more]})})
    assert run_claims.judge_deep_skip(deep(True, 0), chosen).verdict == "reproduced"
    assert run_claims.judge_deep_skip(deep(True, 5), chosen).verdict == "undecided"
    assert run_claims.judge_deep_skip(deep(True, 5), long).verdict == "differs"
    assert run_claims.judge_deep_plain(deep(False, 70), chosen).verdict == "reproduced"
    assert run_claims.judge_deep_plain(deep(False, 20), chosen).verdict == "undecided"
    assert run_claims.judge_deep_plain(deep(False, 0), chosen).verdict == "differs"
    assert set(run_claims.best_runs(deep(True, 5, diverged=True), True)["rate"]) == {0.01}


def cnn(variant, errors, activation="sigmoid"):
    row = {"part": "cnn", "architecture": "cnn13small", "activation": activation, "variant": variant, "epoch": 3,
           "errors": errors, "test_errors": errors, "samples": 100, "test_samples": 100, "largest_class": 12,
           "neurons": 200, "data_title": "digits"}  # fmt: skip
    return pd.DataFrame([{**row, "seed": seed} for seed in (0, 1)])


def test_convolution_judges_come_out_each_way(chosen):
    plain, skip = run_claims.judge_cnn_sigmoid_plain, run_claims.judge_cnn_sigmoid_skip
    assert [plain(cnn("plain", e), chosen).verdict for e in (88, 60, 10)] == ["reproduced", "undecided", "differs"]
    assert [skip(cnn("skip", e), chosen).verdict for e in (10, 60, 88)] == ["reproduced", "undecided", "differs"]
    assert skip(cnn("plain", 10), chosen).verdict == "undecided"


def test_a_cell_gives_the_same_numbers_twice(chosen):
    cells = {cell.name: cell for cell in STUDY.cells(chosen)}
    recipes = {recipe.name: recipe for recipe in STUDY.recipes(chosen)}
    for name in ("rank", "surface_sigmoid"):
        data = [recipes[one].build(None) for one in cells[name].datasets]
        tables = [STUDY.run(cells[name].parameters, data, device="cpu", quiet=True) for _ in range(2)]
        pd.testing.assert_frame_equal(*tables)


def test_random_images_do_not_overlap_and_keep_their_pixels():
    from zeroloss.datasets.image_sample import ImageSample

    data = ImageSample(source="digits", samples=1000, test_samples=797, seed=1).build(None)
    assert data.x.shape == (1797, 64) and data.info["shape"] == [8, 8, 1] and data.x.max() == 1
    assert len(np.unique(data.x, axis=0)) > 1790  # every image once
    with pytest.raises(UserError, match="too few"):
        ImageSample(source="digits", samples=1000, test_samples=798).build(None)
